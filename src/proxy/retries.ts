/**
 * What waits for a shard to serve again.
 *
 * - A **held** session: the first command of its backlog needs a shard that cannot serve; nothing
 *   was sent, the session simply does not go on. See HeldSessions.
 * - A **parked** request: a node turned it away (MOVED, CLUSTERDOWN …), or it was never sent because
 *   its lane died. It keeps its place in the session's order; the session takes no new commands
 *   meanwhile, so that later ones follow it.
 *
 * Both end when the shard serves again, when they have waited for `hold.timeoutMs`, or when the shard
 * has been away for `hold.maxFailoverMs`. Those that end are a few in each turn: thousands at once
 * would keep the clients of other shards waiting and meet a primary that has just been promoted.
 *
 * Order: a request is sent again only when no later command of its session on the same slot is
 * still in flight. If one of those was executed and had a key in common with it, it has been
 * overtaken and is refused. Both went to the same node on the same lane, so the refusal of the first
 * is known before the reply to the second.
 */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { RequestFrame } from '../resp/request-framer.ts';
import { DOUBT, type Lane } from '../upstream/lane.ts';
import { OVERTAKEN } from './error-replies.ts';
import { waitsFrom } from './hold/arrivals.ts';
import { HeldSessions, type NoWait } from './hold/held-sessions.ts';
import type { ShardHolds } from './hold/shard-holds.ts';
import type { Shards } from './hold/shards.ts';
import type { Request } from './request.ts';
import { isNext, narrow, noteEnd, noteSent } from './resent.ts';
import type { HoldSettings } from './settings.ts';

/** Commands that are let go, or answered with an error, in one turn of the event loop: about 2 ms. */
const RELEASES_PER_TURN = 128;
/** A node that may not be ready is tried by this many of those that wait, in this time. */
const PROBES = 16;
const PROBES_MS = 10;
/** What a command that a node turns away may wait at least, whatever its session has waited before. */
const OWN_MOMENT_MS = 1000;

export interface RetryHost {
  readonly metrics: WorkerMetrics;
  /** The command being dealt with. */
  readonly frame: RequestFrame;
  now(): number;
  /** The lane to whoever serves its slot now; null when nobody can take it. */
  laneFor(request: Request): Lane<Request> | null;
  resend(request: Request, lane: Lane<Request>): void;
  /** Have these two a key in common? */
  shareKeys(one: Request, other: Request): boolean;
  readonly shards: Shards;
  /** Do replicas serve reads? */
  replicasRead(): boolean;
  /** Answers with an error line (without '-' and CRLF). */
  answerError(request: Request, text: string): void;
  /** The error line for a slot whose shard is away. */
  awayText(slot: number, why: NoWait): string;
  /** The request is nobody's any more. */
  recycle(request: Request): void;
  /** Has {@link Retries.run} called once at the end of the turn. */
  later(): void;
}

export class Retries {
  #parked: Request[] = [];
  /** Requests that were parked at least once and have no answer yet. */
  #unsettled = 0;
  #running = false;
  #probes = 0;
  #probesSince = 0;
  readonly #settings: HoldSettings;
  readonly #held: HeldSessions;
  readonly #holds: ShardHolds;
  readonly #host: RetryHost;

