/**
 * MONITOR across workers: while any client of any worker monitors, all workers show their commands,
 * and the lines go to the workers that have such clients. Nothing here lasts: workers with monitors
 * ask again each second, and what is not asked for again runs out in the workers.
 */

import type { BroadcastAnswer, CallServer, WorkerLink } from './calls.ts';

/** How long workers show their commands after the last request. */
export const LEASE_MS = 3000;
const CALL_MS = 1000;

/** Registers `monitor.watch` and `monitor.lines` on `calls`. */
export function registerMonitorCalls(
  calls: CallServer,
  workers: () => readonly WorkerLink[],
): void {
  let watching: ReadonlySet<number> = new Set();
  calls.register('monitor.watch', async () => {
    const { answers } = await calls.broadcast('monitor.count.local', null, CALL_MS);
    watching = new Set(answers.filter(hasMonitors).map(({ worker }) => worker));
    const ms = watching.size > 0 ? LEASE_MS : 0;
    await calls.broadcast('monitor.lease.local', ms, CALL_MS);
    return watching.size;
  });
  calls.register('monitor.lines', async (lines) => {
    const targets = workers().filter(({ id }) => watching.has(id));
    // A worker that dies meanwhile takes its monitors along.
    await Promise.allSettled(
      targets.map((worker) => worker.call('monitor.feed.local', lines, CALL_MS)),
    );
  });
}

function hasMonitors({ value }: BroadcastAnswer): boolean {
  return typeof value === 'number' && value > 0;
}
