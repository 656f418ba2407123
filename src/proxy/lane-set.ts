/**
 * The lanes of one worker: for each node and kind the one that takes new commands, besides
 * detached ones that still drain. Opens them lazily, paces reconnecting, and knows since when a
 * node has been out of reach.
 */

import { BACKOFF_MAX_MS, backoffMs } from '../lib/backoff.ts';
import type { Slab, SlabPool } from '../lib/slab.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import type { RouteNode } from '../route/routing.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import type { Runtime, Transport } from '../transport/transport.ts';
import { type Credentials, Handshake } from '../upstream/handshake.ts';
import { LANE, Lane, type LaneEvents } from '../upstream/lane.ts';
import { LendingPace } from './lending-pace.ts';
import type { Request, RequestPool } from './request.ts';

/** A lane that has answered nothing for so long, to a node that does not answer control either. */
export const SILENT_MS = 300;
/** Connections of one kind to one node: the present one and such as drain big replies. */
const LANES_PER_NODE = 4;

export interface LaneSettings {
  readonly credentials: Credentials;
  readonly connectTimeoutMs: number;
  readonly bigReplyBytes: number;
  readonly laneMaxRequests: number;
  readonly laneMaxBytes: number;
}

/** Why a node gets no commands although it may be reached; bits of {@link Upstream.barred}. */
export const BAR = {
  /** The cluster agreed that it has failed. */
  failed: 1,
  /** Control gets no answer from it, and neither do we. */
  silent: 2,
  /** Control asked for it: a planned switch. */
  held: 4,
} as const;

/** One node as this worker sees it. */
export class Upstream {
  readonly node: RouteNode;
  readonly metricsRow: number;
  /** Lane that takes new commands, by kind. */
  readonly current: (Lane<Request> | null)[] = [null, null, null, null];
  readonly all = new Set<Lane<Request>>();
  /** Those lent to one session at a time, see Pins. */
  readonly pinned = new Set<Lane<Request>>();
  readonly lending = new LendingPace();
  failures = 0;
  retryAt = 0;
  /** Monotonic ms of the first failure since it last answered; 0 while it is well. */
  downSince = 0;
  /** Code of the last failure in a row of failures, '' while it is well. */
  lastError = '';
  /** What the node itself said then, '' where it said nothing. */
  lastWords = '';
  /** When control was told last that it refuses writes, monotonic ms. */
  unwritableAt = Number.NEGATIVE_INFINITY;
  /** The same for connections that it has no room for. */
  fullAt = Number.NEGATIVE_INFINITY;
  /** {@link BAR} bits; commands for it wait as for a node that cannot be reached. */
  barred = 0;
  /** Monotonic ms; 0 while it is not barred. */
  barredSince = 0;
  /** What the inflight gauge shows at present. */
  shownInflight = 0;
  /** Of the lane that failed last. */
  failedKind = 0;

  constructor(node: RouteNode, metricsRow: number) {
    this.node = node;
    this.metricsRow = metricsRow;
  }
}

export class LaneSet {
  readonly upstreams: (Upstream | undefined)[] = [];
  readonly owners = new Map<Lane<Request>, Upstream>();
  readonly #settings: LaneSettings;
  readonly #transport: Transport;
  readonly #runtime: Runtime;
  readonly #pool: SlabPool;
  readonly #metrics: WorkerMetrics;
  readonly #requests: RequestPool;
  readonly #events: LaneEvents<Request>;
  /** The end of one lane must not open another. */
  #isClosed = false;

  constructor(
    settings: LaneSettings,
    deps: {
      transport: Transport;
      runtime: Runtime;
      pool: SlabPool;
      metrics: WorkerMetrics;
      requests: RequestPool;
      events: LaneEvents<Request>;
    },
  ) {
    this.#settings = settings;
    this.#transport = deps.transport;
    this.#runtime = deps.runtime;
    this.#pool = deps.pool;
    this.#metrics = deps.metrics;
    this.#requests = deps.requests;
    this.#events = deps.events;
  }

