/**
 * Frees clients that are blocked at a node, for certain.
 *
 * CLIENT UNBLOCK travels on another connection than the command that it ends, so a node may execute
 * it first: it then frees nobody, and the command that comes behind it waits for ever. Hence it is
 * said again until the reply is there. And a lane is lent to nobody else while one is on its way: a
 * late one would end the next client's wait.
 */

import { encodeRequest } from '../../resp/request-framer.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { NodeAsker } from '../flows/node-asker.ts';
import type { Request } from '../request.ts';

/** How CLIENT UNBLOCK ends a wait: with the reply of a time-out (nil) or with -UNBLOCKED. */
export type Ending = 'TIMEOUT' | 'ERROR';

/**
 * A node whose writes are paused (CLIENT PAUSE, CLUSTER FAILOVER) crashes when a client is freed
 * whose blocking command has not begun because of the pause: Redis up to 7.0.15 at least. EXEC of
 * what might write waits for the end of the pause too, behind that command. EVAL counts as such.
 */
const MULTI = encodeRequest(['MULTI']);
const MAY_WRITE = encodeRequest(['EVAL', 'return 0', '0']);

interface Wait {
  how: Ending;
  /** The node has been told and has not answered yet. */
  isTold: boolean;
  /** A connection was lost on which it had been told: it may yet hear of it. */
  isUnsure: boolean;
}

/** What may be done with a lane that has no command any more. */
export const AFTER = { lend: 0, close: 1, wait: 2 } as const;

export class Unblocking {
  readonly #proxy: ProxyCore;
  /** A lane without a command need not wait any longer. */
  readonly #onAnswer: (lane: Lane<Request>) => void;
  readonly #waits = new Map<Lane<Request>, Wait>();

  constructor(proxy: ProxyCore, onAnswer: (lane: Lane<Request>) => void) {
    this.#proxy = proxy;
    this.#onAnswer = onAnswer;
  }

  /** The lane has no command any more: one of {@link AFTER}. */
  end(lane: Lane<Request>): number {
    const wait = this.#waits.get(lane);
    if (wait?.isTold === true) return AFTER.wait;
    this.#waits.delete(lane);
    return wait?.isUnsure === true ? AFTER.close : AFTER.lend;
  }

  /** The lane is ready and its command was sent. */
  begin(lane: Lane<Request>, how: Ending): void {
    const wait = this.#waits.get(lane);
    if (wait !== undefined) {
      wait.how = how;
      return;
    }
    const begun = { how, isTold: false, isUnsure: false };
    this.#waits.set(lane, begun);
    this.#tell(lane, begun);
  }

  onLaneClosed(lane: Lane<Request>): void {
    this.#waits.delete(lane);
  }

  /** Says it again where it freed nobody, or where no connection was there to say it on. */
  tick(): void {
    for (const [lane, wait] of this.#waits) {
      if (!wait.isTold) this.#tell(lane, wait);
    }
  }

  #tell(lane: Lane<Request>, wait: Wait): void {
    const { lanes, time } = this.#proxy;
    const upstream = lanes.owners.get(lane);
    if (upstream === undefined) return;
    const open = lanes.lane(upstream.node, lane.options.kind, time);
    const shared = open ?? lanes.readyLane(upstream);
    if (shared === null) return;
    wait.isTold = true;
    const unblock = encodeRequest(['CLIENT', 'UNBLOCK', lane.clientId, wait.how]);
    for (const part of [MULTI, MAY_WRITE, unblock]) lanes.tell(shared, part, time);
    const asker = new NodeAsker(this.#proxy, shared);
    void asker.call('EXEC').then((reply) => this.#onTold(lane, wait, reply === null));
  }

  /** With its command still there, that was served at the same moment or has yet to come: see tick. */
  #onTold(lane: Lane<Request>, wait: Wait, isLost: boolean): void {
    if (this.#waits.get(lane) !== wait) return;
    wait.isTold = false;
    wait.isUnsure ||= isLost;
    if (lane.count === 0) this.#onAnswer(lane);
  }
}
