/**
 * Sessions whose next command needs a shard that cannot serve: nothing of it was sent, and nothing
 * behind it is taken. Each waits as one, so its order is kept by itself.
 *
 * When the shard serves again they are let go a few per turn, see Retries.
 */

import { GATE, STALL } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { SCALAR, type Scalar } from '../../metrics/definitions.ts';
import type { WorkerMetrics } from '../../metrics/worker-metrics.ts';
import type { HoldSettings } from '../settings.ts';
import { Arrivals, waitsFrom } from './arrivals.ts';
import type { ShardHold } from './shard-hold.ts';
import type { ShardHolds, Verdict } from './shard-holds.ts';
import type { Shards } from './shards.ts';

/** How exactly it is known when a client's later commands came: parts of hold.timeoutMs. */
const ARRIVAL_PARTS = 16;

/** Why the last command that could not wait could not. */
export type NoWait = Exclude<Verdict, ''> | 'limits';

interface Held {
  slot: number;
  /** When its command came, monotonic ms. */
  since: number;
  bytes: number;
  shard: ShardHold;
  /** The session's count of commands: another one means that another command waits. */
  readonly commands: number;
  readonly isRead: boolean;
  readonly arrivals: Arrivals;
  /** The sweep that has tried it. */
  sweep: number;
}

export interface HeldHost {
  readonly metrics: WorkerMetrics;
  now(): number;
  readonly shards: Pick<Shards, 'awaySince' | 'isReading'>;
  /** False while enough others try whether the slot's node is ready to serve it. */
  mayTry(session: Session, slot: number, isRead: boolean): boolean;
  /** Position in the client's stream behind the command in the frame, which comes from its backlog. */
  positionOf(session: Session): number;
  /** Commands that wait elsewhere. */
  others(): number;
}

export class HeldSessions {
  readonly #held = new Map<Session, Held>();
  #bytes = 0;
  /** The one whose turn it is, and when its bytes came. */
  #going: Session | null = null;
  #arrivals: Arrivals | null = null;
  /** A sweep tries each once; it may take several turns. */
  #sweep = 0;
  #isMidSweep = false;
  /** Replicas may serve now what they could not before. */
  #mayRead = false;
  /** Until then all that wait need news: their shards are away and none has had its time. */
  #quietUntil = 0;
  readonly #settings: HoldSettings;
  readonly #holds: ShardHolds;
  readonly #host: HeldHost;
  whyNot: NoWait = 'timeout';

  constructor(settings: HoldSettings, holds: ShardHolds, host: HeldHost) {
    this.#settings = settings;
    this.#holds = holds;
    this.#host = host;
  }

  get size(): number {
    return this.#held.size;
  }

