/**
 * Takes whole commands from sessions and decides where each goes: to the lane of its slot's owner,
 * to a split or fan-out, to a local answer, or to a refusal. What cannot go on now leaves a stall
 * bit in the session's gate, and the same command comes again.
 */

import { hasBlockOption } from '../commands/key-positions.ts';
import { KEY_RULE } from '../commands/key-rules.ts';
import { slotOf } from '../commands/slot.ts';
import { type CommandTable, FLAG } from '../commands/table.ts';
import { KIND } from '../commands/verdicts.ts';
import { GATE, type Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { RESULT, SCALAR } from '../metrics/definitions.ts';
import { NO_NODE } from '../route/routing.ts';
import { ANY_SLOT, BAD_ARITY, CROSS_SLOT, slotOfKeys } from '../route/slot-of-keys.ts';
import type { Lane } from '../upstream/lane.ts';
import { SUBSCRIBE_VERBS, UNSUBSCRIBE_VERBS } from '../upstream/subscriber.ts';
import { BLOCKING, type Blocking } from './blocking/blocking.ts';
import type { Dispatch, ProxyCore } from './core.ts';
import { EMULATED } from './emulation/registry.ts';
import { asLine, NOAUTH, whileSubscribed } from './error-replies.ts';
import { Fanout } from './fanout.ts';
import type { Flows } from './flows/flows.ts';
import { FLOW_COMMANDS } from './flows/registry.ts';
import { argumentsOf } from './frame-arguments.ts';
import type { LocalCommands } from './local-commands.ts';
import type { Monitors } from './monitor/monitors.ts';
import { NODE_FORM, NodeCommands } from './node-commands.ts';
import { MAY_REPLICATE, type Pause } from './pause.ts';
import type { PubSub } from './pubsub/pubsub.ts';
import type { Redirects } from './redirects.ts';
import type { Request } from './request.ts';
import type { Splitter } from './splitter.ts';
import type { Transactions } from './tx/transactions.ts';

/** `denied` holds lower-case names; a container's name denies all of its subcommands. */
function kindsWith(table: CommandTable, denied: ReadonlySet<string>): Uint8Array {
  const kinds = table.kind.slice();
  table.names.forEach((name, id) => {
    const shown = name.replace('|', ' ');
    const container = shown.split(' ')[0] as string;
    if (denied.has(name) || denied.has(shown) || denied.has(container)) kinds[id] = KIND.denied;
  });
  return kinds;
}

/** What the gates made of a command. */
const PASS = {
  /** It waits and comes again. */
  wait: 0,
  /** Answered or queued. */
  taken: 1,
  /** Goes on as outside of any special state. */
  on: 2,
} as const;

/** What a subscribed client may say at any time. */
const SUBSCRIBING: ReadonlySet<string> = new Set([...SUBSCRIBE_VERBS, ...UNSUBSCRIBE_VERBS]);

/** Acted on at once inside MULTI, as in Redis. */
const NOT_QUEUED = new Set(['multi', 'exec', 'discard', 'watch', 'quit', 'reset']);

export interface DispatcherParts {
  readonly locals: LocalCommands;
  readonly splits: Splitter;
  readonly redirects: Redirects;
  readonly blocking: Blocking;
  readonly transactions: Transactions;
  readonly flows: Flows;
  readonly pubsub: PubSub;
  readonly pause: Pause;
  readonly monitors: Monitors;
}

export class Dispatcher implements Dispatch {
  /** The table's verdicts, with what the operator denies marked as such. */
  #kinds: Uint8Array;
  readonly #commandId: number;
  readonly #proxy: ProxyCore;
  readonly #locals: LocalCommands;
  readonly #splits: Splitter;
  readonly #fanout: Fanout;
  readonly #redirects: Redirects;
  readonly #blocking: Blocking;
  readonly #transactions: Transactions;
  readonly #flows: Flows;
  readonly #pubsub: PubSub;
  readonly #pause: Pause;
  readonly #monitors: Monitors;
  readonly #nodeCommands: NodeCommands;
  #anyShard = 0;

  constructor(proxy: ProxyCore, parts: DispatcherParts) {
    this.#proxy = proxy;
    this.#locals = parts.locals;
    this.#splits = parts.splits;
    this.#redirects = parts.redirects;
    this.#blocking = parts.blocking;
    this.#transactions = parts.transactions;
    this.#flows = parts.flows;
    this.#pubsub = parts.pubsub;
    this.#pause = parts.pause;
    this.#monitors = parts.monitors;
    this.#nodeCommands = new NodeCommands(proxy);
    this.#fanout = new Fanout(proxy);
    this.#kinds = kindsWith(proxy.table, proxy.settings.denied);
    this.#commandId = proxy.table.byName('command');
  }

  /** The command table has changed. */
  onTable(): void {
    const proxy = this.#proxy;
    this.#kinds = kindsWith(proxy.table, proxy.settings.denied);
    this.#nodeCommands.onTable();
  }

  onCommand(session: Session, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const frame = proxy.frame;
    const args = frame.args;
    const table = proxy.table;
    const id = table.lookup(buf, args[0] as number, args[1] as number);
    session.lastCommand = id;
    if (session.gate !== 0) {
      const passed = this.#passGates(session, id, buf, start, end);
      if (passed !== PASS.on) return passed === PASS.taken;
    }
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

  /** Gate bits that do not stall: authentication, CLIENT PAUSE and REPLY, MONITOR, MULTI. */
  #passGates(session: Session, id: number, buf: Slab, start: number, end: number): number {
    const proxy = this.#proxy;
    if (
      (session.gate & GATE.auth) !== 0 &&
      ((proxy.table.flags[id] as number) & FLAG.noAuth) === 0
    ) {
      proxy.metrics.increment(SCALAR.rejectedAuth);
      this.reject(session, id, NOAUTH);
      return PASS.taken;
    }
    if ((session.gate & (GATE.pause | GATE.trace | GATE.monitor)) !== 0) {
      const passed = this.#underInstanceGates(session, id, buf);
      if (passed !== PASS.on) return passed;
    }
    if ((session.gate & GATE.subscribed) !== 0) {
      const passed = this.#whileSubscribed(session, id, buf);
      if (passed !== PASS.on) return passed;
    }
    if (session.replyMode === 2) session.replyMode = 3;
    if ((session.gate & GATE.multi) !== 0) return this.#insideMulti(session, id, buf, start, end);
    return PASS.on;
  }

  /** A RESP2 client cannot tell messages from replies, so with subscriptions it may say little else. */
  #whileSubscribed(session: Session, id: number, buf: Slab): number {
    const { table, frame } = this.#proxy;
    const name = table.names[id] as string;
    if (SUBSCRIBING.has(name)) return PASS.on;
    if (this.#pubsub.isBusy(session)) {
      session.gate |= GATE.barrier;
      return PASS.wait;
    }
    if (session.protocol === 3 || id === 0 || name === 'quit' || name === 'reset') return PASS.on;
    const isContainer = this.#kinds[id] === KIND.container || id === this.#commandId;
    let at = id;
    if (isContainer && frame.argc > 1) {
      at = table.lookupSub(id, buf, frame.args[2] as number, frame.args[3] as number);
      if (at === 0) return PASS.on;
    }
    const arity = table.arity[at] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) return PASS.on;
    if (name !== 'ping') this.reject(session, at, whileSubscribed(table.names[at] as string));
    else if (frame.argc > 2) return PASS.on;
    else this.#pubsub.ping(session, id, argumentsOf(buf, frame)[1]);
    return PASS.taken;
  }

  /** The whole instance is paused or monitored, or this client monitors it. */
  #underInstanceGates(session: Session, command: number, buf: Slab): number {
    const { frame, table } = this.#proxy;
    let id = command;
    const isContainer = this.#kinds[id] === KIND.container || id === this.#commandId;
    if (isContainer && frame.argc > 1) {
      id = table.lookupSub(id, buf, frame.args[2] as number, frame.args[3] as number);
    }
    if (
      (session.gate & GATE.pause) !== 0 &&
      this.#pause.holds(id, this.#isWritingExec(session, id))
    ) {
      session.gate |= GATE.paused;
      return PASS.wait;
    }
    if ((session.gate & GATE.trace) !== 0) {
      this.#monitors.trace(session, id, argumentsOf(buf, frame));
    }
    const touchesKeys =
      ((table.flags[id] as number) & (FLAG.readonly | FLAG.write)) !== 0 ||
      MAY_REPLICATE.has(table.names[id] as string);
    if ((session.gate & GATE.monitor) !== 0 && touchesKeys) {
      this.reject(session, id, "ERR Replica can't interact with the keyspace");
      return PASS.taken;
    }
    return PASS.on;
  }

  #isWritingExec(session: Session, id: number): boolean {
    return this.#proxy.table.names[id] === 'exec' && this.#transactions.writes(session);
  }

  /** Between MULTI and EXEC everything is queued, but for what ends or concerns the transaction. */
  #insideMulti(session: Session, id: number, buf: Slab, start: number, end: number): number {
    const { table, frame } = this.#proxy;
    const isContainer = this.#kinds[id] === KIND.container || id === this.#commandId;
    let at = id;
    if (isContainer && frame.argc > 1) {
      at = table.lookupSub(id, buf, frame.args[2] as number, frame.args[3] as number);
      if (at === 0) {
        this.#transactions.abort(session);
        this.#locals.refuseSubcommand(session, id, buf, frame);
        return PASS.taken;
      }
    }
    session.lastCommand = at;
    const arity = table.arity[at] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) {
      this.#transactions.abort(session);
      this.#refuseArity(session, at);
      return PASS.taken;
    }
    if (NOT_QUEUED.has(table.names[at] as string)) return PASS.on;
    this.#transactions.queue(session, at, this.#kinds[at] as number, buf, start, end);
    return PASS.taken;
  }

  #transaction(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame } = this.#proxy;
    const arity = table.arity[id] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) {
      return this.#refuseArity(session, id);
    }
    return this.#transactions.dispatch(session, id, buf, start, end);
  }

  #flow(session: Session, id: number, buf: Slab): boolean {
    const { table, frame } = this.#proxy;
    const arity = table.arity[id] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) {
      return this.#refuseArity(session, id);
    }
    const steps = FLOW_COMMANDS.get(table.names[id] as string);
    if (steps === undefined) return this.#locals.refuse(session, id, KIND.later, buf);
    const args = argumentsOf(buf, frame);
    return this.#flows.start(session, id, (flow) => steps(flow, args));
  }

  /** EVAL and kin: routed by their keys, with what is known of scripts at hand. */
  #script(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, keys, routing, scripts } = this.#proxy;
    if (frame.argc < -(table.arity[id] as number)) return this.#refuseArity(session, id);
    const crossSlotFree = routing.snapshot?.crossSlotFree === true;
    const slot = slotOfKeys(table, id, buf, frame, keys, crossSlotFree);
    if (slot === CROSS_SLOT) return this.#locals.refuseCrossSlot(session, id, false);
    const target = slot < 0 ? this.anySlot() : slot;
    return scripts.send(session, id, target, buf, start, end);
  }

  #block(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame } = this.#proxy;
    const arity = table.arity[id] as number;
    if (arity > 0 ? frame.argc !== arity : frame.argc < -arity) {
      return this.#refuseArity(session, id);
    }
    const done = this.#blocking.dispatch(session, id, buf, start, end);
    if (done === BLOCKING.ordinary) return this.#routeByKeys(session, id, buf, start, end, false);
    return done === BLOCKING.taken;
  }

  #dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { frame } = this.#proxy;
    if (this.#nodeCommands.takes(id)) {
      const done = this.#nodeCommands.dispatch(session, id, buf);
      if (done !== NODE_FORM.none) return done === NODE_FORM.taken;
    }
    switch (this.#kinds[id]) {
      case KIND.mget:
      case KIND.mset:
      case KIND.count:
        return this.#splits.dispatch(session, id, buf, start, end);
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
      case KIND.transaction:
        return this.#transaction(session, id, buf, start, end);
      case KIND.block:
        return this.#block(session, id, buf, start, end);
      case KIND.flow:
        return this.#flow(session, id, buf);
      case KIND.pubsub:
        return this.#pubsub.dispatch(session, id, buf, start, end);
      case KIND.script:
        return this.#script(session, id, buf, start, end);
      default:
        return this.#locals.refuse(session, id, this.#kinds[id] as number, buf);
    }
  }

  #dispatchContainer(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const frame = proxy.frame;
    if (frame.argc < 2) return this.#refuseArity(session, id);
    const args = frame.args;
    const sub = proxy.table.lookupSub(id, buf, args[2] as number, args[3] as number);
    if (sub === 0) return this.#locals.refuseSubcommand(session, id, buf, frame);
    session.lastCommand = sub;
    const arity = proxy.table.arity[sub] as number;
    // One more argument than the command takes may name a node.
    const isChecked = !this.#nodeCommands.takes(sub);
    if (isChecked && (arity > 0 ? frame.argc !== arity : frame.argc < -arity))
      return this.#refuseArity(session, sub);
    return this.#dispatch(session, sub, buf, start, end);
  }

  #routeByKeys(
    session: Session,
    id: number,
    buf: Slab,
    start: number,
    end: number,
    mayBlock = true,
  ): boolean {
    const proxy = this.#proxy;
    const mayWait = mayBlock && ((proxy.table.flags[id] as number) & FLAG.mayBlock) !== 0;
    if (mayWait && hasBlockOption(buf, proxy.frame.args, proxy.frame.argc)) {
      return this.#block(session, id, buf, start, end);
    }
    const crossSlotFree = proxy.routing.snapshot?.crossSlotFree === true;
    const slot = slotOfKeys(proxy.table, id, buf, proxy.frame, proxy.keys, crossSlotFree);
    if (slot === CROSS_SLOT) return this.#acrossSlots(session, id, buf);
    if (slot === BAD_ARITY) return this.#refuseArity(session, id);
    const target = slot === ANY_SLOT ? this.anySlot() : slot;
    return this.send(session, id, target, true, buf, start, end);
  }

  /** Commands that no node could run: as a flow where the operator wants that, else refused. */
  #acrossSlots(session: Session, id: number, buf: Slab): boolean {
    const { table, frame, settings } = this.#proxy;
    const steps = EMULATED.get(table.names[id] as string);
    if (steps === undefined || !settings.crossSlot.emulate) {
      return this.#locals.refuseCrossSlot(session, id, steps !== undefined);
    }
    const args = argumentsOf(buf, frame);
    return this.#flows.start(session, id, (flow) => steps(flow, args));
  }

  /** A slot of some shard, another shard each time. */
  anySlot(): number {
    const proxy = this.#proxy;
    const shards = proxy.routing.snapshot?.shards.length ?? 0;
    if (shards === 0) return 0;
    this.#anyShard = (this.#anyShard + 1) % shards;
    const slot = proxy.firstSlots[this.#anyShard];
    return slot === undefined ? 0 : slot;
  }

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
    const proxy = this.#proxy;
    const routing = proxy.routing;
    if (!this.mayUseSlot(session, slot, multiKey)) return false;
    const lane = this.laneFor(session, slot);
    if (lane === null) {
      if (proxy.retries.hold(session, slot, end - start)) return false;
      this.failNow(session, id, slot);
      return true;
    }
    const request = this.newRequest(session, id, slot);
    request.multiKey = multiKey;
    request.lane = lane;
    lane.enqueue(request, buf, start, end, false, proxy.time);
    if (!request.isRead) session.written |= 1 << (routing.owner[slot] as number);
    const travelsAlone = multiKey && routing.motionCount !== 0 && routing.motion[slot] !== 0;
    // In a slot in motion a multi-key command travels alone: its TRYAGAIN must be retryable.
    if (travelsAlone || (lane.doubt !== 0 && proxy.answers.mayBeRefused(lane, request))) {
      session.gate |= GATE.barrier;
    }
    return true;
  }

  laneFor(session: Session, slot: number): Lane<Request> | null {
    const { routing, lanes, time } = this.#proxy;
    const owner = routing.owner[slot] as number;
    const node = owner === NO_NODE ? undefined : routing.nodes[owner];
    if (node === undefined) return null;
    if ((session.gate & GATE.watching) !== 0) {
      const watching = this.#transactions.watches.laneFor(session, node);
      if (watching !== null) return watching;
    }
    return lanes.lane(node, session.protocol, time);
  }

  /** The barrier: false sets the stall bit, and the command waits until all before it are answered. */
  mayUseSlot(session: Session, slot: number, multiKey: boolean): boolean {
    const routing = this.#proxy.routing;
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
    const proxy = this.#proxy;
    const request = proxy.requests.take();
    request.session = session;
    request.inSession = true;
    request.command = id;
    request.slot = slot;
    request.isRead = ((proxy.table.flags[id] as number) & FLAG.readonly) !== 0;
    request.startedAt = proxy.time;
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

  /** Refuses a command in its place in the order. */
  reject(session: Session, id: number, text: string): boolean {
    const line = asLine(text);
    this.#proxy.metrics.countErrorReply(line, 1, line.length);
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
    this.#proxy.metrics.countCommand(id, result);
    session.deliver(request, buf, start, end);
  }

  #refuseArity(session: Session, id: number): boolean {
    const name = this.#proxy.table.names[id] ?? 'other';
    return this.reject(session, id, `ERR wrong number of arguments for '${name}' command`);
  }

  /** The shard of this slot has been away for too long, or too much waits for it. */
  failNow(session: Session, id: number, slot: number): void {
    this.reject(session, id, this.#redirects.awayText(slot));
  }

  onProtocolError(session: Session, text: string): void {
    const proxy = this.#proxy;
    proxy.metrics.increment(SCALAR.protocolErrors);
    proxy.metrics.increment(SCALAR.rejectedProtocol);
    if (text !== '') {
      const line = asLine(`ERR ${text}`);
      const request = this.newRequest(session, 0, ANY_SLOT);
      request.answered = true;
      session.deliver(request, line, 0, line.length);
    }
    session.closeAfterReplies();
  }
}
