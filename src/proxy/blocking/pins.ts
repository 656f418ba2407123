/**
 * Pinned connections: lanes lent to one session at a time, for what must not share a connection
 * (blocking commands, WATCH … EXEC). They are ordinary lanes that take no shared commands, opened
 * with their client id on the node known, so that a blocked one can be freed with CLIENT UNBLOCK.
 *
 * Lent lanes are bounded: by configuration, by what a node's maxclients leaves, and by our own file
 * descriptors. Shared lanes come first, since all clients need them. Returned ones are kept idle for
 * a while, a few per node and kind.
 */

import { SCALAR } from '../../metrics/definitions.ts';
import type { RouteNode } from '../../route/routing.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import type { Request } from '../request.ts';
import { AFTER, type Ending, Unblocking } from './unblocking.ts';

/**
 * Idle connections kept per node and kind: as many as clients may come back at once. Opening one
 * for each pop cost 161 µs of CPU instead of 34 with 1,000 blocked clients.
 */
const IDLE_MAX = 1024;
const TOO_MANY = 'ERR too many blocked or watching clients';
/** An idle one is closed after this. */
const IDLE_MS = 30_000;

interface Idle {
  readonly lane: Lane<Request>;
  readonly since: number;
}

export class Pins {
  /** Most to one node, idle ones too: control says so, by the nodes' maxclients. */
  perNode = Number.POSITIVE_INFINITY;
  /** Why none could be lent, as an error. */
  refusal = '';
  readonly #proxy: ProxyCore;
  readonly #lent = new Set<Lane<Request>>();
  /** Opened for nobody, to see whether there is room again. */
  readonly #tried = new Set<Lane<Request>>();
  /** By node and kind; the last returned is lent first. */
  readonly #idle = new Map<string, Idle[]>();
  /** Returned while replies to its former session are still due, and whether to lend it again. */
  readonly #leaving = new Map<Lane<Request>, boolean>();
  readonly #unblocking: Unblocking;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.#unblocking = new Unblocking(proxy, (lane) => this.onReply(lane));
  }

  /** Connections lent now. */
  get lent(): number {
    return this.#lent.size;
  }

  /**
   * True while a connection to this node can only come later: it is out of reach, or it turned the
   * last away and none is idle.
   */
  mustWait(node: RouteNode, kind: number): boolean {
    const { lanes } = this.#proxy;
    if (lanes.isAway(node)) return true;
    if (!lanes.upstream(node).lending.isFailing) return false;
    if (this.#firstIdle(node, kind) !== undefined) return false;
    this.#tryOne(node, kind);
    return true;
  }

  /** Null at the bound: the caller refuses with {@link refusal}. */
  take(node: RouteNode, kind: number): Lane<Request> | null {
    const proxy = this.#proxy;
    if (!this.hasRoomFor(1)) return null;
    let lane = this.#firstIdle(node, kind);
    if (lane !== undefined) this.#idle.get(keyOf(node, kind))?.pop();
    else if (!this.#mayOpen(node, kind)) return null;
    lane ??= proxy.lanes.openPinned(node, kind);
    this.#lent.add(lane);
    this.#show();
    return lane;
  }

  /** The last returned of those that live. */
  #firstIdle(node: RouteNode, kind: number): Lane<Request> | undefined {
    const idle = this.#idle.get(keyOf(node, kind)) ?? [];
    while (idle.length > 0 && idle.at(-1)?.lane.state !== LANE.ready) idle.pop();
    return idle.at(-1)?.lane;
  }

  /** May so many more be lent, as far as the configuration goes? */
  hasRoomFor(count: number): boolean {
    const max = this.#proxy.settings.pinnedConnections;
    if (this.#lent.size + count <= max) return true;
    this.refusal = `${TOO_MANY}: ${max} connections to nodes are lent (limits.pinnedConnections)`;
    return false;
  }

  #mayOpen(node: RouteNode, kind: number): boolean {
    const { lanes } = this.#proxy;
    if (!this.#hasDescriptors()) {
      this.refusal = `${TOO_MANY}: slotgate may open no more files (ulimit -n)`;
      return false;
    }
    const { pinned, lending } = lanes.upstream(node);
    if (lending.isFailing) {
      this.#tryOne(node, kind);
      this.refusal = `${TOO_MANY}: ${node.address} takes no more connections just now`;
      return false;
    }
    if (pinned.size < this.perNode || this.#closeIdle(node.address, 1) > 0) return true;
    const max = this.perNode;
    this.refusal = `${TOO_MANY}: ${max} connections to ${node.address} are lent, its maxclients allows no more`;
    return false;
  }

  #hasDescriptors(): boolean {
    const { lanes, sessions, settings } = this.#proxy;
    return sessions.length + lanes.owners.size < settings.descriptors;
  }

  /**
   * Looks whether a node that turned connections away takes one again. No client's command is on it:
   * each waits by its own clock.
   */
  #tryOne(node: RouteNode, kind: number): void {
    const { lanes, time } = this.#proxy;
    const { pinned, lending } = lanes.upstream(node);
    if (!lending.mayTry(time) || pinned.size >= this.perNode || !this.#hasDescriptors()) return;
    const lane = lanes.openPinned(node, kind);
    lending.onTry(lane);
    this.#tried.add(lane);
  }

  onLaneReady(lane: Lane<Request>): void {
    if (!this.#tried.delete(lane)) return;
    this.#lent.add(lane);
    this.give(lane);
  }

  /** A node is at its maxclients: what nobody needs makes room for what all need. */
  onMaxclients(address: string): void {
    this.#closeIdle(address, Number.POSITIVE_INFINITY);
  }

  /** Returns how many are closed. */
  #closeIdle(address: string, most: number): number {
    let closed = 0;
    for (const [key, idle] of this.#idle) {
      if (!key.startsWith(`${address}/`)) continue;
      while (idle.length > 0 && closed < most) {
        // The first has been idle for longest.
        idle.shift()?.lane.destroy('EIDLE');
        closed++;
      }
    }
    return closed;
  }

  /**
   * Takes a lane back; with replies still due, or a CLIENT UNBLOCK on its way, it is kept aside until
   * they have come.
   */
  give(lane: Lane<Request>, mayLendAgain = true): void {
    if (!this.#lent.has(lane)) return;
    const after = lane.count > 0 ? AFTER.wait : this.#unblocking.end(lane);
    if (after === AFTER.wait) {
      this.#leaving.set(lane, mayLendAgain);
      return;
    }
    this.#lent.delete(lane);
    this.#leaving.delete(lane);
    this.#show();
    const upstream = this.#proxy.lanes.owners.get(lane);
    const isAsItWas = mayLendAgain && after === AFTER.lend;
    const isUsable = isAsItWas && lane.state === LANE.ready && upstream?.node.present === true;
    if (upstream === undefined || !isUsable) {
      lane.destroy('EIDLE');
      return;
    }
    const key = keyOf(upstream.node, lane.options.kind);
    const idle = this.#idle.get(key) ?? [];
    this.#idle.set(key, idle);
    if (idle.length >= IDLE_MAX) lane.destroy('EIDLE');
    else idle.push({ lane, since: this.#proxy.time });
  }

  /** A reply has come on a pinned lane: one that was returned early may be idle now. */
  onReply(lane: Lane<Request>): void {
    const mayLendAgain = this.#leaving.get(lane);
    if (mayLendAgain !== undefined) this.give(lane, mayLendAgain);
  }

  onLaneClosed(lane: Lane<Request>): void {
    this.#tried.delete(lane);
    this.#unblocking.onLaneClosed(lane);
    this.#leaving.delete(lane);
    if (this.#lent.delete(lane)) this.#show();
  }

  /**
   * Frees the client that is blocked on this lane; its reply then comes as nil (`TIMEOUT`) or as
   * -UNBLOCKED (`ERROR`). Nothing happens when it is served at the same moment.
   */
  unblock(lane: Lane<Request>, how: Ending): void {
    if (lane.state === LANE.closed) return;
    // Not sent yet, or a node that cannot name its clients.
    if (lane.state !== LANE.ready || lane.clientId === '') lane.destroy('EIDLE');
    else this.#unblocking.begin(lane, how);
  }

  tick(): void {
    this.#unblocking.tick();
  }

  /** Closes what has been idle for long. */
  trim(now: number): void {
    for (const [key, idle] of this.#idle) {
      const kept = idle.filter(({ lane, since }) => {
        const isKept = lane.state === LANE.ready && now - since < IDLE_MS;
        if (!isKept) lane.destroy('EIDLE');
        return isKept;
      });
      if (kept.length === 0) this.#idle.delete(key);
      else this.#idle.set(key, kept);
    }
  }

  #show(): void {
    this.#proxy.metrics.set(SCALAR.pinnedNow, this.#lent.size);
  }
}

function keyOf(node: RouteNode, kind: number): string {
  return `${node.address}/${kind}`;
}
