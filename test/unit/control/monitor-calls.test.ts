import { expect, it } from 'vitest';
import { CallServer, type WorkerLink } from '../../../src/control/calls.ts';
import { LEASE_MS, registerMonitorCalls } from '../../../src/control/monitor-calls.ts';

/** Workers by their number of monitors; what each was told. */
function createControl(counts: number[]) {
  const told: (readonly [worker: number, method: string, argument: unknown])[] = [];
  const workers: WorkerLink[] = counts.map((_, id) => ({
    id,
    call: async (method, argument) => {
      if (method === 'monitor.count.local') return counts[id];
      told.push([id, method, argument]);
      return null;
    },
  }));
  const calls = new CallServer(() => workers);
  registerMonitorCalls(calls, () => workers);
  return { calls, told };
}

it('all workers trace while any has a monitor, and lines go to those that have one', async () => {
  const counts = [0, 2, 0];
  const { calls, told } = createControl(counts);
  await calls.call('monitor.watch', null, 100);
  expect(told.splice(0)).toEqual([0, 1, 2].map((id) => [id, 'monitor.lease.local', LEASE_MS]));
  await calls.call('monitor.lines', '+x\r\n', 100);
  expect(told.splice(0)).toEqual([[1, 'monitor.feed.local', '+x\r\n']]);
  counts[1] = 0;
  await calls.call('monitor.watch', null, 100);
  expect(told.splice(0)).toEqual([0, 1, 2].map((id) => [id, 'monitor.lease.local', 0]));
  await calls.call('monitor.lines', '+x\r\n', 100);
  expect(told).toEqual([]);
});
