import { describe, expect, it } from 'vitest';

import { NodeCallError } from '../../../src/control/node-client.ts';
import { fetchCommands } from '../../../src/control/server-commands.ts';
import {
  failoverTimeMs,
  startUpWarnings,
  warnAtStartUp,
} from '../../../src/control/start-up-warnings.ts';
import { recordedLog } from '../../support/recorded-log.ts';

const denied = new NodeCallError('127.0.0.1:1', { code: 'auth', message: 'NOPERM' });

const SITUATION = {
  holdMs: 10_000,
  mode: 'assist',
  takeover: false,
  voters: 3,
  replicas: 3,
  fewestReplicas: 1,
  awaitedReplicas: 0,
} as const;

describe('start-up warnings', () => {
  it('tell that writes wait for more replicas than a shard has', () => {
    const settings = { nodeTimeoutMs: 1000, requireFullCoverage: false };
    expect(startUpWarnings(settings, { ...SITUATION, awaitedReplicas: 1 })).toEqual([]);
    const [warning] = startUpWarnings(settings, { ...SITUATION, awaitedReplicas: 2 });
    expect(warning?.code).toBe('awaited-replicas-missing');
    expect(warning?.message).toContain('writes.wait.replicas is 2, but a shard has 1');
  });

  it('tell a hold that is shorter than a failover, with the number that is enough', () => {
    const settings = { nodeTimeoutMs: 15_000, requireFullCoverage: false };
    const [warning] = startUpWarnings(settings, SITUATION);
    expect(warning?.code).toBe('hold-shorter-than-failover');
    expect(warning?.message).toContain('22000');
    expect(failoverTimeMs(15_000)).toBe(22_000);
    expect(startUpWarnings(settings, { ...SITUATION, holdMs: 22_000 })).toEqual([]);
  });

  it('tell that one failing shard stops them all', () => {
    const settings = { nodeTimeoutMs: 1000, requireFullCoverage: true };
    expect(startUpWarnings(settings, SITUATION).map(({ code }) => code)).toEqual([
      'full-coverage-required',
    ]);
  });

  it('say of whom the hold is too short', () => {
    const settings = { nodeTimeoutMs: 15_000, requireFullCoverage: false };
    const [assist] = startUpWarnings(settings, SITUATION);
    expect(assist?.message).toContain('hangs or is cut off');
    const [observe] = startUpWarnings(settings, { ...SITUATION, mode: 'observe' });
    expect(observe?.message).toContain('to replace a primary: ');
  });

  it.each([
    [1, 'assist', false, true],
    [2, 'assist', false, true],
    [1, 'assist', true, false],
    [1, 'observe', true, true],
    [3, 'assist', false, false],
    [3, 'observe', false, false],
  ] as const)('%d primaries, %s, takeover %s: no majority is %s', (voters, mode, takeover, is) => {
    const settings = { nodeTimeoutMs: 1000, requireFullCoverage: false };
    const warnings = startUpWarnings(settings, { ...SITUATION, voters, mode, takeover });
    expect(warnings.map(({ code }) => code)).toEqual(is ? ['no-majority-possible'] : []);
    const alone = { ...SITUATION, voters, mode, takeover, replicas: 0 };
    expect(startUpWarnings(settings, alone)).toEqual([]);
  });

  it('are none where nothing is known', () => {
    expect(startUpWarnings({ nodeTimeoutMs: null, requireFullCoverage: null }, SITUATION)).toEqual(
      [],
    );
  });

  it('are read from a node and logged', async () => {
    const values = new Map([
      ['cluster-node-timeout', '15000'],
      ['cluster-require-full-coverage', 'yes'],
    ]);
    const callAny = async (command: readonly string[]) => {
      const name = command[2] ?? '';
      return [name, values.get(name)];
    };
    const { log, lines } = recordedLog();
    expect(await warnAtStartUp({ callAny }, SITUATION, log)).toHaveLength(2);
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn']);
  });

  it('are left out where CONFIG is not allowed', async () => {
    const { log, lines } = recordedLog();
    const callAny = () => Promise.reject(denied);
    expect(await warnAtStartUp({ callAny }, SITUATION, log)).toEqual([]);
    expect(lines.every(({ level }) => level === 'debug')).toBe(true);
  });
});

describe('the servers’ commands', () => {
  it('are what COMMAND answers', async () => {
    const reply = [['get', 2, ['readonly', 'fast'], 1, 1, 1]];
    expect(await fetchCommands({ callAny: async () => reply })).toBe(reply);
  });

  it('are unknown where nobody answers or COMMAND is refused', async () => {
    expect(await fetchCommands({ callAny: () => Promise.reject(denied) })).toBeNull();
    expect(await fetchCommands({ callAny: async () => 'strange' })).toBeNull();
  });

  it('do not hide a defect', async () => {
    const defect = new TypeError('x');
    await expect(fetchCommands({ callAny: () => Promise.reject(defect) })).rejects.toBe(defect);
  });
});
