/**
 * One worker's numbers for INFO, as plain data that control adds up. They are the counters of the
 * metrics less what they were at CONFIG RESETSTAT: the metrics themselves never go back.
 */

import {
  BUCKET_SUM,
  ERROR_WORDS,
  HISTOGRAM_STRIDE,
  RESULT,
  RESULTS,
  SCALAR,
  type Scalar,
} from '../../metrics/definitions.ts';
import type { WorkerMetrics } from '../../metrics/worker-metrics.ts';
import type { LocalServices } from './context.ts';

/** Microseconds, calls, and of what came those rejected and those failed: COMMANDSTATS' numbers. */
export const COMMAND_CELL = { calls: 0, us: 1, rejected: 2, failed: 3 } as const;

export interface WorkerFacts {
  /** Added over workers. */
  readonly sums: Readonly<Record<string, number>>;
  /** The largest counts. */
  readonly peaks: Readonly<Record<string, number>>;
  /** Error replies by their first word. */
  readonly errors: Readonly<Record<string, number>>;
  /** By command name, cells as in {@link COMMAND_CELL}. */
  readonly commands: Readonly<Record<string, readonly number[]>>;
}

const COUNTERS: Readonly<Record<string, Scalar>> = {
  connectionsReceived: SCALAR.connectionsOpened,
  receivedBytes: SCALAR.receivedBytes,
  sentBytes: SCALAR.sentBytes,
  rejectedMaxclients: SCALAR.rejectedMaxclients,
  rejectedProtected: SCALAR.rejectedProtected,
  moved: SCALAR.redirectsMoved,
  ask: SCALAR.redirectsAsk,
  retries: SCALAR.retries,
  uncertainWrites: SCALAR.uncertainWrites,
  commandTimeouts: SCALAR.commandTimeouts,
  requestsHeld: SCALAR.requestsHeld,
};
const GAUGES: Readonly<Record<string, Scalar>> = {
  heldNow: SCALAR.heldNow,
  blockedNow: SCALAR.blockedNow,
  cpuSeconds: SCALAR.cpuSeconds,
  residentBytes: SCALAR.residentBytes,
};

/** The counters as they were when statistics were last reset. */
export class StatsBase {
  scalars: Float64Array | null = null;
  errors: Float64Array | null = null;
  commands: Float64Array | null = null;
  durations: Float64Array | null = null;

  reset(metrics: WorkerMetrics): void {
    this.scalars = metrics.scalars.slice();
    this.errors = metrics.errors.slice();
    this.commands = metrics.commands.slice();
    this.durations = metrics.commandDurations.slice();
  }
}

export function workerFacts(services: LocalServices, base: StatsBase): WorkerFacts {
  const { metrics } = services;
  const sums: Record<string, number> = { clients: services.sessionCount() };
  for (const [name, at] of Object.entries(COUNTERS)) {
    sums[name] = since(metrics.scalars, base.scalars, at);
  }
  for (const [name, at] of Object.entries(GAUGES)) sums[name] = metrics.scalars[at] as number;
  return {
    sums,
    peaks: bufferPeaks(services),
    errors: errorCounts(metrics, base),
    commands: commandCounts(services, base),
  };
}

function since(values: Float64Array, base: Float64Array | null, at: number): number {
  return (values[at] ?? 0) - (base?.[at] ?? 0);
}

function bufferPeaks(services: LocalServices): Record<string, number> {
  let input = 0;
  let output = 0;
  for (const session of services.sessions()) {
    input = Math.max(input, session.backlog.size);
    output = Math.max(output, session.out.size);
  }
  return { input, output };
}

function errorCounts(metrics: WorkerMetrics, base: StatsBase): Record<string, number> {
  const counts: Record<string, number> = {};
  ERROR_WORDS.forEach((errorWord, at) => {
    const count = since(metrics.errors, base.errors, at);
    if (count > 0) counts[errorWord] = count;
  });
  return counts;
}

function commandCounts(services: LocalServices, base: StatsBase): Record<string, number[]> {
  const { metrics, table } = services;
  const counts: Record<string, number[]> = {};
  table.names.forEach((name, id) => {
    const count = (result: number): number =>
      since(metrics.commands, base.commands, id * RESULTS + result);
    const failed = count(RESULT.error);
    const calls = count(RESULT.ok) + failed;
    const rejected = count(RESULT.rejected);
    if (calls + rejected === 0) return;
    const us = since(metrics.commandDurations, base.durations, id * HISTOGRAM_STRIDE + BUCKET_SUM);
    counts[name] = [calls, us, rejected, failed];
  });
  return counts;
}
