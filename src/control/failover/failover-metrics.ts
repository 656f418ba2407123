/** What control counts of failovers, for /metrics. */

import { Counter, Gauge, Histogram } from 'prom-client';

/**
 * - assist: by our CLUSTER FAILOVER FORCE
 * - takeover: by our CLUSTER FAILOVER TAKEOVER
 * - observed: by the cluster itself, another slotgate or an operator
 * - planned: by our CLUSTER FAILOVER, while the primary lives
 */
export type FailoverKind = 'assist' | 'takeover' | 'observed' | 'planned';

/**
 * - promoted: the replica owns the shard's slots
 * - not-elected: the order was accepted and no election followed in time
 * - failed: the order was not accepted
 */
export type FailoverOutcome = 'promoted' | 'not-elected' | 'failed';

const SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60];

export class FailoverMetrics {
  readonly #total = new Counter({
    name: 'slotgate_failover_total',
    help: 'Changes of primary, by who brought them about and how they ended.',
    labelNames: ['shard', 'kind', 'outcome'],
    registers: [],
  });
  readonly #refused = new Counter({
    name: 'slotgate_failover_refused_total',
    help: 'Times slotgate looked at a dead primary and promoted no replica, by reason.',
    labelNames: ['reason'],
    registers: [],
  });
  readonly #seconds = new Histogram({
    name: 'slotgate_failover_duration_seconds',
    help: 'From the first sign of trouble with a primary until its successor was known here.',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers: [],
  });
  readonly #last = new Gauge({
    name: 'slotgate_failover_last_timestamp_seconds',
    help: 'When a primary was last replaced; 0: never since the start.',
    registers: [],
  });

  /** For Exposition.add. */
  get all(): readonly (Counter | Gauge | Histogram)[] {
    return [this.#total, this.#refused, this.#seconds, this.#last];
  }

  /** `durationMs`: null where nobody saw it begin. */
  promoted(shard: number, kind: FailoverKind, durationMs: number | null): void {
    this.#count(shard, kind, 'promoted');
    this.#last.set(Date.now() / 1000);
    if (durationMs !== null) this.#seconds.observe({ kind }, durationMs / 1000);
  }

  notPromoted(shard: number, kind: FailoverKind, outcome: 'not-elected' | 'failed'): void {
    this.#count(shard, kind, outcome);
  }

  refused(reason: string): void {
    this.#refused.inc({ reason });
  }

  #count(shard: number, kind: FailoverKind, outcome: FailoverOutcome): void {
    this.#total.inc({ shard: String(shard), kind, outcome });
  }
}
