/**
 * Gives memory back when nobody needs it. V8 collects when something is allocated, so what a burst
 * leaves behind (garbage, a grown young generation, pooled slabs) would stay for as long as little
 * happens afterwards. A collection takes some tens of milliseconds, so it runs once per burst, when
 * traffic has been light for a while, and once more when clients have fallen silent.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHECK_MS = 1000;
/** How long it must have been light, or silent. */
const QUIET_MS = 2000;
/** Bytes in and out per check up to which traffic is light: a thousand small commands a second. */
export const LIGHT_BYTES = 1024 * 1024;

export interface IdleWorker {
  /** Bytes from and to clients so far; grows with whatever they do. */
  activity(): number;
  /** Lets go of pooled memory. */
  trim(): void;
}

/** Says when to collect. Times are monotonic ms, the caller's. */
export class Quiet {
  #seen: number;
  #changedAt: number;
  #burstAt: number;
  #isDirty = true;
  #hadBurst = false;

  constructor(activity: number, now: number) {
    this.#seen = activity;
    this.#changedAt = now;
    this.#burstAt = now;
  }

  /** True when memory should be given back now. */
  check(activity: number, now: number): boolean {
    const grown = activity - this.#seen;
    this.#seen = activity;
    if (grown !== 0) {
      this.#changedAt = now;
      this.#isDirty = true;
    }
    if (grown > LIGHT_BYTES) {
      this.#burstAt = now;
      this.#hadBurst = true;
    }
    const isSilent = this.#isDirty && now - this.#changedAt >= QUIET_MS;
    const isLight = this.#hadBurst && now - this.#burstAt >= QUIET_MS;
    if (isSilent) this.#isDirty = false;
    if (isSilent || isLight) this.#hadBurst = false;
    return isSilent || isLight;
  }
}

/** Starts watching; returns what stops it. `now` is monotonic, ms. */
export function collectWhenIdle(worker: IdleWorker, now: () => number): () => void {
  const quiet = new Quiet(worker.activity(), now());
  let collect: (() => void) | null = null;
  const timer = setInterval(() => {
    if (!quiet.check(worker.activity(), now())) return;
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