  constructor(settings: HoldSettings, holds: ShardHolds, host: RetryHost) {
    this.#host = host;
    this.#settings = settings;
    this.#holds = holds;
    this.#held = new HeldSessions(settings, holds, {
      metrics: host.metrics,
      now: () => host.now(),
      mayTry: (session, slot, isRead) =>
        !host.shards.isInDoubt(session, slot, isRead) || this.#takeProbe(),
      shards: host.shards,
      positionOf: (session) => session.bytesIn - session.backlog.end + host.frame.end,
      others: () => this.#unsettled,
    });
  }

  get isIdle(): boolean {
    return this.#parked.length === 0 && this.#held.size === 0;
  }

  get heldNow(): number {
    return this.#unsettled + this.#held.size;
  }

  /** Why the last command that could not wait could not. */
  get whyNot(): NoWait {
    return this.#held.whyNot;
  }

  /**
   * The session's next command needs a shard that cannot serve it. True: it waits. False: it must be
   * answered with an error now, because it or the shard has had its time, or too much waits already.
   */
  hold(session: Session, slot: number, bytes: number): boolean {
    if (session.hasHungUp) {
      this.#host.metrics.increment(SCALAR.requestsHeld);
      this.#host.metrics.increment(SCALAR.heldEvicted);
      session.leave();
      return true;
    }
    const waits = this.#held.hold(session, slot, bytes);
    this.#showNow();
    return waits;
  }

  #showNow(): void {
    this.#host.metrics.set(SCALAR.heldNow, this.heldNow);
  }

  /** The node of this lane has turned the request away because it is not ready: its words. */
  onRefused(request: Request, lane: Lane<Request>, words: string): void {
    if (this.#host.shards.servesSlot(lane, request.slot)) {
      this.#holds.onRefused(request.slot, words, this.#host.now());
    }
  }

  /**
   * The node of this lane serves writes since it was lost or turned some away; `isBusy`: it answers
   * them, but a script keeps it.
   */
  onReady(request: Request, lane: Lane<Request>, isBusy: boolean): void {
    if (!this.#host.shards.servesSlot(lane, request.slot)) return;
    const hold = this.#holds.of(request.slot);
    if (isBusy) hold.isBusy = true;
    else hold.onReady();
  }

  /** Commands of this session wait for a shard that is away. */
  isKeptBack(session: Session): boolean {
    if ((session.gate & GATE.hold) !== 0) return true;
    if (session.parkedCount === 0) return false;
    // Those that only follow a redirect are on their way at once.
    return this.#parked.some((request) => request.isAsked && sessionOf(request) === session);
  }

  /** Replicas may serve now what they could not before. */
  onReads(): void {
    this.#held.onReads();
    if (this.#held.size > 0) this.#host.later();
  }

  /** The client has left: what it waited for is given up. */
  forget(session: Session): void {
    this.#held.forget(session);
    this.#showNow();
  }

  /**
   * Keeps a request that was not executed; `delayMs` paces a node that keeps refusing. `cause` is the
   * error line that it gets in the end, '' where its shard is out of reach.
   */
  park(request: Request, cause: string, delayMs: number): void {
    const now = this.#host.now();
    const metrics = this.#host.metrics;
    request.cause = cause;
    request.retryAt = now + delayMs;
    request.parked = true;
    const session = sessionOf(request);
    if (request.parkedAt === 0) {
      request.parkedAt = request.special?.refusedSince || this.#waitsFrom(session, now);
      metrics.increment(SCALAR.requestsHeld);
      this.#unsettled++;
    }
    request.hold = this.#holds.of(request.slot);
    request.hold.count(1, now);
    if (noteEnd(request, session)) this.#host.later();
    if (session !== null) {
      session.parkedCount++;
      session.gate |= GATE.parked;
      if (request.deaths > 0) narrow(session);
    }
    this.#parked.push(request);
    this.#showNow();
  }

  #waitsFrom(session: Session | null, now: number): number {
    const { timeoutMs } = this.#settings;
    const least = now - timeoutMs + Math.min(OWN_MOMENT_MS, timeoutMs);
    return Math.max(session === null ? now : waitsFrom(session, now), least);
  }

  /** Tries what waits, as far as one turn allows; called at its end on news. */
  run(): void {
    this.#run(true);
  }

  /** Now and then, for what had its time. */
  tick(): void {
    this.#run(false);
  }

  #run(isNews: boolean): void {
    if (this.#running) return;
    this.#holds.review(this.#host.now());
    if (this.isIdle) return;
    this.#running = true;
    let left = this.#runParked(RELEASES_PER_TURN);
    const mayGoOn = isNews || this.#held.isDue(this.#host.now());
    if (left > 0 && mayGoOn) left = this.#held.run(left);
    this.#running = false;
    this.#showNow();
    if (left <= 0) this.#host.later();
  }

  /** Returns how many commands may still go in this turn. */
  #runParked(most: number): number {
    const waiting = this.#parked;
    if (waiting.length === 0) return most;
    this.#parked = [];
    const now = this.#host.now();
    const kept: Request[] = [];
    let left = most;
    for (const request of waiting) {
      const session = sessionOf(request);
      if (session === null || topOf(request).answered) {
        this.#unpark(request);
        this.settle(request, SCALAR.heldEvicted);
        this.#host.recycle(request);
      } else if (left > 0 && this.#try(request, session, now)) {
        left--;
      } else {
        kept.push(request);
      }
    }
    // Requests parked meanwhile were in flight and so come after those that were kept.
    this.#parked = kept.concat(this.#parked);
    return left;
  }

  /** True when the request is settled: on its way again or answered. */
  #try(request: Request, session: Session, now: number): boolean {
    if (now >= request.retryAt && !this.#isAway(request)) {
      const lane = isNext(request, session) ? this.#host.laneFor(request) : null;
      const isFree = lane !== null && !mustWait(request, session, lane);
      const mayGo = isFree && (!isInDoubt(lane, request) || this.#takeProbe());
      // Told so only when its turn has come: what is before it may still be under way.
      if (mayGo && request.overtaken) return this.#giveUp(request, OVERTAKEN);
      if (mayGo) {
        noteSent(request, session);
        this.#host.resend(request, lane);
        this.#unpark(request);
        this.#host.metrics.increment(SCALAR.retries);
        return true;
      }
    }
    const isNew = !request.isAsked;
    request.isAsked = true;
    const verdict = this.#holds.verdict(request.slot, request.parkedAt, now, isNew);
    if (verdict === '') return false;
    const { cause } = request;
    return this.#giveUp(request, cause || this.#host.awayText(request.slot, verdict));
  }

  /** Thousands that wait do not all ask a node again and again that is loading its data. */
  #takeProbe(): boolean {
    const now = this.#host.now();
    if (now - this.#probesSince >= PROBES_MS) {
      this.#probesSince = now;
      this.#probes = 0;
    }
    return this.#probes++ < PROBES;
  }

  /** True where nobody needs to look for a lane: reads may go to replicas, and ASK elsewhere. */
  #isAway({ isRead, askNode, slot }: Request): boolean {
    const mayGoElsewhere = askNode >= 0 || (isRead && this.#host.replicasRead());
    return !mayGoElsewhere && this.#host.shards.awaySince(slot) !== 0;
  }

  /** Ends the waiting of a parked request with an error line. */
  giveUp(request: Request, text: string): void {
    const at = this.#parked.indexOf(request);
    if (at < 0) return;
    this.#parked.splice(at, 1);
    this.#giveUp(request, text);
  }

  #giveUp(request: Request, text: string): true {
    this.#unpark(request);
    this.settle(request, SCALAR.heldExpired);
    this.#host.answerError(request, text);
    return true;
  }

  /** A node has served `served`, whose bytes are still there: whom of its session did it overtake? */
  onServed(served: Request): void {
    const session = sessionOf(served);
    if (session === null || session.parkedCount === 0) return;
    const top = topOf(served);
    // The late reply to a command that had timed out: it has left the order and was before these.
    if (top.answered || !top.inSession) return;
    for (
      let at = session.head as Request | null;
      at !== null && at !== top;
      at = at.nextInSession as Request | null
    ) {
      if (at.gathering === null) this.#markOvertaken(at, served);
      else for (const part of at.gathering.parts) this.#markOvertaken(part, served);
    }
  }

  #markOvertaken(earlier: Request, served: Request): void {
    if (!earlier.parked || earlier.overtaken || earlier.slot !== served.slot) return;
    if (earlier.isRead && served.isRead) return;
    earlier.overtaken = this.#host.shareKeys(earlier, served);
  }

  #unpark(request: Request): void {
    request.parked = false;
    request.hold?.count(-1, this.#host.now());
    request.hold = null;
    const session = sessionOf(request);
    if (session === null) return;
    if (--session.parkedCount === 0) session.open(GATE.parked);
  }

  /** A request that was parked at some time has its answer, or will never have one. */
  settle(
    request: Request,
    outcome: typeof SCALAR.heldDrained | typeof SCALAR.heldExpired | typeof SCALAR.heldEvicted,
  ): void {
    if (request.parkedAt === 0) return;
    request.parkedAt = 0;
    const session = sessionOf(request);
    if (noteEnd(request, session)) this.#host.later();
    if (session !== null && outcome === SCALAR.heldDrained) session.waitsSince = 0;
    this.#unsettled--;
    this.#host.metrics.increment(outcome);
    this.#showNow();
  }
}

