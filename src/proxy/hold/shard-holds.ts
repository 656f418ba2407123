/**
 * The holds of all shards of this worker: what says that a shard is away, whether a command may wait
 * for it, and what operators see of that (metrics, one line in the log when a hold begins or ends).
 *
 * A shard is away while its node is out of reach or its slots have no owner, while an operator
 * switches its primary (hold.start), and while its node refuses what it is asked (LOADING,
 * CLUSTERDOWN …). The last shows in the refusals alone: it is over when none came for a while.
 */

import { SCALAR } from '../../metrics/definitions.ts';
import type { WorkerMetrics } from '../../metrics/worker-metrics.ts';
import { NO_SHARD } from '../../topology/snapshot.ts';
import type { HoldSettings } from '../settings.ts';
import { BLIP_MS, HOLD, type NoHold, ShardHold } from './shard-hold.ts';
import type { Shards } from './shards.ts';

/** A parked command comes again every 100 ms at least, so refusals are over after this without one. */
const REFUSALS_OVER_MS = 500;

/** Why a command waits no longer; '' while it may. */
export type Verdict = '' | NoHold | 'timeout' | 'dry-run';

/** For the log. */
export interface HoldNews {
  readonly event: 'started' | 'ended';
  readonly shard: number;
  /** Address of the node that the shard's slots belong to, '' where they have no owner. */
  readonly node: string;
  readonly dryRun: boolean;
  readonly planned: boolean;
  /** At the end: it serves again, and is not just held no longer. */
  readonly serves: boolean;
  /** Since the hold began. */
  readonly ms: number;
  /** Commands that found the shard away until now. */
  readonly commands: number;
}

export interface ShardHoldsHost {
  readonly metrics: WorkerMetrics;
  readonly settings: HoldSettings;
  readonly shards: Pick<Shards, 'awaySince' | 'isPlanned' | 'addressOf'>;
  /** Index of the slot's shard, or NO_SHARD. */
  shardOf(slot: number): number;
  onHold(news: HoldNews): void;
}

export class ShardHolds {
  readonly #host: ShardHoldsHost;
  /** By shard index; the last stands for slots that belong to no shard. */
  #shards: (ShardHold | undefined)[] = [];
  #unowned: ShardHold | undefined;
  /** Those whose state is not idle. */
  readonly #active = new Set<ShardHold>();
  readonly #onChange = (hold: ShardHold, from: number, now: number): void =>
    this.#changed(hold, from, now);

  constructor(host: ShardHoldsHost) {
    this.#host = host;
  }

  of(slot: number): ShardHold {
    const shard = this.#indexOf(slot);
    if (shard === NO_SHARD) {
      this.#unowned ??= new ShardHold(slot, this.#onChange);
      return this.#unowned;
    }
    const known = this.#shards[shard];
    if (known !== undefined) return known;
    const made = new ShardHold(slot, this.#onChange);
    this.#shards[shard] = made;
    return made;
  }

  #indexOf(slot: number): number {
    return slot < 0 ? NO_SHARD : this.#host.shardOf(slot);
  }

  /** May a command that has waited for `slot` since then go on waiting? `isNew`: it asks first now. */
  verdict(slot: number, since: number, now: number, isNew: boolean): Verdict {
    const { settings, metrics } = this.#host;
    const hold = this.of(slot);
    const away = this.#awaySince(hold, slot, now);
    if (this.#host.shards.isPlanned(slot)) {
      hold.onPlanned(slot, away, now);
      if (isNew) hold.asked++;
    } else if (away !== 0) {
      const no = hold.onAway(slot, away, now, settings);
      if (no !== null) {
        metrics.increment(no === 'min-gap' ? SCALAR.holdSkippedMinGap : SCALAR.holdSkippedTooLong);
        return no;
      }
      if (isNew) hold.asked++;
      if (settings.dryRun) {
        metrics.increment(SCALAR.holdSkippedDryRun);
        return 'dry-run';
      }
    }
    return now - since >= settings.timeoutMs ? 'timeout' : '';
  }

  #awaySince(hold: ShardHold, slot: number, now: number): number {
    const away = this.#host.shards.awaySince(slot);
    if (away !== 0) return away;
    return now - hold.refusedAt < REFUSALS_OVER_MS ? hold.refusedSince : 0;
  }

  /** The slot's owner has turned a command away because it is not ready. */
  onRefused(slot: number, now: number): void {
    const hold = this.of(slot);
    if (now - hold.refusedAt >= REFUSALS_OVER_MS) hold.refusedSince = now;
    hold.refusedAt = now;
  }

  /** Looks which shards serve again; called often. */
  review(now: number): void {
    for (const hold of this.#active) {
      const away = this.#awaySince(hold, hold.slot, now);
      if (away === 0) hold.onWell(now);
      else hold.onStillAway(now, this.#host.settings);
      if (hold.state === HOLD.holding && now - hold.startedAt >= BLIP_MS) this.#logStart(hold, now);
    }
  }

  /** Shards may have other indexes now. */
  onRouting(): void {
    const known = this.#shards;
    this.#shards = [];
    for (const hold of known) {
      if (hold === undefined) continue;
      const shard = this.#indexOf(hold.slot);
      // Two that have become one: commands of the other still count down by themselves.
      if (shard !== NO_SHARD && this.#shards[shard] === undefined) this.#shards[shard] = hold;
    }
    this.#show();
  }

  #changed(hold: ShardHold, from: number, now: number): void {
    const { metrics } = this.#host;
    if (hold.state === HOLD.idle) {
      this.#active.delete(hold);
      metrics.add(SCALAR.holdSeconds, (now - hold.startedAt) / 1000);
      if (hold.isLogged) this.#host.onHold(this.#news('ended', hold, now));
    } else if (from === HOLD.idle) {
      this.#active.add(hold);
      metrics.increment(SCALAR.holdsStarted);
    }
    this.#show();
  }

  /** A connection that is back at once is no news. */
  #logStart(hold: ShardHold, now: number): void {
    if (hold.isLogged) return;
    hold.isLogged = true;
    this.#host.onHold(this.#news('started', hold, now));
  }

  #news(event: HoldNews['event'], hold: ShardHold, now: number): HoldNews {
    return {
      event,
      shard: this.#indexOf(hold.slot),
      node: this.#host.shards.addressOf(hold.slot),
      dryRun: this.#host.settings.dryRun,
      planned: hold.isPlanned,
      serves: this.#awaySince(hold, hold.slot, now) === 0,
      ms: Math.round(now - hold.startedAt),
      commands: hold.asked,
    };
  }

  #show(): void {
    const { metrics } = this.#host;
    metrics.clearHolds();
    for (const hold of this.#active) {
      metrics.addHold(this.#indexOf(hold.slot), hold.state === HOLD.draining);
    }
  }
}
