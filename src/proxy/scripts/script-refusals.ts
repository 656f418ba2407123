/**
 * A script may return any error, also one that reads like MOVED or LOADING. Taken for the node's own
 * word it would have the script run again and again, change where commands go and hold its shard. So a
 * question of our own decides: a command that is refused for the same reasons and does nothing.
 *
 *     sent first                EVAL → -LOADING …   then EXISTS keys → -LOADING: refused, sent again
 *                                                                    → :1       : it ran, this is its reply
 *     sent again, or in doubt   EXISTS keys, EVAL   in one write, so that nothing changes in between
 *
 * What is acted on is the answer to that question, never what the script said. While it is open the
 * command counts as under way on its connection, and its session sends nothing more.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { createSlab, type Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { classifyError, REDIRECT, timedOut, timedOutRead } from '../error-replies.ts';
import type { Request } from '../request.ts';
import { SharedKeys } from '../shared-keys.ts';
import { runsScript, ScriptCall } from './script-call.ts';
import { askNode, questionOf, Witness } from './witness.ts';

/** How often open questions are looked at for those that are not answered in time. */
const EXPIRY_CHECK_MS = 500;

/** Acts on what a node said, as an error line without '-' and CRLF. */
export type Act = (request: Request, line: string) => void;

/** One script whose reply may be its own or its node's. */
interface Question {
  readonly request: Request;
  readonly lane: Lane<Request>;
  /** What came for it. */
  readonly reply: Slab;
  /** One of REDIRECT. */
  readonly kind: number;
  readonly askedAt: number;
}

export class ScriptRefusals {
  readonly #proxy: ProxyCore;
  readonly #act: Act;
  readonly #keys = new SharedKeys();
  readonly #open = new Set<Question>();
  #stopExpiry: (() => void) | null = null;

  constructor(proxy: ProxyCore, act: Act) {
    this.#proxy = proxy;
    this.#act = act;
  }

  /** May what it answers be a script's own words? */
  concerns({ command }: Request): boolean {
    return runsScript(this.#proxy.table, command);
  }

  /** A script's reply reads like a refusal of `kind`. False: it is the client's. */
  onError(request: Request, kind: number, buf: Slab, at: number, end: number): boolean {
    const { special } = request;
    // No node refuses what only reads with READONLY.
    if (kind === REDIRECT.readonly && request.isRead) return false;
    const known = special instanceof ScriptCall ? (special.witness?.refusal ?? '') : '';
    if (known !== '') {
      this.#refused(request, known);
      return true;
    }
    const reply = createSlab(end - at);
    buf.copy(reply, 0, at, end);
    this.#ask(request, kind, reply);
    return true;
  }

  #ask(request: Request, kind: number, reply: Slab): void {
    const proxy = this.#proxy;
    // It stays as if on its lane: nothing of its session may overtake it, nobody recycles it.
    const lane = request.lane as Lane<Request>;
    (request.session as Session).gate |= GATE.barrier;
    const question = { request, lane, reply, kind, askedAt: proxy.time };
    this.#open.add(question);
    this.#stopExpiry ??= proxy.runtime.every(EXPIRY_CHECK_MS, () => this.#expire());
    const asked = kind === REDIRECT.readonly ? encodeRequest(['ROLE']) : this.#probe(request);
    askNode(proxy, lane, request, asked, {
      onReply: (buf, start, end) => this.#onAnswer(question, buf, start, end),
      onLost: () => this.#onLost(question),
    });
  }

