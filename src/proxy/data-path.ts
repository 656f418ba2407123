/**
 * The data path of one worker: takes whole commands from sessions, plans them, puts them on lanes,
 * and brings the replies back in request order. Everything here runs without waiting; what cannot
 * go on now leaves a stall bit in the session's gate or a parked request, see Retries.
 *
 *     Session → Dispatcher → Lane → node → Lane → Replies → Session
 *                  Splitter, Fanout, LocalCommands      Redirects, Losses → Retries
 *
 * This class ties the pieces together: it owns the sessions and hands on what happens to lanes.
 */

import type { CommandInfo } from '../commands/command-info.ts';
import { KeyPositions } from '../commands/key-positions.ts';
import { CommandTable } from '../commands/table.ts';
import { GATE } from '../downstream/gate.ts';
import { type ReplySlot, ReplyStore } from '../downstream/reply-store.ts';
import { Session, type SessionLimits, type SessionOwner } from '../downstream/session.ts';
import type { ControlLink } from '../lib/planes.ts';
import { type Slab, SlabPool } from '../lib/slab.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { RequestFrame } from '../resp/request-framer.ts';
import { withDatabase, withProtocol } from '../route/lane-kind.ts';
import { Routing } from '../route/routing.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { ByteStream, Runtime, Transport } from '../transport/transport.ts';
import { Blocking } from './blocking/blocking.ts';
import { Pins } from './blocking/pins.ts';
import { Clients } from './clients.ts';
import type { ProxyCore } from './core.ts';
import { Databases } from './databases.ts';
import { Dispatcher } from './dispatcher.ts';
import { confirmFlow } from './durable/confirm-flow.ts';
import { DurableWrites } from './durable/durable-writes.ts';
import { Flows } from './flows/flows.ts';
import { InnerClient } from './flows/inner-client.ts';
import { NodeHolds } from './hold/node-holds.ts';
import { type HoldNews, ShardHolds } from './hold/shard-holds.ts';
import { ShardView } from './hold/shard-view.ts';
import { LaneReports } from './lane-reports.ts';
import { LaneSet, SILENT_MS } from './lane-set.ts';
import type { LocalServices } from './local/context.ts';
import { localServices } from './local/services.ts';
import { LocalCommands } from './local-commands.ts';
import { Logins } from './logins.ts';
import { Losses } from './losses.ts';
import { Monitors } from './monitor/monitors.ts';
import { Pause } from './pause.ts';
import { PubSub } from './pubsub/pubsub.ts';
import { Reads } from './reads/reads.ts';
import { Redirects } from './redirects.ts';
import { Replies } from './replies.ts';
import { type Request, RequestPool, UNMARKED } from './request.ts';
import { Retries } from './retries.ts';
import { Scripts } from './scripts/scripts.ts';
import { Sender } from './sender.ts';
import { type ProxySettings, sessionLimits } from './settings.ts';
import { SharedKeys } from './shared-keys.ts';
import { SlowReaders } from './slow-readers.ts';
import { Splitter } from './splitter.ts';
import { Turn } from './turn.ts';
import { Transactions } from './tx/transactions.ts';
import type { Watches } from './tx/watch.ts';
import { Upkeep } from './upkeep.ts';

export interface ProxyDeps {
  readonly settings: ProxySettings;
  readonly table: CommandTable;
  readonly transport: Transport;
  readonly runtime: Runtime;
  readonly metrics: WorkerMetrics;
  readonly link: ControlLink<Snapshot>;
  /** Client ids begin after this; default 0. */
  readonly firstClient?: number;
  /** A shard began or ceased to be held: for the log. */
  readonly onHold?: (news: HoldNews) => void;
}

export class DataPath implements ProxyCore, SessionOwner {
  readonly frame = new RequestFrame();
  readonly pool = new SlabPool();
  readonly store = new ReplyStore(this.pool);
  readonly limits: SessionLimits;
  readonly settings: ProxySettings;
  table: CommandTable;
  readonly metrics: WorkerMetrics;
  readonly runtime: Runtime;
  readonly transport: Transport;
  readonly link: ControlLink<Snapshot>;
  readonly routing = new Routing();
  readonly requests = new RequestPool();
  readonly turn: Turn;
  readonly lanes: LaneSet;
  readonly retries: Retries;
  readonly nodeHolds: NodeHolds;
  readonly durable: DurableWrites;
  readonly clients: Clients;
  readonly keys = new KeyPositions();
  readonly scripts: Scripts;
  readonly pubsub: PubSub;
  /** Monotonic ms of the socket read being dealt with. */
  time: number;
  readonly shards: ShardView;
  draining = false;
  /** Flows under way, each with clients inside the worker. */
  #innerClients = 0;
  readonly #holds: ShardHolds;
  readonly #redirects: Redirects;
  readonly #sharedKeys = new SharedKeys();
  readonly shareKeys = (one: Request, other: Request): boolean =>
    this.#sharedKeys.has(this.table, one, other);
  readonly splits: Splitter;
  readonly sender: Sender;
  readonly #dispatcher: Dispatcher;
  readonly reads: Reads;
  readonly pins: Pins;
  readonly flows: Flows;
  readonly databases: Databases;
  readonly blocking: Blocking;
  readonly transactions: Transactions;
  readonly watches: Watches;
  readonly answers: Replies;
  readonly losses: Losses;
  readonly pause: Pause;
  readonly monitors: Monitors;
  readonly logins: Logins;
  readonly #locals: LocalCommands;
  readonly slowReaders: SlowReaders;
  readonly #upkeep: Upkeep;

