/** One question at a time to one node, on a pinned connection. */

import type { Slab } from '../../lib/slab.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import type { Request, Special } from '../request.ts';

export class NodeAsker {
  readonly #proxy: ProxyCore;
  readonly #lane: Lane<Request> | null;

  /** `lane`: null where none could be had. */
  constructor(proxy: ProxyCore, lane: Lane<Request> | null) {
    this.#proxy = proxy;
    this.#lane = lane;
  }

  /** The reply as RESP bytes, errors included; null when the connection is lost. */
  call(...args: readonly string[]): Promise<Buffer | null> {
    const proxy = this.#proxy;
    const lane = this.#lane;
    if (lane === null || lane.state === LANE.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const request = proxy.requests.take();
      request.special = new NodeQuestion(resolve);
      request.command = 0;
      request.slot = 0;
      request.isRead = true;
      request.lane = lane;
      proxy.time = proxy.runtime.now();
      const bytes = encodeRequest(args);
      lane.enqueue(request, bytes, 0, bytes.length, false, proxy.time);
    });
  }

  /**
   * What is still to be answered is read before the connection is lent again; `mayLendAgain`: it is
   * as it was.
   */
  close(mayLendAgain = true): void {
    if (this.#lane !== null) this.#proxy.pins.give(this.#lane, mayLendAgain);
  }
}

/** A request without a session: its reply comes as one that nobody waits for. */
class NodeQuestion implements Special {
  readonly swallows = 0;
  readonly isPatient = true;
  readonly #resolve: (reply: Buffer | null) => void;

  constructor(resolve: (reply: Buffer | null) => void) {
    this.#resolve = resolve;
  }

  onLateReply(buf: Slab, start: number, end: number): void {
    this.#resolve(Buffer.from(buf.subarray(start, end)));
  }

  onLaneLeft(lane: Lane<Request>): void {
    if (lane.state === LANE.closed) this.#resolve(null);
  }
}
