/**
 * SCAN while slots move and shards fail over, each call on another connection and worker: every key that is there from start to end is returned. `TEST_SCAN_RUNS`
 * sets how often each of the two kinds of failover is tried (default 1).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient, type RespReply } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import {
  onNode,
  ownerOf,
  replicasCaughtUp,
  replicasOf,
  startTestCluster,
  until,
} from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { moveSlot, primaries } from '../support/load/slots.ts';
import { connectToWorker } from '../support/load/workers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';

const RUNS = Number(process.env.TEST_SCAN_RUNS ?? 1);
const RUN_TIMEOUT_MS = 60_000;
const KEYS = 4000;
const WORKERS = 2;
const CONNECTIONS = 10;
/** The failover comes after so many calls. */
const FAILOVER_AT_CALL = 20;

let cluster: LocalCluster;
let proxy: ProxyProcess;
/** Of the workers in turn. */
const clients: RespClient[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 3, replicas: 1, nodeTimeoutMs: 1000 });
  proxy = await startProxyProcess({
    workers: WORKERS,
    hold: { timeoutMs: '20s' },
    cluster: { seeds: cluster.seeds },
  });
  await until('the proxy is ready', () => proxy.isReady());
  await until('all workers serve', async () => {
    return (await Metrics.read(proxy.httpUrl)).sum('slotgate_workers') === WORKERS;
  });
  for (let i = 0; i < CONNECTIONS; i++) {
    clients.push(await connectToWorker(proxy.port, 1 + (i % WORKERS)));
  }
});

afterAll(async () => {
  for (const client of clients) client.close();
  await proxy?.stop();
  await cluster?.stop();
});

async function asked<T>(
  question: (client: RespClient) => Promise<T>,
  port = proxy.port,
): Promise<T> {
  const client = await connectResp({ host: '127.0.0.1', port, timeoutMs: 60_000 });
  try {
    return await question(client);
  } finally {
    client.close();
  }
}

async function fill(prefix: string, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, i) => `${prefix}:${i}`);
  await asked(async (client) => {
    for (let at = 0; at < count; at += 500) {
      await Promise.all(keys.slice(at, at + 500).map((key) => client.call('SET', key, 'v')));
    }
  });
  return keys;
}

interface Scanned {
  readonly keys: string[];
  readonly calls: number;
}

/** A whole scan, each call on another connection and worker than the last. */
async function scanAll(onCall: (call: number) => void, ...words: string[]): Promise<Scanned> {
  const keys: string[] = [];
  let cursor = '0';
  let calls = 0;
  do {
    const client = clients[calls % clients.length] as RespClient;
    const reply = await client.call('SCAN', cursor, ...words);
    const [next, batch] = reply as [string, string[]];
    expect(next).toMatch(/^(0|[1-9]\d{0,15})$/);
    cursor = next;
    keys.push(...batch);
    onCall(++calls);
  } while (cursor !== '0');
  return { keys, calls };
}

type Failover = (primary: LocalNode) => Promise<void>;

const byCommand: Failover = async (primary) => {
  const [replica] = await replicasOf(cluster, primary);
  await onNode(cluster, replica as LocalNode, (client) => client.call('CLUSTER', 'FAILOVER'));
};

const byKill: Failover = async (primary) => {
  await cluster.kill(primary, 'SIGKILL');
};

async function revive(): Promise<void> {
  for (const node of cluster.nodes) if (node.pid === 0) await cluster.restart(node);
  await until('every node is back and in its place', () => cluster.isFormed().catch(() => false));
}

/** Slots of the shards that do not fail over, so that no move is torn apart by it. */
async function movableSlots(victim: LocalNode): Promise<number[]> {
  const slots: number[] = [];
  for (let slot = 7; slots.length < 12; slot += 601) {
    const owner = await ownerOf(cluster, slot % 16384);
    if (owner !== undefined && owner.port !== victim.port) slots.push(slot % 16384);
  }
  return slots;
}

async function scanThroughFailover(failover: Failover, run: number): Promise<Scanned> {
  const stay = await fill('stay', KEYS);
  const owners = await primaries(cluster);
  const victim = owners[run % owners.length] as LocalNode;
  for (const owner of owners) await replicasCaughtUp(cluster, owner);
  const slots = await movableSlots(victim);
  const survivors = owners.filter((node) => node !== victim);
  let isOver = false;
  let calls = 0;
  const nextCall = (): Promise<void> => {
    const seen = calls;
    return until('the scan goes on', () => isOver || calls > seen);
  };
  let failing: Promise<void> = Promise.resolve();
  const moving = keepMoving({ isOver: () => isOver, nextCall, slots, pair: survivors });
  const scanned = await scanAll(
    (call) => {
      calls = call;
      if (call === FAILOVER_AT_CALL) failing = failover(victim);
    },
    'COUNT',
    '30',
  ).finally(() => (isOver = true));
  await failing;
  const moves = await moving;
  await revive();
  const missing = stay.filter((key) => !new Set(scanned.keys).has(key));
  expect(missing).toEqual([]);
  expect(scanned.calls).toBeGreaterThan(FAILOVER_AT_CALL);
  expect(moves).toBeGreaterThan(0);
  return scanned;
}

