/** Waiting for states of other processes, which can only be asked for, never announced. */

import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 25;

/**
 * Polls until `reached` returns true; an exception counts as "not yet".
 * @throws Error naming `what` and the last exception after `timeoutMs`.
 */
export async function waitUntil(
  what: string,
  timeoutMs: number,
  reached: () => Promise<boolean> | boolean,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      if (await reached()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`${what} not reached within ${timeoutMs} ms${why}`, { cause: last });
    }
    await delay(POLL_MS);
  }
}
