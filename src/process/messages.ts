/**
 * What supervisor, control and workers say to each other, and calls over it. Messages travel by
 * Node's IPC with structured clone; the supervisor relays between control and workers.
 */

import type { Hint } from '../lib/planes.ts';
import type { WorkerReport } from '../metrics/definitions.ts';
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
  /** Connections of all other workers, so that maxclients holds for the whole. */
  | { readonly kind: 'others'; readonly connections: number }
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

/** Envelope between a process and the supervisor. `worker` 0 means control itself. */
export interface Envelope {
  readonly slotgate: true;
  readonly worker: number;
  readonly body: unknown;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls over a message channel: one side's questions and the other's answers. */
export class CallChannel {
  #next = 0;
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
      const text = error instanceof Error ? error.message : String(error);
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
