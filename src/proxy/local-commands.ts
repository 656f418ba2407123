/** Runs the commands that the proxy answers itself, and words its refusals. */

import { KIND, refusalText } from '../commands/verdicts.ts';
import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import { errorText } from '../lib/errors.ts';
import type { Slab } from '../lib/slab.ts';
import { RESULT } from '../metrics/definitions.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import type { RequestFrame } from '../resp/request-framer.ts';
import { ANY_SLOT } from '../route/slot-of-keys.ts';
import { SLOT_COUNT } from '../topology/snapshot.ts';
import { hasArity } from './arity.ts';
import type { ProxyCore } from './core.ts';
import { asLine, CROSSSLOT, CROSSSLOT_EMULATED, wrongArity } from './error-replies.ts';
import { argumentsOf } from './frame-arguments.ts';
import { CLUSTER_DISABLED } from './local/cluster.ts';
import type { LocalHandler, LocalServices } from './local/context.ts';
import { localHandlers } from './local/registry.ts';
import { isErrorAt } from './reply-bytes.ts';
import type { Request } from './request.ts';

/** Arguments shown in "unknown command"; Redis cuts at 128 bytes too. */
const SHOWN_BYTES = 128;
/** Connection-state changes that must not overtake commands in flight. */
const EXCLUSIVE = new Set(['hello', 'reset', 'monitor']);

export class LocalCommands {
  readonly services: LocalServices;
  readonly #proxy: ProxyCore;
  readonly #handlers: readonly (LocalHandler | undefined)[];
  #writer = new ReplyWriter(2);

  constructor(proxy: ProxyCore, services: LocalServices) {
    this.#proxy = proxy;
    this.services = services;
    this.#handlers = localHandlers(proxy.table);
  }

