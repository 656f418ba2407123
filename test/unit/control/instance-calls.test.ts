import { afterEach, describe, expect, it, vi } from 'vitest';
import { CallServer, type WorkerLink } from '../../../src/control/calls.ts';
import { registerInstanceCalls } from '../../../src/control/instance-calls.ts';
import type { InstanceNodes } from '../../../src/control/node-access.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';

type Answer = (argument: unknown) => unknown;

function worker(id: number, answers: Readonly<Record<string, Answer>>): WorkerLink {
  return {
    id,
    call: async (method, argument) => {
      const answer = answers[method];
      if (answer === undefined) throw new Error('worker has gone');
      return answer(argument);
    },
  };
}

const never = (): Promise<never> => new Promise(() => {});

function snapshotOf(ports: readonly number[]): Snapshot {
  return {
    upstreamId: 0,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes: ports.map((port) => ({
      id: `node-${port}`,
      host: '10.0.0.1',
      port,
      role: 'primary',
      failed: false,
      zone: '',
    })),
    shards: ports.map((_, i) => ({ primary: i, replicas: [], configEpoch: i })),
    slots: new Uint16Array(16384),
    motion: new Uint8Array(2048),
    polledAt: 0,
    serverVersion: '7.0.15',
  };
}

interface Rig {
  readonly calls: CallServer;
  readonly clock: { ms: number };
}

