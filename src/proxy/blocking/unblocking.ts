/**
 * Frees clients that are blocked at a node, for certain.
 *
 * CLIENT UNBLOCK travels on another connection than the command that it ends, so a node may execute
 * it first: it then frees nobody, and the command that comes behind it waits for ever. Hence it is
 * said again until the reply is there. And a lane is lent to nobody else while one is on its way: a
 * late one would end the next client's wait.
 */

import { encodeRequest } from '../../resp/request-framer.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import type { Request, Special } from '../request.ts';

/** How CLIENT UNBLOCK ends a wait: with the reply of a time-out (nil) or with -UNBLOCKED. */
export type Ending = 'TIMEOUT' | 'ERROR';

/**
 * A node whose writes are paused (CLIENT PAUSE, CLUSTER FAILOVER) crashes when a client is freed
 * whose blocking command has not begun because of the pause: Redis up to 7.0.15 at least. EXEC of
 * what might write waits for the end of the pause too, behind that command. EVAL counts as such.
 */
const MULTI = encodeRequest(['MULTI']);
const MAY_WRITE = encodeRequest(['EVAL', 'return 0', '0']);
const EXEC = encodeRequest(['EXEC']);

interface Wait {
  how: Ending;
  /** The node has been told and has not answered yet. */
  isTold: boolean;
}

export class Unblocking {
  readonly #proxy: ProxyCore;
  /** `mayLendAgain`: false when a CLIENT UNBLOCK may still be on its way. */
  readonly #onFree: (lane: Lane<Request>, mayLendAgain: boolean) => void;
  readonly #waits = new Map<Lane<Request>, Wait>();

  constructor(proxy: ProxyCore, onFree: (lane: Lane<Request>, mayLendAgain: boolean) => void) {
    this.#proxy = proxy;
    this.#onFree = onFree;
  }

  /** The lane has no command any more. False while a CLIENT UNBLOCK for it may be on its way. */
  forget(lane: Lane<Request>): boolean {
    if (this.#waits.get(lane)?.isTold === true) return false;
    this.#waits.delete(lane);
    return true;
  }

  /** The lane is ready and its command was sent. */
  begin(lane: Lane<Request>, how: Ending): void {
    const wait = this.#waits.get(lane);
    if (wait !== undefined) {
      wait.how = how;
      return;
    }
    const begun = { how, isTold: false };
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
    const { lanes, requests, time } = this.#proxy;
    const upstream = lanes.owners.get(lane);
    if (upstream === undefined) return;
    const open = lanes.lane(upstream.node, lane.options.kind, time);
    const shared = open ?? lanes.readyLane(upstream);
    if (shared === null) return;
    wait.isTold = true;
    const unblock = encodeRequest(['CLIENT', 'UNBLOCK', lane.clientId, wait.how]);
    for (const part of [MULTI, MAY_WRITE, unblock]) lanes.tell(shared, part, time);
    const request = requests.take();
    request.special = new Told((isLost) => this.#onTold(lane, wait, isLost));
    request.lane = shared;
    request.command = 0;
    request.isRead = true;
    shared.enqueue(request, EXEC, 0, EXEC.length, false, time);
  }

  #onTold(lane: Lane<Request>, wait: Wait, isLost: boolean): void {
    if (this.#waits.get(lane) !== wait) return;
    wait.isTold = false;
    if (lane.count > 0) return; // Served at the same moment, or not yet come to its node: see tick.
    this.#waits.delete(lane);
    this.#onFree(lane, !isLost);
  }
}

/** EXEC behind a CLIENT UNBLOCK: a request without a session. */
class Told implements Special {
  readonly swallows = 0;
  readonly isPatient = true;
  readonly #onTold: (isLost: boolean) => void;

  constructor(onTold: (isLost: boolean) => void) {
    this.#onTold = onTold;
  }

  onLateReply(): void {
    this.#onTold(false);
  }

  onLaneLeft(shared: Lane<Request>): void {
    if (shared.state === LANE.closed) this.#onTold(true);
  }
}
