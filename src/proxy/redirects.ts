/**
 * What is done with error replies that say "not here" or "not now": none of them was executed, so
 * the command is sent again, unseen by the client, as long as the hold lasts.
 */

import { GATE } from '../downstream/gate.ts';
import type { SharedChunk, Slab } from '../lib/slab.ts';
import { SCALAR, type Scalar } from '../metrics/definitions.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import { NO_NODE, type RouteNode } from '../route/routing.ts';
import { DOUBT, type Lane } from '../upstream/lane.ts';
import { ANY_KEY, type ProxyCore } from './core.ts';
import {
  classifyError,
  classifyLine,
  parseRedirect,
  REDIRECT,
  refusesWrites,
  saysNoScript,
} from './error-replies.ts';
import type { NoWait } from './hold/held-sessions.ts';
import { waitedText } from './hold/reasons.ts';
import type { Request } from './request.ts';
import { isInDoubt, topOf } from './retries.ts';
import { ScriptRefusals } from './scripts/script-refusals.ts';

/** Pause before a command that was told "try again" or "not ready" goes to the node once more. */
const RETRY_PAUSE_MS = 10;
const RETRY_PAUSE_MAX_MS = 100;
/** Redirects in a row that are followed at once; more look like a cluster at odds with itself. */
const QUICK_REDIRECTS = 5;

/** How often control is told that a node refuses writes. */
const UNWRITABLE_EVERY_MS = 5000;

const COUNTER: Readonly<Record<number, Scalar>> = {
  [REDIRECT.moved]: SCALAR.redirectsMoved,
  [REDIRECT.ask]: SCALAR.redirectsAsk,
  [REDIRECT.tryagain]: SCALAR.redirectsTryagain,
  [REDIRECT.clusterdown]: SCALAR.redirectsClusterdown,
  [REDIRECT.loading]: SCALAR.redirectsLoading,
  [REDIRECT.masterdown]: SCALAR.redirectsMasterdown,
  [REDIRECT.readonly]: SCALAR.redirectsReadonly,
};

