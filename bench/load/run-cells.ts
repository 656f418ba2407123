/**
 * The interleaved rounds. Within a round, a cell is measured on all peers one right after the other
 * and then the next cell; the peer that goes first changes from round to round. So what a machine
 * does over minutes (heat, neighbours) touches all peers alike.
 */

import { type Cell, requestsFor } from '../cells.ts';
import type { RunningPeer } from '../peers/peer.ts';
import type { CellOutcome } from '../report.ts';
import type { Sample } from '../stats.ts';
import { measureCell } from './redis-benchmark.ts';

export interface NamedPeer {
  readonly name: string;
  readonly running: RunningPeer;
}

export interface RoundsOptions {
  readonly rounds: number;
  readonly cellSeconds: number;
  readonly keys: number;
  /** Told before each run, for a progress line. */
  readonly onProgress: (done: number, total: number, what: string) => void;
}

/** A cell may take this many times its aimed-at length before it counts as hung. */
const PATIENCE = 20;
const PATIENCE_MIN_MS = 20_000;

class Plan {
  readonly cell: Cell;
  readonly peer: NamedPeer;
  readonly samples: Sample[] = [];
  readonly failures: string[] = [];
  requests = 0;

  constructor(cell: Cell, peer: NamedPeer) {
    this.cell = cell;
    this.peer = peer;
  }

  outcome(): CellOutcome {
    return {
      cell: this.cell.name,
      peer: this.peer.name,
      pipeline: this.cell.pipeline,
      samples: this.samples,
      failures: this.failures,
    };
  }
}

export async function runCells(
  cells: readonly Cell[],
  peers: readonly NamedPeer[],
  options: RoundsOptions,
): Promise<CellOutcome[]> {
  const plans = cells.map((cell) => peers.map((peer) => new Plan(cell, peer)));
  const total = cells.length * peers.length * (options.rounds + 1);
  let done = 0;
  // Round 0 finds out how many requests fill a cell, and warms up; its figures are thrown away.
  for (let round = 0; round <= options.rounds; round++) {
    for (const group of plans) {
      for (const plan of rotated(group, round)) {
        options.onProgress(done++, total, `${plan.cell.name} ${plan.peer.name}`);
        await runOnce(plan, round, options);
      }
    }
  }
  return plans.flat().map((plan) => plan.outcome());
}

async function runOnce(plan: Plan, round: number, options: RoundsOptions): Promise<void> {
  const { cell, peer } = plan;
  const calibrating = round === 0;
  if (!calibrating && plan.requests === 0) return;
  // A rate that every peer reaches in a fraction of the time, whatever the pipeline.
  const guess = requestsFor(cell, 20_000 * Math.sqrt(cell.pipeline), 0.25);
  try {
    const sample = await measureCell(peer.running, cell, {
      round,
      requests: calibrating ? guess : plan.requests,
      keys: options.keys,
      timeoutMs: Math.max(PATIENCE_MIN_MS, options.cellSeconds * 1000 * PATIENCE),
    });
    if (!calibrating) plan.samples.push(sample);
    // Adjusted every round: the first runs are slow where code is still being compiled.
    plan.requests = requestsFor(cell, sample.requestsPerSecond, options.cellSeconds);
  } catch (error) {
    plan.failures.push(`round ${round}: ${(error as Error).message}`);
  }
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % Math.max(1, items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}
