/**
 * The data path of one worker: takes whole commands from sessions, plans them, puts them on lanes,
 * and brings the replies back in request order. Everything here runs without waiting; what cannot
 * go on now leaves a stall bit in the session's gate or a parked request, see Retries.
 */

import type { CommandInfo } from '../commands/command-info.ts';
import { KeyPositions } from '../commands/key-positions.ts';
import { KEY_RULE } from '../commands/key-rules.ts';
import { slotOf } from '../commands/slot.ts';
import { CommandTable, FLAG } from '../commands/table.ts';
import { KIND } from '../commands/verdicts.ts';
import { type ReplySlot, ReplyStore } from '../downstream/reply-store.ts';
import { GATE, Session, type SessionLimits, type SessionOwner } from '../downstream/session.ts';
import type { ControlLink } from '../lib/planes.ts';
import { type Slab, SlabPool } from '../lib/slab.ts';
import { RESULT, SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { RequestFrame } from '../resp/request-framer.ts';
import { NO_NODE, Routing } from '../route/routing.ts';
import { ANY_SLOT, BAD_ARITY, CROSS_SLOT, slotOfKeys } from '../route/slot-of-keys.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { ByteStream, Runtime, Transport } from '../transport/transport.ts';
import { DOUBT, type Lane, type LaneEvents } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { asLine, NOAUTH, uncertain } from './error-replies.ts';
import { Fanout } from './fanout.ts';
import { LaneSet } from './lane-set.ts';
import type { LocalServices } from './local/context.ts';
import { LocalCommands } from './local-commands.ts';
import { Redirects } from './redirects.ts';
import { type Gathering, type Request, RequestPool } from './request.ts';
import { isInDoubt, Retries } from './retries.ts';
import type { ProxySettings } from './settings.ts';
import { SharedKeys } from './shared-keys.ts';
import { SlowReaders } from './slow-readers.ts';
import { Splitter } from './splitter.ts';
import { Turn } from './turn.ts';
import { Upkeep } from './upkeep.ts';

/** How often draining looks whether all clients have gone. */
const DRAIN_CHECK_MS = 10;

/** Beside the verdicts of KIND: refused by `commands.deny`. */
const KIND_DENIED = 255;

/** `denied` holds lower-case names; a container's name denies all of its subcommands. */
function kindsWith(table: CommandTable, denied: ReadonlySet<string>): Uint8Array {
  const kinds = table.kind.slice();
  table.names.forEach((name, id) => {
    const shown = name.replace('|', ' ');
    const container = shown.split(' ')[0] as string;
    if (denied.has(name) || denied.has(shown) || denied.has(container)) kinds[id] = KIND_DENIED;
  });
  return kinds;
}

export interface ProxyDeps {
  readonly settings: ProxySettings;
  readonly table: CommandTable;
  readonly transport: Transport;
  readonly runtime: Runtime;
  readonly metrics: WorkerMetrics;
  readonly link: ControlLink<Snapshot>;
}

export class DataPath implements ProxyCore, SessionOwner, LaneEvents<Request> {
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
  readonly sessions: Session[] = [];
  readonly keys = new KeyPositions();
  /** Monotonic ms of the socket read being dealt with. */
  time: number;
  /** Since when some slot has had no owner in the picture; 0 when all have. */
  unownedSince = 0;
  draining = false;
  readonly #redirects: Redirects;
  readonly #sharedKeys = new SharedKeys();
  readonly splits: Splitter;
  readonly #fanout: Fanout;
  readonly #locals: LocalCommands;
  /** The table's verdicts, with what the operator denies marked as such. */
  #kinds: Uint8Array;
  readonly #commandId: number;
  readonly slowReaders: SlowReaders;
  readonly #upkeep: Upkeep;
  #clientCounter = 0;
  #anyShard = 0;

  constructor(deps: ProxyDeps) {
    const { settings } = deps;
    this.settings = settings;
    this.table = deps.table;
    this.#kinds = kindsWith(deps.table, settings.denied);
    this.#commandId = deps.table.byName('command');
    this.metrics = deps.metrics;
    this.runtime = deps.runtime;
    this.transport = deps.transport;
    this.link = deps.link;
    this.time = deps.runtime.now();
    this.unownedSince = this.time;
    this.limits = {
      request: settings.request,
      unauthenticated: {
        ...settings.request,
        maxArguments: 10,
        maxBulkBytes: 16384,
        unauthenticated: true,
      },
      maxRequestBuffer: settings.maxRequestBuffer,
      maxRequestBytes: settings.maxRequestBytes,
      maxInflight: settings.maxInflightPerSession,
      replyHighWater: settings.replyHighWater,
      replyHardLimit: settings.replyHardLimit,
    };
    this.turn = new Turn(deps.runtime);
    this.lanes = new LaneSet(settings.lanes, {
      transport: deps.transport,
      runtime: deps.runtime,
      pool: this.pool,
      metrics: deps.metrics,
      events: this,
    });
    this.retries = new Retries(settings.hold, {
      metrics: deps.metrics,
      now: () => this.time,
      laneFor: (request) => this.#redirects.laneFor(request),
      resend: (request, lane) => this.#redirects.resend(request, lane),
      shareKeys: (one, other) => this.#sharedKeys.has(this.table, one, other),
      awaySince: (slot) => this.awaySince(slot),
      answerError: (request, text) => this.answerError(request, text),
      recycle: (request) => this.dropFromLane(request),
    });
    this.#redirects = new Redirects(this);
    this.splits = new Splitter(this);
    this.#fanout = new Fanout(this);
    this.#locals = new LocalCommands(this, this.#services());
    this.slowReaders = new SlowReaders(this);
    this.#upkeep = new Upkeep(this);
    deps.link.onSnapshot((snapshot) => this.onSnapshot(snapshot));
  }

  // ------------------------------------------------------------------ sessions

  /** Takes a new client connection. */
  open(stream: ByteStream): Session {
    this.time = this.runtime.now();
    const id = ++this.#clientCounter * 64 + this.settings.local.workerId;
    const session = new Session(id, stream, this, this.time);
    if (this.settings.local.requirepass !== '') {
      session.authenticated = false;
      session.gate |= GATE.auth;
    }
    session.tableIndex = this.sessions.length;
    this.sessions.push(session);
    this.metrics.increment(SCALAR.connectionsOpened);
    this.metrics.set(SCALAR.connectionsNow, this.sessions.length);
    return session;
  }

  onSessionRead(session: Session, bytes: number): void {
    const now = this.runtime.now();
    this.time = now;
    session.lastActiveAt = now;
    session.bytesIn += bytes;
    this.metrics.add(SCALAR.receivedBytes, bytes);
  }

  onCommand(session: Session, buf: Slab, start: number, end: number): boolean {
    const frame = this.frame;
    const args = frame.args;
    const table = this.table;
    const id = table.lookup(buf, args[0] as number, args[1] as number);
    session.lastCommand = id;
    if (session.gate !== 0 && !this.#mayPass(session, id)) return true;
    if (this.#kinds[id] === KIND.route) {
      const arity = table.arity[id] as number;
      const argc = frame.argc;
      if (arity > 0 ? argc !== arity : argc < -arity) return this.#refuseArity(session, id);
      if (table.keyRule[id] === KEY_RULE.first && argc > 1) {
        const slot = slotOf(buf, args[2] as number, args[3] as number);
        return this.send(session, id, slot, false, buf, start, end);
      }
      return this.#routeByKeys(session, id, buf, start, end);
    }
    return this.#dispatch(session, id, buf, start, end);
  }

  /** Gate bits that do not stall: authentication and CLIENT REPLY. */
  #mayPass(session: Session, id: number): boolean {
    if (
      (session.gate & GATE.auth) !== 0 &&
      ((this.table.flags[id] as number) & FLAG.noAuth) === 0
    ) {
      this.metrics.increment(SCALAR.rejectedAuth);
      this.reject(session, id, NOAUTH);
      return false;
    }
    if (session.replyMode === 2) session.replyMode = 3;
    return true;
  }

  #dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const frame = this.frame;
    switch (this.#kinds[id]) {
      case KIND.mget:
      case KIND.mset:
      case KIND.count:
        return this.splits.dispatch(session, id, buf, start, end);
      case KIND.anyPrimary:
        return this.send(session, id, this.anySlot(), false, buf, start, end);
      case KIND.fanout:
        return this.#fanout.dispatch(session, id, buf, start, end);
      case KIND.container:
        return this.#dispatchContainer(session, id, buf, start, end);
      case KIND.local:
        // COMMAND is legal alone, and a container when something follows.
        if (id === this.#commandId && frame.argc > 1) {
          return this.#dispatchContainer(session, id, buf, start, end);
        }
        return this.#locals.dispatch(session, id, buf, start, end);
      case KIND.route:
        return this.#routeByKeys(session, id, buf, start, end);
      case KIND_DENIED:
        return this.#locals.refuseDenied(session, id);
      default:
        return this.#locals.refuse(session, id, buf, frame);
    }
  }

  #dispatchContainer(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const frame = this.frame;
    if (frame.argc < 2) return this.#refuseArity(session, id);
    const args = frame.args;
    const sub = this.table.lookupSub(id, buf, args[2] as number, args[3] as number);
    if (sub === 0) return this.#locals.refuseSubcommand(session, id, buf, frame);
    session.lastCommand = sub;
    const arity = this.table.arity[sub] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity)
      return this.#refuseArity(session, sub);
    return this.#dispatch(session, sub, buf, start, end);
  }

  #routeByKeys(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const crossSlotFree = this.routing.snapshot?.crossSlotFree === true;
    const slot = slotOfKeys(this.table, id, buf, this.frame, this.keys, crossSlotFree);
    if (slot === CROSS_SLOT) return this.#refuseCrossSlot(session, id);
    if (slot === BAD_ARITY) return this.#refuseArity(session, id);
    if (this.#locals.refusesBlocking(session, id, buf)) return true;
    const target = slot === ANY_SLOT ? this.anySlot() : slot;
    return this.send(session, id, target, true, buf, start, end);
  }

  /** A slot of some shard, another shard each time. */
  anySlot(): number {
    const shards = this.routing.snapshot?.shards.length ?? 0;
    if (shards === 0) return 0;
    this.#anyShard = (this.#anyShard + 1) % shards;
    const slot = this.firstSlots[this.#anyShard];
    return slot === undefined ? 0 : slot;
  }

  /** Lowest slot of each shard: what stands for the shard where a command has no key. */
  firstSlots: number[] = [];

  /**
   * Puts a command on the lane of its slot's owner. False when it cannot go now: the session waits
   * (barrier or hold) and the command comes again.
   */
  send(
    session: Session,
    id: number,
    slot: number,
    multiKey: boolean,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const routing = this.routing;
    if (!this.mayUseSlot(session, slot, multiKey)) return false;
    const owner = routing.owner[slot] as number;
    let lane: Lane<Request> | null = null;
    if (owner !== NO_NODE) {
      const node = routing.nodes[owner];
      if (node !== undefined) lane = this.lanes.lane(node, session.protocol, this.time);
    }
    if (lane === null) {
      if (this.retries.hold(session, slot, end - start)) return false;
      this.failNow(session, id, slot);
      return true;
    }
    const request = this.newRequest(session, id, slot);
    request.multiKey = multiKey;
    request.lane = lane;
    lane.enqueue(request, buf, start, end, false, this.time);
    const travelsAlone = multiKey && routing.motionCount !== 0 && routing.motion[slot] !== 0;
    // In a slot in motion a multi-key command travels alone: its TRYAGAIN must be retryable.
    if (travelsAlone || (lane.doubt !== 0 && this.mayBeRefused(lane, request))) {
      session.gate |= GATE.barrier;
    }
    return true;
  }

  /** The barrier: false sets the stall bit, and the command waits until all before it are answered. */
  mayUseSlot(session: Session, slot: number, multiKey: boolean): boolean {
    const routing = this.routing;
    if (session.pending === 0) {
      session.routeEpoch = routing.epoch;
      return true;
    }
    if (session.routeEpoch !== routing.epoch) {
      if ((routing.slotChangedAt[slot] as number) > session.routeEpoch) {
        session.gate |= GATE.barrier;
        return false;
      }
    }
    if (multiKey && routing.motionCount !== 0 && routing.motion[slot] !== 0) {
      session.gate |= GATE.barrier;
      return false;
    }
    return true;
  }

  /** A request with its place in the session's reply order. */
  newRequest(session: Session, id: number, slot: number): Request {
    const request = this.requests.take();
    request.session = session;
    request.inSession = true;
    request.command = id;
    request.slot = slot;
    request.isRead = ((this.table.flags[id] as number) & FLAG.readonly) !== 0;
    request.startedAt = this.time;
    session.commands++;
    if (session.replyMode !== 0) {
      request.silent = true;
      if (session.replyMode === 3) {
        session.replyMode = 0;
        session.gate &= ~GATE.replyMode;
      }
    }
    session.push(request);
    return request;
  }

  #services(): LocalServices {
    const proxy = this;
    return {
      settings: this.settings.local,
      runtime: this.runtime,
      get table() {
        return proxy.table;
      },
      metrics: this.metrics,
      control: this.link,
      snapshot: () => this.routing.snapshot,
      sessions: () => this.sessions,
      sessionCount: () => this.sessions.length,
      closeSession: (session, { graceful }) => {
        if (graceful) session.closeAfterReplies();
        else session.stream.destroy();
      },
    };
  }

  /** For calls that control makes of this worker. */
  get services(): LocalServices {
    return this.#locals.services;
  }

  // ------------------------------------------------------------------ replies

  onLaneRead(lane: Lane<Request>): void {
    this.time = this.runtime.now();
    lane.readAt = this.time;
  }

  onReply(request: Request, buf: Slab, start: number, end: number, typeAt: number): void {
    const isError = buf[typeAt] === 45;
    if (isError && this.#redirects.onError(request, buf, typeAt, end)) return;
    const lane = request.lane as Lane<Request>;
    if (lane.doubt !== 0) this.#settleDoubt(lane, request);
    this.retries.onServed(request);
    lane.release(request);
    request.lane = null;
    this.metrics.observeShard(
      this.routing.shardOf[request.slot] as number,
      (this.time - request.queuedAt) * 1000,
    );
    if (request.parkedAt !== 0) this.retries.settle(request, SCALAR.heldDrained);
    if (request.parent !== null) {
      this.onPart(request, buf, start, end);
      return;
    }
    if (request.session === null || request.answered) {
      this.requests.give(request);
      return;
    }
    if (isError) this.metrics.countErrorReply(buf, typeAt + 1, end);
    this.deliver(request, buf, start, end, isError);
  }

  /** The node has served this command: it is ready for others of its kind. */
  #settleDoubt(lane: Lane<Request>, request: Request): void {
    if (this.table.keyRule[request.command] === KEY_RULE.none) return;
    lane.doubt &= request.isRead ? ~DOUBT.reads : 0;
  }

  /** A command without keys is served in any state of the cluster. */
  mayBeRefused(lane: Lane<Request>, request: Request): boolean {
    return isInDoubt(lane, request) && this.table.keyRule[request.command] !== KEY_RULE.none;
  }

  /** Counts and hands over the whole reply of a request that is in its session's order. */
  deliver(request: Request, buf: Slab, start: number, end: number, isError: boolean): void {
    const id = request.command;
    this.metrics.countCommand(id, isError ? RESULT.error : RESULT.ok);
    this.metrics.observeCommand(id, (this.time - request.startedAt) * 1000);
    const session = request.session as Session;
    session.deliver(request, buf, start, end);
    if (session.parkedCount > 0) this.turn.later(this.retries);
  }

  onReplyPart(
    lane: Lane<Request>,
    request: Request,
    buf: Slab,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const session = request.session;
    if (last) {
      if (lane.doubt !== 0) this.#settleDoubt(lane, request);
      this.retries.onServed(request);
      lane.release(request);
      request.lane = null;
      if (request.parkedAt !== 0) this.retries.settle(request, SCALAR.heldDrained);
    }
    if (request.parent !== null) {
      this.store.extend(request, buf, start, end);
      if (last) this.#partDone(request);
      return;
    }
    if (session === null || request.answered) {
      this.requests.give(request);
      return;
    }
    if (last) {
      this.metrics.countCommand(request.command, RESULT.ok);
      this.metrics.observeCommand(request.command, (this.time - request.startedAt) * 1000);
    }
    if (session.head === request) request.streamed = true;
    session.deliverPart(request, buf, start, end, last);
    this.slowReaders.onPart(lane, session);
  }

  onPart(part: Request, buf: Slab, start: number, end: number): void {
    this.store.store(part, buf, start, end);
    this.#partDone(part);
  }

  #partDone(part: Request): void {
    const parent = part.parent as Request;
    const gathering = parent.gathering as Gathering;
    part.done = true;
    if (gathering.outstanding > 1) {
      gathering.outstanding--;
      return;
    }
    // Still counted as outstanding while the merge reads the parts, so that delivery, which lets go
    // of the parent, does not recycle it under our hands.
    if (parent.session !== null && !parent.answered) this.#finishGathering(parent, gathering);
    gathering.outstanding = 0;
    for (const each of gathering.parts) {
      each.parent = null;
      this.store.release(each);
      this.requests.give(each);
    }
    gathering.parts.length = 0;
    this.requests.give(parent);
  }

  #finishGathering(parent: Request, gathering: Gathering): void {
    const failed = gathering.failed();
    if (failed !== null) {
      this.answerError(parent, gathering.errorText(failed));
      return;
    }
    // Whether merged or not, parts are read before any of them is released.
    const { slab, start, end } = gathering.merge(gathering);
    this.deliver(parent, slab, start, end, slab[start] === 45);
  }

  onDelivered(slot: ReplySlot): void {
    const request = slot as Request;
    request.inSession = false;
    this.requests.give(request);
  }

  /** Answers a request with an error line; a part reports it to its parent. */
  answerError(request: Request, text: string): void {
    this.retries.settle(request, SCALAR.heldExpired);
    const line = asLine(text);
    if (request.parent !== null) {
      if (request.done) return;
      request.answered = true;
      this.onPart(request, line, 0, line.length);
      return;
    }
    const session = request.session;
    if (session === null || request.answered) {
      this.requests.give(request);
      return;
    }
    if (request.streamed) {
      // Half of a reply has gone out: nothing that follows could be understood.
      session.stream.destroy();
      return;
    }
    request.answered = true;
    session.dropStored(request);
    this.metrics.countErrorReply(line, 1, line.length);
    this.deliver(request, line, 0, line.length, true);
  }

  // ------------------------------------------------------------------ refusals

  /** Refuses a command in its place in the order. */
  reject(session: Session, id: number, text: string): boolean {
    const line = asLine(text);
    this.metrics.countErrorReply(line, 1, line.length);
    this.answerLocally(session, id, line, 0, line.length, RESULT.rejected);
    return true;
  }

  /** A reply that needs no node. */
  answerLocally(
    session: Session,
    id: number,
    buf: Slab,
    start: number,
    end: number,
    result: 0 | 1 | 2,
  ): void {
    const request = this.newRequest(session, id, ANY_SLOT);
    request.answered = true;
    this.metrics.countCommand(id, result);
    session.deliver(request, buf, start, end);
  }

  #refuseArity(session: Session, id: number): boolean {
    const name = this.table.names[id] ?? 'other';
    return this.reject(session, id, `ERR wrong number of arguments for '${name}' command`);
  }

  #refuseCrossSlot(session: Session, id: number): boolean {
    return this.#locals.refuseCrossSlot(session, id);
  }

  /** The shard of this slot has been away for too long, or too much waits for it. */
  failNow(session: Session, id: number, slot: number): void {
    this.reject(session, id, this.#redirects.awayText(slot));
  }

  onProtocolError(session: Session, text: string): void {
    this.metrics.increment(SCALAR.protocolErrors);
    this.metrics.increment(SCALAR.rejectedProtocol);
    if (text !== '') {
      const line = asLine(`ERR ${text}`);
      const request = this.newRequest(session, 0, ANY_SLOT);
      request.answered = true;
      session.deliver(request, line, 0, line.length);
    }
    session.closeAfterReplies();
  }

  // ------------------------------------------------------------------ lanes

  onBigReply(lane: Lane<Request>, request: Request, bytes: number): void {
    this.metrics.increment(SCALAR.bigReplies);
    this.slowReaders.onBigReply(lane, request, bytes);
  }

  onLaneReady(lane: Lane<Request>): void {
    this.time = this.runtime.now();
    this.lanes.onReady(lane);
    this.retries.run();
  }

  onHeartbeat(request: Request): void {
    request.lane = null;
    this.requests.give(request);
  }

  onLaneDirty(lane: Lane<Request>): void {
    this.turn.laneDirty(lane);
  }

  onLaneClosed(lane: Lane<Request>, code: string): void {
    this.time = this.runtime.now();
    const upstream = this.lanes.onClosed(lane, code, this.time);
    const address = upstream?.node.address ?? '';
    if (code !== 'EIDLE') this.link.hint({ reason: 'refused', node: address });
    let request = lane.head;
    lane.head = null;
    while (request !== null) {
      const next: Request | null = request.nextInLane;
      request.nextInLane = null;
      this.#orphan(lane, request, address, code);
      request = next;
    }
    if (upstream !== undefined) this.slowReaders.onLaneClosed(lane);
    this.retries.run();
  }

  /** A request whose lane died: sent again where that is safe, else answered. */
  #orphan(lane: Lane<Request>, request: Request, address: string, code: string): void {
    const wasSent = lane.wasSent(request);
    request.lane = null;
    request.swallow = 0;
    const top = request.parent ?? request;
    if (request === lane.heartbeat || top.session === null || top.answered || request.done) {
      lane.release(request);
      this.retries.settle(request, SCALAR.heldEvicted);
      if (request.parent !== null && !request.done) this.#partLost(request);
      else this.requests.give(request);
      return;
    }
    if (wasSent) request.deaths++;
    const mayRetry = !wasSent || request.isRead || this.settings.retrySentWrites;
    if (request.streamed || !mayRetry || request.deaths > 2) {
      lane.release(request);
      if (!request.isRead && wasSent) this.metrics.increment(SCALAR.uncertainWrites);
      this.answerError(
        request,
        request.isRead
          ? `ERR ${address} was lost while it served this command (${code}), ${request.deaths} times in all`
          : uncertain(address, code),
      );
      return;
    }
    // A reply that had begun to arrive and was not passed on.
    if (request.session === null) this.store.release(request);
    else request.session.dropStored(request);
    request.formerLane = lane;
    this.retries.park(request, this.#redirects.awayText(request.slot, address, code), 0);
  }

  /** A part whose client has left or was answered: it only has to be counted out. */
  #partLost(part: Request): void {
    part.done = true;
    this.#partDone(part);
  }

  /** Releases the bytes of a request that is not sent again. */
  dropFromLane(request: Request): void {
    const lane = request.formerLane ?? request.lane;
    if (lane !== null) lane.release(request);
    request.formerLane = null;
    request.lane = null;
    if (request.parent !== null && !request.done) this.#partLost(request);
    else this.requests.give(request);
  }

  awaySince(slot: number): number {
    const owner = slot < 0 ? NO_NODE : (this.routing.owner[slot] as number);
    if (owner === NO_NODE) return this.unownedSince;
    return this.lanes.upstreams[owner]?.downSince ?? 0;
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

  onSessionDrained(session: Session): void {
    this.#countSent(session);
    this.slowReaders.onDrained(session);
  }

  #countSent(session: Session): void {
    this.metrics.add(SCALAR.sentBytes, session.bytesOut - session.bytesOutCounted);
    session.bytesOutCounted = session.bytesOut;
  }

  onSessionClosed(session: Session, _code: string): void {
    const last = this.sessions.pop() as Session;
    if (last !== session) {
      this.sessions[session.tableIndex] = last;
      last.tableIndex = session.tableIndex;
    }
    this.metrics.set(SCALAR.connectionsNow, this.sessions.length);
    this.#countSent(session);
    this.retries.forget(session);
    let slot = session.head;
    session.head = null;
    while (slot !== null) {
      const request = slot as Request;
      slot = slot.nextInSession;
      request.nextInSession = null;
      request.session = null;
      request.inSession = false;
      this.store.release(request);
      this.requests.give(request);
    }
    this.slowReaders.onDrained(session);
    this.turn.later(this.retries);
  }

  onSnapshot(snapshot: Snapshot): void {
    this.time = this.runtime.now();
    if (!this.routing.apply(snapshot)) return;
    this.firstSlots = snapshot.shards.map(() => -1);
    let isWhole = true;
    for (let slot = snapshot.slots.length - 1; slot >= 0; slot--) {
      const shard = snapshot.slots[slot] as number;
      if (shard < this.firstSlots.length) this.firstSlots[shard] = slot;
      else isWhole = false;
    }
    // A shard that owns nothing yet (it imports its first slot) comes last and has no address here.
    this.firstSlots = this.firstSlots.filter((slot) => slot >= 0);
    if (isWhole) this.unownedSince = 0;
    else if (this.unownedSince === 0) this.unownedSince = this.time;
    this.retries.run();
    this.lanes.closeAbsent();
  }

  /** Readiness for /readyz: '' or the reason why not. */
  notReadyReason(): string {
    if (this.draining) return 'draining';
    if (this.routing.snapshot === null) return 'no topology yet';
    return this.unownedSince === 0 ? '' : 'some slots have no primary';
  }

  /** The servers' own table: commands of modules, and flags as these servers see them. */
  learnCommands(infos: readonly CommandInfo[]): void {
    this.table = CommandTable.fromInfos(infos);
    this.#kinds = kindsWith(this.table, this.settings.denied);
    for (const name of this.table.names) this.metrics.learnCommand(name);
  }

  /**
   * Answers what is in flight and closes the clients between their commands; cuts what is left
   * after `timeoutMs`. Listeners are the caller's.
   */
  drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    const deadline = this.runtime.now() + timeoutMs;
    for (const session of [...this.sessions]) session.drain();
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.sessions.length > 0 && this.runtime.now() < deadline) return;
        stop();
        resolve();
      };
      const stop = this.runtime.every(DRAIN_CHECK_MS, check);
      check();
    });
  }

  close(): void {
    this.#upkeep.stop();
    for (const session of [...this.sessions]) session.stream.destroy();
    this.lanes.closeAll();
  }
}
