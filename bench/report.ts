/**
 * What the benchmark says: a table for people, at most 110 columns wide, and everything as JSON.
 * Pure: figures in, text out.
 */

import type { Machine } from './machine.ts';
import {
  METRICS,
  type Metric,
  median,
  metricSpread,
  ratioSpread,
  type Sample,
  type Spread,
} from './stats.ts';
import { type Column, type Row, renderTable } from './table.ts';

export interface PeerInfo {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
}

export interface CellOutcome {
  readonly cell: string;
  readonly peer: string;
  readonly pipeline: number;
  readonly samples: readonly Sample[];
  /** What went wrong, one line each; such rounds have no sample. */
  readonly failures: readonly string[];
}

export interface LoadReport {
  readonly machine: Machine;
  readonly peers: readonly PeerInfo[];
  readonly rounds: number;
  readonly outcomes: readonly CellOutcome[];
}

/** The peer that all others are compared with. */
export const SUBJECT = 'slotgate';

const FIGURE_COLUMNS: readonly Column[] = [
  { title: 'cell', align: 'left' },
  { title: 'peer', align: 'left' },
  { title: 'req/s', align: 'right' },
  { title: '(min–max)', align: 'right' },
  { title: 'p50 ms', align: 'right' },
  { title: 'p99 ms', align: 'right' },
  { title: 'p99.9 ms', align: 'right' },
  { title: 'CPU µs/cmd', align: 'right' },
  { title: '(min–max)', align: 'right' },
];

export function renderFigures(report: LoadReport): string {
  const rows: Row[] = [];
  let previous = '';
  for (const outcome of report.outcomes) {
    if (previous !== '' && previous !== outcome.cell) rows.push([]);
    rows.push(figureRow(outcome, previous === outcome.cell ? '' : outcome.cell));
    previous = outcome.cell;
  }
  return renderTable(FIGURE_COLUMNS, rows);
}

function figureRow(outcome: CellOutcome, cell: string): Row {
  const of = (metric: Metric) => metricSpread(outcome.samples, metric);
  const rate = of('requestsPerSecond');
  const cpu = of('cpuMicros');
  return [
    cell,
    outcome.peer,
    rate ? thousands(rate.median) : 'failed',
    rate ? `${kilo(rate.min)}–${kilo(rate.max)}` : '',
    decimals(of('p50Ms')?.median, 3),
    decimals(of('p99Ms')?.median, 3),
    decimals(of('p999Ms')?.median, 3),
    decimals(cpu?.median, 2),
    cpu ? `${cpu.min.toFixed(2)}–${cpu.max.toFixed(2)}` : '',
  ];
}

/** Ratios of the subject to each peer; below 1 is better for CPU and p99, above 1 for req/s. */
export function renderRatios(report: LoadReport): string {
  const others = report.peers.map((peer) => peer.name).filter((name) => name !== SUBJECT);
  const columns: Column[] = [{ title: `${SUBJECT} ÷`, align: 'left' }];
  for (const name of others) {
    columns.push({ title: name, align: 'right' }, { title: '', align: 'right' });
    columns.push({ title: '', align: 'right' });
  }
  const rows: Row[] = [['', ...others.flatMap(() => ['CPU', 'req/s', 'p99'])]];
  for (const cell of new Set(report.outcomes.map((outcome) => outcome.cell))) {
    const figures = others.flatMap((name) =>
      (['cpuMicros', 'requestsPerSecond', 'p99Ms'] as const).map((metric) =>
        decimals(cellRatio(report, cell, name, metric)?.median, 2),
      ),
    );
    rows.push([cell, ...figures]);
  }
  return renderTable(columns, rows);
}

function cellRatio(
  report: LoadReport,
  cell: string,
  peer: string,
  metric: Metric,
): Spread | undefined {
  const samplesOf = (name: string) =>
    report.outcomes.find((outcome) => outcome.cell === cell && outcome.peer === name)?.samples;
  return ratioSpread(samplesOf(SUBJECT) ?? [], samplesOf(peer) ?? [], metric);
}

export interface Goal {
  readonly peer: string;
  readonly metric: Metric;
  readonly pipeline: number;
  /** The ratio must be at most this, or at least this. */
  readonly bound: 'at most' | 'at least';
  readonly value: number;
}

