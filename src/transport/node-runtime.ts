/** Clock, turns, timers and chance of a real process. */

import type { Runtime } from './transport.ts';

/** performance.now() starts at zero per process; hrtime is CLOCK_MONOTONIC, the same for all. */
const [seconds, nanoseconds] = process.hrtime();
const OFFSET_MS = seconds * 1000 + nanoseconds / 1e6 - performance.now();

export function monotonicNow(): number {
  return performance.now() + OFFSET_MS;
}

export const nodeRuntime: Runtime = {
  now: monotonicNow,
  wallClock: Date.now,
  // The check phase follows the poll phase: everything readable in this turn has been read.
  afterTurn: (task) => void setImmediate(task),
  every(ms, task) {
    const timer = setInterval(task, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  random: Math.random,
};
