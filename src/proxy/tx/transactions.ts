/**
 * MULTI, EXEC, DISCARD, WATCH and UNWATCH. Commands are queued here and sent as one block, so a
 * transaction costs no connection of its own unless it watches.
 *
 * Inside MULTI each command is one of three by the verdict table's second column: queued for the
 * node, answered by the proxy at its place in EXEC's array, or refused (and EXEC with it).
 */

import { type CommandTable, FLAG } from '../../commands/table.ts';
import { IN_MULTI, KIND } from '../../commands/verdicts.ts';
import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { asciiSlab, type Slab } from '../../lib/slab.ts';
import { RESULT, SCALAR } from '../../metrics/definitions.ts';
import { databaseOf, LANE_KIND } from '../../route/lane-kind.ts';
import {
  ANY_SLOT,
  BAD_ARITY,
  CROSS_SLOT,
  slotOfKeys,
  slotOfUnpaired,
} from '../../route/slot-of-keys.ts';
import type { Pins } from '../blocking/pins.ts';
import { ANY_KEY, type ProxyCore } from '../core.ts';
import { CROSSSLOT, CROSSSLOT_IN_MULTI, CROSSSLOT_OF_WATCH } from '../error-replies.ts';
import { argumentsOf } from '../frame-arguments.ts';
import type { LocalCommands } from '../local-commands.ts';
import { homeOf, isTooLong, TOO_LONG } from '../pubsub/message.ts';
import { Gathering, type Request } from '../request.ts';
import { Block } from './block.ts';
import { hasRun, joinReplies, splice } from './exec-reply.ts';
import { Transaction } from './transaction.ts';
import { Watches } from './watch.ts';

const OK = asciiSlab('+OK\r\n');
const QUEUED = asciiSlab('+QUEUED\r\n');
const EMPTY = asciiSlab('*0\r\n');
const NIL = { 2: asciiSlab('*-1\r\n'), 3: asciiSlab('_\r\n') } as const;
const ABORTED = 'EXECABORT Transaction discarded because of previous errors.';
const PUBLISHES = new Set(['publish', 'spublish']);
/** On the one primary of an upstream without cluster mode they are about everything there is. */
const OF_ALL_SHARDS = new Set(['dbsize', 'flushall', 'flushdb', 'keys', 'randomkey', 'swapdb']);

export class Transactions {
  readonly watches: Watches;
  readonly #proxy: ProxyCore;
  readonly #locals: LocalCommands;
  readonly #open = new Map<Session, Transaction>();

  constructor(proxy: ProxyCore, pins: Pins, locals: LocalCommands) {
    this.#proxy = proxy;
    this.#locals = locals;
    this.watches = new Watches(proxy, pins);
  }