/** What this project asks of itself; every change is measured against it. */
export const GOALS: readonly Goal[] = [
  { peer: 'nutcracker', metric: 'cpuMicros', pipeline: 1, bound: 'at most', value: 1.25 },
  { peer: 'nutcracker', metric: 'cpuMicros', pipeline: 16, bound: 'at most', value: 0.6 },
  { peer: 'nutcracker', metric: 'cpuMicros', pipeline: 64, bound: 'at most', value: 0.35 },
  { peer: 'nutcracker', metric: 'requestsPerSecond', pipeline: 16, bound: 'at least', value: 1.1 },
  { peer: 'nutcracker', metric: 'requestsPerSecond', pipeline: 64, bound: 'at least', value: 1.5 },
];

export interface GoalOutcome extends Goal {
  /** Median over the GET and SET cells of that pipeline, each the median of its rounds' ratios. */
  readonly ratio: number;
  readonly cells: Readonly<Record<string, number>>;
  readonly met: boolean;
}

/** Goals whose cells and peer were measured. */
export function judgeGoals(report: LoadReport): GoalOutcome[] {
  return GOALS.flatMap((goal) => {
    const cells: Record<string, number> = {};
    for (const { cell, pipeline } of report.outcomes) {
      if (pipeline !== goal.pipeline || !/^[GS]ET-\w+-p\d+$/.test(cell)) continue;
      const ratio = cellRatio(report, cell, goal.peer, goal.metric);
      if (ratio) cells[cell] = ratio.median;
    }
    const ratio = median(Object.values(cells));
    if (Number.isNaN(ratio)) return [];
    const met = goal.bound === 'at most' ? ratio <= goal.value : ratio >= goal.value;
    return [{ ...goal, ratio, cells, met }];
  });
}

export function renderGoals(goals: readonly GoalOutcome[]): string {
  return goals
    .map((goal) => {
      const what = goal.metric === 'cpuMicros' ? 'CPU per command' : 'requests/s';
      const sign = goal.bound === 'at most' ? '≤' : '≥';
      const cells = Object.entries(goal.cells).map(
        ([cell, ratio]) => `${cell} ${ratio.toFixed(2)}`,
      );
      return (
        `${goal.met ? 'met   ' : 'missed'} ${what} to ${goal.peer}, pipeline ${goal.pipeline}: ` +
        `${goal.ratio.toFixed(2)} (goal ${sign} ${goal.value.toFixed(2)})\n         ${cells.join(', ')}`
      );
    })
    .join('\n');
}

/** The JSON form: every sample, and the spreads and ratios that the tables are made of. */
export function loadJson(report: LoadReport): unknown {
  return {
    rounds: report.rounds,
    cells: report.outcomes.map((outcome) => ({
      ...outcome,
      spread: Object.fromEntries(
        METRICS.map((metric) => [metric, metricSpread(outcome.samples, metric) ?? null]),
      ),
    })),
    ratios: ratiosJson(report),
    goals: judgeGoals(report),
  };
}

function ratiosJson(report: LoadReport): unknown[] {
  const others = report.peers.map((peer) => peer.name).filter((name) => name !== SUBJECT);
  const cells = [...new Set(report.outcomes.map((outcome) => outcome.cell))];
  return cells.flatMap((cell) =>
    others.flatMap((peer) => {
      const ratios = METRICS.map((metric) => [metric, cellRatio(report, cell, peer, metric)]);
      const known = ratios.filter(([, ratio]) => ratio !== undefined);
      return known.length > 0
        ? [{ cell, subject: SUBJECT, peer, ...Object.fromEntries(known) }]
        : [];
    }),
  );
}

export function renderMachine(machine: Machine): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GB`;
  return [
    `${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.system}`,
    `kernel ${machine.kernel}, Node ${machine.node}, load average ${machine.loadAverage.toFixed(2)}`,
  ].join('\n');
}

export function decimals(value: number | undefined, digits: number): string {
  return value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits);
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function kilo(value: number): string {
  return value >= 9950 ? `${Math.round(value / 1000)}k` : `${(value / 1000).toFixed(1)}k`;
}
