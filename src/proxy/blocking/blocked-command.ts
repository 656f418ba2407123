/**
 * One blocking command on a pinned connection, from its start to its answer: through redirects,
 * failover (-UNBLOCKED) and slots that move, with the time that is left each time.
 *
 * A client that goes away is not simply cut off from its node: closing the connection while an
 * element is on its way would lose it. The node is told CLIENT UNBLOCK and the reply is read; a
 * value that came anyway goes back to where it was taken from.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { asciiSlab, type Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import type { RouteNode } from '../../route/routing.ts';
import { MOTION } from '../../route/slot-moves.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { isErrorAt } from '../reply-bytes.ts';
import type { Request, Special } from '../request.ts';
import type { Pins } from './pins.ts';
import type { BlockingShape } from './shapes.ts';
import type { Ending } from './unblocking.ts';

/** A command that a node has kept for so long was taken by it. */
const LASTING_MS = 10_000;
export const UNBLOCKED = 'UNBLOCKED client unblocked via CLIENT UNBLOCK';
/** Redis answers every blocking command so when its time is over. */
export const NIL = { 2: asciiSlab('*-1\r\n'), 3: asciiSlab('_\r\n') } as const;

export class BlockedCommand implements Special {
  readonly swallows = 0;
  readonly isPatient = true;
  readonly session: Session;
  /** Null when its connection is lost or it waits to be sent again. */
  lane: Lane<Request> | null = null;
  slot = 0;
  refusedSince = 0;
  readonly #proxy: ProxyCore;
  readonly #pins: Pins;
  readonly #shape: BlockingShape;
  readonly #args: readonly Buffer[];
  readonly #onOver: (blocked: BlockedCommand) => void;
  /** Monotonic ms; Infinity for a command that waits for ever. */
  readonly #deadline: number;
  /** Null once the client has its answer or has left. */
  #request: Request | null = null;
  /** Was its slot in motion when it was sent? */
  #sentInMotion = false;
  #abandoned = false;

  constructor(
    proxy: ProxyCore,
    pins: Pins,
    session: Session,
    args: readonly Buffer[],
    shape: BlockingShape,
    onOver: (blocked: BlockedCommand) => void,
  ) {
    this.#proxy = proxy;
    this.#pins = pins;
    this.session = session;
    this.#args = args;
    this.#shape = shape;
    this.#onOver = onOver;
    const { timeoutMs } = shape;
    this.#deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : proxy.time + timeoutMs;
  }