export class Redirects {
  readonly #proxy: ProxyCore;
  readonly #scripts: ScriptRefusals;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.#scripts = new ScriptRefusals(proxy, (request, line) => this.#act(request, line));
  }

  /** True when the error is dealt with here and the client does not see it. */
  onError(request: Request, buf: Slab, at: number, end: number): boolean {
    const kind = classifyError(buf, at);
    if (kind === REDIRECT.none) return this.#onOther(request, buf, at, end);
    const top = topOf(request);
    if (top.session === null || top.answered) return false; // A tombstone: dropped as any reply.
    if (this.#scripts.concerns(request)) {
      return this.#scripts.onError(request, kind, buf, at, end);
    }
    this.#act(request, buf.toString('latin1', at + 1, end - 2));
    return true;
  }

  /** Its node has turned it away with this error line. */
  #act(request: Request, line: string): void {
    const proxy = this.#proxy;
    const { session } = topOf(request);
    const kind = classifyLine(line);
    proxy.metrics.increment(COUNTER[kind] as Scalar);
    const lane = request.lane as Lane<Request>;
    request.lane = null;
    request.formerLane = lane;
    request.special?.onLaneLeft?.(lane);
    if (lane.options.pinned) proxy.watches.onTrouble(session, lane);
    request.attempts++;
    const address = proxy.lanes.owners.get(lane)?.node.address ?? '';
    if ((lane.options.kind & LANE_KIND.readonly) !== 0) {
      this.#leaveReplica(request, lane, line);
    } else if (kind === REDIRECT.moved || kind === REDIRECT.ask) {
      this.#follow(request, kind, line, address);
    } else {
      if (kind === REDIRECT.tryagain) {
        proxy.routing.setInMotion(request.slot, proxy.time);
        request.byKey = proxy.splits.canSplit(request);
      } else {
        lane.doubt |= request.isRead ? DOUBT.reads | DOUBT.writes : DOUBT.writes;
        proxy.link.hint({ reason: 'state', node: address });
        proxy.retries.onRefused(request, lane, line);
      }
      proxy.retries.park(request, line, request.byKey ? 0 : this.#pause(request));
    }
    proxy.turn.later(proxy.retries);
  }

  /**
   * A replica cannot serve: it loads, has lost its primary, or follows another one by now. What it
   * says of slots is not believed, since its own primary may know better.
   */
  #leaveReplica(request: Request, lane: Lane<Request>, line: string): void {
    const proxy = this.#proxy;
    const node = proxy.lanes.owners.get(lane)?.node;
    if (node !== undefined) {
      proxy.reads.shun(node.index);
      proxy.link.hint({ reason: 'state', node: node.address });
    }
    request.readTries++;
    proxy.metrics.increment(SCALAR.replicaReadsMoved);
    proxy.retries.park(request, line, 0);
  }

  /** Of the other errors one is mended: a script that its node does not have. */
  #onOther(request: Request, buf: Slab, at: number, end: number): boolean {
    if (!saysNoScript(buf, at)) {
      if (refusesWrites(buf, at))
        this.#tellUnwritable(request, buf.toString('latin1', at + 1, end - 2));
      return false;
    }
    return this.#proxy.scripts.heal(request, buf.toString('latin1', at + 1, end - 2));
  }

  /** Control says once in a while, for all workers, which node it is. */
  #tellUnwritable(request: Request, words: string): void {
    if (this.#scripts.concerns(request)) return; // It may be the script's own word.
    const { lane } = request;
    const { lanes, link, time } = this.#proxy;
    const upstream = lane === null ? undefined : lanes.owners.get(lane);
    if (upstream === undefined || time - upstream.unwritableAt < UNWRITABLE_EVERY_MS) return;
    upstream.unwritableAt = time;
    link.hint({ reason: 'unwritable', node: upstream.node.address, words });
  }

  #pause(request: Request): number {
    return Math.min(RETRY_PAUSE_MAX_MS, RETRY_PAUSE_MS * request.attempts);
  }

  #follow(request: Request, kind: number, line: string, asked: string): void {
    const proxy = this.#proxy;
    const target = parseRedirect(line, asked);
    const pause = request.attempts <= QUICK_REDIRECTS ? 0 : this.#pause(request);
    const cause = `CLUSTERDOWN The redirect "${line}" from ${asked} could not be followed`;
    if (target === null) {
      proxy.retries.park(request, cause, this.#pause(request));
      return;
    }
    const { address } = target;
    const node = proxy.routing.nodeAt(address);
    if (node < 0) {
      // Only nodes that control has seen in the cluster are ever dialled.
      proxy.link.hint({ reason: 'unknown-node', node: address });
      proxy.retries.park(request, cause, this.#pause(request));
      return;
    }
    if (kind === REDIRECT.moved) {
      proxy.routing.setMoved(target.slot, node, proxy.time);
      proxy.link.hint({ reason: 'moved', node: address });
    } else {
      proxy.routing.setInMotion(target.slot, proxy.time);
      request.askNode = node;
    }
    proxy.retries.park(request, cause, pause);
  }

  /** The lane to whoever serves the slot of a parked request now; null when nobody can take it. */
  laneFor(request: Request): Lane<Request> | null {
    const proxy = this.#proxy;
    const former = request.formerLane;
    if (former === null) return null;
    const asking = request.askNode >= 0;
    const { session } = topOf(request);
    if (!asking && session !== null) {
      const replica = proxy.reads.laneAgain(request, session, former.options.kind);
      if (replica !== null) return replica;
    }
    const owner = asking ? request.askNode : (proxy.routing.owner[request.slot] as number);
    const node = owner === NO_NODE ? undefined : proxy.routing.nodes[owner];
    const lane =
      node === undefined
        ? null
        : this.#laneTo(request, node, former.options.kind & ~LANE_KIND.readonly);
    // The node that ASK named is gone or full: its next answer comes from the owner again.
    if (lane === null && asking) request.askNode = -1;
    return lane;
  }

  #laneTo(request: Request, node: RouteNode, kind: number): Lane<Request> | null {
    const special = request.special;
    if (special?.laneFor !== undefined) return special.laneFor(node, kind);
    return this.#proxy.lanes.lane(node, kind, this.#proxy.time);
  }

  /** Sends a parked request once more. */
  resend(request: Request, lane: Lane<Request>): void {
    const proxy = this.#proxy;
    if (request.byKey) {
      proxy.splits.sendByKey(request, lane);
      return;
    }
    const former = request.formerLane as Lane<Request>;
    const chunk = request.chunk as SharedChunk;
    const { offset, length } = request;
    const asking = request.askNode >= 0;
    request.askNode = -1;
    request.withAsking = asking;
    request.formerLane = null;
    request.awaits = false;
    request.lane = lane;
    const { special } = request;
    const other = special?.resendBytes?.() ?? null;
    special?.beforeResend?.(lane);
    request.swallow = special?.swallows ?? 0;
    if (other !== null) lane.enqueue(request, other, 0, other.length, asking, proxy.time);
    else lane.enqueue(request, chunk.slab, offset, offset + length, asking, proxy.time);
    former.releaseChunk(chunk);
    const top = topOf(request);
    const { session } = top;
    if ((lane.options.kind & LANE_KIND.readonly) !== 0) {
      proxy.reads.onRead(top, top === request ? request.slot : ANY_KEY);
    }
    const node = proxy.lanes.owners.get(lane)?.node;
    if (session !== null && node !== undefined && !request.isRead) {
      session.written |= 1 << node.index;
    }
    const mayFailAgain = request.multiKey && proxy.routing.motion[request.slot] !== 0;
    // It may be told to try again: what follows it must not overtake it.
    if (session !== null && (mayFailAgain || isInDoubt(lane, request))) {
      session.gate |= GATE.barrier;
    }
  }

  /** Error line for a slot whose shard cannot be reached. */
  awayText(slot: number, whyNot: NoWait): string {
    const { routing, settings, lanes, shards } = this.#proxy;
    const owner = slot < 0 ? NO_NODE : (routing.owner[slot] as number);
    const waited = waitedText(whyNot, settings.hold);
    const reason = shards.whyAway(slot);
    const why = reason === '' ? '' : ` (${reason})`;
    if (owner === NO_NODE) return `CLUSTERDOWN No primary serves hash slot ${slot}${why} ${waited}`;
    const where = lanes.upstreams[owner]?.node.address ?? 'The primary';
    return `CLUSTERDOWN ${where} of hash slot ${slot} is out of reach${why} ${waited}`;
  }
}
