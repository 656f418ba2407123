/** The table of the stopped-shard measurement. Pure. */

import type { StalledShardSample } from './load/stalled-shard.ts';
import { decimals } from './report.ts';
import { median } from './stats.ts';
import { renderTable } from './table.ts';

export function renderStalledShard(
  results: Readonly<Record<string, readonly StalledShardSample[]>>,
): string {
  const columns = [
    { title: 'peer', align: 'left' as const },
    ...['p99 before', 'p99 during', 'ratio', '(min–max)', 'max during', 'unanswered', 'pending']
      .concat(['answered', 'errors'])
      .map((title) => ({ title, align: 'right' as const })),
  ];
  const rows = Object.entries(results).map(([peer, samples]) => row(peer, samples));
  return [
    'Commands for one shard while the node of another is stopped (SIGSTOP), milliseconds at 4000',
    'commands/s; pending and answered count the commands that waited for the stopped node.',
    '',
    renderTable(columns, rows),
  ].join('\n');
}

function row(peer: string, samples: readonly StalledShardSample[]): string[] {
  const of = (pick: (sample: StalledShardSample) => number) => median(samples.map(pick));
  const ratios = samples.map((sample) => sample.p99Ratio);
  return [
    peer,
    decimals(
      of((sample) => sample.before.p99Ms),
      3,
    ),
    decimals(
      of((sample) => sample.during.p99Ms),
      3,
    ),
    decimals(median(ratios), 2),
    `${decimals(Math.min(...ratios), 2)}–${decimals(Math.max(...ratios), 2)}`,
    decimals(
      of((sample) => sample.during.maxMs),
      3,
    ),
    `${of((sample) => sample.during.pending)}`,
    `${of((sample) => sample.pendingOnStopped)}`,
    `${of((sample) => sample.answeredAfterwards)}`,
    `${of((sample) => sample.errorsAfterwards + sample.during.errors)}`,
  ];
}