  /** True: the session's next command waits. False: it is answered with an error, see `whyNot`. */
  hold(session: Session, slot: number, bytes: number): boolean {
    const now = this.#host.now();
    let held = this.#held.get(session);
    if (held !== undefined && held.commands !== session.commands) {
      this.#drain(session, held);
      held = undefined;
    }
    const { metrics } = this.#host;
    const since = held?.since ?? waitsFrom(session, this.#cameAt(session, now));
    const verdict = this.#holds.verdict(slot, since, now, held === undefined);
    // One that fails at once has not been held, but one behind others has waited with them.
    const isHeld = held === undefined && (verdict === '' || now > since);
    if (isHeld) metrics.increment(SCALAR.requestsHeld);
    if (verdict !== '') {
      this.whyNot = verdict;
      if (held !== undefined) this.#leave(session, held, SCALAR.heldExpired);
      else if (isHeld) metrics.increment(SCALAR.heldExpired);
      return false;
    }
    if (held === undefined && !this.#enter(session, slot, bytes, since)) return false;
    if (held !== undefined) this.#waitFor(held, slot, now);
    session.gate |= GATE.hold;
    return true;
  }

  /** Its later commands came with it, or when their bytes did. */
  #cameAt(session: Session, now: number): number {
    if (session !== this.#going || this.#arrivals === null) return now;
    return this.#arrivals.before(this.#host.positionOf(session), now);
  }

  #enter(session: Session, slot: number, bytes: number, since: number): boolean {
    const { metrics } = this.#host;
    const { maxRequests, maxBytes } = this.#settings;
    if (this.#held.size + this.#host.others() >= maxRequests || this.#bytes + bytes > maxBytes) {
      metrics.increment(SCALAR.heldEvicted);
      this.whyNot = 'limits';
      return false;
    }
    const now = this.#host.now();
    // Without a pass over thousands of others: it is due after them, or in the pass at hand.
    this.#quietUntil = Math.min(this.#quietUntil, since + this.#settings.timeoutMs);
    const shard = this.#holds.of(slot);
    const known = session === this.#going ? this.#arrivals : null;
    const arrivals = known ?? new Arrivals(session.bytesIn, now);
    this.#held.set(session, {
      slot,
      since,
      bytes,
      shard,
      commands: session.commands,
      isRead: this.#host.shards.isReading(session),
      arrivals,
      sweep: this.#sweep,
    });
    this.#bytes += bytes;
    shard.count(1, now);
    return true;
  }

  /** A command for several shards may find another of them away. */
  #waitFor(held: Held, slot: number, now: number): void {
    held.slot = slot;
    const shard = this.#holds.of(slot);
    if (shard === held.shard) return;
    held.shard.count(-1, now);
    shard.count(1, now);
    held.shard = shard;
  }

  #drain(session: Session, held: Held): void {
    session.waitsSince = 0;
    this.#leave(session, held, SCALAR.heldDrained);
  }

  #leave(session: Session, held: Held, outcome: Scalar): void {
    this.#held.delete(session);
    this.#bytes -= held.bytes;
    held.shard.count(-1, this.#host.now());
    this.#host.metrics.increment(outcome);
  }

  /** The client has left: what it waited for is given up. */
  forget(session: Session): void {
    const held = this.#held.get(session);
    if (held !== undefined) this.#leave(session, held, SCALAR.heldEvicted);
  }

  /** Replicas may serve now what they could not before. */
  onReads(): void {
    this.#mayRead = true;
  }

  /** True when there may be something to do although nothing has happened. */
  isDue(now: number): boolean {
    return this.#held.size > 0 && now >= this.#quietUntil;
  }

  /** Goes on with what can go, about `most` commands; returns how many more could have gone. */
  run(most: number): number {
    const now = this.#host.now();
    const spacingMs = this.#settings.timeoutMs / ARRIVAL_PARTS;
    let left = most;
    let quietUntil = now + spacingMs;
    if (!this.#isMidSweep) this.#sweep++;
    for (const [session, held] of this.#held) {
      if (left <= 0) break;
      held.arrivals.note(session.bytesIn, now, spacingMs);
      const dueAt = this.#dueAt(held);
      const isAway = this.#host.shards.awaySince(held.slot) !== 0;
      quietUntil = Math.min(quietUntil, isAway ? dueAt : now);
      if (held.sweep === this.#sweep || !this.#mayGo(session, held, isAway, now >= dueAt)) continue;
      held.sweep = this.#sweep;
      left -= this.#letGo(session, held);
    }
    this.#quietUntil = quietUntil;
    this.#isMidSweep = left <= 0;
    if (!this.#isMidSweep) this.#mayRead = false;
    return left;
  }

  /** Cheap, for thousands of them. */
  #mayGo(session: Session, held: Held, isAway: boolean, isOver: boolean): boolean {
    // Stopped for another reason too: parked commands of its own, or replies that it does not read.
    if ((session.gate & STALL & ~GATE.hold) !== 0) return false;
    if (isOver) return true;
    if (isAway) return held.isRead && this.#mayRead;
    return this.#host.mayTry(session, held.slot, held.isRead);
  }

  #dueAt({ since, shard }: Held): number {
    const { timeoutMs, maxFailoverMs, dryRun } = this.#settings;
    return dryRun ? 0 : Math.min(since + timeoutMs, shard.awaySince + maxFailoverMs);
  }

  /** Tries its commands again; returns what that cost, in commands. */
  #letGo(session: Session, held: Held): number {
    const { commands } = session;
    session.gate &= ~GATE.hold;
    this.#going = session;
    this.#arrivals = held.arrivals;
    session.runBacklog();
    this.#going = null;
    this.#arrivals = null;
    const isStill = this.#held.get(session) === held;
    if (isStill && (session.gate & GATE.hold) === 0) this.#drain(session, held);
    return 1 + session.commands - commands;
  }
}