/**
 * Does each know the other's config epoch? Before that, the nodes themselves can lose a slot that
 * goes back: a late ping of the one then still outbids the other.
 */
async function agree(pair: readonly LocalNode[]): Promise<boolean> {
  const views = await Promise.all(
    pair.map((node) => onNode(cluster, node, (client) => client.call('CLUSTER', 'NODES'))),
  );
  const epochs = views.map((view) => {
    const lines = String(view).split('\n');
    return pair.map(({ id }) => lines.find((line) => line.startsWith(id))?.split(' ')[6]).join();
  });
  return epochs[0] === epochs[1];
}

interface Moving {
  readonly isOver: () => boolean;
  /** Resolves when the scan has made another call, or is over. */
  readonly nextCall: () => Promise<void>;
  readonly slots: readonly number[];
  readonly pair: readonly LocalNode[];
}

/**
 * Slots go from one to the other of two primaries that stay, every second one back at once; in step
 * with the scan, as nodes that get new epochs all the time elect nobody.
 */
async function keepMoving({ isOver, nextCall, slots, pair }: Moving): Promise<number> {
  let moves = 0;
  const move = async (slot: number): Promise<void> => {
    const from = (await ownerOf(cluster, slot, pair[0])) as LocalNode;
    const to = pair.find(({ port }) => port !== from.port) as LocalNode;
    await moveSlot(cluster, { slot, from, to, batch: 1, betweenSteps: nextCall });
    moves++;
    await until('both know it', () => agree(pair));
  };
  for (let i = 0; !isOver(); i++) {
    const slot = slots[i % slots.length] as number;
    await move(slot);
    if (i % 2 === 1) await move(slot);
  }
  return moves;
}

describe('a scan while slots move and a shard fails over', () => {
  it.each([
    ['CLUSTER FAILOVER', byCommand],
    ['kill -9', byKill],
  ] as const)(
    '%s: every key that is there throughout is returned',
    async (_name, failover) => {
      for (let run = 0; run < RUNS; run++) {
        const startedAt = performance.now();
        const { keys, calls } = await scanThroughFailover(failover, run);
        const ms = Math.round(performance.now() - startedAt);
        const figures = `${calls} calls, ${keys.length} keys given for ${KEYS}, ${ms} ms`;
        if (RUNS > 1) console.log(`${_name} run ${run + 1}: ${figures}`);
      }
    },
    RUNS * RUN_TIMEOUT_MS,
  );
});

