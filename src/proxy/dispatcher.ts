/**
 * Takes whole commands from sessions and decides what each is: one for the owner of its slot, a
 * split or fan-out, a local answer, a flow, a refusal. What cannot go on now leaves a stall bit in
 * the session's gate, and the same command comes again.
 */

import { isCrossProtocol } from '../commands/cross-protocol.ts';
import { hasBlockOption } from '../commands/key-positions.ts';
import { KEY_RULE } from '../commands/key-rules.ts';
import { slotOf } from '../commands/slot.ts';
import { FLAG } from '../commands/table.ts';
import { KIND } from '../commands/verdicts.ts';
import type { Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { SCALAR } from '../metrics/definitions.ts';
import { ANY_SLOT, BAD_ARITY, CROSS_SLOT, slotOfKeys } from '../route/slot-of-keys.ts';
import { hasArity } from './arity.ts';
import { BLOCKING, type Blocking } from './blocking/blocking.ts';
import type { ProxyCore } from './core.ts';
import { EffectiveKinds } from './effective-kinds.ts';
import { EMULATED } from './emulation/registry.ts';
import { asLine, wrongArity } from './error-replies.ts';
import { Fanout } from './fanout.ts';
import type { Flows } from './flows/flows.ts';
import { FLOW_COMMANDS } from './flows/registry.ts';
import { argumentsOf } from './frame-arguments.ts';
import { type GateParts, Gates, PASS } from './gates.ts';
import type { LocalCommands } from './local-commands.ts';
import { NODE_FORM, NodeCommands } from './node-commands.ts';
import type { PubSub } from './pubsub/pubsub.ts';
import type { Splitter } from './splitter.ts';
import type { Transactions } from './tx/transactions.ts';

export interface DispatcherParts extends GateParts {
  readonly splits: Splitter;
  readonly blocking: Blocking;
  readonly flows: Flows;
}

export class Dispatcher {
  readonly #kinds: EffectiveKinds;
  readonly #gates: Gates;
  readonly #proxy: ProxyCore;
  readonly #locals: LocalCommands;
  readonly #splits: Splitter;
  readonly #fanout: Fanout;
  readonly #blocking: Blocking;
  readonly #transactions: Transactions;
  readonly #flows: Flows;
  readonly #pubsub: PubSub;
  readonly #nodeCommands: NodeCommands;

  constructor(proxy: ProxyCore, parts: DispatcherParts) {
    this.#proxy = proxy;
    this.#locals = parts.locals;
    this.#splits = parts.splits;
    this.#blocking = parts.blocking;
    this.#transactions = parts.transactions;
    this.#flows = parts.flows;
    this.#pubsub = parts.pubsub;
    this.#nodeCommands = new NodeCommands(proxy);
    this.#fanout = new Fanout(proxy);
    this.#kinds = new EffectiveKinds(proxy.table, proxy.settings.denied);
    this.#gates = new Gates(proxy, this.#kinds, parts);
  }

  /** The command table has changed. */
  onTable(): void {
    const proxy = this.#proxy;
    this.#kinds.onTable(proxy.table, proxy.settings.denied);
    this.#nodeCommands.onTable();
  }

  /** The servers run without cluster mode, or with it. */
  onMode(hasDatabases: boolean): void {
    const { table, settings } = this.#proxy;
    this.#kinds.onMode(hasDatabases, table, settings.denied);
  }

  onCommand(session: Session, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const frame = proxy.frame;
    const args = frame.args;
    const table = proxy.table;
    const id = table.lookup(buf, args[0] as number, args[1] as number);
    session.lastCommand = id;
    if (id === 0) return this.#onUnknown(session, buf, start, end);
    if (session.gate !== 0) {
      const passed = this.#gates.pass(session, id, buf, start, end);
      if (passed !== PASS.on) return passed === PASS.taken;
    }
    if (this.#kinds.of(id) === KIND.route) {
      if (!hasArity(table.arity[id] as number, frame.argc)) return this.#refuseArity(session, id);
      if (table.keyRule[id] === KEY_RULE.first && frame.argc > 1) {
        const slot = slotOf(buf, args[2] as number, args[3] as number);
        return this.#proxy.sender.send(session, id, slot, false, buf, start, end);
      }
      return this.#routeByKeys(session, id, buf, start, end);
    }
    return this.#dispatch(session, id, buf, start, end);
  }

  /** A name that the table does not know goes to a node, which may know it. */
  #onUnknown(session: Session, buf: Slab, start: number, end: number): boolean {
    const { args } = this.#proxy.frame;
    const at = args[0] as number;
    const length = args[1] as number;
    if (isCrossProtocol(buf, at, length)) {
      this.onProtocolError(session, '');
      return true;
    }
    if (session.gate !== 0) {
      const passed = this.#gates.pass(session, 0, buf, start, end);
      if (passed !== PASS.on) return passed === PASS.taken;
    }
    // No command has such a name, but older servers take "quit\0" for QUIT and close the connection.
    if (buf.subarray(at, at + length).includes(0)) {
      return this.#locals.refuse(session, 0, KIND.route, buf);
    }
    return this.#dispatch(session, 0, buf, start, end);
  }

  #transaction(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    if (!this.#hasArity(id)) {
      // An EXEC that is rejected ends what was watched, too.
      if (this.#proxy.table.names[id] === 'exec') this.#transactions.forget(session);
      return this.#refuseArity(session, id);
    }
    return this.#transactions.dispatch(session, id, buf, start, end);
  }

  #flow(session: Session, id: number, buf: Slab): boolean {
    if (!this.#hasArity(id)) return this.#refuseArity(session, id);
    const { table, frame } = this.#proxy;
    const steps = FLOW_COMMANDS.get(table.names[id] as string);
    if (steps === undefined) return this.#locals.refuse(session, id, KIND.later, buf);
    const args = argumentsOf(buf, frame);
    return this.#flows.start(session, id, (flow) => steps(flow, args));
  }

  /** EVAL and kin: routed by their keys, with what is known of scripts at hand. */
  #script(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, keys, routing, scripts } = this.#proxy;
    if (!this.#hasArity(id)) return this.#refuseArity(session, id);
    const crossSlotFree = routing.snapshot?.crossSlotFree === true;
    const slot = slotOfKeys(table, id, buf, frame, keys, crossSlotFree);
    if (slot === CROSS_SLOT) return this.#locals.refuseCrossSlot(session, id, false);
    const target = slot < 0 ? this.#proxy.routing.anySlot() : slot;
    return scripts.send(session, id, target, buf, start, end);
  }

  #block(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    if (!this.#hasArity(id)) return this.#refuseArity(session, id);
    const done = this.#blocking.dispatch(session, id, buf, start, end);
    if (done === BLOCKING.ordinary) return this.#routeByKeys(session, id, buf, start, end, false);
    return done === BLOCKING.taken;
  }

  #dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { frame } = this.#proxy;
    if (this.#nodeCommands.takes(id) && this.#kinds.of(id) !== KIND.denied) {
      const done = this.#nodeCommands.dispatch(session, id, buf);
      if (done !== NODE_FORM.none) return done === NODE_FORM.taken;
    }
    switch (this.#kinds.of(id)) {
      case KIND.mget:
      case KIND.mset:
      case KIND.count:
        return this.#splits.dispatch(session, id, buf, start, end);
      case KIND.anyPrimary:
        return this.#proxy.sender.send(
          session,
          id,
          this.#proxy.routing.anySlot(),
          false,
          buf,
          start,
          end,
        );
      case KIND.fanout:
        return this.#fanout.dispatch(session, id, buf, start, end);
      case KIND.container:
        return this.#dispatchContainer(session, id, buf, start, end);
      case KIND.local:
        // COMMAND is legal alone, and a container when something follows.
        if (this.#kinds.isContainer(id, frame.argc)) {
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
        return this.#locals.refuse(session, id, this.#kinds.of(id), buf);
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
    // One more argument than the command takes may name a node.
    if (!this.#nodeCommands.takes(sub) && !this.#hasArity(sub)) {
      return this.#refuseArity(session, sub);
    }
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
    const target = slot === ANY_SLOT ? this.#proxy.routing.anySlot() : slot;
    return this.#proxy.sender.send(session, id, target, true, buf, start, end);
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

  #hasArity(id: number): boolean {
    const { table, frame } = this.#proxy;
    return hasArity(table.arity[id] as number, frame.argc);
  }

  #refuseArity(session: Session, id: number): boolean {
    const name = this.#proxy.table.names[id] ?? 'other';
    return this.#proxy.sender.reject(session, id, wrongArity(name));
  }

  onProtocolError(session: Session, text: string, isLimit = false): void {
    const proxy = this.#proxy;
    proxy.metrics.increment(SCALAR.protocolErrors);
    proxy.metrics.increment(isLimit ? SCALAR.rejectedLimits : SCALAR.rejectedProtocol);
    if (text !== '') {
      const line = asLine(`ERR ${text}`);
      const request = this.#proxy.sender.newRequest(session, 0, ANY_SLOT);
      request.answered = true;
      session.deliver(request, line, 0, line.length);
    }
    session.closeAfterReplies();
  }
}
