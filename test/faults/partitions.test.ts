/**
 * The network is cut in four ways, in a network namespace of its own. Acknowledged writes are lost
 * only on the losing side and only for a while, none that a replica confirmed, and slotgate never
 * forces a promotion: a primary that is out of reach may still be acknowledging writes.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { IS_WHOLE, say } from '../support/faults/extent.ts';
import { whyNoPartitions } from '../support/faults/partition-network.ts';
import {
  NODE_TIMEOUT_MS,
  PARTITIONS,
  type PartitionName,
  type PartitionOutcome,
  type SideOutcome,
  WINDOW_MS,
} from '../support/faults/partition-outcome.ts';

const RUN = fileURLToPath(new URL('../support/faults/partition-run.ts', import.meta.url));
const RUN_MS = 120_000;
/** Before the cut is complete, and before a reply that was on its way has arrived. */
const SLACK_MS = 250;
const LOST_AGE_MS = 200;
const LONGEST_WAIT_MS = 20_000;

const why = whyNoPartitions();
if (why !== '') say(`Partitions are not tested: ${why}`);

/** One that loses, and one in which slotgate could do harm; all of them where there is time. */
const PLAYED: readonly PartitionName[] = IS_WHOLE ? PARTITIONS : ['primary with the proxy'];

async function play(name: PartitionName): Promise<PartitionOutcome> {
  const args = ['-n', '-p', '-f', '--kill-child', process.execPath, '--import', 'tsx', RUN, name];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: RUN_MS });
  return JSON.parse(stdout) as PartitionOutcome;
}

function tell(title: string, side: SideOutcome): string {
  const { lost, lostValues, lostMs, errors } = side;
  const when =
    lostMs === null ? '' : `, acknowledged ${lostMs[0]} to ${lostMs[1]} ms after the cut`;
  const words = Object.entries(errors).map(([line, count]) => `${count} × ${line}`);
  return [
    `  ${title}: ${side.commandsDuring} commands answered meanwhile, longest wait ${side.longestMs} ms`,
    `    lost ${lost} elements of ${side.acked} and ${lostValues} values${when}`,
    `    confirmed by a replica ${side.durable}, of these lost ${side.lostDurable}`,
    `    UNCERTAIN ${side.uncertain}; other errors: ${words.join('; ') || 'none'}`,
  ].join('\n');
}

function expectSound(side: SideOutcome): void {
  expect(side.problems).toEqual([]);
  expect(side.errors).toEqual({});
  expect(side.unexplained).toBe(0);
  expect(side.lostDurable).toBe(0);
  expect(side.longestMs).toBeLessThan(LONGEST_WAIT_MS);
}

describe.skipIf(why !== '')('partitions', () => {
  it.each(PLAYED)(
    '%s',
    async (name) => {
      const outcome = await play(name);
      const { shard, others, promoted, failoverCalls } = outcome;
      say(
        [
          `${name}, node-timeout ${NODE_TIMEOUT_MS}: ${promoted ? 'a replica was promoted' : 'nobody was promoted'}`,
          tell('clients of the shard', shard),
          tell('clients of the others', others),
        ].join('\n'),
      );
      expect(failoverCalls).toBe(0);
      expect(promoted).toBe(name.startsWith('primary'));
      expectSound(shard);
      expectSound(others);
      expect(others.lost + others.lostValues).toBe(0);
      const [first, last] = shard.lostMs ?? [0, 0];
      expect(first).toBeGreaterThan(-LOST_AGE_MS - SLACK_MS);
      switch (name) {
        case 'primary with the proxy':
          expect(shard.lost).toBeGreaterThan(0);
          expect(last).toBeLessThan(WINDOW_MS + SLACK_MS);
          break;
        case 'primary with the proxy, WAIT 1':
          expect(shard.durable).toBeGreaterThan(0);
          expect(last).toBeLessThan(WINDOW_MS + SLACK_MS);
          break;
        case 'primary alone':
          expect(last).toBeLessThan(SLACK_MS);
          break;
        case 'replica alone':
        case 'proxy alone':
          expect(shard.lost + shard.lostValues).toBe(0);
      }
    },
    RUN_MS,
  );
});