  /** MULTI, EXEC, DISCARD, WATCH, UNWATCH; arity has been checked. False when it must wait. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, sender } = this.#proxy;
    const transaction = this.#open.get(session);
    switch (table.names[id]) {
      case 'multi':
        if (transaction !== undefined) {
          return sender.reject(session, id, 'ERR MULTI calls can not be nested');
        }
        this.#open.set(session, new Transaction());
        session.gate |= GATE.multi;
        return this.#answer(session, id, OK);
      case 'discard':
        if (transaction === undefined) {
          return sender.reject(session, id, 'ERR DISCARD without MULTI');
        }
        this.#close(session, false);
        return this.#answer(session, id, OK);
      case 'exec':
        if (transaction === undefined) {
          return sender.reject(session, id, 'ERR EXEC without MULTI');
        }
        return this.#exec(session, id, transaction);
      case 'watch':
        if (transaction !== undefined) {
          return sender.reject(session, id, 'ERR WATCH inside MULTI is not allowed');
        }
        return this.#watch(session, id, buf, start, end);
      default:
        this.watches.end(session, false);
        return this.#answer(session, id, OK);
    }
  }

  #answer(session: Session, id: number, reply: Slab): boolean {
    this.#proxy.sender.answerLocally(session, id, reply, 0, reply.length, RESULT.ok);
    return true;
  }

  #watch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, keys, sender } = this.#proxy;
    const slot = slotOfKeys(table, id, buf, frame, keys, this.#isCrossSlotFree());
    if (slot === CROSS_SLOT) return sender.reject(session, id, CROSSSLOT);
    return this.watches.watch(session, id, slot, buf, start, end);
  }

  #isCrossSlotFree(): boolean {
    return this.#proxy.routing.snapshot?.crossSlotFree === true;
  }

  /**
   * A command between MULTI and EXEC. `id` is the subcommand's where there is one, 0 for a name that
   * the table does not know.
   */
  queue(session: Session, id: number, kind: number, buf: Slab, start: number, end: number): void {
    const transaction = this.#open.get(session) as Transaction;
    const refusal = this.#refusal(transaction, session, id, kind, buf, end - start);
    if (refusal !== '') {
      transaction.aborted = true;
      this.#proxy.sender.reject(session, id, refusal);
      return;
    }
    const { table, frame, databases } = this.#proxy;
    if (table.names[id] === 'select' && databases.isOn) {
      const database = Number(argumentsOf(buf, frame)[1]?.toString('latin1'));
      transaction.appendSelect(database, buf, start, end);
      transaction.isForReplicas = false;
    } else if (table.inMulti[id] === IN_MULTI.local) {
      transaction.appendLocal(id, argumentsOf(buf, frame));
    } else {
      transaction.append(buf, start, end);
      if (kind === KIND.script) this.#noteScript(transaction, id, buf);
      if (((table.flags[id] as number) & FLAG.readonly) === 0) transaction.isRead = false;
      if (!this.#proxy.reads.isFor(id)) transaction.isForReplicas = false;
      if (kind === KIND.script) transaction.hasScript = true;
    }
    this.#answer(session, id, QUEUED);
  }

  #noteScript(transaction: Transaction, id: number, buf: Slab): void {
    const digest = this.#proxy.scripts.onQueued(id, buf);
    if (digest !== '') transaction.digests.push(digest);
  }

  /** Any command that the session was refused outside of {@link queue}: EXEC fails too. */
  abort(session: Session): void {
    const transaction = this.#open.get(session);
    if (transaction !== undefined) transaction.aborted = true;
  }

