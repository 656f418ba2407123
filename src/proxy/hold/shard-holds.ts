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
import { BLIP_MS, HOLD, type NoHold, RELAPSE_MS, ShardHold } from './shard-hold.ts';
import type { Shards } from './shards.ts';

/** A parked command comes again every 100 ms at least, so refusals are over after this without one. */
const REFUSALS_OVER_MS = 500;

/** Why a command waits no longer; '' while it may. */
export type Verdict = '' | NoHold | 'timeout' | 'dry-run';

/**
 * For the log: a shard's commands are held, or wait no longer although it is away
 * (hold.maxFailoverMs), or it serves again.
 */
export interface HoldNews {
  readonly event: 'held' | 'given-up' | 'serves';
  /** Null: slots that belong to no shard. */
  readonly shard: number | null;
  /** Address of the node that the shard's slots belong to, '' where they have no owner. */
  readonly node: string;
  readonly dryRun: boolean;
  readonly planned: boolean;
  /** It answers, but a script keeps it. */
  readonly isBusy: boolean;
  /** Why the shard is away, '' once it serves. */
  readonly reason: string;
  /** How long its commands were held. */
  readonly heldMs: number;
  /** How long the shard has been away, or was. */
  readonly awayMs: number;
  /** Commands that found the shard away until now. */
  readonly commands: number;
}

interface Recovery {
  readonly news: HoldNews;
  /** Monotonic ms; 0: it is still away. */
  wellSince: number;
}

export interface ShardHoldsHost {
  readonly metrics: WorkerMetrics;
  readonly settings: HoldSettings;
  readonly shards: Pick<Shards, 'awaySince' | 'isPlanned' | 'addressOf' | 'whyAway'>;
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
  /**
   * Those whose trouble is in the log and its end is not yet, with what to say then: a node that has
   * just started accepts connections and turns commands away for a while.
   */
  readonly #recovering = new Map<ShardHold, Recovery>();
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

  /** The slot's owner has turned a command away because it is not ready: its words. */
  onRefused(slot: number, words: string, now: number): void {
    const hold = this.of(slot);
    hold.refusal = words;
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
    if (this.#recovering.size > 0) this.#logRecoveries(now);
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
      if (hold.isLogged) this.#onEnd(hold, now);
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
    // Away once more before it was said that it serves: the same trouble.
    if (!this.#recovering.delete(hold)) this.#host.onHold(this.#news('held', hold, now));
  }

  #onEnd(hold: ShardHold, now: number): void {
    const news = this.#news('serves', hold, now);
    if (hold.isPlanned) {
      // Its nodes were well all the time.
      this.#host.onHold(news);
      return;
    }
    if (hold.isGivenUp) this.#host.onHold(this.#news('given-up', hold, now));
    this.#recovering.set(hold, { news, wellSince: hold.isGivenUp ? 0 : now });
  }

  /** It serves once it has served a write, or was not found away for a while. */
  #logRecoveries(now: number): void {
    for (const [hold, recovery] of this.#recovering) {
      if (hold.state !== HOLD.idle) continue;
      const isAway = this.#awaySince(hold, hold.slot, now) !== 0;
      if (isAway) recovery.wellSince = 0;
      else if (recovery.wellSince === 0) recovery.wellSince = now;
      if (isAway || (!hold.isProven && now - recovery.wellSince < RELAPSE_MS)) continue;
      this.#recovering.delete(hold);
      const awayMs = Math.round(recovery.wellSince - hold.awaySince);
      const { isBusy } = hold;
      this.#host.onHold({ ...recovery.news, ...this.#place(hold), awayMs, isBusy });
    }
  }

  #news(event: HoldNews['event'], hold: ShardHold, now: number): HoldNews {
    const { shards, settings } = this.#host;
    const isRefusing = now - hold.refusedAt < REFUSALS_OVER_MS;
    const reason = shards.whyAway(hold.slot) || (isRefusing ? `it said "${hold.refusal}"` : '');
    return {
      event,
      ...this.#place(hold),
      dryRun: settings.dryRun,
      planned: hold.isPlanned,
      isBusy: hold.isBusy,
      reason: event === 'serves' ? '' : reason,
      heldMs: Math.round(now - hold.startedAt),
      awayMs: Math.round(now - hold.awaySince),
      commands: hold.asked,
    };
  }

  #place(hold: ShardHold): Pick<HoldNews, 'shard' | 'node'> {
    const shard = this.#indexOf(hold.slot);
    const node = this.#host.shards.addressOf(hold.slot);
    return { shard: shard === NO_SHARD ? null : shard, node };
  }

  #show(): void {
    const { metrics } = this.#host;
    metrics.clearHolds();
    for (const hold of this.#active) {
      metrics.addHold(this.#indexOf(hold.slot), hold.state === HOLD.draining);
    }
  }
}
