/** What scaling counts, for /metrics. */

import { Counter, Gauge } from 'prom-client';
import type { JobReport } from './job-report.ts';

export class ScalingMetrics {
  readonly #slots = new Counter({
    name: 'slotgate_reshard_slots_total',
    help: 'Slots that were moved to another shard.',
    registers: [],
  });
  readonly #keys = new Counter({
    name: 'slotgate_reshard_keys_moved_total',
    help: 'Keys that were moved with their slots.',
    registers: [],
  });
  readonly #bytes = new Counter({
    name: 'slotgate_reshard_bytes_moved_total',
    help: 'Their size in memory, as the nodes tell it.',
    registers: [],
  });
  readonly #jobs = new Counter({
    name: 'slotgate_reshard_jobs_total',
    help: 'Scaling jobs that have ended, by outcome.',
    labelNames: ['outcome'],
    registers: [],
  });
  readonly #progress: Gauge;
  readonly #eta: Gauge;
  readonly #running: Gauge;

  constructor(running: () => JobReport | null) {
    this.#running = gauge('running', 'Whether a scaling job is under way (1) or not (0).', () =>
      running() === null ? 0 : 1,
    );
    this.#progress = gauge(
      'progress_ratio',
      'Slots at rest at their new owners, of those that the job under way is to move; 1 without one.',
      () => {
        const { moved = 1, total = 1 } = running()?.slots ?? {};
        return total === 0 ? 0 : moved / total;
      },
    );
    this.#eta = gauge(
      'eta_seconds',
      'What the job under way will take; 0 while unknown.',
      () => running()?.etaSeconds ?? 0,
    );
  }

  /** For Exposition.add. */
  get all(): readonly (Counter | Gauge)[] {
    return [
      this.#slots,
      this.#keys,
      this.#bytes,
      this.#jobs,
      this.#running,
      this.#progress,
      this.#eta,
    ];
  }

  moved(slots: number, keys: number, bytes: number): void {
    this.#slots.inc(slots);
    this.#keys.inc(keys);
    this.#bytes.inc(bytes);
  }

  ended(outcome: 'done' | 'failed' | 'cancelled'): void {
    this.#jobs.inc({ outcome });
  }
}

function gauge(name: string, help: string, value: () => number): Gauge {
  return new Gauge({
    name: `slotgate_reshard_${name}`,
    help,
    registers: [],
    collect() {
      this.set(value());
    },
  });
}
