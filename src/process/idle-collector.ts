/**
 * Gives memory back when nobody needs it. V8 collects when something is allocated, so what a burst
 * leaves behind (garbage, a grown young generation, pooled slabs) would stay for as long as it is
 * quiet afterwards. A collection takes some tens of milliseconds, so it runs only when no client has
 * said anything for a while, once per burst.
 */

import { Session } from 'node:inspector';

const CHECK_MS = 1000;
const QUIET_MS = 2000;

export interface IdleWorker {
  /** Grows with whatever clients do. */
  activity(): number;
  /** Lets go of pooled memory. */
  trim(): void;
}

/** Starts watching; returns what stops it. `now` is monotonic, ms. */
export function collectWhenIdle(worker: IdleWorker, now: () => number): () => void {
  let seen = worker.activity();
  let changedAt = now();
  let isDirty = true;
  const timer = setInterval(() => {
    const activity = worker.activity();
    if (activity !== seen) {
      seen = activity;
      changedAt = now();
      isDirty = true;
      return;
    }
    if (!isDirty || now() - changedAt < QUIET_MS) return;
    isDirty = false;
    worker.trim();
    collectGarbage();
  }, CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The inspector's own command is the one documented way to a full collection without a flag. */
function collectGarbage(): void {
  const session = new Session();
  session.connect();
  session.post('HeapProfiler.collectGarbage', () => {
    // Not here: the answer comes while a lock is held that disconnecting takes too (Node 20 hangs).
    setImmediate(() => session.disconnect());
  });
}
