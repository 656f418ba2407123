import { describe, expect, it } from 'vitest';
import { NodeCallError } from '../../../src/control/node-client.ts';
import {
  fitToNodeMaxclients,
  maxclientsAdvice,
  pinnedPerNode,
} from '../../../src/control/node-maxclients.ts';
import { recordedLog } from '../../support/recorded-log.ts';

const DEFAULTS = { workers: 4, maxclients: 10_000, pinnedConnections: 8192 };

function answering(reply: unknown) {
  const { log, lines } = recordedLog();
  const asked: unknown[] = [];
  const caller = {
    callAny: async (args: readonly string[]) => {
      asked.push(args);
      if (reply instanceof Error) throw reply;
      return reply;
    },
  };
  return { ask: () => fitToNodeMaxclients(caller, DEFAULTS, log), asked, lines };
}

describe('connections that may be lent to one node', () => {
  it.each([
    [10_000, 4],
    [100, 2],
    [3, 4],
  ])('of %d by each of %d workers leave some to others', (maxclients, workers) => {
    const each = pinnedPerNode(maxclients, workers);
    expect(each).toBeGreaterThan(0);
    if (maxclients > workers) expect(each * workers).toBeLessThanOrEqual(maxclients * 0.8);
  });

  it('follow what the nodes say', async () => {
    const { ask, asked, lines } = answering(['maxclients', '10000']);
    expect(await ask()).toBe(2000);
    expect(asked).toEqual([['CONFIG', 'GET', 'maxclients']]);
    expect(lines).toEqual([]);
  });

  it('are told where the nodes take fewer clients than slotgate', async () => {
    const { ask, lines } = answering(['maxclients', '100']);
    expect(await ask()).toBe(20);
    expect(lines).toMatchObject([
      { level: 'warn', fields: { code: 'node-maxclients', nodeMaxclients: 100 } },
    ]);
    expect(lines[0]?.message).toMatch(/100.*at most 80 clients.*12500.*limits.pinnedConnections/);
  });

  it.each([[[]], [null], [new NodeCallError('a:1', { code: 'auth', message: 'NOPERM' })]])(
    'are not bounded where the account may not read it: %s',
    async (reply) => {
      const { ask, lines } = answering(reply);
      expect(await ask()).toBe(Number.POSITIVE_INFINITY);
      expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    },
  );

  it('need no advice where fewer clients are asked for than fit', () => {
    expect(maxclientsAdvice(1000, { ...DEFAULTS, pinnedConnections: 200 })).toBe('');
    expect(maxclientsAdvice(1000, { ...DEFAULTS, maxclients: 1000 })).toBe('');
    expect(maxclientsAdvice(1000, { ...DEFAULTS, maxclients: 1001 })).not.toBe('');
  });
});
