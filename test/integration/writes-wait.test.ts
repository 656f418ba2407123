/** writes.wait: what is acknowledged has reached replicas, and an error says that a write is applied. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  connectResp,
  ReplyError,
  type RespArgument,
  type RespClient,
  type RespReply,
} from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasCaughtUp, replicasOf, until } from '../support/cluster.ts';
import { Load } from '../support/load/load.ts';
import { MIX } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const APPLIED =
  /^UNCONFIRMED The write is applied, but only 0 of 1 replicas acknowledged it within 300 ms/;
const SLOT = 1;

let proxy: TestProxy;
let clients: RespClient[] = [];

async function connect(): Promise<RespClient> {
  const { host, port } = proxy;
  const client = await connectResp({ host, port, timeoutMs: 30_000 });
  clients.push(client);
  return client;
}

function closeClients(): void {
  for (const client of clients) client.close();
  clients = [];
}

/** The reply, or the error's text. */
async function said(call: Promise<RespReply>): Promise<string> {
  return call.then(String, (error: unknown) =>
    error instanceof ReplyError ? error.message : String(error),
  );
}

async function count(result: 'confirmed' | 'unconfirmed'): Promise<number> {
  const metrics = await Metrics.read(proxy.httpUrl);
  return metrics.sum('slotgate_awaited_writes_total', `result="${result}"`);
}

