/**
 * The worker's one coarse timer: command time-outs, heartbeats, held and parked commands, idle and
 * slow clients. Nothing on the data path sets a timer of its own.
 */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import { LANE, type Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { timedOut, timedOutRead } from './error-replies.ts';
import type { Upstream } from './lane-set.ts';
import { LATER, laterWrites } from './losses.ts';
import type { Request } from './request.ts';
import { topOf } from './retries.ts';
import { SILENCE, Silence } from './silence.ts';

const TICK_MS = 25;
const SLOW_TICK_MS = 1000;
/** Heartbeats without a byte arriving before a fresh connection is asked whether the node lives. */
const SILENT_HEARTBEATS = 2;
/** The same while the heartbeat waits behind a big command that the kernel has not taken yet. */
const SILENT_WRITE_MS = 30_000;
/** A session that was told to close and whose client does not is closed hard after this. */
const LINGER_MS = 2000;

export class Upkeep {
  readonly #proxy: ProxyCore;
  readonly #stops: (() => void)[];
  readonly #beatAt = new WeakMap<Lane<Request>, number>();
  readonly #silence: Silence<Lane<Request>>;
  #routingSeen = 0;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.#silence = new Silence(proxy);
    this.#stops = [
      proxy.runtime.every(TICK_MS, () => this.#tick()),
      proxy.runtime.every(SLOW_TICK_MS, () => this.#slowTick()),
    ];
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #tick(): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    for (const [lane, upstream] of proxy.lanes.owners) this.#checkLane(lane, upstream);
    proxy.lanes.redial(proxy.time);
    if (proxy.routing.changes !== this.#routingSeen) {
      this.#routingSeen = proxy.routing.changes;
      proxy.blocking.onRoutingChange();
    }
    proxy.pins.tick();
    proxy.pubsub.tick(proxy.time);
    proxy.nodeHolds.tick(proxy.time);
    proxy.durable.tick(proxy.time);
    proxy.retries.tick();
  }

  #checkLane(lane: Lane<Request>, upstream: Upstream): void {
    const now = this.#proxy.time;
    const { connectTimeoutMs } = this.#proxy.settings.lanes;
    if (lane.state === LANE.connecting || lane.state === LANE.handshake) {
      if (now - lane.openedAt > connectTimeoutMs) lane.destroy('ETIMEDOUT');
      return;
    }
    if (lane.state !== LANE.ready || lane.paused) return;
    this.#expire(lane, upstream.node.address);
    // A pinned one may rightly be silent; the shared ones of its node are watched in its stead.
    if (!lane.options.pinned) this.#beat(lane, upstream);
    else if (lane.count > 0) this.#proxy.lanes.lane(upstream.node, lane.options.kind, now);
  }

  /**
   * A write that has waited too long is answered; it stays in the queue, its reply is dropped. A read
   * is sent once more, unless a write of its session is behind it: then it waits as long as that one,
   * and is answered, since sent again it could see that write.
   */
  #expire(lane: Lane<Request>, address: string): void {
    const head = lane.head;
    const limit = this.#proxy.time - this.#proxy.settings.commandTimeoutMs;
    if (head === null || head.queuedAt >= limit) return;
    // A big reply takes as long as its client does, and those behind it wait for it, not for the node.
    if ((lane.detached || head.streamed) && lane.readAt >= limit) return;
    const hasUncertain = this.#expireWrites(lane, address, limit);
    this.#expireReads(lane, address, limit);
    // Its client may act on the answer by other lanes, other workers, other clients: by then the write
    // has come to its node or never will. One that answers others is only slow: there it keeps its
    // place, but on a durable lane, where reads of its session would not follow it.
    const isSilent = lane.readAt < limit;
    if (hasUncertain && isSilent) lane.destroy('ESILENT');
    else if (hasUncertain && isDurable(lane)) lane.destroy('ESTALLED');
  }

  /** True when a client was told that its write may have been applied. */
  #expireWrites(lane: Lane<Request>, address: string, limit: number): boolean {
    const proxy = this.#proxy;
    let hasUncertain = false;
    for (let at = lane.head; at !== null && at.queuedAt < limit; at = at.nextInLane) {
      if (at.isRead || !this.#isOwed(lane, at)) continue;
      this.#countTimeout(address);
      proxy.metrics.increment(SCALAR.uncertainWrites);
      // A part cannot leave its lane early, so the whole command is answered.
      proxy.answers.answerError(topOf(at), timedOut(address));
      hasUncertain = true;
    }
    return hasUncertain;
  }

  #expireReads(lane: Lane<Request>, address: string, limit: number): void {
    const proxy = this.#proxy;
    const patience = limit - proxy.settings.commandTimeoutMs;
    let before: Request | null = null;
    for (
      let at: Request | null = lane.head;
      at !== null && at.queuedAt < limit;
      before = at, at = at.nextInLane
    ) {
      if (!at.isRead || !this.#isOwed(lane, at)) continue;
      if (at.queuedAt >= patience && laterWrites(at) === LATER.open) continue;
      this.#countTimeout(address);
      const standIn: Request | null = proxy.losses.moveRead(lane, before, at);
      if (standIn !== null) at = standIn;
      else {
        const isBeforeWrite = laterWrites(at) === LATER.served;
        proxy.answers.answerError(topOf(at), timedOutRead(address, isBeforeWrite));
      }
    }
  }

  /** Somebody still waits for it, and it may not take as long as it likes. */
  #isOwed(lane: Lane<Request>, request: Request): boolean {
    const top = topOf(request);
    if (request.special?.isPatient || request === lane.heartbeat) return false;
    // It waits here, not at the node.
    if (lane.corkedBy !== null && !lane.wasSent(request)) return false;
    return top.session !== null && !top.answered && !request.done;
  }

  #countTimeout(address: string): void {
    this.#proxy.metrics.increment(SCALAR.commandTimeouts);
    this.#proxy.link.hint({ reason: 'timeout', node: address });
  }

  #beat(lane: Lane<Request>, upstream: Upstream): void {
    const proxy = this.#proxy;
    const every = proxy.settings.heartbeatMs;
    const last = this.#beatAt.get(lane) ?? lane.openedAt;
    const waited = proxy.time - last;
    if (lane.heartbeat !== null) {
      this.#watch(lane, lane.heartbeat, upstream);
      return;
    }
    if (waited < every) return;
    const nonce = Math.floor(proxy.runtime.random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
    const request = proxy.requests.take();
    request.lane = lane;
    request.isRead = true;
    lane.heartbeat = request;
    lane.heartbeatNonce = nonce;
    this.#beatAt.set(lane, proxy.time);
    proxy.metrics.increment(SCALAR.heartbeats);
    const bytes = encodeRequest(['ECHO', nonce]);
    lane.enqueue(request, bytes, 0, bytes.length, false, proxy.time);
  }

  /** Its heartbeat is not answered yet: is it dead? */
  #watch(lane: Lane<Request>, heartbeat: Request, upstream: Upstream): void {
    const { time, settings, slowReaders } = this.#proxy;
    const known = this.#silence.of(lane, lane.readAt, time);
    if (known === SILENCE.proven) lane.destroy('ESILENT');
    if (known !== SILENCE.unexplained) return;
    const since = Math.max(this.#beatAt.get(lane) ?? 0, lane.readAt);
    const patience = lane.wasSent(lane.corkedBy ?? heartbeat)
      ? settings.heartbeatMs * SILENT_HEARTBEATS
      : SILENT_WRITE_MS;
    // WAIT blocks its connection, and rightly.
    const waitMs = isDurable(lane) ? this.#proxy.durable.silenceMs(lane) : 0;
    if (time - since <= patience + waitMs) return;
    // The lane may well be the one whose script keeps the node: others are told so at once.
    this.#silence.ask(lane, upstream.node, () => slowReaders.setAside(lane));
  }

  #slowTick(): void {
    const proxy = this.#proxy;
    const now = proxy.time;
    proxy.slowReaders.check(now);
    proxy.splits.trim();
    proxy.pins.trim(now);
    proxy.databases.trim(now);
    const idle = proxy.settings.idleTimeout * 1000;
    for (const session of [...proxy.sessions]) {
      const quiet = now - Math.max(session.lastActiveAt, session.lastDrainAt);
      if (session.isEnding && quiet > LINGER_MS) session.stream.destroy();
      else if (idle > 0 && quiet > idle && session.pending === 0 && !isListening(session)) {
        proxy.metrics.increment(SCALAR.idleTimeouts);
        session.stream.destroy();
      }
    }
  }
}

function isDurable({ options }: Lane<Request>): boolean {
  return (options.kind & LANE_KIND.durable) !== 0;
}

/** A subscriber is silent by nature. */
function isListening(session: Session): boolean {
  return (session.gate & GATE.subscribed) !== 0;
}
