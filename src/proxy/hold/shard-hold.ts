/**
 * Whether the commands of one shard wait, as a state machine without clock or sockets.
 *
 *     idle ──a command finds the shard away──▶ holding ──the shard serves──▶ draining ──▶ idle
 *       ▲                                       │    ▲                          │
 *       └───────away for maxFailoverMs──────────┘    └──────away once more──────┘
 *
 * A shard that comes and goes is not held each time: between the end of one hold and the beginning of
 * the next there are at least minGapMs. How much may wait, and each command for how long, is counted
 * by Retries, over all shards.
 */

export const HOLD = { idle: 0, holding: 1, draining: 2 } as const;
export type HoldState = (typeof HOLD)[keyof typeof HOLD];

/** Why a command that needs an absent shard does not wait. */
export type NoHold = 'max-failover' | 'min-gap';

export interface HoldRules {
  readonly maxFailoverMs: number;
  readonly minGapMs: number;
}

/** A lost connection that is back within this was no failover: the gap does not count from it. */
export const BLIP_MS = 100;
/**
 * One that is away again within this, and has served no write in between, never was back: a node
 * accepts connections before it is ready.
 */
export const RELAPSE_MS = 1000;

export class ShardHold {
  state: HoldState = HOLD.idle;
  /** Stands for the shard: of the last command that found it away. */
  slot: number;
  /** Since when the shard is away, monotonic ms, as last told; relapses do not count anew. */
  awaySince = 0;
  /** When it was last known to be away. */
  #seenAt = Number.NEGATIVE_INFINITY;
  /** When the present hold began, or the last one. */
  startedAt = 0;
  /** When the last hold that was more than a blip ended. */
  endedAt = Number.NEGATIVE_INFINITY;
  /** Commands that wait now. */
  waiting = 0;
  /** Commands that found the shard away in this hold; its owner counts them. */
  asked = 0;
  /** Its nodes refuse since and until when, monotonic ms; see ShardHolds. */
  refusedSince = 0;
  refusedAt = Number.NEGATIVE_INFINITY;
  /** Their last words then. */
  refusal = '';
  /** It has served a write since it was away last: it is well indeed. */
  isProven = false;
  /** A script keeps its node, which answers -BUSY since it was away last. */
  isBusy = false;
  /** The hold ended because the shard was away for maxFailoverMs. */
  isGivenUp = false;
  /** The log has its beginning. */
  isLogged = false;
  /** Begun by hold.start: the gap does not count from it. */
  isPlanned = false;
  readonly #onChange: (hold: ShardHold, from: HoldState, now: number) => void;

  constructor(slot: number, onChange: (hold: ShardHold, from: HoldState, now: number) => void) {
    this.slot = slot;
    this.#onChange = onChange;
  }

  /** A command finds its shard away since `awaySince`. Null: it may wait. */
  onAway(slot: number, awaySince: number, now: number, rules: HoldRules): NoHold | null {
    const isRelapse = now - this.#seenAt < RELAPSE_MS;
    this.slot = slot;
    this.awaySince = isRelapse ? Math.min(awaySince, this.awaySince) : awaySince;
    if (now - this.awaySince >= rules.maxFailoverMs) {
      if (this.state !== HOLD.idle) this.#giveUp(now);
      return 'max-failover';
    }
    if (this.state === HOLD.idle) {
      if (!isRelapse && now - this.endedAt < rules.minGapMs) return 'min-gap';
      this.#begin(now, false);
    } else if (this.state === HOLD.draining) {
      this.#move(HOLD.holding, now);
    }
    this.#seenAt = now;
    return null;
  }

  /** The operator switches its primary: commands wait whatever the rules say. */
  onPlanned(slot: number, since: number, now: number): void {
    this.slot = slot;
    this.awaySince = since;
    if (this.state === HOLD.idle) this.#begin(now, true);
    else if (this.state === HOLD.draining) this.#move(HOLD.holding, now);
  }

  /** The shard serves again. */
  onWell(now: number): void {
    if (this.state !== HOLD.holding) return;
    if (this.waiting > 0) this.#move(HOLD.draining, now);
    else this.#end(now);
  }

  /** It has served a write. */
  onReady(): void {
    this.isProven = true;
    this.isBusy = false;
    this.#seenAt = Number.NEGATIVE_INFINITY;
    this.refusedAt = Number.NEGATIVE_INFINITY;
  }

  /** It is still away. */
  onStillAway(now: number, rules: HoldRules): void {
    if (this.state !== HOLD.holding || this.isPlanned) return;
    this.#seenAt = now;
    if (now - this.awaySince >= rules.maxFailoverMs) this.#giveUp(now);
  }

  /** One more that waits (+1), or one that went, was answered or given up (-1). */
  count(change: 1 | -1, now: number): void {
    this.waiting += change;
    if (this.waiting === 0 && this.state === HOLD.draining) this.#end(now);
  }

  #begin(now: number, isPlanned: boolean): void {
    this.isPlanned = isPlanned;
    this.startedAt = now;
    this.asked = 0;
    this.isLogged = false;
    this.isGivenUp = false;
    this.#move(HOLD.holding, now);
  }

  #giveUp(now: number): void {
    this.isGivenUp = true;
    this.#end(now);
  }

  #end(now: number): void {
    if (!this.isPlanned && now - this.startedAt >= BLIP_MS) this.endedAt = now;
    this.#move(HOLD.idle, now);
  }

  #move(to: HoldState, now: number): void {
    const from = this.state;
    this.state = to;
    if (to === HOLD.holding) {
      this.isProven = false;
      this.isBusy = false;
    }
    this.#onChange(this, from, now);
  }
}