describe('one replica must have a write', () => {
  const SHARDS = 3;
  const HIT = tagsOfShard(0, SHARDS, 2)[0] as string;
  const SAME_SHARD = tagsOfShard(0, SHARDS, 2)[1] as string;
  const OTHER = tagsOfShard(1, SHARDS, 1)[0] as string;
  let primary: LocalNode;
  let replica: LocalNode;

  beforeAll(async () => {
    proxy = await startProxy({
      shards: SHARDS,
      replicas: 1,
      cluster: { nodeTimeoutMs: 60_000 },
      config: {
        writes: { wait: { replicas: 1, timeoutMs: 300 } },
        crossSlot: { emulate: true },
        cluster: { commandTimeoutMs: '20s' },
      },
    });
    primary = (await ownerOf(proxy.cluster, SLOT)) as LocalNode;
    replica = (await replicasOf(proxy.cluster, primary))[0] as LocalNode;
    await replicasCaughtUp(proxy.cluster, primary);
  });

  afterEach(closeClients);
  afterAll(() => proxy?.close());

  /** Every kind of write, with what it answers when all is well. */
  function writes(client: RespClient): [string, () => Promise<RespReply>, unknown][] {
    const key = (name: string): string => `{${HIT}}${name}`;
    const call =
      (...args: [string, ...RespArgument[]]): (() => Promise<RespReply>) =>
      () =>
        client.call(...args);
    const exec = async (...first: string[]): Promise<RespReply> => {
      if (first.length > 0) await client.call('WATCH', ...first);
      await client.call('MULTI');
      await client.call('INCR', key('n'));
      return client.call('EXEC');
    };
    const popped = async (): Promise<RespReply> => {
      const other = await connect();
      const pop = client.call('BLPOP', key('list'), 20);
      pop.catch(() => undefined); // It may fail before it is asked for.
      await until('it blocks', async () => {
        const metrics = await Metrics.read(proxy.httpUrl);
        return metrics.sum('slotgate_downstream_blocked_clients') === 1;
      });
      await said(other.call('RPUSH', key('list'), 'x'));
      return pop;
    };
    return [
      ['SET', call('SET', key('s'), 'v'), 'OK'],
      ['INCR', call('INCR', key('n')), 1],
      ['EXEC', () => exec(), [2]],
      ['EXEC after WATCH', () => exec(key('n')), [3]],
      ['EVAL', call('EVAL', 'return redis.call("INCR", KEYS[1])', 1, key('n')), 4],
      ['MSET over slots', call('MSET', key('a'), 1, `{${SAME_SHARD}}a`, 1, `{${OTHER}}a`, 1), 'OK'],
      ['DEL over slots', call('DEL', key('a'), `{${SAME_SHARD}}a`, `{${OTHER}}a`), 3],
      ['BLPOP', popped, [key('list'), 'x']],
      ['RENAME over slots', call('RENAME', key('s'), `{${OTHER}}s`), 'OK'],
      ['a big reply', call('GETSET', key('big'), 'x'.repeat(200_000)), null],
      ['FLUSHALL', call('FLUSHALL'), 'OK'],
    ];
  }

  it('writes of all kinds are answered as ever', async () => {
    const client = await connect();
    await client.call('FLUSHALL');
    const before = await count('confirmed');
    for (const [name, write, reply] of writes(client)) {
      expect({ name, reply: await write() }).toEqual({ name, reply });
    }
    await until('they are counted', async () => (await count('confirmed')) >= before + 11);
    expect(await count('unconfirmed')).toBe(0);
  });

  it('a pipeline keeps its order, also over reads and writes of one key', async () => {
    const client = await connect();
    const key = `{${HIT}}order`;
    const calls: Promise<RespReply>[] = [];
    const expected: unknown[] = [];
    await client.call('DEL', key);
    for (let i = 0; i < 300; i++) {
      calls.push(client.call('GET', key), client.call('SET', key, i), client.call('GET', key));
      expected.push(i === 0 ? null : String(i - 1), 'OK', String(i));
      if (i % 7 === 0) await Promise.all(calls);
    }
    expect(await Promise.all(calls)).toEqual(expected);
  });

  it('a big reply comes whole', async () => {
    const client = await connect();
    const value = 'abcdefgh'.repeat(100_000);
    await client.call('SET', `{${HIT}}big`, value);
    expect(await client.call('GETDEL', `{${HIT}}big`)).toBe(value);
  });

  describe('while the replica hangs', () => {
    beforeEach(async () => {
      const client = await connect();
      await client.call('FLUSHALL');
      await proxy.cluster.kill(replica, 'SIGSTOP');
    });

    afterEach(async () => {
      await proxy.cluster.kill(replica, 'SIGCONT');
      await replicasCaughtUp(proxy.cluster, primary);
    });

    it('each kind of write is refused with words that say that it is applied', async () => {
      const client = await connect();
      for (const [name, write] of writes(client)) {
        if (name === 'RENAME over slots') continue; // Its source's shard is not the only one it asks.
        if (/POP/.test(name)) continue; // Answered with what it took, see below.
        expect({ name, said: await said(write()) }).toEqual({
          name,
          said: expect.stringMatching(APPLIED),
        });
      }
    });

    it('a pop is answered with what it took, the only copy', async () => {
      const client = await connect();
      const list = `{${HIT}}jobs`;
      expect(await said(client.call('RPUSH', list, 'one', 'two', 'three'))).toMatch(APPLIED);
      expect(await client.call('LPOP', list)).toBe('one');
      expect(await client.call('BLPOP', list, 1)).toEqual([list, 'two']);
      expect(await client.call('BLPOP', `{${OTHER}}none`, list, 1)).toEqual([list, 'three']);
    });

    it('it is applied', async () => {
      const client = await connect();
      const key = `{${HIT}}applied`;
      const [set, get, incr] = [
        client.call('SET', key, 7),
        client.call('GET', key),
        client.call('INCR', key),
      ].map(said) as [Promise<string>, Promise<string>, Promise<string>];
      expect(await set).toMatch(APPLIED);
      expect(await get).toBe('7');
      expect(await incr).toMatch(APPLIED);
      expect(await client.call('GET', key)).toBe('8');
      expect(await said(client.call('RENAME', key, `{${OTHER}}renamed`))).toMatch(APPLIED);
      expect(await client.call('GET', `{${OTHER}}renamed`)).toBe('8');
      const parts = await said(client.call('MSET', `{${HIT}}a`, 1, `{${OTHER}}a`, 1));
      expect(parts).toMatch(/\(2 of 2 parts were applied\)$/);
    });

    it('errors of the writes themselves pass, and what does not write does not wait', async () => {
      const client = await connect();
      const key = `{${HIT}}string`;
      expect(await said(client.call('SET', key, 1))).toMatch(APPLIED);
      const from = performance.now();
      expect(await client.call('GET', key)).toBe('1');
      expect(await client.call('PUBLISH', 'channel', 'm')).toBe(0);
      expect(performance.now() - from).toBeLessThan(250);
      expect(await said(client.call('LPUSH', key, 1))).toMatch(/^WRONGTYPE/);
    });

    it('others go on: reads of this shard, all of another shard', async () => {
      const [writer, reader] = [await connect(), await connect()];
      const write = said(writer.call('SET', `{${HIT}}k`, 1));
      let isOver = false;
      void write.then(() => {
        isOver = true;
      });
      for (let i = 0; i < 20; i++) {
        await reader.call('GET', `{${HIT}}k`);
        expect(await reader.call('SET', `{${OTHER}}k`, i)).toBe('OK');
      }
      expect(isOver).toBe(false);
      expect(await write).toMatch(APPLIED);
    });

    it('writes that come one after another share a WAIT: none has to wait for all before it', async () => {
      const WRITERS = 24;
      const admin = await connect();
      const writers = await Promise.all(Array.from({ length: WRITERS }, connect));
      const before = await waitsAt(primary);
      await admin.call('CONFIG', 'SET', 'cluster.commandTimeoutMs', '1s');
      /** What the README says of UNCERTAIN: read the key, then decide. */
      const increment = async (client: RespClient, key: string): Promise<string[]> => {
        const first = await said(client.call('INCR', key));
        if (!first.startsWith('UNCERTAIN')) return [first];
        const isThere = (await client.call('GET', key)) !== null;
        return isThere ? [first] : [first, ...(await increment(client, key))];
      };
      const increments: Promise<string[]>[] = [];
      for (const [i, writer] of writers.entries()) {
        increments.push(increment(writer, `{${HIT}}n${i}`));
        await admin.call('GET', `{${HIT}}n${i}`); // Each in a turn of its own.
      }
      const told = await Promise.all(increments);
      await admin.call('CONFIG', 'SET', 'cluster.commandTimeoutMs', '20s');
      expect(told).toEqual(Array(WRITERS).fill([expect.stringMatching(APPLIED)]));
      expect((await waitsAt(primary)) - before).toBeLessThan(WRITERS / 2);
      const keys = writers.map((_, i) => `{${HIT}}n${i}`);
      expect(await admin.call('MGET', ...keys)).toEqual(Array(WRITERS).fill('1'));
    });

    /** How many WAITs it was asked. */
    async function waitsAt(node: LocalNode): Promise<number> {
      return onNode(proxy.cluster, node, async (client) => {
        const info = String(await client.call('INFO', 'commandstats'));
        return Number(/cmdstat_wait:calls=(\d+)/.exec(info)?.[1] ?? 0);
      });
    }

    it('CONFIG SET writes.wait.replicas 0: writes are acknowledged at once', async () => {
      const client = await connect();
      const key = `{${HIT}}live`;
      expect(await client.call('CONFIG', 'SET', 'writes.wait.replicas', 0)).toBe('OK');
      expect(await client.call('SET', key, 1)).toBe('OK');
      expect(await client.call('CONFIG', 'SET', 'writes.wait.replicas', 1)).toBe('OK');
      expect(await said(client.call('SET', key, 2))).toMatch(APPLIED);
    });

    it('a client that leaves while its pop waits: the element goes back', async () => {
      const [popper, pusher] = [await connect(), await connect()];
      const key = `{${HIT}}left`;
      await client0();
      const pop = said(popper.call('BLPOP', key, 20));
      await until('it blocks', async () => {
        const metrics = await Metrics.read(proxy.httpUrl);
        return metrics.sum('slotgate_downstream_blocked_clients') === 1;
      });
      const pushed = said(pusher.call('RPUSH', key, 'x'));
      await until('it is popped', async () => {
        return onNode(proxy.cluster, primary, async (client) => {
          return String(await client.call('INFO', 'clients')).includes('blocked_clients:2');
        });
      });
      popper.close();
      await Promise.all([pop, pushed]);
      const reader = await connect();
      await until('it is back', async () => (await reader.call('LLEN', key)) === 1);
    });

    async function client0(): Promise<void> {
      await (await connect()).call('PING');
    }
  });
});

