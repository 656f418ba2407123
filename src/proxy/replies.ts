/**
 * Brings the nodes' replies to the sessions in request order: whole ones, those that come in parts,
 * and those of split commands, which are merged once all parts are there.
 */

import { KEY_RULE } from '../commands/key-rules.ts';
import type { Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { RESULT, SCALAR } from '../metrics/definitions.ts';
import { DOUBT, type Lane } from '../upstream/lane.ts';
import type { Answers, ProxyCore } from './core.ts';
import { asLine, isUncertain } from './error-replies.ts';
import type { Redirects } from './redirects.ts';
import { isBusyAt } from './reply-bytes.ts';
import type { Gathering, Request } from './request.ts';
import { isInDoubt } from './retries.ts';
import type { SlowReaders } from './slow-readers.ts';

export class Replies implements Answers {
  readonly #proxy: ProxyCore;
  readonly #redirects: Redirects;
  readonly #slowReaders: SlowReaders;
  readonly #pins: { onReply(lane: Lane<Request>): void };

  constructor(
    proxy: ProxyCore,
    redirects: Redirects,
    slowReaders: SlowReaders,
    pins: { onReply(lane: Lane<Request>): void },
  ) {
    this.#proxy = proxy;
    this.#pins = pins;
    this.#redirects = redirects;
    this.#slowReaders = slowReaders;
  }

  onReply(request: Request, buf: Slab, start: number, end: number, typeAt: number): void {
    const proxy = this.#proxy;
    const isError = buf[typeAt] === 45;
    if (isError && this.#onError(request, buf, end, typeAt)) return;
    const lane = request.lane as Lane<Request>;
    if (lane.doubt !== 0) this.#settleDoubt(lane, request, isError && isBusyAt(buf, typeAt));
    proxy.retries.onServed(request);
    const { durable } = proxy;
    const isKept = durable.isOn && !isError && durable.keep(request, lane, buf, start, end);
    this.#leave(request, lane);
    proxy.metrics.observeShard(
      proxy.routing.shardOf[request.slot] as number,
      (proxy.time - request.queuedAt) * 1000,
    );
    if (!isKept) this.settle(request, buf, start, end, isError);
  }

  /** True when the error reply has been dealt with. */
  #onError(request: Request, buf: Slab, end: number, typeAt: number): boolean {
    const special = request.special;
    if (special?.onError === undefined) return this.#redirects.onError(request, buf, typeAt, end);
    const line = buf.toString('latin1', typeAt + 1, end - 2);
    const verdict = special.onError(line);
    if (typeof verdict !== 'string') {
      this.#leave(request, request.lane as Lane<Request>);
      this.settle(request, verdict, 0, verdict.length, false);
      return true;
    }
    const acted = asLine(verdict);
    return this.#redirects.onError(request, acted, 0, acted.length);
  }

  /** A reply instead of the one that will not come any more. */
  answerInstead(request: Request, reply: Slab): void {
    this.settle(request, reply, 0, reply.length, false);
  }

  #leave(request: Request, lane: Lane<Request>): void {
    lane.release(request);
    request.lane = null;
    if (request.special !== null) request.special.onLaneLeft?.(lane);
    if (lane.options.pinned) this.#pins.onReply(lane);
  }

  settle(request: Request, buf: Slab, start: number, end: number, isError: boolean): void {
    const proxy = this.#proxy;
    if (request.parkedAt !== 0) proxy.retries.settle(request, SCALAR.heldDrained);
    if (request.parent !== null) {
      this.onPart(request, buf, start, end);
      return;
    }
    if (request.session === null || request.answered) {
      request.special?.onLateReply?.(buf, start, end);
      proxy.requests.give(request);
      return;
    }
    if (isError) proxy.metrics.countErrorReply(buf, start + 1, end);
    this.deliver(request, buf, start, end, isError);
  }

  /** The node has dealt with this command: it is ready for others of its kind. `isBusy`: a script keeps it. */
  #settleDoubt(lane: Lane<Request>, request: Request, isBusy: boolean): void {
    if (this.#proxy.table.keyRule[request.command] === KEY_RULE.none) return;
    const before = lane.doubt;
    lane.doubt &= request.isRead ? ~DOUBT.reads : 0;
    if (lane.doubt === before) return;
    if (lane.doubt === 0) this.#proxy.retries.onReady(request, lane, isBusy);
    this.#proxy.turn.later(this.#proxy.retries);
  }

  /** A command without keys is served in any state of the cluster. */
  mayBeRefused(lane: Lane<Request>, request: Request): boolean {
    return isInDoubt(lane, request) && this.#proxy.table.keyRule[request.command] !== KEY_RULE.none;
  }

  /** Counts and hands over the whole reply of a request that is in its session's order. */
  deliver(request: Request, buf: Slab, start: number, end: number, isError: boolean): void {
    const proxy = this.#proxy;
    const id = request.command;
    const session = request.session as Session;
    if (isError && proxy.settings.uncertainCloses && isUncertain(buf, start)) {
      // The client's library knows what to do about a lost connection, but not about this word.
      session.stream.destroy();
      return;
    }
    if (!session.isInner) {
      proxy.metrics.countCommand(id, isError ? RESULT.error : RESULT.ok);
      proxy.metrics.observeCommand(id, (proxy.time - request.startedAt) * 1000);
    }
    if (request.special !== null) request.special.onAnswered?.(isError);
    session.deliver(request, buf, start, end);
    if (session.parkedCount > 0) proxy.turn.later(proxy.retries);
  }

  onReplyPart(
    lane: Lane<Request>,
    request: Request,
    buf: Slab,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const proxy = this.#proxy;
    const session = request.session;
    const { durable } = proxy;
    const isKept = durable.isOn && durable.keepPart(request, lane, { buf, start, end }, last);
    if (last) {
      if (lane.doubt !== 0) this.#settleDoubt(lane, request, false);
      proxy.retries.onServed(request);
      this.#leave(request, lane);
      if (!isKept && request.parkedAt !== 0) proxy.retries.settle(request, SCALAR.heldDrained);
    }
    if (isKept) return;
    if (request.parent !== null) {
      proxy.store.extend(request, buf, start, end);
      if (last) this.partDone(request);
      return;
    }
    if (session === null || request.answered) {
      this.#onLatePart(request, buf, start, end, last);
      return;
    }
    if (last) {
      if (!session.isInner) {
        proxy.metrics.countCommand(request.command, RESULT.ok);
        proxy.metrics.observeCommand(request.command, (proxy.time - request.startedAt) * 1000);
      }
      request.special?.onAnswered?.(false);
    }
    if (session.head === request) request.streamed = true;
    session.deliverPart(request, buf, start, end, last);
    this.#slowReaders.onPart(lane, session);
  }

  /** Nobody waits for it, but what was popped for nobody must go back. */
  #onLatePart(request: Request, buf: Slab, start: number, end: number, last: boolean): void {
    const { store, requests } = this.#proxy;
    const late = request.special?.onLateReply;
    if (late !== undefined) {
      store.extend(request, buf, start, end);
      const chunk = request.stored;
      if (last && chunk !== null) {
        request.special?.onLateReply?.(chunk.slab, request.storedStart, request.storedEnd);
        store.release(request);
      }
    }
    requests.give(request);
  }

  onPart(part: Request, buf: Slab, start: number, end: number): void {
    this.#proxy.store.store(part, buf, start, end);
    this.partDone(part);
  }

  partDone(part: Request): void {
    const proxy = this.#proxy;
    const parent = part.parent as Request;
    const gathering = parent.gathering as Gathering;
    part.done = true;
    if (gathering.outstanding > 1) {
      gathering.outstanding--;
      gathering.onPart?.(part);
      return;
    }
    // Still counted as outstanding while the merge reads the parts, so that delivery, which lets go
    // of the parent, does not recycle it under our hands.
    if (parent.session !== null && !parent.answered) this.#finishGathering(parent, gathering);
    gathering.outstanding = 0;
    for (const each of gathering.parts) {
      each.parent = null;
      proxy.store.release(each);
      proxy.requests.give(each);
    }
    gathering.parts.length = 0;
    proxy.requests.give(parent);
  }

  #finishGathering(parent: Request, gathering: Gathering): void {
    const failed = gathering.failed();
    if (failed !== null) {
      this.answerError(parent, gathering.errorText(failed));
      return;
    }
    // Whether merged or not, parts are read before any of them is released.
    const { slab, start, end } = gathering.merge(gathering);
    this.deliver(parent, slab, start, end, slab[start] === 45);
  }

  /** Answers a request with an error line; a part reports it to its parent. */
  answerError(request: Request, text: string): void {
    const proxy = this.#proxy;
    proxy.retries.settle(request, SCALAR.heldExpired);
    const line = asLine(text);
    if (request.parent !== null) {
      if (request.done) return;
      request.answered = true;
      this.onPart(request, line, 0, line.length);
      return;
    }
    const session = request.session;
    if (session === null || request.answered) {
      proxy.requests.give(request);
      return;
    }
    if (request.streamed) {
      // Half of a reply has gone out: nothing that follows could be understood.
      session.stream.destroy();
      return;
    }
    request.answered = true;
    session.dropStored(request);
    proxy.metrics.countErrorReply(line, 1, line.length);
    this.deliver(request, line, 0, line.length, true);
  }
}
