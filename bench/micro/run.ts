/** The micro benches of the data path's hot functions, as one table. */

import { renderTable } from '../table.ts';
import { framingBenches } from './framing.ts';
import { type MicroResult, measureMicro } from './measure.ts';
import { routingBenches } from './routing.ts';

export async function runMicro(say: (text: string) => void): Promise<MicroResult[]> {
  const results: MicroResult[] = [];
  for (const bench of [...framingBenches(), ...routingBenches()]) {
    results.push(await measureMicro(bench));
  }
  const columns = [
    { title: 'nanoseconds each, one core', align: 'left' as const },
    ...['min', 'median', 'p99'].map((title) => ({ title, align: 'right' as const })),
  ];
  const row = ({ name, minNs, medianNs, p99Ns }: MicroResult) => [
    name,
    ...[minNs, medianNs, p99Ns].map((ns) => ns.toFixed(1)),
  ];
  say(`\n${renderTable(columns, results.map(row))}`);
  return results;
}
