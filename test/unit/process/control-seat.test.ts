import { fileURLToPath } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';
import { ControlSeat, type ControlSeatOptions } from '../../../src/process/control-seat.ts';
import type { ControlStart } from '../../../src/process/messages.ts';
import { Watchdog } from '../../../src/process/watchdog.ts';
import { recordedLog } from '../../support/recorded-log.ts';

const ENTRY = fileURLToPath(new URL('../../support/fake-control.mjs', import.meta.url));

let seat: ControlSeat;

afterEach(async () => {
  vi.unstubAllEnvs();
  await seat.stop();
});

async function begin(over: Partial<ControlSeatOptions> = {}) {
  const { log, lines } = recordedLog();
  seat = new ControlSeat({
    entry: ENTRY,
    log: log as never,
    hasWorkers: () => true,
    begin: () => ({ role: 'control' }) as ControlStart,
    watchdog: new Watchdog({ log: log as never, now: () => performance.now() }),
    onMessage: () => undefined,
    onEarlyEnd: () => undefined,
    ...over,
  });
  const url = await seat.start();
  seat.isUp = true;
  const messages = (): string[] => lines.map(({ message }) => message);
  return { pid: Number(url.split('/').at(-1)), messages };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('a successor that finds the cluster takes over', async () => {
  const { pid, messages } = await begin();
  expect(await seat.replace()).toBe(true);
  expect(isAlive(pid)).toBe(false);
  expect(messages()).toEqual(['control was replaced']);
});

it('one that does not find it changes nothing', async () => {
  const { pid, messages } = await begin({ findLimitMs: 200 });
  vi.stubEnv('FAKE_CONTROL', 'blind');
  expect(await seat.replace()).toBe(false);
  expect(isAlive(pid)).toBe(true);
  expect(messages()).toEqual(['the new control does not find the cluster: the old one stays']);
});

it.each([
  ['workers serve on', true],
  ['no worker serves', false],
])('when it dies, the log says that %s, where they do', async (words, areAlive) => {
  let hasWorkers = true;
  const { pid, messages } = await begin({ hasWorkers: () => hasWorkers });
  process.kill(pid, 'SIGKILL');
  hasWorkers = areAlive;
  await expect.poll(messages).toEqual([`control died; ${words}, restarting it`]);
});
