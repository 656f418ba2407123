/**
 * Control's side of calls: the methods it answers for workers, and questions to all workers with
 * their answers merged. How a worker is reached is the caller's affair (a direct call in one
 * process, messages otherwise).
 */

import { withDeadline } from '../lib/deadline.ts';
import { errorText } from '../lib/errors.ts';
import type { ControlCalls } from '../lib/planes.ts';

export type CallErrorCode =
  | 'unknown-method' // nobody registered it
  | 'deadline' // not answered in time; it may still run
  | 'failed'; // the handler threw

export class CallError extends Error {
  readonly code: CallErrorCode;

  constructor(code: CallErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'CallError';
    this.code = code;
  }
}

/** `deadlineMs` is the time left for the answer, for handlers that ask further. */
export type CallHandler = (argument: unknown, deadlineMs: number) => unknown | Promise<unknown>;

/** One worker as control reaches it. */
export interface WorkerLink {
  /** Stable while the worker lives. */
  readonly id: number;
  /** May reject at once when the worker is gone. */
  call(method: string, argument: unknown, deadlineMs: number): Promise<unknown>;
}

export interface BroadcastAnswer {
  readonly worker: number;
  readonly value: unknown;
}

export interface BroadcastSilence {
  readonly worker: number;
  readonly reason: 'deadline' | 'failed';
  readonly message: string;
}

/** Every worker asked is in exactly one of the two lists, each in the workers' order. */
export interface BroadcastResult {
  readonly answers: readonly BroadcastAnswer[];
  readonly missing: readonly BroadcastSilence[];
}

export class CallServer implements ControlCalls {
  readonly #handlers = new Map<string, CallHandler>();
  readonly #workers: () => readonly WorkerLink[];

  /** `workers` names those alive at the moment of each broadcast. */
  constructor(workers: () => readonly WorkerLink[]) {
    this.#workers = workers;
  }

  /** Those alive now, for what is to be said to each of them apart. */
  get workers(): readonly WorkerLink[] {
    return this.#workers();
  }

  /** Registering a method twice is a programmer's error and throws. */
  register(method: string, handler: CallHandler): void {
    if (this.#handlers.has(method)) throw new Error(`call method "${method}" registered twice`);
    this.#handlers.set(method, handler);
  }

  /** Runs the method's handler; rejects with a {@link CallError}, at the latest after `deadlineMs`. */
  async call(method: string, argument: unknown, deadlineMs: number): Promise<unknown> {
    const handler = this.#handlers.get(method);
    if (handler === undefined) throw new CallError('unknown-method', `no call named "${method}"`);
    const running = async (): Promise<unknown> => handler(argument, deadlineMs);
    try {
      return await inTime(running(), method, deadlineMs);
    } catch (error) {
      if (error instanceof CallError) throw error;
      throw new CallError('failed', `call "${method}" failed: ${errorText(error)}`, error);
    }
  }

  /** Asks every worker at once. A dead or silent one is named in `missing`; never rejects. */
  async broadcast(method: string, argument: unknown, deadlineMs: number): Promise<BroadcastResult> {
    const answers: BroadcastAnswer[] = [];
    const missing: BroadcastSilence[] = [];
    const workers = this.#workers();
    const results = await Promise.allSettled(
      workers.map((worker) => askWorker(worker, method, argument, deadlineMs)),
    );
    results.forEach((result, index) => {
      const worker = (workers[index] as WorkerLink).id;
      if (result.status === 'fulfilled') {
        answers.push({ worker, value: result.value });
        return;
      }
      const late = result.reason instanceof CallError && result.reason.code === 'deadline';
      const message = errorText(result.reason);
      missing.push({ worker, reason: late ? 'deadline' : 'failed', message });
    });
    return { answers, missing };
  }
}

/** A link that throws instead of rejecting counts as one that rejects. */
async function askWorker(
  worker: WorkerLink,
  method: string,
  argument: unknown,
  deadlineMs: number,
): Promise<unknown> {
  return inTime(worker.call(method, argument, deadlineMs), method, deadlineMs);
}

function inTime<T>(work: Promise<T>, method: string, deadlineMs: number): Promise<T> {
  return withDeadline(work, deadlineMs, () => {
    throw new CallError('deadline', `call "${method}" not answered in ${deadlineMs} ms`);
  });
}
