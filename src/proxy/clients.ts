/** The clients of one worker: their ids, the table of them, and how they are sent away at its end. */

import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { Runtime } from '../transport/transport.ts';

/** How often draining looks whether all clients have gone. */
const DRAIN_CHECK_MS = 10;
/** Ids of all workers interleave, so that they are unique without asking anybody. */
const WORKERS_MAX = 64;

export class Clients {
  readonly sessions: Session[] = [];
  #counter: number;
  readonly #workerId: number;
  readonly #metrics: WorkerMetrics;

  /** Ids begin after `first`. */
  constructor(metrics: WorkerMetrics, workerId: number, first: number) {
    this.#metrics = metrics;
    this.#workerId = workerId;
    this.#counter = first;
  }

  nextId(): number {
    return ++this.#counter * WORKERS_MAX + this.#workerId;
  }

  add(session: Session): void {
    session.tableIndex = this.sessions.length;
    this.sessions.push(session);
    this.#metrics.increment(SCALAR.connectionsOpened);
    this.#metrics.set(SCALAR.connectionsNow, this.sessions.length);
  }

  remove(session: Session): void {
    const last = this.sessions.pop() as Session;
    if (last !== session) {
      this.sessions[session.tableIndex] = last;
      last.tableIndex = session.tableIndex;
    }
    this.#metrics.set(SCALAR.connectionsNow, this.sessions.length);
    this.countSent(session);
  }

  /** Bytes that it took since the last call; those of clients inside the worker do not count. */
  countSent(session: Session): void {
    if (session.isInner) return;
    this.#metrics.add(SCALAR.sentBytes, session.bytesOut - session.bytesOutCounted);
    session.bytesOutCounted = session.bytesOut;
  }

  /**
   * Answers what is in flight and closes the clients between their commands; resolves when all have
   * gone and `othersBusy` says no, or after `timeoutMs`.
   */
  drain(runtime: Runtime, timeoutMs: number, othersBusy: () => boolean): Promise<void> {
    const deadline = runtime.now() + timeoutMs;
    for (const session of [...this.sessions]) {
      // Nothing is owed to one that waits; what comes for it meanwhile is put back.
      if (session.waits) session.stream.destroy();
      else session.drain();
    }
    return new Promise((resolve) => {
      const check = (): void => {
        const isBusy = this.sessions.length > 0 || othersBusy();
        if (isBusy && runtime.now() < deadline) return;
        stop();
        resolve();
      };
      const stop = runtime.every(DRAIN_CHECK_MS, check);
      check();
    });
  }
}
