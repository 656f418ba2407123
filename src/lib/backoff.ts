/**
 * How long to wait before a connection is tried again: twice as long after each failure in a row.
 * By the jitter many workers, and many of their connections, do not move in step.
 */

const FIRST_MS = 20;
export const BACKOFF_MAX_MS = 1000;

/** `failures` in a row, at least one; `random` is uniform in [0, 1). */
export function backoffMs(failures: number, random: number): number {
  const pause = Math.min(BACKOFF_MAX_MS, FIRST_MS * 2 ** Math.min(failures - 1, 6));
  return pause * (0.5 + random);
}
