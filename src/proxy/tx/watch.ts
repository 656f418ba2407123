/**
 * WATCH … EXEC on a pinned connection. From WATCH on, the session's commands for that shard use the
 * connection that watches, so that they stay in order with it; it is returned after EXEC, DISCARD
 * or UNWATCH. A watch whose connection or slot is lost is broken: EXEC then answers nil.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { asciiSlab, type Slab } from '../../lib/slab.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import { NO_NODE, type RouteNode } from '../../route/routing.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { Pins } from '../blocking/pins.ts';
import type { ProxyCore } from '../core.ts';
import type { Request, Special } from '../request.ts';

const OK = asciiSlab('+OK\r\n');
const UNWATCH = encodeRequest(['UNWATCH']);

/** What one session watches. */
class Watch {
  lane: Lane<Request>;
  /** Of the first key. */
  readonly slot: number;
  /** Named by WATCH so far. */
  keys = 0;
  /** Nothing that follows can tell whether the keys were touched. */
  broken = false;
  /** Its connection has another protocol or database than it was opened for: not lent again. */
  isSwitched = false;

  constructor(lane: Lane<Request>, slot: number) {
    this.lane = lane;
    this.slot = slot;
  }
}

export class Watches {
  readonly #proxy: ProxyCore;
  readonly #pins: Pins;
  readonly #watches = new Map<Session, Watch>();

  constructor(proxy: ProxyCore, pins: Pins) {
    this.#proxy = proxy;
    this.#pins = pins;
  }

  of(session: Session): Watch | undefined {
    return this.#watches.get(session);
  }