  /** '' or why it cannot be queued. */
  #refusal(
    transaction: Transaction,
    session: Session,
    id: number,
    kind: number,
    buf: Slab,
    bytes: number,
  ): string {
    const { table, frame, settings } = this.#proxy;
    const name = shownName(table, id);
    if (id === 0 || kind === KIND.refused || kind === KIND.later || kind === KIND.denied) {
      return this.#locals.refusalOf(id, kind, buf, frame);
    }
    if (((table.flags[id] as number) & FLAG.noMulti) !== 0) {
      return 'ERR Command not allowed inside a transaction';
    }
    const hasOneNode = OF_ALL_SHARDS.has(table.names[id] as string) && this.#isCrossSlotFree();
    if (table.inMulti[id] === IN_MULTI.refuse && !hasOneNode) {
      return `ERR '${name}' is not available inside MULTI through slotgate`;
    }
    const isMessage = PUBLISHES.has(table.names[id] as string);
    if (isMessage && isTooLong(frame)) return TOO_LONG;
    if (isMessage && transaction.home < 0) transaction.home = homeOf(buf, frame);
    if (transaction.size + bytes > settings.maxRequestBuffer) {
      return 'ERR the transaction is larger than limits.maxRequestBuffer';
    }
    return this.#refusalOfSlot(transaction, session, id, buf);
  }

  #refusalOfSlot(transaction: Transaction, session: Session, id: number, buf: Slab): string {
    const { table, frame, keys, routing } = this.#proxy;
    const free = this.#isCrossSlotFree();
    let slot = slotOfKeys(table, id, buf, frame, keys, free);
    // MSET k v k: queued, as by a server; EXEC tells.
    if (slot === BAD_ARITY) slot = slotOfUnpaired(table, id, buf, frame, free);
    if (slot === CROSS_SLOT) return CROSSSLOT_IN_MULTI;
    if (slot < 0) return '';
    if (transaction.slot >= 0 && transaction.slot !== slot && !free) return CROSSSLOT_IN_MULTI;
    const watch = this.watches.of(session);
    if (watch !== undefined && routing.owner[slot] !== routing.owner[watch.slot]) {
      return CROSSSLOT_OF_WATCH;
    }
    transaction.slot = slot;
    return '';
  }

  /** False when it must wait; the transaction is then still open. */
  #exec(session: Session, id: number, transaction: Transaction): boolean {
    const { sender, metrics } = this.#proxy;
    const watch = this.watches.of(session);
    if (transaction.aborted) {
      this.#close(session, false);
      return sender.reject(session, id, ABORTED);
    }
    if (watch?.broken === true) {
      this.#close(session, false);
      return this.#answer(session, id, NIL[session.protocol]);
    }
    if (transaction.remote === 0 && watch === undefined) {
      if (transaction.locals.length > 0) return this.#execLocally(session, id, transaction);
      this.#close(session, false);
      return this.#answer(session, id, EMPTY);
    }
    if (!this.#send(session, id, transaction)) return false;
    metrics.increment(SCALAR.transactions);
    return true;
  }

  #send(session: Session, id: number, transaction: Transaction): boolean {
    const { sender, answers, lanes, reads, routing, retries, scripts, time } = this.#proxy;
    const watch = this.watches.of(session);
    const slot = this.#slotOf(transaction, watch?.slot ?? -1);
    if (transaction.locals.length > 0 && session.pending > 0) {
      session.gate |= GATE.barrier; // Its own answers must see what came before.
      return false;
    }
    if (!scripts.areKnown(session, transaction.digests)) return false;
    const isRead = transaction.isRead && watch === undefined;
    if (!sender.mayUseSlot(session, slot, true, isRead)) return false;
    const onReplica = isRead && reads.isOn && transaction.isForReplicas;
    const lane =
      watch === undefined ? sender.laneFor(session, slot, onReplica) : lanes.usable(watch.lane);
    if (lane === null) {
      if (retries.hold(session, slot, transaction.size)) return false;
      this.#close(session, false);
      sender.failNow(session, id, slot);
      return true;
    }
    const before = scripts.loadsFor(transaction.digests);
    const block = transaction.block(before, databaseOf(session.laneKind));
    const swallows = before.length + 1 + transaction.remote;
    this.#open.delete(session);
    session.gate &= ~GATE.multi;
    const nil = watch === undefined ? null : NIL[session.protocol];
    const request = this.#place(session, id, slot, transaction);
    request.special = new Block(swallows, nil, () => {
      // EXEC ends the watch on the node too.
      if (watch !== undefined) this.watches.end(session, true);
    });
    request.swallow = swallows;
    request.multiKey = true;
    request.isRead = isRead;
    request.lane = lane;
    lane.enqueue(request, block, 0, block.length, false, time);
    if (!transaction.isRead) session.written |= 1 << (routing.owner[slot] as number);
    const top = request.parent ?? request;
    if (!isRead) {
      if (reads.isOn) reads.onWrite(top, this.#isAnyKey(transaction) ? ANY_KEY : slot);
    } else if ((lane.options.kind & LANE_KIND.readonly) !== 0) reads.onRead(top, slot);
    const travelsAlone = routing.motionCount !== 0 && routing.motion[slot] !== 0;
    // What is watched ends with the block; a command behind it uses the shared lane again.
    // So does another database; which one, EXEC's reply tells.
    const selects = transaction.selects.length > 0;
    // So does what the proxy answers itself: it takes effect once the block is known to have run.
    const hasLocals = transaction.locals.length > 0;
    const isAlone = watch !== undefined || selects || travelsAlone || hasLocals;
    if (isAlone || answers.mayBeRefused(lane, request)) session.gate |= GATE.barrier;
    return true;
  }

  /** Without keys a block goes where its messages go when they are published by themselves. */
  #slotOf({ slot, home }: Transaction, watched: number): number {
    if (slot >= 0) return slot;
    if (watched >= 0) return watched;
    return home >= 0 ? home : this.#proxy.routing.anySlot();
  }

  /** A script may write to keys that it was not given; without cluster mode keys are of any slot. */
  #isAnyKey(transaction: Transaction): boolean {
    return transaction.hasScript || this.#isCrossSlotFree();
  }

  /** The request for the block: the session's own, or a part where the proxy's answers are spliced in. */
  #place(session: Session, id: number, slot: number, transaction: Transaction): Request {
    const top = this.#proxy.sender.newRequest(session, id, slot);
    const { locals, selects } = transaction;
    if (locals.length === 0 && selects.length === 0) return top;
    const enter = (database: number): void => this.#proxy.databases.enter(session, database);
    const gathering = new Gathering((parts) => splice(parts, transaction, enter), true, 1);
    top.gathering = gathering;
    const block = this.#addPart(top, gathering, slot);
    for (const _ of locals) this.#addPart(top, gathering, slot);
    gathering.onPart = (part) => {
      if (part === block) this.#afterBlock(session, top, gathering, transaction);
    };
    return block;
  }

  /** The block has its reply: what the proxy answers itself is done now, or not at all. */
  #afterBlock(
    session: Session,
    top: Request,
    gathering: Gathering,
    transaction: Transaction,
  ): void {
    const [block, ...locals] = gathering.parts as [Request, ...Request[]];
    if (hasRun(block) && top.session === session && !top.answered) {
      this.#runLocals(session, gathering, transaction);
      return;
    }
    for (const part of locals) this.#proxy.answers.onPart(part, EMPTY, 0, EMPTY.length);
  }

  #addPart(top: Request, gathering: Gathering, slot: number): Request {
    const { requests, time } = this.#proxy;
    const part = requests.take();
    part.parent = top;
    part.command = top.command;
    part.slot = slot;
    part.startedAt = time;
    gathering.parts.push(part);
    gathering.outstanding++;
    return part;
  }

  #runLocals(session: Session, gathering: Gathering | null, transaction: Transaction): void {
    const { locals } = transaction;
    if (gathering === null || locals.length === 0) return;
    const parts = gathering.parts.slice(-locals.length);
    locals.forEach(({ command, args }, i) => {
      const part = parts[i] as Request;
      const store = (reply: Slab): void => this.#proxy.answers.onPart(part, reply, 0, reply.length);
      const reply = this.#locals.capture(session, command, args);
      if (reply instanceof Promise) reply.then(store);
      else store(reply);
    });
  }

  #execLocally(session: Session, id: number, transaction: Transaction): boolean {
    this.#open.delete(session);
    session.gate &= ~GATE.multi;
    const top = this.#proxy.sender.newRequest(session, id, ANY_SLOT);
    const gathering = new Gathering(joinReplies, true, 0);
    top.gathering = gathering;
    for (const _ of transaction.locals) this.#addPart(top, gathering, ANY_SLOT);
    this.#runLocals(session, gathering, transaction);
    return true;
  }

  /** Forgets what was queued and watched. */
  #close(session: Session, isClean: boolean): void {
    this.#open.delete(session);
    session.gate &= ~GATE.multi;
    this.watches.end(session, isClean);
  }

  /** The client left, or said RESET. */
  forget(session: Session): void {
    this.#close(session, false);
  }

  isOpen(session: Session): boolean {
    return this.#open.has(session);
  }

  /** Would EXEC write now? */
  writes(session: Session): boolean {
    return this.#open.get(session)?.isRead === false;
  }

  /** Commands queued, -1 outside MULTI: CLIENT LIST's `multi`. */
  queued(session: Session): number {
    return this.#open.get(session)?.count ?? -1;
  }
}

function shownName(table: CommandTable, id: number): string {
  return (table.names[id] ?? '').replace('|', ' ').toUpperCase();
}
