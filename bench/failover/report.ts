/** The tables of the failover benchmark, and whether the goals were met. Pure. */

import { decimals } from '../report.ts';
import { percentile, spread } from '../stats.ts';
import { renderTable } from '../table.ts';
import type { Round } from './measure.ts';
import type { Scenario } from './scenarios.ts';

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly rounds: readonly Round[];
}

const TITLES = [
  'rounds',
  'write gap',
  'max',
  'cluster itself',
  'over it, max',
  'read gap',
  'max',
  'UNCERTAIN',
  'other errors',
];

export function renderGaps(results: readonly ScenarioResult[]): string {
  const columns = [
    { title: 'what happens', align: 'left' as const },
    ...TITLES.map((title) => ({ title, align: 'right' as const })),
  ];
  return [
    'Milliseconds in which no client of the shard had a success: medians and longest of the rounds.',
    'UNCERTAIN: writes per round of which the client was told that nobody knows (most of a round).',
    '',
    renderTable(columns, results.map(gapRow)),
  ].join('\n');
}

function gapRow({ scenario, rounds }: ScenarioResult): string[] {
  const write = spread(rounds.map(({ writeGapMs }) => writeGapMs));
  const read = spread(rounds.map(({ readGapMs }) => readGapMs));
  const own = spread(rounds.map(({ ownMs }) => ownMs));
  const uncertain = Math.max(...rounds.map(({ errors }) => errors.UNCERTAIN ?? 0));
  return [
    scenario.name,
    `${rounds.length}`,
    whole(write?.median),
    whole(write?.max),
    whole(own?.median),
    whole(overOwn(rounds)),
    whole(read?.median),
    whole(read?.max),
    `${uncertain}`,
    otherErrors(rounds),
  ];
}

/** How much longer than the cluster's own time the writers waited, at worst; undefined unknown. */
function overOwn(rounds: readonly Round[]): number | undefined {
  return spread(rounds.map(({ writeGapMs, ownMs }) => writeGapMs - ownMs))?.max;
}

function otherErrors(rounds: readonly Round[]): string {
  const counts = new Map<string, number>();
  for (const { errors, othersErrors } of rounds) {
    for (const [word, count] of Object.entries(errors)) {
      if (word !== 'UNCERTAIN') counts.set(word, (counts.get(word) ?? 0) + count);
    }
    for (const [word, count] of Object.entries(othersErrors)) {
      counts.set(`other shard ${word}`, (counts.get(`other shard ${word}`) ?? 0) + count);
    }
  }
  return counts.size === 0 ? '0' : [...counts].map(([word, n]) => `${n} ${word}`).join(', ');
}

export function renderOthers(results: readonly ScenarioResult[]): string {
  const rows = results
    .filter(({ rounds }) => rounds.some(({ othersBefore }) => othersBefore.length > 0))
    .map(({ scenario, rounds }) => {
      const before = sorted(rounds.flatMap(({ othersBefore }) => othersBefore));
      const during = sorted(rounds.flatMap(({ othersDuring }) => othersDuring));
      const figures = [before, during].flatMap((each) => [
        decimals(percentile(each, 0.5), 2),
        decimals(percentile(each, 0.99), 2),
        decimals(each.at(-1) ?? Number.NaN, 1),
      ]);
      return [scenario.name, ...figures];
    });
  if (rows.length === 0) return '';
  const columns = [
    { title: 'clients of another shard, ms', align: 'left' as const },
    ...['p50 before', 'p99', 'max', 'p50 during', 'p99', 'max'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ];
  return renderTable(columns, rows);
}

/** One line for each promise that was not kept. */
export function missedGoals({ scenario, rounds }: ScenarioResult): string[] {
  const { goals, name } = scenario;
  const write = spread(rounds.map(({ writeGapMs }) => writeGapMs));
  const read = spread(rounds.map(({ readGapMs }) => readGapMs));
  const missed: string[] = [];
  const judge = (what: string, value: number | undefined, goal: number | undefined): void => {
    if (goal === undefined || (value !== undefined && value <= goal)) return;
    missed.push(`${name}: ${what} ${whole(value)} ms, the goal is ${goal} ms`);
  };
  judge('median write gap', write?.median, goals.writeMedian);
  judge('longest write gap', write?.max, goals.writeMax);
  judge("over the cluster's own time, at most", overOwn(rounds), goals.overOwn);
  judge('longest read gap', read?.max, goals.readMax);
  const errors = otherErrors(rounds);
  if (errors !== '0') missed.push(`${name}: errors other than UNCERTAIN: ${errors}`);
  return missed;
}

function whole(value: number | undefined): string {
  return value === undefined ? '–' : `${Math.round(value)}`;
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((one, other) => one - other);
}
