/**
 * Commands that take several steps (several nodes one after the other, other workers, waiting):
 * each runs as a flow of calls by clients inside the worker. Its session takes no further command
 * until the flow has answered, so nothing of it can overtake; a client that leaves ends its flow.
 */

import { FLAG } from '../../commands/table.ts';
import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import { errorText } from '../../lib/errors.ts';
import type { Slab } from '../../lib/slab.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import { ANY_SLOT } from '../../route/slot-of-keys.ts';
import { ANY_KEY, type ProxyCore } from '../core.ts';
import { asLine } from '../error-replies.ts';
import { isErrorAt } from '../reply-bytes.ts';
import type { Request, Special } from '../request.ts';
import { type InnerClient, InnerClientClosed } from './inner-client.ts';

/** One running flow, as its steps see it. */
export class Flow implements Special {
  readonly swallows = 0;
  readonly proxy: ProxyCore;
  readonly session: Session;
  readonly command: number;
  /** Null once it is answered or its client has left. */
  #request: Request | null = null;
  #clients: InnerClient[] = [];
  #onCancel: (() => void)[] = [];

  constructor(proxy: ProxyCore, session: Session, command: number) {
    this.proxy = proxy;
    this.session = session;
    this.command = command;
  }

  get isOver(): boolean {
    return this.#request === null;
  }

  /** A client of its own, closed with the flow. */
  client(protocol: 2 | 3 = 2): InnerClient {
    const client = this.proxy.innerClient(protocol, databaseOf(this.session.laneKind));
    this.#clients.push(client);
    if (this.isOver) client.close();
    return client;
  }

  /** Called when the client leaves before the answer, or the answer was given by someone else. */
  onCancel(callback: () => void): void {
    this.#onCancel.push(callback);
  }

  begin(request: Request): void {
    this.#request = request;
    request.special = this;
    this.session.gate |= GATE.blocked;
  }

  /** Answers the client; true unless it has gone or has its answer already. */
  answer(reply: Slab, start = 0, end = reply.length): boolean {
    const request = this.#request;
    if (request === null) return false;
    const { metrics, answers } = this.proxy;
    this.proxy.time = this.proxy.runtime.now();
    const failed = isErrorAt(reply, start);
    if (failed) metrics.countErrorReply(reply, start + 1, end);
    answers.deliver(request, reply, start, end, failed);
    return true;
  }

  onAnswered(): void {
    this.#finish();
    this.session.open(GATE.blocked);
  }

  onAbandoned(): void {
    const callbacks = this.#onCancel;
    this.#finish();
    for (const callback of callbacks) callback();
  }

  #finish(): void {
    this.#request = null;
    this.#onCancel = [];
    for (const client of this.#clients) client.close();
    this.#clients = [];
  }
}

/** Returns the whole reply as RESP bytes of the session's protocol; null when it has answered itself. */
export type FlowSteps = (flow: Flow) => Promise<Buffer | null>;

/** The same for a command that is always a flow; `args[0]` is its name. */
export type FlowCommand = (flow: Flow, args: readonly Buffer[]) => Promise<Buffer | null>;

/** The reply of a flow that may have written, or what is to be said in its place. */
export type Confirm = (flow: Flow, reply: Buffer) => Promise<Buffer>;

export class Flows {
  readonly #proxy: ProxyCore;
  readonly #confirm: Confirm;

  constructor(proxy: ProxyCore, confirm: Confirm) {
    this.#proxy = proxy;
    this.#confirm = confirm;
  }

  /** Its steps may write to any shard. */
  #noteWrites(session: Session, request: Request): void {
    const { reads, routing } = this.#proxy;
    for (const slot of routing.firstSlots) session.written |= 1 << (routing.owner[slot] as number);
    if (reads.isOn) reads.onWrite(request, ANY_KEY);
  }

  /** False when the session must first get the replies that are under way. */
  start(session: Session, id: number, steps: FlowSteps): boolean {
    const proxy = this.#proxy;
    if (session.pending > 0) {
      session.gate |= GATE.barrier;
      return false;
    }
    const flow = new Flow(proxy, session, id);
    const request = proxy.sender.newRequest(session, id, ANY_SLOT);
    flow.begin(request);
    const isWrite = ((proxy.table.flags[id] as number) & FLAG.write) !== 0;
    if (isWrite) this.#noteWrites(session, request);
    const mustConfirm = isWrite && !session.isInner && proxy.durable.isOn;
    // Not in this call stack: the frame at hand is still being dispatched.
    Promise.resolve(flow)
      .then(steps)
      .then((reply) => (mustConfirm && reply !== null ? this.#confirm(flow, reply) : reply))
      .then(
        (reply) => {
          if (reply !== null) flow.answer(reply);
        },
        (error: unknown) => {
          if (error instanceof InnerClientClosed && flow.isOver) return;
          const text = errorText(error);
          flow.answer(asLine(`ERR ${text}`));
        },
      );
    return true;
  }
}
