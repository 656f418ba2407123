/**
 * What a command meets when its session's gate is not 0: authentication, CLIENT PAUSE, MONITOR,
 * subscriptions, CLIENT REPLY and MULTI. (The bits that stall the session are the session's own.)
 */

import { FLAG } from '../commands/table.ts';
import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { SUBSCRIBE_VERBS, UNSUBSCRIBE_VERBS } from '../upstream/subscriber.ts';
import { hasArity } from './arity.ts';
import type { ProxyCore } from './core.ts';
import type { EffectiveKinds } from './effective-kinds.ts';
import { NOAUTH, whileSubscribed, wrongArity } from './error-replies.ts';
import { argumentsOf } from './frame-arguments.ts';
import type { LocalCommands } from './local-commands.ts';
import { TOO_MANY_BEFORE_AUTH } from './logins.ts';
import type { Monitors } from './monitor/monitors.ts';
import { MAY_REPLICATE, type Pause } from './pause.ts';
import type { PubSub } from './pubsub/pubsub.ts';
import type { Transactions } from './tx/transactions.ts';

/** What the gates made of a command. */
export const PASS = {
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

export interface GateParts {
  readonly locals: LocalCommands;
  readonly transactions: Transactions;
  readonly pubsub: PubSub;
  readonly pause: Pause;
  readonly monitors: Monitors;
}

export class Gates {
  readonly #proxy: ProxyCore;
  readonly #kinds: EffectiveKinds;
  readonly #locals: LocalCommands;
  readonly #transactions: Transactions;
  readonly #pubsub: PubSub;
  readonly #pause: Pause;
  readonly #monitors: Monitors;

  constructor(proxy: ProxyCore, kinds: EffectiveKinds, parts: GateParts) {
    this.#proxy = proxy;
    this.#kinds = kinds;
    this.#locals = parts.locals;
    this.#transactions = parts.transactions;
    this.#pubsub = parts.pubsub;
    this.#pause = parts.pause;
    this.#monitors = parts.monitors;
  }

  /** Gate bits that do not stall: authentication, CLIENT PAUSE and REPLY, MONITOR, MULTI. */
  pass(session: Session, id: number, buf: Slab, start: number, end: number): number {
    if ((session.gate & GATE.auth) !== 0 && !this.#mayUnauthenticated(session, id)) {
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

  /** False when it is refused. */
  #mayUnauthenticated(session: Session, id: number): boolean {
    const { table, sender, logins } = this.#proxy;
    if (!logins.admits(session)) {
      sender.reject(session, id, TOO_MANY_BEFORE_AUTH);
      logins.shutOut(session);
      return false;
    }
    if (((table.flags[id] as number) & FLAG.noAuth) !== 0) return true;
    logins.onFailure(session);
    sender.reject(session, id, NOAUTH);
    return false;
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
    const at = this.#commandAt(id, buf);
    if (at === 0 || !hasArity(table.arity[at] as number, frame.argc)) return PASS.on;
    if (name !== 'ping') {
      // What was watched, too, ends with an EXEC that is rejected.
      if (name === 'exec') this.#transactions.forget(session);
      this.#proxy.sender.reject(session, at, whileSubscribed(table.names[at] as string));
    } else if (frame.argc > 2) return PASS.on;
    else this.#pubsub.ping(session, id, argumentsOf(buf, frame)[1]);
    return PASS.taken;
  }

  /** The whole instance is paused or monitored, or this client monitors it. */
  #underInstanceGates(session: Session, command: number, buf: Slab): number {
    const { frame, table } = this.#proxy;
    const id = this.#commandAt(command, buf);
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
      this.#proxy.sender.reject(session, id, "ERR Replica can't interact with the keyspace");
      return PASS.taken;
    }
    return PASS.on;
  }

  /** The subcommand where the command is a container of such; 0: there is none of that name. */
  #commandAt(id: number, buf: Slab): number {
    const { table, frame } = this.#proxy;
    if (!this.#kinds.isContainer(id, frame.argc)) return id;
    return table.lookupSub(id, buf, frame.args[2] as number, frame.args[3] as number);
  }

  #isWritingExec(session: Session, id: number): boolean {
    return this.#proxy.table.names[id] === 'exec' && this.#transactions.writes(session);
  }

  /** Between MULTI and EXEC everything is queued, but for what ends or concerns the transaction. */
  #insideMulti(session: Session, id: number, buf: Slab, start: number, end: number): number {
    const { table, frame } = this.#proxy;
    const at = this.#commandAt(id, buf);
    if (at === 0 && id !== 0) {
      this.#transactions.abort(session);
      this.#locals.refuseSubcommand(session, id, buf, frame);
      return PASS.taken;
    }
    session.lastCommand = at;
    if (!hasArity(table.arity[at] as number, frame.argc)) {
      if (table.names[at] === 'exec') this.#transactions.forget(session);
      else this.#transactions.abort(session);
      this.#proxy.sender.reject(session, at, wrongArity(table.names[at] as string));
      return PASS.taken;
    }
    if (NOT_QUEUED.has(table.names[at] as string)) return PASS.on;
    this.#transactions.queue(session, at, this.#kinds.of(at), buf, start, end);
    return PASS.taken;
  }
}
