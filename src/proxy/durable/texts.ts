/** What clients are told of writes that their replicas did not acknowledge in time. */

import type { Slab } from '../../lib/slab.ts';

/**
 * Not Redis' NOREPLICAS, which says that nothing was done: libraries send a command again on that word
 * (Sidekiq enqueued each job twice).
 */
const APPLIED = 'UNCONFIRMED The write is applied, but';

export function tooFew(count: number, wanted: number, timeoutMs: number): string {
  return `${APPLIED} only ${count} of ${wanted} replicas acknowledged it within ${timeoutMs} ms (writes.wait)`;
}

/** `line`: the node's error reply to WAIT. */
export function notConfirmed(line: string): string {
  return `UNCERTAIN The write was applied, but its node could not tell who has it (${line}); it may be lost`;
}

export function unconfirmed(address: string, why: string): string {
  return (
    `UNCERTAIN The write was applied by ${address}, which was lost before its replicas ` +
    `acknowledged it (${why}); it may be lost too`
  );
}

/** The error at `at` (its '-') says that a write is applied all the same. */
export function saysApplied(buf: Slab, at: number): boolean {
  return buf.toString('latin1', at + 1, at + 1 + APPLIED.length) === APPLIED;
}