describe('a scan', () => {
  let single: PlainRedis;

  beforeAll(async () => {
    await asked((client) => client.call('FLUSHALL'));
    single = await startRedis();
  });

  afterAll(() => single?.stop());

  it('of a database at rest gives every key once, MATCH and TYPE as well', async () => {
    await fill('k', 2000);
    await asked((client) => client.call('RPUSH', 'list', 'a'));
    const { keys } = await scanAll(() => {}, 'COUNT', '100');
    expect(keys.length).toBe(2001);
    expect(new Set(keys).size).toBe(2001);
    expect((await scanAll(() => {}, 'TYPE', 'list', 'COUNT', '500')).keys).toEqual(['list']);
    const matched = await scanAll(() => {}, 'MATCH', 'k:1?', 'COUNT', '700');
    expect(matched.keys.sort()).toEqual(Array.from({ length: 10 }, (_, i) => `k:1${i}`));
  });

  it('takes binary keys', async () => {
    const key = Buffer.from([0, 255, 13, 10, 200]);
    await asked((client) => client.call('SET', key, 'v'));
    const client = await connectResp({ host: '127.0.0.1', port: proxy.port, returnBuffers: true });
    const reply = (await client.call('SCAN', '0', 'MATCH', key, 'COUNT', 100_000)) as [
      Buffer,
      Buffer[],
    ];
    client.close();
    expect(reply[1].some((found) => found.equals(key))).toBe(true);
  });

  it('gives the same keys again to a client whose reply was lost', async () => {
    const [cursor] = (await asked((client) => client.call('SCAN', '0', 'COUNT', 100))) as [string];
    const ask = (): Promise<RespReply> =>
      asked((client) => client.call('SCAN', cursor, 'COUNT', 100));
    const [first, second] = (await Promise.all([ask(), ask()])) as [string, string[]][];
    expect(first?.[1]).toEqual(second?.[1]);
    expect(first?.[0]).not.toBe(second?.[0]);
  });

  it('with a literal hash tag has the keys of that tag only', async () => {
    await asked((client) => client.call('MSET', '{t}a', '1', '{t}b', '2', '{u}c', '3'));
    const { keys, calls } = await scanAll(() => {}, 'MATCH', '{t}*', 'COUNT', '10000');
    expect([keys.sort(), calls]).toEqual([['{t}a', '{t}b'], 1]);
  });

  it('refuses what Redis refuses, in the same words', async () => {
    const forms = [
      ['x'],
      [' 1'],
      ['18446744073709551616'],
      ['-'],
      ['0', 'COUNT', '0'],
      ['0', 'COUNT', 'x'],
      ['0', 'COUNT', '01'],
      ['0', 'COUNT'],
      ['0', 'NOVALUES', '1'],
      ['x', 'FOO'],
      [],
    ];
    const answers = (port: number): Promise<string[]> =>
      asked(
        (client) =>
          Promise.all(forms.map((words) => client.call('SCAN', ...words).then(String, String))),
        port,
      );
    expect(await answers(proxy.port)).toEqual(await answers(single.port));
  });

  it('begins anew with a cursor that was never given out', async () => {
    const found = (await asked((client) => client.call('SCAN', '17', 'COUNT', 100_000))) as [
      string,
      string[],
    ];
    const [, first] = (await asked((client) => client.call('SCAN', 0, 'COUNT', 100_000))) as [
      string,
      string[],
    ];
    expect(found[1].length).toBeGreaterThan(0);
    expect(found[1].slice(0, 100)).toEqual(first.slice(0, 100));
  });

  it('comes to its end while a slot stays half moved, and KEYS gives no key twice', async () => {
    const [from, to] = (await primaries(cluster)) as [LocalNode, LocalNode];
    const key = (await onNode(cluster, from, (client) => client.call('RANDOMKEY'))) as string;
    const slot = (await onNode(cluster, from, (client) =>
      client.call('CLUSTER', 'KEYSLOT', key),
    )) as number;
    await onNode(cluster, to, (client) =>
      client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id),
    );
    await onNode(cluster, from, async (client) => {
      await client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
      await client.call('MIGRATE', to.host, to.port, key, 0, 1000, 'COPY');
    });
    const all = (await asked((client) => client.call('DBSIZE'))) as number;
    const { keys } = await scanAll(() => {}, 'COUNT', '300');
    expect(new Set(keys).size).toBe(all - 1);
    await until('the move is known', async () => {
      const listed = (await asked((client) => client.call('KEYS', '*'))) as string[];
      return listed.length === all - 1 && new Set(listed).size === all - 1;
    });
    await onNode(cluster, to, async (client) => {
      await client.call('CLUSTER', 'SETSLOT', slot, 'STABLE');
      await client.call('DEL', key).catch(() => 0);
    });
    await onNode(cluster, from, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'STABLE'));
  });
});

describe('the other commands about all keys', () => {
  it('FLUSHALL and FLUSHDB take ASYNC and SYNC, and nothing else', async () => {
    await asked(async (client) => {
      for (const name of ['FLUSHALL', 'FLUSHDB']) {
        expect(await client.call(name, 'async')).toBe('OK');
        expect(await client.call(name, 'SYNC')).toBe('OK');
        for (const words of [['NOW'], ['ASYNC', 'SYNC']]) {
          const said = await client.call(name, ...words).then(String, String);
          expect(said).toMatch(/ERR syntax error$/);
        }
      }
    });
  });

  it('RANDOMKEY chooses among all keys alike, nil only when there is none', async () => {
    await asked(async (client) => {
      await client.call('FLUSHALL');
      expect(await client.call('RANDOMKEY')).toBe(null);
      const many = Array.from({ length: 99 }, (_, i) => client.call('SET', `{a}${i}`, i));
      await Promise.all([...many, client.call('SET', '{b}', 1)]);
      const draws = await Promise.all(Array.from({ length: 600 }, () => client.call('RANDOMKEY')));
      const rare = draws.filter((key) => key === '{b}').length;
      expect(draws.includes(null)).toBe(false);
      // 1 in 100 by size, 1 in 2 by shard.
      expect(rare).toBeLessThan(60);
    });
  });
});