  upstream(node: RouteNode): Upstream {
    let upstream = this.upstreams[node.index];
    if (upstream === undefined) {
      upstream = new Upstream(node, this.#metrics.acquireNode(node.address));
      this.upstreams[node.index] = upstream;
    }
    return upstream;
  }

  /**
   * The lane that takes a new command for this node, opened if need be; null while the node is out
   * of reach or its lane is full.
   */
  lane(node: RouteNode, kind: number, now: number): Lane<Request> | null {
    const upstream = this.upstream(node);
    if (upstream.barred !== 0) return null;
    const lane = upstream.current[kind] ?? null;
    if (lane === null) {
      if (now < upstream.retryAt) return null;
      const opened = this.#open(upstream, kind);
      return upstream.failures > 0 ? null : opened;
    }
    if (lane.state !== LANE.ready && upstream.failures > 0) return null;
    if (lane.count >= this.#settings.laneMaxRequests) return null;
    if (lane.unsentBytes >= this.#settings.laneMaxBytes) return null;
    return lane;
  }

  #open(upstream: Upstream, kind: number): Lane<Request> | null {
    if (countOf(upstream, kind) >= LANES_PER_NODE) return null;
    const lane = this.#dial(upstream, kind, false);
    upstream.current[kind] = lane;
    upstream.all.add(lane);
    return lane;
  }

  /** A connection for one session; see Pins, which counts and keeps them. */
  openPinned(node: RouteNode, kind: number): Lane<Request> {
    const upstream = this.upstream(node);
    const lane = this.#dial(upstream, kind, true);
    upstream.pinned.add(lane);
    return lane;
  }

  #dial(upstream: Upstream, kind: number, pinned: boolean): Lane<Request> {
    const { connectTimeoutMs, bigReplyBytes, credentials } = this.#settings;
    const lane = new Lane<Request>(
      { endpoint: upstream.node, kind, connectTimeoutMs, bigReplyBytes, pinned },
      new Handshake(kind, credentials, pinned),
      this.#pool,
      this.#events,
    );
    this.owners.set(lane, upstream);
    this.#metrics.increment(SCALAR.lanesOpened);
    lane.openedAt = this.#runtime.now();
    lane.open(this.#transport);
    return lane;
  }

  onReady(lane: Lane<Request>): Upstream | undefined {
    const upstream = this.owners.get(lane);
    if (upstream === undefined) return undefined;
    this.#metrics.nodeConnected(upstream.metricsRow);
    upstream.failures = 0;
    upstream.retryAt = 0;
    upstream.downSince = 0;
    upstream.lastError = '';
    upstream.lastWords = '';
    upstream.lending.onReady();
    return upstream;
  }

  /** Forgets a closed lane; the pause before the next attempt grows with each failure in a row. */
  onClosed(lane: Lane<Request>, code: string, now: number): Upstream | undefined {
    const upstream = this.owners.get(lane);
    if (upstream === undefined) return undefined;
    this.owners.delete(lane);
    upstream.all.delete(lane);
    if (upstream.pinned.delete(lane)) this.#onPinnedClosed(upstream, lane, code, now);
    // Half-open connections die together: a blocked one has no heartbeat of its own.
    if (code === 'ESILENT') for (const each of upstream.pinned) each.destroy(code);
    const { kind } = lane.options;
    const wasCurrent = upstream.current[kind] === lane;
    if (wasCurrent) upstream.current[kind] = null;
    this.#metrics.increment(SCALAR.lanesClosed);
    if (lane.wasReady) this.#metrics.nodeDisconnected(upstream.metricsRow);
    else this.#metrics.nodeConnectFailed(upstream.metricsRow);
    if (code === 'EDESYNC') this.#metrics.increment(SCALAR.desyncAlarms);
    if (code === 'EIDLE' || !wasCurrent) return upstream;
    if (code === 'EDATABASE') {
      // The node is well, it only has fewer databases than the one before: not dialled in a loop.
      noteFailure(upstream, lane, code);
      upstream.retryAt = now + BACKOFF_MAX_MS;
      return upstream;
    }
    upstream.failures++;
    noteFailure(upstream, lane, code);
    upstream.failedKind = kind;
    if (upstream.downSince === 0) upstream.downSince = now;
    const pause = backoffMs(upstream.failures, this.#runtime.random());
    // A lane that worked until now is dialled again at once.
    upstream.retryAt = lane.wasReady ? now : now + pause;
    return upstream;
  }

  /** One that never got through: whether the node is back, the shared lane will tell. */
  #onPinnedClosed(upstream: Upstream, lane: Lane<Request>, code: string, now: number): void {
    if (lane.wasReady || code === 'EIDLE') return;
    if (code !== 'EDATABASE') upstream.lending.onFailure(now, this.#runtime.random());
    if (upstream.downSince !== 0) return;
    noteFailure(upstream, lane, code);
    if (code === 'EMAXCLIENTS') return; // It serves the connections that it has.
    upstream.downSince = now;
    upstream.failedKind = lane.options.kind;
  }

  /** Says something to a node whose answer nobody waits for. */
  tell(lane: Lane<Request>, bytes: Slab, now: number): void {
    const request = this.#requests.take();
    request.lane = lane;
    // No command of the table: its reply says nothing of whether the node serves keys.
    request.command = 0;
    request.isRead = true;
    lane.enqueue(request, bytes, 0, bytes.length, false, now);
  }

  /**
   * Dials nodes that are out of reach though nobody asks for them just now: else the first command
   * after a quiet time would be told how long ago the node went away, not whether it is back.
   */
  redial(now: number): void {
    if (this.#isClosed) return;
    for (const upstream of this.upstreams) {
      if (upstream === undefined || upstream.downSince === 0) continue;
      if (!upstream.node.present) continue;
      const lane = this.lane(upstream.node, upstream.failedKind, now);
      if (lane?.state === LANE.ready) upstream.downSince = 0;
    }
  }

  /** New commands go to another lane; this one answers what it owes. False when it must go on. */
  detach(lane: Lane<Request>): boolean {
    const upstream = this.owners.get(lane);
    if (upstream === undefined || lane.detached) return lane.detached;
    if (lane.options.pinned) return true; // Nobody else's commands are on it.
    const { kind } = lane.options;
    const spare = [...upstream.all].find(
      (other) => other.detached && other.count === 0 && other.options.kind === kind,
    );
    if (spare === undefined && countOf(upstream, kind) >= LANES_PER_NODE) return false;
    lane.detached = true;
    if (spare !== undefined) spare.detached = false;
    upstream.current[kind] = spare ?? null;
    return true;
  }

  /** True while a command for this node would have to wait. */
  isAway(node: RouteNode): boolean {
    const upstream = this.upstreams[node.index];
    return upstream !== undefined && (upstream.downSince !== 0 || upstream.barred !== 0);
  }

  /** A pinned lane, or null while commands for its node wait. */
  usable(lane: Lane<Request>): Lane<Request> | null {
    const upstream = this.owners.get(lane);
    return upstream === undefined || upstream.barred === 0 ? lane : null;
  }

  /** A lane for what concerns the node itself, whether or not commands for its slots wait. */
  readyLane({ all }: Upstream): Lane<Request> | null {
    for (const lane of all) if (lane.state === LANE.ready) return lane;
    return null;
  }

  bar(upstream: Upstream, reason: number, isBarred: boolean, now: number): void {
    const before = upstream.barred;
    upstream.barred = isBarred ? before | reason : before & ~reason;
    if (upstream.barred === 0) upstream.barredSince = 0;
    else if (before === 0) upstream.barredSince = now;
  }

  /**
   * A node that the cluster has given up answers no more, or only what its successor does not know:
   * what it owes is settled now instead of at the command time-out.
   */
  onSnapshot(now: number): void {
    for (const upstream of this.upstreams) {
      if (upstream === undefined) continue;
      const { failed } = upstream.node;
      const wasBarred = (upstream.barred & BAR.failed) !== 0;
      this.bar(upstream, BAR.failed, failed, now);
      if (!failed || wasBarred) continue;
      for (const lane of [...upstream.all, ...upstream.pinned]) lane.destroy('EFAILED');
    }
    this.#closeAbsent();
  }

  /**
   * Control's word alone is not enough to keep commands back: it may be the one that is slow.
   * `lateMs`: a replica that has not answered control for so long may hang. Returns the nodes from
   * which commands are kept back.
   */
  onHealth(plan: ReadPlan, lateMs: number, now: number): Upstream[] {
    const silent: Upstream[] = [];
    const known = new Map(plan.nodes.map((node) => [node.address, node]));
    for (const upstream of this.upstreams) {
      const node = upstream === undefined ? undefined : known.get(upstream.node.address);
      if (upstream === undefined || node === undefined) continue;
      const hangs = !hasAnswered(upstream, now - SILENT_MS);
      this.bar(upstream, BAR.silent, hangs && !node.isUsable, now);
      if ((upstream.barred & BAR.silent) !== 0) silent.push(upstream);
      const isLate = now - node.answeredAt > lateMs;
      if (hangs && (isLate || !node.isUsable)) this.#leaveReplica(upstream, now - SILENT_MS);
    }
    return silent;
  }

  /** Reads can be had elsewhere: those that hang are not left to the command time-out. */
  #leaveReplica(upstream: Upstream, since: number): void {
    for (const lane of [...upstream.all]) {
      const isReplica = (lane.options.kind & LANE_KIND.readonly) !== 0;
      if (isReplica && hangs(lane, since)) lane.destroy('ESTALLED');
    }
  }

  /** Lanes to nodes that have left the cluster close once nothing is owed on them. */
  #closeAbsent(): void {
    for (const [lane, upstream] of this.owners) {
      if (!upstream.node.present && lane.count === 0) lane.destroy('EIDLE');
    }
    for (const upstream of this.upstreams) {
      if (upstream === undefined || upstream.node.present || upstream.all.size > 0) continue;
      if (upstream.pinned.size > 0) continue;
      this.#metrics.releaseNode(upstream.metricsRow);
      this.upstreams[upstream.node.index] = undefined;
    }
  }

  /** Brings the gauges of what is in flight up to date; called before each report. */
  sampleInflight(): void {
    for (const upstream of this.upstreams) {
      if (upstream === undefined) continue;
      let inflight = 0;
      for (const lane of upstream.all) inflight += lane.count;
      for (const lane of upstream.pinned) inflight += lane.count;
      this.#metrics.addInflight(upstream.metricsRow, inflight - upstream.shownInflight);
      upstream.shownInflight = inflight;
    }
  }

  closeAll(): void {
    this.#isClosed = true;
    for (const lane of [...this.owners.keys()]) lane.destroy('EIDLE');
  }
}

function noteFailure(upstream: Upstream, lane: Lane<Request>, code: string): void {
  upstream.lastError = code;
  upstream.lastWords = lane.refusal;
}

/** Since `since`, or nothing is asked of it. */
function hasAnswered({ all }: Upstream, since: number): boolean {
  for (const lane of all) if (hangs(lane, since)) return false;
  return true;
}

function hangs(lane: Lane<Request>, since: number): boolean {
  if (lane.state !== LANE.ready || lane.head === null) return false;
  return lane.head.queuedAt < since && lane.readAt < since;
}

/** Lanes of this kind, detached ones too. */
function countOf(upstream: Upstream, kind: number): number {
  let count = 0;
  for (const lane of upstream.all) if (lane.options.kind === kind) count++;
  return count;
}