describe('the primary dies', () => {
  const TAGS = tagsOfShard(0, 1, 2);
  let primary: LocalNode;
  let replicas: LocalNode[];

  beforeEach(async () => {
    proxy = await startProxy({
      shards: 1,
      replicas: 2,
      cluster: { nodeTimeoutMs: 2000 },
      config: {
        writes: { wait: { replicas: 1, timeoutMs: '10s' } },
        failover: { mode: 'observe' },
        cluster: { commandTimeoutMs: '20s' },
      },
    });
    primary = (await ownerOf(proxy.cluster, SLOT)) as LocalNode;
    await until('both replicas follow', async () => {
      replicas = await replicasOf(proxy.cluster, primary);
      return replicas.length === 2;
    });
    await replicasCaughtUp(proxy.cluster, primary);
  });

  afterEach(async () => {
    closeClients();
    await proxy.close();
  });

  async function offsetOf(node: LocalNode): Promise<number> {
    return onNode(proxy.cluster, node, async (client) => {
      const info = String(await client.call('INFO', 'replication'));
      return Number(/slave_repl_offset:(\d+)/.exec(info)?.[1] ?? -1);
    });
  }

  it('kill -9 under load: nothing that was acknowledged is lost', async () => {
    const load = await Load.start({
      name: 'durable',
      port: proxy.port,
      clients: 16,
      depth: 8,
      tags: TAGS,
      mix: MIX.sameSlot,
      seed: 41,
      mayLose: false,
    });
    await load.progress(3000);
    await proxy.cluster.kill(primary, 'SIGKILL');
    const offsets = await Promise.all(replicas.map(offsetOf));
    const freshest = replicas[offsets[0]! >= offsets[1]! ? 0 : 1] as LocalNode;
    // One shard has no majority that could vote.
    await onNode(proxy.cluster, freshest, (client) =>
      client.call('CLUSTER', 'FAILOVER', 'TAKEOVER'),
    );
    await load.progress(3000);
    const report = await load.stop();
    expect(report.wrong).toEqual([]);
    expect(report.broken).toEqual([]);
    expect(Object.fromEntries(report.errors)).toEqual({});
    expect(report.losses.count).toBe(0);
    expect(report.uncertain).toBeLessThanOrEqual(16 * 8);
  });

  it('between a write and what its replicas say: UNCERTAIN', async () => {
    const client = await connect();
    await client.call('SET', `{${TAGS[0]}}k`, 1);
    for (const replica of replicas) await proxy.cluster.kill(replica, 'SIGSTOP');
    const write = said(client.call('SET', `{${TAGS[0]}}k`, 2));
    await until('it waits', async () => {
      return onNode(proxy.cluster, primary, async (node) => {
        return String(await node.call('INFO', 'clients')).includes('blocked_clients:1');
      });
    });
    await proxy.cluster.kill(primary, 'SIGKILL');
    expect(await write).toMatch(/^UNCERTAIN The write was applied by .*ECONNRESET/);
    for (const replica of replicas) await proxy.cluster.kill(replica, 'SIGCONT');
  });
});