  constructor(deps: ProxyDeps) {
    const { settings } = deps;
    this.settings = settings;
    this.table = deps.table;
    this.metrics = deps.metrics;
    this.runtime = deps.runtime;
    this.transport = deps.transport;
    this.link = deps.link;
    this.time = deps.runtime.now();
    this.clients = new Clients(deps.metrics, settings.local.workerId, deps.firstClient ?? 0);
    this.limits = sessionLimits(settings);
    this.turn = new Turn(deps.runtime, (lane) => this.durable.beforeFlush(lane));
    this.lanes = new LaneSet(settings.lanes, {
      transport: deps.transport,
      runtime: deps.runtime,
      pool: this.pool,
      metrics: deps.metrics,
      requests: this.requests,
      events: new LaneReports(this),
    });
    const shards = new ShardView(this);
    this.shards = shards;
    this.#holds = new ShardHolds({
      metrics: deps.metrics,
      settings: settings.hold,
      shards,
      shardOf: (slot) => this.routing.shardOf[slot] as number,
      onHold: deps.onHold ?? (() => undefined),
    });
    this.retries = new Retries(settings.hold, this.#holds, {
      metrics: deps.metrics,
      frame: this.frame,
      now: () => this.time,
      laneFor: (request) => this.#redirects.laneFor(request),
      resend: (request, lane) => this.#redirects.resend(request, lane),
      shareKeys: this.shareKeys,
      shards,
      replicasRead: () => this.reads.isOn,
      answerError: (request, text) => this.answers.answerError(request, text),
      awayText: (slot, why) => this.#redirects.awayText(slot, why),
      recycle: (request) => this.losses.dropFromLane(request),
      later: () => this.turn.later(this.retries),
    });
    this.nodeHolds = new NodeHolds({
      lanes: this.lanes,
      runtime: deps.runtime,
      settings: settings.hold,
      upstreamAt: (address) => shards.upstreamAt(address),
      onEnd: () => this.turn.later(this.retries),
    });
    this.durable = new DurableWrites(this);
    this.reads = new Reads(this);
    this.scripts = new Scripts(this);
    this.pubsub = new PubSub(this);
    this.#redirects = new Redirects(this);
    this.splits = new Splitter(this);
    this.pause = new Pause(this);
    this.monitors = new Monitors(this);
    this.logins = new Logins(deps.metrics);
    this.#locals = new LocalCommands(this, localServices(this));
    this.slowReaders = new SlowReaders(this);
    this.pins = new Pins(this);
    this.flows = new Flows(this, confirmFlow);
    this.databases = new Databases(this, this.flows);
    this.blocking = new Blocking(this, this.pins, this.flows);
    this.transactions = new Transactions(this, this.pins, this.#locals);
    this.watches = this.transactions.watches;
    const { splits, blocking, transactions, flows } = this;
    this.sender = new Sender(this, this.#redirects, this.watches);
    this.#dispatcher = new Dispatcher(this, {
      splits,
      blocking,
      transactions,
      flows,
      locals: this.#locals,
      pause: this.pause,
      monitors: this.monitors,
      pubsub: this.pubsub,
    });
    this.answers = new Replies(this, this.#redirects, this.slowReaders, this.pins);
    this.losses = new Losses(this, this.answers);
    this.#upkeep = new Upkeep(this);
    deps.link.onSnapshot((snapshot) => this.onSnapshot(snapshot));
  }

  // ------------------------------------------------------------------ sessions

  /** Takes a new client connection. */
  open(stream: ByteStream): Session {
    this.time = this.runtime.now();
    const session = new Session(this.clients.nextId(), stream, this, this.time);
    if (this.settings.local.requirepass !== '') {
      session.authenticated = false;
      session.gate |= GATE.auth;
    }
    this.pause.onOpen(session);
    this.monitors.onOpen(session);
    this.clients.add(session);
    return session;
  }

  innerClient(protocol: 2 | 3, database = 0): InnerClient {
    return new InnerClient(this.runtime, (stream) => {
      const session = new Session(0, stream, this, this.time);
      session.isInner = true;
      session.laneKind = withDatabase(withProtocol(0, protocol), database);
      this.#innerClients++;
      return session;
    });
  }

  onSessionRead(session: Session, bytes: number): void {
    const now = this.runtime.now();
    this.time = now;
    if (session.isInner) return;
    session.lastActiveAt = now;
    session.bytesIn += bytes;
    this.metrics.add(SCALAR.receivedBytes, bytes);
  }

  onCommand(session: Session, buf: Slab, start: number, end: number): boolean {
    return this.#dispatcher.onCommand(session, buf, start, end);
  }

  onProtocolError(session: Session, text: string, isLimit?: boolean): void {
    this.#dispatcher.onProtocolError(session, text, isLimit);
  }

  isKeptBack(session: Session): boolean {
    return this.retries.isKeptBack(session);
  }

  onDelivered(slot: ReplySlot): void {
    const request = slot as Request;
    request.inSession = false;
    if (request.onReplica || request.markedSlot !== UNMARKED) {
      this.reads.onDelivered(request.session as Session, request);
    }
    this.requests.give(request);
  }

  /** Nothing of what it has begun goes on: transaction, subscriptions, MONITOR. */
  forgetState(session: Session): void {
    this.transactions.forget(session);
    this.pubsub.forget(session);
    this.monitors.remove(session);
  }

  /** For calls that control makes of this worker. */
  get services(): LocalServices {
    return this.#locals.services;
  }

  // ------------------------------------------------------------------ turns and topology

  onSessionDirty(session: Session): void {
    this.turn.sessionDirty(session);
  }

  onSessionRunnable(session: Session): void {
    this.turn.sessionRunnable(session);
  }

  now(): number {
    return this.runtime.now();
  }

  get sessions(): readonly Session[] {
    return this.clients.sessions;
  }

  onSessionDrained(session: Session): void {
    this.clients.countSent(session);
    this.slowReaders.onDrained(session);
  }

  onSessionClosed(session: Session, _code: string): void {
    if (session.isInner) this.#innerClients--;
    else this.clients.remove(session);
    this.retries.forget(session);
    this.forgetState(session);
    let slot = session.head;
    session.head = null;
    while (slot !== null) {
      const request = slot as Request;
      slot = slot.nextInSession;
      request.nextInSession = null;
      request.special?.onAbandoned?.(request);
      request.session = null;
      request.inSession = false;
      // What it has popped may have to go back.
      if (!request.kept) this.store.release(request);
      this.requests.give(request);
    }
    this.slowReaders.onDrained(session);
    this.turn.later(this.retries);
  }

  onSnapshot(snapshot: Snapshot): void {
    this.time = this.runtime.now();
    if (!this.routing.apply(snapshot)) return;
    this.#dispatcher.onMode(snapshot.crossSlotFree);
    this.shards.onSnapshot(this.routing.isWhole);
    this.pubsub.onRoutingChange();
    this.reads.onSnapshot();
    this.lanes.onSnapshot(this.time);
    this.#holds.onRouting();
    this.turn.later(this.retries);
  }

  /** What control knows of the nodes, above all how far replicas have got. */
  onReadPlan(plan: ReadPlan): void {
    this.time = this.runtime.now();
    this.reads.onPlan(plan);
    const lateMs = this.settings.reads.pollMs * 2 + SILENT_MS;
    for (const upstream of this.lanes.onHealth(plan, lateMs, this.time)) {
      for (const lane of upstream.all) this.losses.moveReads(lane, this.time - SILENT_MS);
    }
    this.retries.onReads();
  }

  /** Readiness for /readyz: '' or the reason why not. */
  notReadyReason(): string {
    if (this.draining) return 'draining';
    return this.routing.snapshot === null ? 'no topology yet' : '';
  }

  /** Takes over what may change while clients are served; the rest must be as it was. */
  changeSettings(next: ProxySettings): void {
    const { hold, lanes, local } = this.settings;
    // These are held by others, who look into them each time.
    Object.assign(this.settings, next, {
      hold: Object.assign(hold, next.hold),
      lanes: Object.assign(lanes, next.lanes),
      local: Object.assign(local, next.local),
    });
    this.#dispatcher.onTable();
    this.reads.onSettings();
    this.durable.onSettings();
    this.turn.later(this.retries);
  }

  /** The servers' own table: commands of modules, and flags as these servers see them. */
  learnCommands(infos: readonly CommandInfo[]): void {
    this.table = CommandTable.fromInfos(infos);
    this.#dispatcher.onTable();
    this.durable.onTable();
    for (const name of this.table.names) this.metrics.learnCommand(name);
  }

  /**
   * Answers what is in flight and closes the clients between their commands; cuts what is left
   * after `timeoutMs`. Listeners are the caller's.
   */
  drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    this.pause.end(); // Else clients would be cut with commands that were never served.
    const othersBusy = (): boolean => this.pins.lent + this.#innerClients > 0;
    return this.clients.drain(this.runtime, timeoutMs, othersBusy);
  }

  close(): void {
    this.#upkeep.stop();
    for (const session of [...this.sessions]) session.stream.destroy();
    this.lanes.closeAll();
    this.pubsub.close();
  }
}
