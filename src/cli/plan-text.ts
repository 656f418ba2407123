/** A plan in words: what a scale would do. Pure. */
import type { PlanReport } from '../control/scaling/job-report.ts';
import { bytesText, countText } from './amounts.ts';
import { wishText } from './job-text.ts';
import { table } from './text-table.ts';

export function planText(plan: PlanReport): string {
  const { wish, shardsNow, slotsToMove, keysToMove, bytesToMove, shards, nodes } = plan;
  const now = `now ${shardsNow} ${shardsNow === 1 ? 'shard' : 'shards'}`;
  const amounts = `about ${countText(keysToMove)} keys and ${bytesText(bytesToMove)}`;
  const moves = slotsToMove === 0 ? 'no slot moves' : `${slotsToMove} slots move: ${amounts}`;
  const rows = shards.map(({ address, slotsBefore, slotsAfter }) => [
    address === '' ? '(a new node)' : address,
    String(slotsBefore),
    String(slotsAfter),
    changeText(slotsAfter - slotsBefore),
  ]);
  return [
    `${now}; wanted: ${wishText(wish)}\n`,
    `${moves}\n`,
    shards.length === 0 ? '' : table(['SHARD', 'SLOTS', 'THEN', 'CHANGE'], rows, [1, 2, 3]),
    ...nodes.map((node) => `${node}\n`),
    'a dry run: nothing has been changed\n',
  ].join('');
}

function changeText(change: number): string {
  if (change === 0) return '-';
  return change > 0 ? `+${change}` : String(change);
}