  begin(request: Request, lane: Lane<Request>, buf: Slab, start: number, end: number): void {
    request.special = this;
    request.lane = lane;
    this.#request = request;
    this.lane = lane;
    this.slot = request.slot;
    this.#sentInMotion = this.#proxy.routing.motion[this.slot] === MOTION.marked;
    this.session.gate |= GATE.blocked;
    this.session.waits = true;
    lane.enqueue(request, buf, start, end, false, this.#proxy.time);
  }

  /**
   * Owners or motion of slots have changed. A waiter at the source of a moving slot is not woken by
   * a push that went to the target, so it is freed and asks again: the source then says ASK.
   */
  onRoutingChange(): void {
    const { routing, lanes } = this.#proxy;
    const { lane } = this;
    if (lane === null || lane.state !== LANE.ready) return;
    const isAtOwner = lanes.owners.get(lane)?.node.index === routing.owner[this.slot];
    const isInMotion = routing.motion[this.slot] === MOTION.marked;
    const isMisplaced = isInMotion ? isAtOwner && !this.#sentInMotion : !isAtOwner;
    if (isMisplaced) this.#pins.unblock(lane, 'ERROR');
    this.#sentInMotion = isInMotion;
  }

  /**
   * CLIENT UNBLOCK by a client: answered here and now, wherever the command is; its node is told to
   * stop waiting as when the client had left. False when it has its answer.
   */
  free(how: Ending): boolean {
    const request = this.#request;
    if (request === null) return false;
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    if (how === 'ERROR') {
      proxy.answers.answerError(request, UNBLOCKED);
    } else {
      const nil = NIL[this.session.protocol];
      request.answered = true;
      proxy.answers.deliver(request, nil, 0, nil.length, false);
    }
    this.#stopWaiting(request);
    return true;
  }

  onError(line: string): string {
    if (!line.startsWith('UNBLOCKED ') || this.#abandoned) return line;
    // Demoted, or freed by us because its slot moves: not executed, sent again with what is left. It
    // had been taken, so what comes now is a trouble of its own: in weeks there may be many.
    this.refusedSince = 0;
    if (this.#request !== null) this.#request.attempts = 0;
    return `CLUSTERDOWN The node ended the wait: ${line}`;
  }

  /** No hold has it while it waits at a node; should that turn it away, its time there counts on. */
  beforeResend(): void {
    const request = this.#request;
    if (request === null) return;
    this.refusedSince = request.parkedAt;
    this.#proxy.retries.settle(request, SCALAR.heldDrained);
  }

  resendBytes(): Slab | null {
    if (this.#deadline === Number.POSITIVE_INFINITY) return null;
    // The node itself must end it: never 0, which is for ever.
    const left = Math.max(1, Math.round(this.#deadline - this.#proxy.time));
    const args = [...this.#args];
    const { timeoutAt, timeoutUnit } = this.#shape;
    args[timeoutAt] = Buffer.from(timeoutUnit === 'ms' ? `${left}` : (left / 1000).toFixed(3));
    return encodeRequest(args);
  }

  laneFor(node: RouteNode, kind: number): Lane<Request> | null {
    // A node that is out of reach: the shared lane knows when it is back.
    const { lanes, routing } = this.#proxy;
    const reserved = this.lane === null ? undefined : lanes.owners.get(this.lane);
    const isReserved = reserved?.node === node;
    if (isReserved ? lanes.isAway(node) : this.#pins.mustWait(node, kind)) return null;
    this.#sentInMotion = routing.motion[this.slot] === MOTION.marked;
    if (!isReserved) {
      if (this.lane !== null) this.#pins.give(this.lane);
      this.lane = this.#pins.take(node, kind);
    }
    return this.lane;
  }

  onLaneLeft(lane: Lane<Request>): void {
    const request = this.#request;
    // Its node had it for long: that this one died too says nothing against the command.
    if (request !== null && this.#proxy.time - request.queuedAt > LASTING_MS) {
      request.deaths = 0;
      this.refusedSince = 0;
    }
    if (this.lane === lane) this.lane = null;
    this.#pins.give(lane);
  }

  onAnswered(): void {
    this.#request = null;
    this.#onOver(this);
    this.session.waits = false;
    this.session.open(GATE.blocked);
  }

  onAbandoned(request: Request): void {
    this.#request = null;
    this.#onOver(this);
    this.#stopWaiting(request);
  }

  /** Nobody waits for its reply any more; what it brings goes back. */
  #stopWaiting(request: Request): void {
    this.#abandoned = true;
    const { lane } = this;
    if (lane === null) return;
    const isUnsent = lane.state !== LANE.ready || !lane.wasSent(request);
    if (isUnsent) lane.destroy('EIDLE');
    else this.#pins.unblock(lane, 'TIMEOUT');
  }

  onLateReply(buf: Slab, start: number, end: number): void {
    if (isErrorAt(buf, start)) return;
    const back = this.#shape.giveBack(this.#args, buf.subarray(start, end));
    if (back.length === 0) return;
    const proxy = this.#proxy;
    proxy.metrics.increment(SCALAR.blockedReturned);
    const client = proxy.innerClient(2, databaseOf(this.session.laneKind));
    Promise.all(back.map((args) => client.call(...args))).then(
      () => client.close(),
      () => client.close(),
    );
  }
}