  #probe(request: Request): Slab {
    const names = this.#keys.keysOf(this.#proxy.table, request);
    return questionOf([...names].map((name) => Buffer.from(name, 'latin1')));
  }

  #onAnswer(question: Question, buf: Slab, start: number, end: number): void {
    this.#close(question);
    const { request, lane, reply, kind } = question;
    const line = refusalIn(buf, start, end);
    const isReplica = kind === REDIRECT.readonly && saysReplica(buf, start, end);
    if (line === '' && !isReplica) {
      this.#ran(question);
    } else if (isGone(request)) {
      this.#letGo(request, lane);
      this.#proxy.requests.give(request);
    } else {
      if (wasOvertaken(request)) request.overtaken = true;
      this.#refused(request, line || reply.toString('latin1', 1, reply.length - 2));
    }
  }

  /** Its reply is its own. */
  #ran({ request, lane, reply }: Question): void {
    const { retries, answers } = this.#proxy;
    retries.onServed(request);
    this.#letGo(request, lane);
    answers.settle(request, reply, 0, reply.length, true);
  }

  /** It was not executed, and is sent again with the question before it. */
  #refused(request: Request, line: string): void {
    const proxy = this.#proxy;
    const lane = request.lane as Lane<Request>;
    request.special ??= new ScriptCall(proxy, lane);
    const { special } = request;
    if (special instanceof ScriptCall) {
      special.witness ??= new Witness(proxy, request, this.#probe(request));
    }
    this.#act(request, line);
  }

  #letGo(request: Request, lane: Lane<Request>): void {
    lane.release(request);
    request.lane = null;
    request.special?.onLaneLeft?.(lane);
  }

  #close(question: Question): void {
    this.#open.delete(question);
    if (this.#open.size > 0) return;
    this.#stopExpiry?.();
    this.#stopExpiry = null;
  }

  /** The connection is lost, and with it the only way to know. */
  #onLost(question: Question): void {
    this.#close(question);
    const proxy = this.#proxy;
    const { request, lane } = question;
    const mayRetry = request.isRead || proxy.settings.retrySentWrites;
    request.deaths++;
    if (isGone(request)) {
      this.#letGo(request, lane);
      proxy.requests.give(request);
    } else if (mayRetry && request.deaths <= 2) {
      request.lane = null;
      request.formerLane = lane;
      request.special?.onLaneLeft?.(lane);
      proxy.retries.park(request, '', 0);
      proxy.turn.later(proxy.retries);
    } else {
      this.#letGo(request, lane);
      if (!request.isRead) proxy.metrics.increment(SCALAR.uncertainWrites);
      proxy.answers.answerError(request, this.#lostText(question));
    }
  }

  #lostText({ lane, reply }: Question): string {
    const said = reply.toString('latin1', 1, reply.length - 2);
    return (
      `UNCERTAIN The connection to ${this.#addressOf(lane)} was lost before it was known whether ` +
      `"${said}" is the node's word or the script's; it may or may not have been applied`
    );
  }

  #addressOf(lane: Lane<Request>): string {
    const { host, port } = lane.options.endpoint;
    return `${host}:${port}`;
  }

  /** As any command: answered when its node does not answer. The question stays open on its lane. */
  #expire(): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    const limit = proxy.time - proxy.settings.commandTimeoutMs;
    for (const { request, lane, askedAt } of this.#open) {
      if (askedAt >= limit || isGone(request)) continue;
      proxy.metrics.increment(SCALAR.commandTimeouts);
      const address = this.#addressOf(lane);
      if (!request.isRead) proxy.metrics.increment(SCALAR.uncertainWrites);
      const text = request.isRead ? timedOutRead(address, false) : timedOut(address);
      proxy.answers.answerError(request, text);
    }
  }
}

/** Its client has left or was answered. */
function isGone({ session, answered }: Request): boolean {
  return session === null || answered;
}

/** The error line if a node refuses with it, else ''. */
function refusalIn(buf: Slab, start: number, end: number): string {
  if (buf[start] !== 45 || classifyError(buf, start) === REDIRECT.none) return '';
  return buf.toString('latin1', start + 1, end - 2);
}

/** The reply to ROLE begins with the role; Valkey may call it replica one day. */
function saysReplica(buf: Slab, start: number, end: number): boolean {
  return /^\*\d+\r\n[$+][^*]*?(slave|replica)\r\n/.test(buf.toString('latin1', start, end));
}

/**
 * Was a later command of its session on its slot served meanwhile? Its bytes are gone, so nobody can
 * tell whether they had a key in common.
 */
function wasOvertaken(request: Request): boolean {
  for (let at = request.nextInSession; at !== null; at = at.nextInSession) {
    const later = at as Request;
    for (const part of later.gathering?.parts ?? [later]) {
      const isServed = part.done || part.kept;
      if (isServed && part.slot === request.slot && !(part.isRead && request.isRead)) return true;
    }
  }
  return false;
}
