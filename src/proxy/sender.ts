/**
 * Puts one command on the connection that it belongs to, or answers it in its place: the barrier,
 * the choice of the lane, the place in the session's reply order. What to do with a command is
 * decided before (Dispatcher and its parts).
 */

import { FLAG } from '../commands/table.ts';
import { KIND } from '../commands/verdicts.ts';
import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { RESULT } from '../metrics/definitions.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import { NO_NODE } from '../route/routing.ts';
import { ANY_SLOT } from '../route/slot-of-keys.ts';
import type { Lane } from '../upstream/lane.ts';
import { ANY_KEY, type ProxyCore, type Sending } from './core.ts';
import { asLine } from './error-replies.ts';
import type { Redirects } from './redirects.ts';
import type { Request } from './request.ts';
import type { Watches } from './tx/watch.ts';

export class Sender implements Sending {
  readonly #proxy: ProxyCore;
  readonly #redirects: Redirects;
  readonly #watches: Watches;

  constructor(proxy: ProxyCore, redirects: Redirects, watches: Watches) {
    this.#proxy = proxy;
    this.#redirects = redirects;
    this.#watches = watches;
  }

  /**
   * Puts a command on the lane of its slot's owner. False when it cannot go now: the session waits
   * (barrier or hold) and the command comes again.
   */
  send(
    session: Session,
    id: number,
    slot: number,
    multiKey: boolean,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const proxy = this.#proxy;
    const isRead = ((proxy.table.flags[id] as number) & FLAG.readonly) !== 0;
    if (!this.mayUseSlot(session, slot, multiKey, isRead)) return false;
    const lane = this.laneFor(session, slot, isRead && proxy.reads.isOn && proxy.reads.isFor(id));
    if (lane === null) {
      if (proxy.retries.hold(session, slot, end - start)) return false;
      this.failNow(session, id, slot);
      return true;
    }
    const request = this.newRequest(session, id, slot);
    request.multiKey = multiKey;
    this.enqueue(request, lane, buf, start, end);
    return true;
  }

  /** Puts a request for one slot, new and in its session's order, on a lane. */
  enqueue(request: Request, lane: Lane<Request>, buf: Slab, start: number, end: number): void {
    const proxy = this.#proxy;
    const { routing, reads } = proxy;
    const { slot, multiKey } = request;
    const session = request.session as Session;
    request.lane = lane;
    lane.enqueue(request, buf, start, end, false, proxy.time);
    if (!request.isRead) {
      session.written |= 1 << (routing.owner[slot] as number);
      if (reads.isOn) reads.onWrite(request, this.#writtenSlot(request));
    } else if ((lane.options.kind & LANE_KIND.readonly) !== 0) reads.onRead(request, slot);
    const travelsAlone = multiKey && routing.motionCount !== 0 && routing.motion[slot] !== 0;
    // In a slot in motion a multi-key command travels alone: its TRYAGAIN must be retryable.
    if (travelsAlone || (lane.doubt !== 0 && proxy.answers.mayBeRefused(lane, request))) {
      session.gate |= GATE.barrier;
    }
  }

  /** A script may write to keys that it was not given; without cluster mode keys are of any slot. */
  #writtenSlot({ command, slot }: Request): number {
    const isScript = this.#proxy.table.kind[command] === KIND.script;
    return isScript || this.#proxy.routing.snapshot?.crossSlotFree === true ? ANY_KEY : slot;
  }

  /** `onReplica`: a replica may serve it as well. */
  laneFor(session: Session, slot: number, onReplica = false): Lane<Request> | null {
    const { durable, routing, lanes, reads, time } = this.#proxy;
    if (onReplica) {
      const replica = reads.laneFor(session, slot);
      if (replica !== null) return replica;
    }
    const owner = routing.owner[slot] as number;
    const node = owner === NO_NODE ? undefined : routing.nodes[owner];
    if (node === undefined) return null;
    if ((session.gate & GATE.watching) !== 0) {
      const watching = this.#watches.laneFor(session, node);
      if (watching !== null) return watching;
    }
    const isDurable = durable.isOn || session.onDurable;
    return lanes.lane(node, isDurable ? durable.kindFor(session) : session.laneKind, time);
  }

  /** The barrier: false sets the stall bit, and the command waits until all before it are answered. */
  mayUseSlot(session: Session, slot: number, multiKey: boolean, isRead = false): boolean {
    const { durable, routing, reads } = this.#proxy;
    if (session.pending === 0) {
      session.routeEpoch = routing.epoch;
      session.onDurable = false;
      return true;
    }
    if (!isRead && !reads.mayWrite(session, slot)) return false;
    if (durable.isOn && !durable.mayJoin(session)) {
      session.gate |= GATE.barrier;
      return false;
    }
    if (session.routeEpoch !== routing.epoch) {
      if ((routing.slotChangedAt[slot] as number) > session.routeEpoch) {
        session.gate |= GATE.barrier;
        return false;
      }
    }
    if (multiKey && routing.motionCount !== 0 && routing.motion[slot] !== 0) {
      session.gate |= GATE.barrier;
      return false;
    }
    return true;
  }

  /** A request with its place in the session's reply order. */
  newRequest(session: Session, id: number, slot: number): Request {
    const proxy = this.#proxy;
    const request = proxy.requests.take();
    request.session = session;
    request.inSession = true;
    request.command = id;
    request.slot = slot;
    request.isRead = ((proxy.table.flags[id] as number) & FLAG.readonly) !== 0;
    request.startedAt = proxy.time;
    session.commands++;
    if (session.replyMode !== 0) {
      request.silent = true;
      if (session.replyMode === 3) {
        session.replyMode = 0;
        session.gate &= ~GATE.replyMode;
      }
    }
    session.push(request);
    return request;
  }

  /** Refuses a command in its place in the order. */
  reject(session: Session, id: number, text: string): boolean {
    const line = asLine(text);
    this.#proxy.metrics.countErrorReply(line, 1, line.length);
    this.answerLocally(session, id, line, 0, line.length, RESULT.rejected);
    return true;
  }

  /** A reply that needs no node. */
  answerLocally(
    session: Session,
    id: number,
    buf: Slab,
    start: number,
    end: number,
    result: 0 | 1 | 2,
  ): void {
    const request = this.newRequest(session, id, ANY_SLOT);
    request.answered = true;
    this.#proxy.metrics.countCommand(id, result);
    session.deliver(request, buf, start, end);
  }

  /** The shard of this slot has been away for too long, or too much waits for it. */
  failNow(session: Session, id: number, slot: number): void {
    this.reject(session, id, this.#redirects.awayText(slot, this.#proxy.retries.whyNot));
  }
}
