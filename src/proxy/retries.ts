/**
 * What waits for a shard to serve again.
 *
 * - A **held** session: the first command of its backlog needs a shard that cannot serve; nothing
 *   was sent, the session simply does not go on.
 * - A **parked** request: a node turned it away (MOVED, CLUSTERDOWN …), or it was never sent because
 *   its lane died. It keeps its place in the session's order; the session takes no new commands
 *   meanwhile, so that later ones follow it.
 *
 * Both end when the shard serves again or when it has been away for `hold.timeoutMs`, counted from
 * the moment it went away: after that, commands for it fail at once.
 *
 * Order: a request is sent again only when no later command of its session on the same slot is
 * still in flight. If one of those was executed and had a key in common with it, it has been
 * overtaken and is refused. Both went to the same node on the same lane, so the refusal of the first
 * is known before the reply to the second.
 */

import type { Session } from '../downstream/session.ts';
import { GATE } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { DOUBT, type Lane } from '../upstream/lane.ts';
import { OVERTAKEN } from './error-replies.ts';
import type { Request } from './request.ts';
import type { HoldSettings } from './settings.ts';

export interface RetryHost {
  readonly metrics: WorkerMetrics;
  now(): number;
  /** The lane to whoever serves its slot now; null when nobody can take it. */
  laneFor(request: Request): Lane<Request> | null;
  resend(request: Request, lane: Lane<Request>): void;
  /** Have these two a key in common? */
  shareKeys(one: Request, other: Request): boolean;
  /** Since when the slot's shard is out of reach, monotonic ms; 0 when it is well. */
  awaySince(slot: number): number;
  /** Answers with an error line (without '-' and CRLF). */
  answerError(request: Request, text: string): void;
  /** The request is nobody's any more. */
  recycle(request: Request): void;
}

export class Retries {
  #parked: Request[] = [];
  readonly #held = new Set<Session>();
  #heldBytes = 0;
  /** Requests that were parked at least once and have no answer yet. */
  #unsettled = 0;
  readonly #bytesOf = new Map<Session, number>();
  #expired = false;
  #running = false;
  readonly #settings: HoldSettings;
  readonly #host: RetryHost;

  constructor(settings: HoldSettings, host: RetryHost) {
    this.#settings = settings;
    this.#host = host;
  }

  get isIdle(): boolean {
    return this.#parked.length === 0 && this.#held.size === 0;
  }

  get heldNow(): number {
    return this.#unsettled + this.#held.size;
  }

  /**
   * The session's next command needs a shard that cannot serve it. True: it waits. False: it must be
   * answered with an error now, because the shard has been away too long or too much waits already.
   */
  hold(session: Session, slot: number, bytes: number): boolean {
    const now = this.#host.now();
    const metrics = this.#host.metrics;
    const isNew = session.holdSince === 0;
    const since = this.#host.awaySince(slot) || session.holdSince || now;
    if (now - since >= this.#settings.timeoutMs) {
      this.#expired = true;
      if (isNew) metrics.increment(SCALAR.requestsHeld);
      metrics.increment(SCALAR.heldExpired);
      if (!isNew) this.#leave(session);
      return false;
    }
    if (isNew) {
      metrics.increment(SCALAR.requestsHeld);
      if (
        this.heldNow >= this.#settings.maxRequests ||
        this.#heldBytes + bytes > this.#settings.maxBytes
      ) {
        metrics.increment(SCALAR.heldEvicted);
        return false;
      }
      if (this.isIdle) metrics.increment(SCALAR.holdsStarted);
      session.holdSince = now;
      this.#held.add(session);
      this.#bytesOf.set(session, bytes);
      this.#heldBytes += bytes;
      this.#showNow();
    }
    session.gate |= GATE.hold;
    return true;
  }

  #leave(session: Session): void {
    if (!this.#held.delete(session)) return;
    session.holdSince = 0;
    this.#heldBytes -= this.#bytesOf.get(session) ?? 0;
    this.#bytesOf.delete(session);
    this.#showNow();
  }

  #showNow(): void {
    this.#host.metrics.set(SCALAR.heldNow, this.heldNow);
  }

  /** The client has left: what it waited for is given up. */
  forget(session: Session): void {
    if (!this.#held.has(session)) return;
    this.#leave(session);
    this.#host.metrics.increment(SCALAR.heldEvicted);
  }

  /** Keeps a request that was not executed; `delayMs` paces a node that keeps refusing. */
  park(request: Request, cause: string, delayMs: number): void {
    const now = this.#host.now();
    const metrics = this.#host.metrics;
    request.cause = cause;
    request.retryAt = now + delayMs;
    request.parked = true;
    if (request.parkedAt === 0) {
      request.parkedAt = now;
      metrics.increment(SCALAR.requestsHeld);
      this.#unsettled++;
      if (this.isIdle) metrics.increment(SCALAR.holdsStarted);
    }
    const session = sessionOf(request);
    if (session !== null) {
      session.parkedCount++;
      session.gate |= GATE.parked;
    }
    this.#parked.push(request);
    this.#showNow();
  }

  /** Tries everything that waits; called on news (snapshot, lane ready, reply) and by the tick. */
  run(): void {
    if (this.#running || this.isIdle) return;
    this.#running = true;
    this.#runParked();
    this.#runHeld();
    this.#running = false;
    this.#showNow();
  }

  #runParked(): void {
    const waiting = this.#parked;
    if (waiting.length === 0) return;
    this.#parked = [];
    const now = this.#host.now();
    const kept: Request[] = [];
    for (const request of waiting) {
      const session = sessionOf(request);
      if (session === null || topOf(request).answered) {
        this.#unpark(request);
        this.settle(request, SCALAR.heldEvicted);
        this.#host.recycle(request);
      } else if (!this.#try(request, session, now)) {
        kept.push(request);
      }
    }
    // Requests parked meanwhile were in flight and so come after those that were kept.
    this.#parked = kept.concat(this.#parked);
  }

  /** True when the request is settled: on its way again or answered. */
  #try(request: Request, session: Session, now: number): boolean {
    if (now >= request.retryAt) {
      const lane = this.#host.laneFor(request);
      const mayGo = lane !== null && !mustWait(request, session, lane);
      // Told so only when its turn has come: what is before it may still be under way.
      if (mayGo && request.overtaken) return this.#giveUp(request, OVERTAKEN);
      if (mayGo) {
        this.#host.resend(request, lane);
        this.#unpark(request);
        this.#host.metrics.increment(SCALAR.retries);
        return true;
      }
    }
    const away = this.#host.awaySince(request.slot) || request.parkedAt;
    const since = Math.min(request.parkedAt, away);
    return now - since >= this.#settings.timeoutMs && this.#giveUp(request, request.cause);
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
    this.#unsettled--;
    this.#host.metrics.increment(outcome);
    this.#showNow();
  }

  #runHeld(): void {
    for (const session of [...this.#held]) {
      session.gate &= ~GATE.hold;
      if (session.closed) {
        this.#leave(session);
        continue;
      }
      this.#expired = false;
      session.runBacklog();
      if ((session.gate & GATE.hold) !== 0 || session.holdSince === 0) continue;
      if (session.parkedCount > 0) continue; // It did not get a chance to go on.
      this.#leave(session);
      if (!this.#expired) this.#host.metrics.increment(SCALAR.heldDrained);
    }
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
