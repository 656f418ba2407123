/** The table of clients that wait: fan-out to subscribers, and blocked clients served. Pure. */

import type { DeliverySample } from './load/sessions.ts';
import { decimals, SUBJECT, thousands } from './report.ts';
import { median } from './stats.ts';
import { renderTable } from './table.ts';

/** Scenario → peer → one sample per round. */
export type SessionResults = Readonly<
  Record<string, Readonly<Record<string, readonly DeliverySample[]>>>
>;

export function renderSessions(results: SessionResults): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: 'scenario', align: 'left' as const },
    { title: 'peer', align: 'left' as const },
    ...['deliveries/s', 'p50 ms', 'p99 ms', 'CPU µs', `${SUBJECT} ÷ peer, CPU`].map(right),
  ];
  const rows = Object.entries(results).flatMap(([scenario, peers]) =>
    Object.entries(peers).map(([peer, samples]) => row(scenario, peer, samples, peers[SUBJECT])),
  );
  return [
    'Clients that wait. A time is that of one message or push to reach all of them; CPU is per delivery.',
    '',
    renderTable(columns, rows),
  ].join('\n');
}

function row(
  scenario: string,
  peer: string,
  samples: readonly DeliverySample[],
  subject: readonly DeliverySample[] | undefined,
): string[] {
  const of = (pick: (sample: DeliverySample) => number) => median(samples.map(pick));
  const ratios = samples.flatMap((sample, i) => {
    const own = subject?.[i];
    return own === undefined ? [] : [own.cpuMicros / sample.cpuMicros];
  });
  return [
    scenario,
    peer,
    thousands(of((sample) => sample.perSecond)),
    decimals(
      of((sample) => sample.p50Ms),
      2,
    ),
    decimals(
      of((sample) => sample.p99Ms),
      2,
    ),
    decimals(
      of((sample) => sample.cpuMicros),
      2,
    ),
    peer === SUBJECT ? '' : decimals(median(ratios), 2),
  ];
}