  /** False when it must wait for what is in flight. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const { frame, table } = proxy;
    const name = table.names[id] as string;
    if (!hasArity(table.arity[id] as number, frame.argc)) {
      return proxy.sender.reject(session, id, wrongArity(name));
    }
    if (name === 'cluster|countkeysinslot' || name === 'cluster|getkeysinslot') {
      if (this.services.settings.face === 'standalone') {
        return proxy.sender.reject(session, id, CLUSTER_DISABLED);
      }
      return this.#toSlot(session, id, buf, start, end);
    }
    if (session.pending > 0 && EXCLUSIVE.has(name)) {
      // Replies in flight were asked for in the old protocol version.
      session.gate |= GATE.barrier;
      return false;
    }
    if (name === 'select' && proxy.databases.isOn) {
      return proxy.databases.select(session, id, argumentsOf(buf, frame));
    }
    const handler = this.#handlers[id];
    if (handler === undefined) return this.refuse(session, id, table.kind[id] as number, buf);
    const args = argumentsOf(buf, frame);
    const writer = this.#writer;
    writer.reset(session.protocol);
    const { protocol } = session;
    const began = proxy.runtime.now();
    const running = handler({ session, command: id, args, services: this.services }, writer);
    proxy.turn.spent(session, proxy.runtime.now() - began);
    if (session.protocol !== protocol) proxy.watches.onProtocol(session);
    if (running instanceof Promise) {
      // It writes later: the writer stays with it and the next command gets a new one.
      this.#writer = new ReplyWriter(2);
      this.#answerLater(session, id, running, writer);
      return true;
    }
    this.#answer(session, id, writer);
    return true;
  }

  #answer(session: Session, id: number, writer: ReplyWriter): void {
    const { slab, start, end } = writer.finish();
    if (start === end) return; // CLIENT REPLY OFF or SKIP: no reply at all.
    const failed = isErrorAt(slab, start);
    if (failed) this.#proxy.metrics.countErrorReply(slab, start + 1, end);
    this.#proxy.sender.answerLocally(
      session,
      id,
      slab,
      start,
      end,
      failed ? RESULT.error : RESULT.ok,
    );
  }

  /**
   * Its place in the order is kept until the answer is there. What follows waits: all workers and
   * control may be at work for it, and must not be so for thousands that one client has sent ahead.
   */
  #answerLater(session: Session, id: number, running: Promise<void>, writer: ReplyWriter): void {
    const request = this.#proxy.sender.newRequest(session, id, ANY_SLOT);
    session.gate |= GATE.barrier;
    running.then(
      () => this.#settle(request, writer),
      (error: unknown) => {
        const text = errorText(error);
        this.#proxy.answers.answerError(request, `ERR ${text}`);
      },
    );
  }

  #settle(request: Request, writer: ReplyWriter): void {
    if (request.session === null || request.answered) return; // Its client has left.
    const { slab, start, end } = writer.finish();
    this.#proxy.answers.deliver(request, slab, start, end, isErrorAt(slab, start));
  }

  /** Sent to the node that owns the slot named by argument 2. */
  #toSlot(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { args } = this.#proxy.frame;
    const at = args[4] as number;
    const text = buf.toString('latin1', at, at + (args[5] as number));
    const slot = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(slot >= 0 && slot < SLOT_COUNT)) {
      const isNumber = !Number.isNaN(slot);
      const isCount = (this.#proxy.table.names[id] as string).endsWith('countkeysinslot');
      const range = isCount ? 'ERR Invalid slot' : 'ERR Invalid slot or number of keys';
      const other = 'ERR value is not an integer or out of range';
      return this.#proxy.sender.reject(session, id, isNumber ? range : other);
    }
    return this.#proxy.sender.send(session, id, slot, false, buf, start, end);
  }

  /** Commands of kind refused, later and denied, and names that nobody knows. */
  refuse(session: Session, id: number, kind: number, buf: Slab): boolean {
    const { sender, frame } = this.#proxy;
    return sender.reject(session, id, this.refusalOf(id, kind, buf, frame));
  }

  refusalOf(id: number, kind: number, buf: Slab, frame: RequestFrame): string {
    const name = this.#proxy.table.names[id] as string;
    if (kind === KIND.denied) {
      return `ERR '${name.replace('|', ' ').toUpperCase()}' is denied here (commands.deny)`;
    }
    if (kind !== KIND.refused && kind !== KIND.later) return unknownCommand(buf, frame);
    return refusalText(name, kind);
  }

  /** The reply of a command that stands inside a transaction, at its place in EXEC's array. */
  capture(session: Session, id: number, args: readonly Buffer[]): Slab | Promise<Slab> {
    const handler = this.#handlers[id];
    const writer = new ReplyWriter(session.protocol);
    const finish = (): Slab => {
      const { slab, start, end } = writer.finish();
      return slab.subarray(start, end);
    };
    if (handler === undefined)
      writer.simple('OK'); // UNWATCH: EXEC has ended the watch.
    else {
      const running = handler({ session, command: id, args, services: this.services }, writer);
      if (running instanceof Promise) {
        return running.then(finish, (error: unknown) => asLine(`ERR ${errorText(error)}`));
      }
    }
    return finish();
  }

  refuseSubcommand(session: Session, id: number, buf: Slab, frame: RequestFrame): boolean {
    const at = frame.args[2] as number;
    const length = Math.min(frame.args[3] as number, SHOWN_BYTES);
    // Up to a NUL, as Redis' own formatting does.
    const [sub = ''] = buf.toString('latin1', at, at + length).split('\0', 1);
    const name = (this.#proxy.table.names[id] as string).toUpperCase();
    return this.#proxy.sender.reject(
      session,
      id,
      `ERR unknown subcommand '${sub}'. Try ${name} HELP.`,
    );
  }

  refuseCrossSlot(session: Session, id: number, canEmulate: boolean): boolean {
    return this.#proxy.sender.reject(session, id, canEmulate ? CROSSSLOT_EMULATED : CROSSSLOT);
  }
}

/** Redis' own words: ERR unknown command 'foo', with args beginning with: 'a' 'b' */
function unknownCommand(buf: Slab, frame: RequestFrame): string {
  // Up to a NUL, as Redis' own formatting does.
  const [name, ...rest] = argumentsOf(buf, frame).map(
    (arg) => arg.toString('latin1').split('\0', 1)[0] ?? '',
  );
  let shown = '';
  for (const arg of rest) {
    if (shown.length >= SHOWN_BYTES) break;
    shown += `'${arg.slice(0, SHOWN_BYTES - shown.length)}' `;
  }
  return `ERR unknown command '${(name ?? '').slice(0, SHOWN_BYTES)}', with args beginning with: ${shown}`;
}