  /** WATCH, with all its keys in `slot`. False when it must wait. */
  watch(
    session: Session,
    id: number,
    slot: number,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const { routing, lanes, retries, sender } = this.#proxy;
    if (session.pending > 0) {
      session.gate |= GATE.barrier;
      return false;
    }
    const owner = routing.owner[slot] as number;
    const node = owner === NO_NODE ? undefined : routing.nodes[owner];
    let watch = this.#watches.get(session);
    const mustWait =
      node === undefined ||
      (watch === undefined ? this.#pins.mustWait(node, session.laneKind) : lanes.isAway(node));
    if (mustWait) {
      if (retries.hold(session, slot, end - start)) return false;
      sender.failNow(session, id, slot);
      return true;
    }
    if (watch !== undefined && !watch.broken && !this.#isAt(watch, node)) {
      const text = 'CROSSSLOT Watched keys must be in one shard (use {hash tags})';
      return sender.reject(session, id, text);
    }
    if (watch === undefined) {
      const lane = this.#pins.take(node, session.laneKind);
      if (lane === null) return sender.reject(session, id, this.#pins.refusal);
      watch = new Watch(lane, slot);
      this.#watches.set(session, watch);
      session.gate |= GATE.watching;
    }
    const keys = this.#proxy.frame.argc - 1;
    watch.keys += keys;
    const request = sender.newRequest(session, id, slot);
    if (watch.broken) {
      // It has lost what it watched before: EXEC will say nil whatever is added.
      this.#proxy.answers.deliver(request, OK, 0, OK.length, false);
      return true;
    }
    // It changes nothing: when its connection is lost at once, it is asked again.
    request.isRead = true;
    request.special = this.#watching(session, watch, keys);
    request.lane = watch.lane;
    watch.lane.enqueue(request, buf, start, end, false, this.#proxy.time);
    session.gate |= GATE.blocked;
    return true;
  }

  #isAt(watch: Watch, node: RouteNode): boolean {
    return this.#proxy.lanes.owners.get(watch.lane)?.node === node;
  }

  /** WATCH itself may be redirected: the first moves the pin, a further one breaks the watch. */
  #watching(session: Session, watch: Watch, keys: number): Special {
    const pins = this.#pins;
    const isAt = (node: RouteNode): boolean => this.#isAt(watch, node);
    let isRedirected = false;
    return {
      swallows: 0,
      onError: (line) => {
        isRedirected = true;
        return line;
      },
      laneFor: (node, kind) => {
        // Its hold tells how long; another connection of its own would only have to be waited for.
        if (this.#proxy.lanes.isAway(node)) return null;
        if (isRedirected && isAt(node) && watch.lane.state === LANE.ready) return watch.lane;
        const lane = pins.take(node, kind);
        if (lane === null) return null;
        this.#giveBack(watch, false);
        watch.lane = lane;
        watch.isSwitched = false;
        return lane;
      },
      beforeResend: () => {
        // None of its keys has been watched yet, so nothing was lost of them.
        if (watch.keys === keys) watch.broken = false;
      },
      insteadOfRetry: (wasInSilence) => {
        if (!wasInSilence) return null;
        // Redis compares each key of a WATCH with all the others: it may be what its node hangs of, and
        // the successor would as well. No error: a client that has not waited for it goes on to EXEC.
        watch.broken = true;
        return OK;
      },
      onAnswered: (isError) => {
        if (isError) this.#onFailed(session, watch, keys);
        session.open(GATE.blocked);
      },
    };
  }

  /**
   * A WATCH that failed watches none of its keys. What stood before it stands, unless its connection
   * was lost, too: then the watch is broken already.
   */
  #onFailed(session: Session, watch: Watch, keys: number): void {
    if (this.#watches.get(session) !== watch) return;
    watch.keys -= keys;
    // The node may have executed it all the same, or will: end() has it forget the keys.
    if (watch.keys === 0) this.end(session, false);
  }

  /** The connection for a command of a watching session, when it goes to the watched shard. */
  laneFor(session: Session, node: RouteNode): Lane<Request> | null {
    const watch = this.#watches.get(session);
    if (watch === undefined || watch.broken || !this.#isAt(watch, node)) return null;
    return watch.lane.state === LANE.closed ? null : this.#proxy.lanes.usable(watch.lane);
  }

  /** HELLO while watching: the connection must stay, so it changes its protocol with the session. */
  onProtocol(session: Session): void {
    const watch = this.#watches.get(session);
    if (watch === undefined) return;
    watch.isSwitched = true;
    const hello = encodeRequest(['HELLO', String(session.protocol)]);
    this.#proxy.lanes.tell(watch.lane, hello, this.#proxy.time);
  }

  /** SELECT while watching: the connection stays and selects the database of the session. */
  onDatabase(session: Session): void {
    const watch = this.#watches.get(session);
    if (watch === undefined) return;
    watch.isSwitched = true;
    const select = encodeRequest(['SELECT', String(databaseOf(session.laneKind))]);
    this.#proxy.lanes.tell(watch.lane, select, this.#proxy.time);
  }

  /** A command on this lane was turned away, or the lane died. */
  onTrouble(session: Session | null, lane: Lane<Request>): void {
    if (session === null) return;
    const watch = this.#watches.get(session);
    if (watch?.lane === lane) watch.broken = true;
  }

  onLaneClosed(lane: Lane<Request>): void {
    for (const watch of this.#watches.values()) if (watch.lane === lane) watch.broken = true;
  }

  /** Ends the watch; `isClean` when the node has forgotten it already (EXEC). */
  end(session: Session, isClean: boolean): void {
    const watch = this.#watches.get(session);
    if (watch === undefined) return;
    this.#watches.delete(session);
    session.gate &= ~GATE.watching;
    // What is still under way on it must not be overtaken on the shared lane.
    if (session.pending > 0 && !session.closed) session.gate |= GATE.barrier;
    this.#giveBack(watch, isClean);
  }

  #giveBack({ lane, isSwitched }: Watch, isClean: boolean): void {
    if (!isClean && lane.state !== LANE.closed) {
      this.#proxy.lanes.tell(lane, UNWATCH, this.#proxy.time);
    }
    this.#pins.give(lane, !isSwitched);
  }
}
