/** What becomes of the commands whose connection has died: sent again where that is safe, else answered. */

import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import type { Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { lostRead, lostScript, lostTooOften, lostUnread, uncertain } from './error-replies.ts';
import { SILENT_MS } from './lane-set.ts';
import type { Replies } from './replies.ts';
import type { Request } from './request.ts';
import { topOf } from './retries.ts';
import { runsScript } from './scripts/script-call.ts';

/** Of one session and slot; the keys of more are not compared with those of a write behind them. */
const COMPARED_READS = 32;
/** A client that has taken nothing for so long does not read; one that does is never this late. */
const NOT_READING_MS = 1000;

export class Losses {
  readonly #proxy: ProxyCore;
  readonly #replies: Replies;

  constructor(proxy: ProxyCore, replies: Replies) {
    this.#proxy = proxy;
    this.#replies = replies;
  }

  /** Walks the queue of a lane that is gone. */
  onLaneClosed(lane: Lane<Request>, address: string, code: string): void {
    // Before any of them is let go of: whether a read had a write behind it needs the bytes of both.
    const unsafe = this.#readsBeforeWrites(lane);
    let request = lane.head;
    lane.head = null;
    while (request !== null) {
      const next: Request | null = request.nextInLane;
      request.nextInLane = null;
      if (unsafe.has(request)) this.#loseRead(lane, request, address, code);
      else this.#orphan(lane, request, address, code);
      request = next;
    }
  }

  /**
   * Reads that, sent again, might see a later write of their own session: it was sent, so it may be
   * applied, and its answer will be that nobody knows.
   */
  #readsBeforeWrites(lane: Lane<Request>): ReadonlySet<Request> {
    const found = new Set<Request>();
    const { settings, shareKeys } = this.#proxy;
    if (settings.retrySentWrites) return found;
    // By session, not by its id: all clients inside the worker have the same.
    const readsOf = new Map<Session, Map<number, Request[]>>();
    for (let at = lane.head; at !== null; at = at.nextInLane) {
      const { session } = topOf(at);
      if (session === null || at === lane.heartbeat || !lane.wasSent(at)) continue;
      const bySlot = readsOf.get(session) ?? new Map<number, Request[]>();
      const reads = bySlot.get(at.slot) ?? [];
      if (at.isRead) {
        reads.push(at);
        readsOf.set(session, bySlot.set(at.slot, reads));
        continue;
      }
      const isMany = reads.length > COMPARED_READS;
      const others = reads.filter((read) => !isMany && !shareKeys(read, at as Request));
      for (const read of reads) if (!others.includes(read)) found.add(read);
      bySlot.set(at.slot, others);
    }
    return found;
  }

  #loseRead(lane: Lane<Request>, request: Request, address: string, code: string): void {
    const top = topOf(request);
    if (top.session === null || top.answered || request.done) {
      this.#orphan(lane, request, address, code);
      return;
    }
    request.lane = null;
    request.swallow = 0;
    request.special?.onLaneLeft?.(lane);
    lane.release(request);
    if ((lane.options.kind & LANE_KIND.readonly) !== 0) this.#leaveReplica(request, lane);
    this.#replies.answerError(request, lostRead(address, code));
  }

  /** A request whose lane died: sent again where that is safe, else answered. */
  #orphan(lane: Lane<Request>, request: Request, address: string, code: string): void {
    const proxy = this.#proxy;
    const wasSent = lane.wasSent(request);
    request.lane = null;
    request.swallow = 0;
    request.special?.onLaneLeft?.(lane);
    const top = request.parent ?? request;
    if (request === lane.heartbeat || top.session === null || top.answered || request.done) {
      lane.release(request);
      proxy.retries.settle(request, SCALAR.heldEvicted);
      if (request.parent !== null && !request.done) this.#partLost(request);
      else proxy.requests.give(request);
      return;
    }
    if (wasSent) request.deaths++;
    if ((lane.options.kind & LANE_KIND.readonly) !== 0) this.#leaveReplica(request, lane);
    const wasInSilence = wasSent && this.#isSilent(lane, request);
    const refusal = request.isRead ? this.#notRepeated(request, wasInSilence, address, code) : '';
    const isSafe = request.isRead ? refusal === '' : proxy.settings.retrySentWrites;
    if (request.streamed || (wasSent && !isSafe) || request.deaths > 2) {
      lane.release(request);
      if (!request.isRead && wasSent) proxy.metrics.increment(SCALAR.uncertainWrites);
      this.#replies.answerError(request, refusal || lostText(request, address, code));
      return;
    }
    const instead = request.special?.insteadOfRetry?.(wasInSilence) ?? null;
    if (instead !== null) {
      lane.release(request);
      this.#replies.answerInstead(request, instead);
      return;
    }
    // A reply that had begun to arrive and was not passed on.
    if (request.session === null) proxy.store.release(request);
    else request.session.dropStored(request);
    request.formerLane = lane;
    proxy.retries.park(request, '', 0);
  }

  /** What such a client asked for may be what the node died of; its successor need not meet it. */
  #isLeftUnread(session: Session): boolean {
    const { settings, time } = this.#proxy;
    return session.unreadBytes > settings.replyHighWater && session.unreadMs(time) > NOT_READING_MS;
  }

  /** Its node had said nothing since it was sent: what keeps a node would keep its successor, too. */
  #isSilent(lane: Lane<Request>, { queuedAt }: Request): boolean {
    return this.#proxy.time - Math.max(queuedAt, lane.readAt) > SILENT_MS;
  }

  /** The error line for a read that may not be sent twice, else ''. */
  #notRepeated(request: Request, wasInSilence: boolean, address: string, code: string): string {
    const { session } = topOf(request);
    if (session !== null && this.#isLeftUnread(session)) return lostUnread(address, code);
    const isScript = runsScript(this.#proxy.table, request.command);
    return wasInSilence && isScript ? lostScript(address, code) : '';
  }

  /**
   * A read that its node does not answer is sent once more, elsewhere or when the node is back. What
   * stands in for it in the queue is returned; null where it must stay: nobody could say any more
   * whether it came before a later write of its session.
   */
  moveRead(lane: Lane<Request>, before: Request | null, request: Request): Request | null {
    const proxy = this.#proxy;
    if (!request.isRead || request.special !== null || request.streamed) return null;
    // A script has kept its node busy for that long; once more, it would do so again.
    if (runsScript(proxy.table, request.command)) return null;
    if (request.deaths > 1 || laterWrites(request) !== LATER.none) return null;

    const standIn = proxy.requests.take();
    standIn.isRead = true;
    standIn.command = request.command;
    standIn.slot = request.slot;
    standIn.lane = lane;
    lane.replace(before, request, standIn);
    request.deaths++;
    request.lane = null;
    request.formerLane = lane;
    if (request.session === null) proxy.store.release(request);
    else request.session.dropStored(request);
    proxy.retries.park(request, '', 0);
    return standIn;
  }

  /** All reads that a node has owed since before `since`: it does not answer any more. */
  moveReads(lane: Lane<Request>, since: number): void {
    let before: Request | null = null;
    for (let at = lane.head; at !== null && at.queuedAt < since; at = at.nextInLane) {
      const top = topOf(at);
      const isOpen = top.session !== null && !top.answered && !at.done && at !== lane.heartbeat;
      const standIn: Request | null = isOpen ? this.moveRead(lane, before, at) : null;
      if (standIn !== null) at = standIn;
      before = at;
    }
  }

  #leaveReplica(request: Request, lane: Lane<Request>): void {
    const { reads, metrics, routing } = this.#proxy;
    reads.shun(routing.nodeAt(nodeAddress(lane.options.endpoint)));
    request.readTries++;
    metrics.increment(SCALAR.replicaReadsMoved);
  }

  /** A part whose client has left or was answered: it only has to be counted out. */
  #partLost(part: Request): void {
    part.done = true;
    this.#replies.partDone(part);
  }

  /** Releases the bytes of a request that is not sent again. */
  dropFromLane(request: Request): void {
    const lane = request.formerLane ?? request.lane;
    if (lane !== null) lane.release(request);
    request.formerLane = null;
    request.lane = null;
    if (request.parent !== null && !request.done) this.#partLost(request);
    else this.#proxy.requests.give(request);
  }
}

function lostText(request: Request, address: string, code: string): string {
  return request.isRead ? lostTooOften(address, code, request.deaths) : uncertain(address, code);
}

/** Writes of its session behind a read, for the same slot. */
export const LATER = {
  none: 0,
  /** On their way: whether they are applied will be known, or never. */
  open: 1,
  /** Executed, or nobody will ever know: the read might see them. */
  served: 2,
} as const;

export function laterWrites(request: Request): number {
  let found: number = LATER.none;
  for (let at = topOf(request).nextInSession; at !== null; at = at.nextInSession) {
    const later = at as Request;
    for (const part of later.gathering?.parts ?? [later]) {
      if (part.isRead || part.slot !== request.slot) continue;
      if (later.answered || part.done || part.kept) return LATER.served;
      found = LATER.open;
    }
  }
  return found;
}
