/** Asks a script's node, on the script's own connection, whether it would serve the script's keys. */

import type { Slab } from '../../lib/slab.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { classifyError, REDIRECT } from '../error-replies.ts';
import type { Request, Special } from '../request.ts';

/** Goes right before a script that may be refused: what it is told, the script is told as well. */
export class Witness {
  /** The error line by which the node refused it on the last try, or ''. */
  refusal = '';
  readonly #proxy: ProxyCore;
  readonly #request: Request;
  readonly #asked: Slab;

  constructor(proxy: ProxyCore, request: Request, asked: Slab) {
    this.#proxy = proxy;
    this.#request = request;
    this.#asked = asked;
  }

  goAhead(lane: Lane<Request>): void {
    this.refusal = '';
    askNode(this.#proxy, lane, this.#request, this.#asked, {
      onReply: (buf, start, end) => {
        if (buf[start] !== 45 || classifyError(buf, start) === REDIRECT.none) return;
        this.refusal = buf.toString('latin1', start + 1, end - 2);
      },
      onLost: () => {}, // The script behind it is lost as well.
    });
  }
}

/** What is refused for whatever a script with these keys would be refused for, and does nothing. */
export function questionOf(keys: readonly Buffer[]): Slab {
  return encodeRequest(keys.length === 0 ? ['DBSIZE'] : ['EXISTS', ...keys]);
}

export interface Asker {
  onReply(buf: Slab, start: number, end: number): void;
  /** The connection is lost. */
  onLost(): void;
}

/** A question of our own beside `script`, under the same circumstances. */
export function askNode(
  proxy: ProxyCore,
  lane: Lane<Request>,
  script: Request,
  asked: Slab,
  asker: Asker,
): void {
  const request = proxy.requests.take();
  request.special = new NodeAnswer(asker);
  // Its reply must not say that the node serves keys: DBSIZE has none.
  request.command = proxy.table.byName('dbsize');
  request.slot = script.slot;
  request.isRead = true;
  request.lane = lane;
  lane.enqueue(request, asked, 0, asked.length, script.withAsking, proxy.time);
}

class NodeAnswer implements Special {
  readonly swallows = 0;
  readonly #asker: Asker;

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  onLateReply(buf: Slab, start: number, end: number): void {
    this.#asker.onReply(buf, start, end);
  }

  onLaneLeft(lane: Lane<Request>): void {
    if (lane.state === LANE.closed) this.#asker.onLost();
  }
}