/** May the node turn `request` away and still serve what comes behind it? */
export function isInDoubt(lane: Lane<Request>, request: Request): boolean {
  return (lane.doubt & (request.isRead ? DOUBT.reads : DOUBT.writes)) !== 0;
}

export function topOf(request: Request): Request {
  return request.parent ?? request;
}

export function sessionOf(request: Request): Session | null {
  return topOf(request).session;
}

/** Would `request`, sent now on `lane`, overtake or be overtaken by others of its session? */
function mustWait(request: Request, session: Session, lane: Lane<Request>): boolean {
  const top = topOf(request);
  let isLater = false;
  for (
    let at = session.head as Request | null;
    at !== null;
    at = at.nextInSession as Request | null
  ) {
    if (at === top) isLater = true;
    else if (at.gathering === null) {
      if (isInTheWay(request, at, isLater, lane)) return true;
    } else if (at.gathering.parts.some((part) => isInTheWay(request, part, isLater, lane))) {
      return true;
    }
  }
  return false;
}

function isInTheWay(
  request: Request,
  other: Request,
  isLater: boolean,
  lane: Lane<Request>,
): boolean {
  if (other.slot !== request.slot || (other.isRead && request.isRead)) return false;
  if (isLater) return !other.parked && !other.done && other.lane !== null;
  if (other.parked) return true;
  if (other.done || other.lane === null) return false;
  // Behind each other on one connection is in order, unless the first may be told to try again.
  return other.lane !== lane || other.multiKey || isInDoubt(lane, other);
}
