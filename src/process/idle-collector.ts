/**
 * Gives memory back when nobody needs it. V8 collects when something is allocated, so what a burst
 * leaves behind (garbage, a grown young generation, pooled slabs) would stay for as long as it is
 * quiet afterwards. A collection takes some tens of milliseconds, so it runs only when no client has
 * said anything for a while, once per burst.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

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
  let collect: (() => void) | null = null;
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
    collect ??= fullCollection();
    collect();
  }, CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * V8's own full collection. It is reached by turning its flag on and reading the function from a
 * fresh context: the constant text 'gc' is all that is ever evaluated. (The inspector offers the
 * same, but its session can deadlock with the main thread on Node 20.)
 */
function fullCollection(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof collect === 'function' ? () => void collect() : () => {};
}
