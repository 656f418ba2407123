/** Those who need a picture whose poll began after a moment. */

import type { Snapshot } from '../topology/snapshot.ts';

interface Waiter {
  readonly after: number;
  readonly resolve: (snapshot: Snapshot | null) => void;
}

export class PictureWaiters {
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#waiters.size;
  }

  /** The first picture of a poll that began after `time`; null when there is none in `timeoutMs`. */
  wait(time: number, timeoutMs: number): Promise<Snapshot | null> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        after: time,
        resolve: (snapshot) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(snapshot);
        },
      };
      const timer = setTimeout(() => waiter.resolve(null), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  tell(snapshot: Snapshot): void {
    for (const waiter of this.#waiters) {
      if (snapshot.polledAt > waiter.after) waiter.resolve(snapshot);
    }
  }

  giveUp(): void {
    for (const waiter of this.#waiters) waiter.resolve(null);
  }
}
