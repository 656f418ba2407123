/** Tells of failovers in the log and in metrics: each order with its whole proof, refusals rarely. */

import { nodeAddress } from '../../topology/snapshot.ts';
import { type ControlLog, RareLog } from '../control-log.ts';
import type { Election } from './elections.ts';
import type { FailoverKind, FailoverMetrics } from './failover-metrics.ts';
import { evidenceFields, notDeadWords, refusalWords } from './failover-words.ts';
import type { AttemptResult, NodeRef } from './promotion.ts';
import type { Ordered } from './trouble.ts';

export interface ReportOptions {
  readonly log: ControlLog;
  readonly metrics: FailoverMetrics;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface Expected {
  readonly kind: FailoverKind;
  /** Monotonic ms. */
  readonly since: number;
  readonly orderedAt: number;
}

/** An election that comes later than this after an order is the cluster's own. */
const EXPECTED_MS = 30_000;

export class FailoverReport {
  readonly #options: ReportOptions;
  readonly #rare: RareLog;
  /** By the id of the node that is to be elected. */
  readonly #expected = new Map<string, Expected>();

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#rare = new RareLog(options.log, options.now);
  }

  /** `id` is about to be elected because of something that we do. `since`: monotonic ms. */
  expect(id: string, kind: FailoverKind, since: number): void {
    this.#expected.set(id, { kind, since, orderedAt: this.#options.now() });
  }

  /** `troubleSince`: monotonic ms of the first sign of trouble with the old primary, if any. */
  onElection({ shard, elected, deposed }: Election, troubleSince: number | null): void {
    const { log, metrics, now } = this.#options;
    const known = this.#expected.get(elected.id);
    this.#expected.delete(elected.id);
    const expected = known !== undefined && now() - known.orderedAt < EXPECTED_MS ? known : null;
    const kind = expected?.kind ?? 'observed';
    const since = expected?.since ?? troubleSince;
    const tookMs = since === null ? null : Math.round(now() - since);
    metrics.promoted(shard, kind, tookMs);
    const from = deposed === null ? 'unknown' : nodeAddress(deposed);
    log.info({ shard, kind, from, to: nodeAddress(elected), tookMs }, 'a shard has a new primary');
  }

  onResult(shard: number, primary: NodeRef, result: AttemptResult): void {
    const { log, metrics } = this.#options;
    const place = { shard, primary: primary.address };
    if (result.kind === 'not-dead') {
      const { outcome, code } = result.last;
      metrics.refused(outcome === 'accepted' ? 'answers' : 'not-refused');
      log.info({ ...place, code: code || 'accepted' }, notDeadWords(outcome));
      return;
    }
    const fields = { ...place, ...evidenceFields(result.evidence, result.choice) };
    if (result.kind === 'refused') this.#refused(primary, result, fields);
    else this.#ordered(shard, result, fields);
  }

  #refused(
    primary: NodeRef,
    result: Extract<AttemptResult, { kind: 'refused' }>,
    fields: object,
  ): void {
    const { refusal } = result;
    const words = refusalWords(result, primary.address);
    const key = `${primary.id} ${refusal}`;
    const all = { ...fields, reason: refusal };
    // It serves, as its shard needs it to: nothing was refused to anybody.
    if (refusal === 'moved') {
      this.#rare.info(key, all, words);
      return;
    }
    this.#options.metrics.refused(refusal);
    this.#rare.warn(key, all, words);
  }

  #ordered(shard: number, result: Ordered, fields: object): void {
    const { log, metrics } = this.#options;
    const { candidate, order, failure, kind } = result;
    const all = { ...fields, candidate: candidate.address, order };
    if (kind === 'ordered') {
      log.warn(all, 'a primary is dead: its freshest replica is told to take over');
      return;
    }
    metrics.notPromoted(shard, kindOf(result), 'failed');
    const words = 'a replica does not take the order to take over';
    this.#rare.warn(`${candidate.id} ${failure}`, { ...all, answer: failure }, words);
  }

  onNotElected(shard: number, primary: NodeRef, result: Ordered): void {
    const { log, metrics } = this.#options;
    const { candidate, order } = result;
    metrics.notPromoted(shard, kindOf(result), 'not-elected');
    log.warn(
      { shard, primary: primary.address, candidate: candidate.address, order },
      "a replica was told to take over and was not elected: the cluster's own votes decide now",
    );
  }
}

function kindOf({ order }: Ordered): FailoverKind {
  return order === 'FORCE' ? 'assist' : 'takeover';
}
