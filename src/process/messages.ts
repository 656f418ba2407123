/**
 * What supervisor, control and workers say to each other, and calls over it. Messages travel by
 * Node's IPC with structured clone; the supervisor relays between control and workers.
 */

import type { Config } from '../config/schema.ts';
import type { KnownNode } from '../control/known-nodes.ts';
import { errorText } from '../lib/errors.ts';
import type { Hint } from '../lib/planes.ts';
import type { WorkerReport } from '../metrics/definitions.ts';
import type { MergeMemory } from '../metrics/merge.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import type { Snapshot } from '../topology/snapshot.ts';

export type WorkerToControl =
  | { readonly kind: 'hint'; readonly hint: Hint }
  | {
      readonly kind: 'report';
      readonly report: WorkerReport;
      readonly connections: number;
      /** '' or why this worker cannot serve. */
      readonly notReady: string;
    }
  | CallMessage
  | AnswerMessage;

export type ControlToWorker =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'reads'; readonly plan: ReadPlan }
  /** A parsed COMMAND reply, plain data. */
  | { readonly kind: 'commands'; readonly infos: unknown }
  | {
      readonly kind: 'others';
      /** Of all other workers, so that maxclients holds for the whole. */
      readonly connections: number;
      /** What is amiss with the picture, in words, '' when nothing is. */
      readonly problem: string;
      /** Most connections that this worker may lend per node, see Pins. */
      readonly pinnedPerNode: number;
    }
  | CallMessage
  | AnswerMessage;

export interface CallMessage {
  readonly kind: 'call';
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
  readonly deadlineMs: number;
}

export interface AnswerMessage {
  readonly kind: 'answer';
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** What a process is to be; the supervisor's first message to it. */
export type ChildStart = WorkerStart | ControlStart;

interface AnyStart {
  readonly config: Config;
  /** How many workers should be there. */
  readonly workers: number;
  /** Unix ms at which the instance started. */
  readonly startedAt: number;
}

export interface WorkerStart extends AnyStart {
  readonly role: 'worker';
  readonly instanceId: string;
  /** 1 … 64, no two that live at once have the same; part of client ids. */
  readonly number: number;
  /** What the counter in client ids begins at, so that those of a worker before do not come again. */
  readonly firstClient: number;
  /** Takes the place of one that serves: listens only once it knows the cluster. */
  readonly isSuccessor: boolean;
}

export interface ControlStart extends AnyStart {
  readonly role: 'control';
  /** Of the control process before; null: there was none. */
  readonly memory: MergeMemory | null;
  /** That the control process before knew last: the seeds may be out of date. */
  readonly nodes: readonly KnownNode[];
  /** Workers that live already, by their ids in messages. */
  readonly living: readonly WorkerName[];
}

/** A worker: what messages call it, and its number. */
export interface WorkerName {
  /** Never reused. */
  readonly worker: number;
  readonly number: number;
}

/** `worker` of a relayed message is whom it is for, or who sent it; 0 means control. */
export type SupervisorToChild =
  | { readonly kind: 'start'; readonly start: ChildStart }
  /** To a control that is to replace one: does it find the cluster? It says `found` once it does. */
  | { readonly kind: 'scout'; readonly start: ControlStart }
  | { readonly kind: 'relay'; readonly worker: number; readonly body: unknown }
  | ({ readonly kind: 'hello' } & WorkerName)
  | ({ readonly kind: 'gone' } & WorkerName)
  /** A worker that does not answer, told each second; once it answers again with 0. */
  | ({ readonly kind: 'silent'; readonly silentMs: number } & WorkerName)
  /** The live settings of this are to hold from now on. */
  | { readonly kind: 'reload'; readonly config: Config }
  | { readonly kind: 'drain' }
  /** Does its event loop turn? To be answered by `pong`. */
  | { readonly kind: 'ping' }
  /** To a worker: no new clients; those that are there are served for a while, then as by `stop`. */
  | { readonly kind: 'retire' }
  | { readonly kind: 'stop' };

export type ChildToSupervisor =
  /** The module is loaded. A message sent before would be lost: a cluster worker reads its channel at once. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'relay'; readonly worker: number; readonly body: unknown }
  | { readonly kind: 'listening'; readonly address: { host: string; port: number } }
  | { readonly kind: 'http'; readonly url: string }
  /** What a successor of this control process must know. */
  | { readonly kind: 'config'; readonly config: Config }
  | { readonly kind: 'memory'; readonly memory: MergeMemory }
  | { readonly kind: 'nodes'; readonly nodes: readonly KnownNode[] }
  | { readonly kind: 'found' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'failed'; readonly code: string; readonly text: string };

/** A role as a process of its own. */
export interface ChildRole {
  onMessage(message: SupervisorToChild): void;
  /** Resolves once it serves. */
  start(): Promise<void>;
}

/** By this call control, when it has just started, has a worker report at once. */
export const REPORT_CALL = 'worker.report';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls over a message channel: one side's questions and the other's answers. */
export class CallChannel {
  /** Unlike any other channel's: an answer to a process that has ended must not answer its successor. */
  #next = Date.now() * 1000 + Math.floor(Math.random() * 1000);
  readonly #waiting = new Map<number, Waiting>();
  readonly #send: (message: CallMessage | AnswerMessage) => void;
  readonly #handle: (method: string, argument: unknown, deadlineMs: number) => unknown;

  constructor(
    send: (message: CallMessage | AnswerMessage) => void,
    handle: (method: string, argument: unknown, deadlineMs: number) => unknown,
  ) {
    this.#send = send;
    this.#handle = handle;
  }

  call(method: string, argument: unknown, deadlineMs: number): Promise<unknown> {
    const id = ++this.#next;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${method}: no answer within ${deadlineMs} ms`));
      }, deadlineMs);
      timer.unref();
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send({ kind: 'call', id, method, argument, deadlineMs });
    });
  }

  async onCall(message: CallMessage): Promise<void> {
    try {
      const value = await this.#handle(message.method, message.argument, message.deadlineMs);
      this.#send({ kind: 'answer', id: message.id, value });
    } catch (error) {
      const text = errorText(error);
      this.#send({ kind: 'answer', id: message.id, error: text });
    }
  }

  onAnswer(message: AnswerMessage): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return; // Its deadline has passed.
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error === undefined) waiting.resolve(message.value);
    else waiting.reject(new Error(message.error));
  }

  /** The other side is gone. */
  abandon(reason: string): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new Error(reason));
    }
    this.#waiting.clear();
  }
}
