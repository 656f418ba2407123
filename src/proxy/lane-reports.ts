/** What lanes report, handed on to whom it concerns. */

import type { Slab } from '../lib/slab.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { Lane, LaneEvents } from '../upstream/lane.ts';
import type { Pins } from './blocking/pins.ts';
import type { ProxyCore } from './core.ts';
import type { DurableWrites } from './durable/durable-writes.ts';
import type { Upstream } from './lane-set.ts';
import type { Losses } from './losses.ts';
import type { Replies } from './replies.ts';
import type { Request } from './request.ts';
import type { SlowReaders } from './slow-readers.ts';
import type { Watches } from './tx/watch.ts';

/** How often control is told that a node is at its maxclients. */
const FULL_EVERY_MS = 5000;

/** The parts that deal with it; DataPath has them. */
export interface LaneReaders extends ProxyCore {
  readonly answers: Replies;
  readonly slowReaders: SlowReaders;
  readonly pins: Pins;
  readonly watches: Watches;
  readonly durable: DurableWrites;
  readonly losses: Losses;
}

export class LaneReports implements LaneEvents<Request> {
  readonly #proxy: LaneReaders;

  constructor(proxy: LaneReaders) {
    this.#proxy = proxy;
  }

  onLaneRead(lane: Lane<Request>): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    lane.readAt = proxy.time;
  }

  onReply(request: Request, buf: Slab, start: number, end: number, typeAt: number): void {
    this.#proxy.answers.onReply(request, buf, start, end, typeAt);
  }

  onSwallowedError(request: Request, buf: Slab, end: number, typeAt: number): void {
    request.special?.onSwallowedError?.(buf.toString('latin1', typeAt + 1, end - 2));
  }

  onReplyPart(
    lane: Lane<Request>,
    request: Request,
    buf: Slab,
    start: number,
    end: number,
    last: boolean,
  ): void {
    this.#proxy.answers.onReplyPart(lane, request, buf, start, end, last);
  }

  onBigReply(lane: Lane<Request>, request: Request, bytes: number): void {
    this.#proxy.metrics.increment(SCALAR.bigReplies);
    this.#proxy.slowReaders.onBigReply(lane, request, bytes);
  }

  onLaneReady(lane: Lane<Request>): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    proxy.lanes.onReady(lane);
    if (lane.options.pinned) proxy.pins.onLaneReady(lane);
    proxy.turn.later(proxy.retries);
  }

  onHeartbeat(request: Request): void {
    request.lane = null;
    this.#proxy.requests.give(request);
  }

  onLaneDirty(lane: Lane<Request>): void {
    this.#proxy.turn.laneDirty(lane);
  }

  onLaneClosed(lane: Lane<Request>, code: string): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    const upstream = proxy.lanes.onClosed(lane, code, proxy.time);
    const address = upstream?.node.address ?? '';
    const isFull = code === 'EMAXCLIENTS';
    if (isFull && upstream !== undefined) this.#onFull(upstream, lane.refusal);
    // One that has no room for another connection serves those that it has.
    const isWell = code === 'EIDLE' || (isFull && lane.options.pinned);
    if (!isWell) proxy.link.hint({ reason: 'refused', node: address });
    if (lane.options.pinned) {
      proxy.pins.onLaneClosed(lane);
      proxy.watches.onLaneClosed(lane);
    }
    proxy.durable.onLaneClosed(lane, address, code);
    proxy.losses.onLaneClosed(lane, address, code);
    if (upstream !== undefined) proxy.slowReaders.onLaneClosed(lane);
    proxy.lanes.redial(proxy.time);
    proxy.turn.later(proxy.retries);
  }

  /** Control says once in a while, for all workers, which node it is. */
  #onFull(upstream: Upstream, words: string): void {
    const { pins, link, time } = this.#proxy;
    const { address } = upstream.node;
    pins.onMaxclients(address);
    if (time - upstream.fullAt < FULL_EVERY_MS) return;
    upstream.fullAt = time;
    link.hint({ reason: 'maxclients', node: address, words });
  }
}
