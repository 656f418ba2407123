/**
 * Figures over rounds: medians, spreads and ratios. Pure, so that the report's arithmetic is tested.
 *
 * A ratio is taken round by round and only then summarised: two peers measured within seconds of each
 * other share the machine's mood, two medians from minutes apart do not.
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle of the sorted values, or the mean of the two in the middle; NaN for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[upper] as number;
  return ((sorted[upper - 1] as number) + (sorted[upper] as number)) / 2;
}

/** Undefined where there is nothing to summarise, so that a report prints a gap and not NaN. */
export function spread(values: readonly number[]): Spread | undefined {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return undefined;
  return { median: median(finite), min: Math.min(...finite), max: Math.max(...finite) };
}

/** One measured run of one cell against one peer. */
export interface Sample {
  /** Rounds count from 1; samples of one round are compared with each other. */
  readonly round: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** CPU microseconds per command of all the peer's processes and threads; NaN where unknown. */
  readonly cpuMicros: number;
}

export type Metric = 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'p999Ms' | 'cpuMicros';
export const METRICS: readonly Metric[] = [
  'requestsPerSecond',
  'p50Ms',
  'p99Ms',
  'p999Ms',
  'cpuMicros',
];

export function metricSpread(samples: readonly Sample[], metric: Metric): Spread | undefined {
  return spread(samples.map((sample) => sample[metric]));
}

/** Spread of `subject / peer` over the rounds that both sides finished. */
export function ratioSpread(
  subject: readonly Sample[],
  peer: readonly Sample[],
  metric: Metric,
): Spread | undefined {
  const byRound = new Map(peer.map((sample) => [sample.round, sample[metric]]));
  const ratios: number[] = [];
  for (const sample of subject) {
    const other = byRound.get(sample.round);
    if (other !== undefined && other > 0) ratios.push(sample[metric] / other);
  }
  return spread(ratios);
}

/** Nearest-rank percentile of ascending values, `fraction` in (0, 1]; NaN for no values. */
export function percentile(ascending: ArrayLike<number>, fraction: number): number {
  if (ascending.length === 0) return Number.NaN;
  const rank = Math.ceil(fraction * ascending.length);
  return ascending[Math.max(0, rank - 1)] as number;
}
