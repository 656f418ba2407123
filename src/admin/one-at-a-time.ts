/**
 * Pages that cost time to make, one after the other and with pauses, so that however many are asked
 * for the cheap ones, above all health, come in between. Whoever asks while one is still to be made
 * gets it, too: each page is as new as the question.
 */
import { setTimeout } from 'node:timers/promises';

/** The pause after a page, by how long it took: making them takes a fifth of the time at most. */
const PAUSE_SHARE = 4;
const PAUSE_MAX_MS = 500;

export interface PageClock {
  /** Monotonic milliseconds. */
  now(): number;
  pause(ms: number): Promise<unknown>;
}

const CLOCK: PageClock = { now: () => performance.now(), pause: setTimeout };

export function oneAtATime<K, T>(
  make: (key: K) => Promise<T>,
  clock = CLOCK,
): (key: K) => Promise<T> {
  const waiting = new Map<K, Promise<T>>();
  let last: Promise<unknown> = Promise.resolve();
  let restUntil = 0;
  const timed = async (key: K): Promise<T> => {
    const begunAt = clock.now();
    try {
      return await make(key);
    } finally {
      const endedAt = clock.now();
      restUntil = endedAt + Math.min(PAUSE_MAX_MS, (endedAt - begunAt) * PAUSE_SHARE);
    }
  };
  return (key) => {
    const shared = waiting.get(key);
    if (shared !== undefined) return shared;
    const before = last;
    const turn = async (): Promise<T> => {
      await before;
      const restMs = restUntil - clock.now();
      if (restMs > 0) await clock.pause(restMs);
      waiting.delete(key);
      return timed(key);
    };
    const page = turn();
    waiting.set(key, page);
    // How it ends is its askers' affair.
    last = page.catch(() => undefined);
    return page;
  };
}
