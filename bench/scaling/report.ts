/** What the scaling part prints: each step by each mover, then slotgate beside redis-cli. Pure. */

import { median } from '../stats.ts';
import { renderTable } from '../table.ts';
import type { LoadReport, PhaseFigures } from './load/tally.ts';
import type { Motion } from './motion-watch.ts';

export interface StepSample {
  readonly round: number;
  /** For example "3x1 → 5x1". */
  readonly step: string;
  readonly mover: string;
  /** From the order until all nodes agreed. */
  readonly seconds: number;
  readonly motion: Motion;
  readonly before: PhaseFigures;
  readonly during: PhaseFigures;
  readonly errors: number;
  /** Lost, doubled, out of order: found at once; the final checks are not in here. */
  readonly problems: number;
}

const SUBJECT = 'slotgate';
const PEER = 'redis-cli';
const LINES_MAX = 20;

type Figure = (sample: StepSample) => number;

const slotsPerSecond: Figure = ({ motion }) => motion.slots / motion.seconds;
const megabytesPerSecond: Figure = ({ motion }) => motion.bytes / 1e6 / motion.seconds;
const p99Before: Figure = ({ before }) => before.p99Ms;
const p99During: Figure = ({ during }) => during.p99Ms;

export function renderScaling(samples: readonly StepSample[]): string {
  const steps = [...new Set(samples.map(({ step }) => step))];
  const movers = [...new Set(samples.map(({ mover }) => mover))];
  const titles = ['step', 'mover', 'whole s', 'moving s', 'slots', 'slots/s', 'MB/s'];
  const latencies = ['p50 before', 'p50 during', 'p99 before', 'p99 during', 'ratio', 'longest ms'];
  const columns = [...titles, ...latencies, 'errors'].map((title, i) => ({
    title,
    align: i < 2 ? ('left' as const) : ('right' as const),
  }));
  const rows = steps.flatMap((step) =>
    movers.flatMap((mover) => {
      const own = samples.filter((each) => each.step === step && each.mover === mover);
      return own.length === 0 ? [] : [rowOf(step, mover, own)];
    }),
  );
  const rounds = Math.max(0, ...samples.map(({ round }) => round));
  const table = [`Medians of ${rounds} rounds; longest: of all.`, '', renderTable(columns, rows)];
  if (movers.includes(SUBJECT) && movers.includes(PEER)) table.push('', ratios(steps, samples));
  return table.join('\n');
}

function rowOf(step: string, mover: string, samples: readonly StepSample[]): string[] {
  const middle = (figure: Figure): number => median(samples.map(figure).filter(Number.isFinite));
  return [
    step,
    mover,
    text(middle(({ seconds }) => seconds)),
    text(middle(({ motion }) => motion.seconds)),
    text(
      middle(({ motion }) => motion.slots),
      0,
    ),
    text(middle(slotsPerSecond), 0),
    text(middle(megabytesPerSecond)),
    text(middle(({ before }) => before.p50Ms)),
    text(middle(({ during }) => during.p50Ms)),
    text(middle(p99Before)),
    text(middle(p99During)),
    text(middle((sample) => p99During(sample) / p99Before(sample))),
    text(Math.max(...samples.map(({ during }) => during.longestMs)), 0),
    `${samples.reduce((sum, { errors, problems }) => sum + errors + problems, 0)}`,
  ];
}

/** Taken round by round: both movers had the machine within a minute of each other. */
function ratios(steps: readonly string[], samples: readonly StepSample[]): string {
  const rows = steps.map((step) => {
    const ratio = (figure: Figure): string => {
      const each = samples.flatMap((own) => {
        if (own.step !== step || own.mover !== SUBJECT) return [];
        const peer = samples.find(
          (other) => other.step === step && other.round === own.round && other.mover === PEER,
        );
        return peer === undefined ? [] : [figure(own) / figure(peer)];
      });
      return text(median(each.filter(Number.isFinite)));
    };
    return [step, ratio(slotsPerSecond), ratio(megabytesPerSecond), ratio(p99During)];
  });
  const titles = ['step', 'slots/s', 'MB/s', 'p99 during'];
  const columns = titles.map((title, i) => ({
    title,
    align: i === 0 ? ('left' as const) : ('right' as const),
  }));
  return `${SUBJECT} / ${PEER}\n\n${renderTable(columns, rows)}`;
}

export function renderChecks(report: LoadReport, wrong: readonly string[]): string {
  const { commands, errors, errorTexts, problems, problemTexts, skipped } = report;
  const lines = [
    `${commands} commands: ${errors} error replies, ${problems} wrong, ${skipped} skipped; ` +
      `${wrong.length} keys of the data set or of others not as they were or where they belong`,
  ];
  for (const [message, times] of errorTexts) lines.push(`ERROR ${times} × ${message}`);
  for (const problem of problemTexts) lines.push(`WRONG ${problem}`);
  for (const each of wrong.slice(0, LINES_MAX)) lines.push(`WRONG ${each}`);
  return lines.join('\n');
}

function text(value: number, digits = 2): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '';
}