function createRig(options: {
  readonly workers?: readonly WorkerLink[];
  readonly nodes?: Partial<InstanceNodes>;
}): Rig {
  const calls = new CallServer(() => options.workers ?? []);
  const clock = { ms: 1000 };
  const unreachable = async (): Promise<never> => {
    throw new Error('no node answers');
  };
  registerInstanceCalls(calls, {
    now: () => clock.ms,
    nodes: {
      snapshot: () => null,
      callAny: unreachable,
      callNode: unreachable,
      ...options.nodes,
    },
  });
  return { calls, clock };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('client.list', () => {
  it('merges the clients of all workers by id', async () => {
    const seen: unknown[] = [];
    const list = (...ids: number[]) => ({
      'client.list.local': (filter: unknown) => {
        seen.push(filter);
        return ids.map((id) => ({ id, line: `id=${id}` }));
      },
    });
    const { calls } = createRig({ workers: [worker(1, list(130, 65)), worker(2, list(66))] });
    expect(await calls.call('client.list', { ids: [1] }, 1000)).toEqual({
      clients: [65, 66, 130].map((id) => ({ id, line: `id=${id}` })),
      silent: 0,
    });
    expect(seen).toEqual([{ ids: [1] }, { ids: [1] }]);
  });

  it('counts a silent worker, not one that has gone', async () => {
    vi.useFakeTimers();
    const workers = [worker(1, {}), worker(2, { 'client.list.local': never })];
    const asking = createRig({ workers }).calls.call('client.list', {}, 1000);
    await vi.advanceTimersByTimeAsync(950);
    expect(await asking).toEqual({ clients: [], silent: 1 });
  });
});

it('client.kill adds what the workers killed', async () => {
  const kill = (count: number) => ({ 'client.kill.local': () => count });
  const { calls } = createRig({ workers: [worker(1, kill(2)), worker(2, kill(3))] });
  expect(await calls.call('client.kill', {}, 1000)).toEqual({ killed: 5, silent: 0 });
});

it('workers.info adds counters and takes the highest peaks', async () => {
  const facts = (n: number) => ({
    'info.local': () => ({
      sums: { clients: n },
      peaks: { input: n },
      errors: { ERR: n },
      commands: { get: [n, n, 0, 1], [`only-${n}`]: [1, 1, 1, 1] },
    }),
  });
  const { calls } = createRig({
    workers: [worker(1, facts(2)), worker(2, facts(5)), worker(3, {})],
  });
  expect(await calls.call('workers.info', null, 800)).toEqual({
    workers: 2,
    sums: { clients: 7 },
    peaks: { input: 5 },
    errors: { ERR: 7 },
    commands: { get: [7, 7, 0, 2], 'only-2': [1, 1, 1, 1], 'only-5': [1, 1, 1, 1] },
  });
});

describe('nodes.info', () => {
  const info = (hits: number) => Buffer.from(`# Stats\r\nkeyspace_hits:${hits}\r\n`);

  it('asks every primary once for all who want to know, and again after a while', async () => {
    const asked: string[] = [];
    const { calls, clock } = createRig({
      nodes: {
        snapshot: () => snapshotOf([1, 2]),
        callNode: async (node, command) => {
          asked.push(`${node.port} ${command.join(' ')}`);
          return info(node.port);
        },
      },
    });
    const ask = () => calls.call('nodes.info', null, 800);
    const expected = {
      asked: 2,
      answered: 2,
      sections: { stats: { keyspace_hits: '3' } },
      keyspace: {},
    };
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([expected, expected, expected]);
    clock.ms += 499;
    await ask();
    expect(asked).toEqual(['1 INFO', '2 INFO']);
    clock.ms += 1;
    await ask();
    expect(asked).toHaveLength(4);
  });

  it('goes on without a node that hangs, with what it said last', async () => {
    vi.useFakeTimers();
    let hangs = false;
    const { calls, clock } = createRig({
      nodes: {
        snapshot: () => snapshotOf([1, 2]),
        callNode: (node) => (hangs && node.port === 2 ? never() : Promise.resolve(info(node.port))),
      },
    });
    const ask = async () => {
      const asking = calls.call('nodes.info', null, 800);
      await vi.advanceTimersByTimeAsync(250);
      return asking;
    };
    await ask();
    hangs = true;
    clock.ms += 500;
    const stats = (hits: number) => ({ sections: { stats: { keyspace_hits: String(hits) } } });
    expect(await ask()).toMatchObject({ asked: 2, answered: 1, ...stats(3) });
    clock.ms += 60_000;
    expect(await ask()).toMatchObject({ asked: 2, answered: 1, ...stats(1) });
  });

  it('answers before anything is known, and when no node does', async () => {
    const nothing = { answered: 0, sections: {}, keyspace: {} };
    expect(await createRig({}).calls.call('nodes.info', null, 800)).toEqual({
      asked: 0,
      ...nothing,
    });
    const { calls } = createRig({ nodes: { snapshot: () => snapshotOf([1]) } });
    expect(await calls.call('nodes.info', null, 800)).toEqual({ asked: 1, ...nothing });
  });
});

describe('nodes.docs and nodes.modules', () => {
  it('are asked once a minute; a failure is not kept', async () => {
    const asked: string[] = [];
    let works = false;
    const { calls, clock } = createRig({
      nodes: {
        callAny: async (command) => {
          asked.push(command.join(' '));
          if (!works) throw new Error('no node answers');
          return ['answer'];
        },
      },
    });
    await expect(calls.call('nodes.docs', null, 800)).rejects.toThrow('no node answers');
    works = true;
    expect(await calls.call('nodes.docs', null, 800)).toEqual(['answer']);
    clock.ms += 59_999;
    await calls.call('nodes.docs', null, 800);
    expect(asked).toEqual(['COMMAND DOCS', 'COMMAND DOCS']);
    clock.ms += 1;
    await calls.call('nodes.docs', null, 800);
    await calls.call('nodes.modules', null, 800);
    expect(asked.slice(2)).toEqual(['COMMAND DOCS', 'MODULE LIST']);
  });
});

describe('stats.reset', () => {
  const workers = [worker(1, { 'stats.reset.local': () => undefined })];

  it('resets workers and primaries, and forgets what INFO said', async () => {
    const asked: string[] = [];
    const nodes: Partial<InstanceNodes> = {
      snapshot: () => snapshotOf([1, 2]),
      callNode: async (_, command) => {
        asked.push(command.join(' '));
        return Buffer.from('');
      },
    };
    const { calls } = createRig({ workers, nodes });
    await calls.call('nodes.info', null, 800);
    expect(await calls.call('stats.reset', null, 1000)).toEqual({ error: undefined });
    await calls.call('nodes.info', null, 800);
    const reset = 'CONFIG RESETSTAT';
    expect(asked).toEqual(['INFO', 'INFO', reset, reset, 'INFO', 'INFO']);
  });

  it('names the node that did not, and says when a worker did not', async () => {
    const nodes = { snapshot: () => snapshotOf([1]) };
    expect(await createRig({ workers, nodes }).calls.call('stats.reset', null, 1000)).toEqual({
      error: '10.0.0.1:1: no node answers',
    });
    const gone = createRig({ workers: [worker(1, {})] });
    expect(await gone.calls.call('stats.reset', null, 1000)).toEqual({
      error: 'a worker did not answer in time',
    });
  });
});
