/** Reads over replicas: where they go, what they may miss, and what happens when a replica fails. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, startTestCluster, until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const READS = { weights: { primary: 0, replica: 100 }, pollMs: 50 };

let cluster: LocalCluster;
const proxies: TestProxy[] = [];
const clients: RespClient[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 3, replicas: 2, nodeTimeoutMs: 3000 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
});

afterAll(() => cluster?.stop());

async function connect(proxy: TestProxy): Promise<RespClient> {
  const client = await connectResp({ host: proxy.host, port: proxy.port });
  clients.push(client);
  return client;
}

/** A slotgate whose replicas have been found fit to serve. */
async function withReads(reads: object = {}): Promise<{ proxy: TestProxy; client: RespClient }> {
  const proxy = await startProxy({ cluster, config: { reads: { ...READS, ...reads } } });
  proxies.push(proxy);
  const client = await connect(proxy);
  await client.call('PROXY', 'READS', 'EVENTUAL');
  await until('replicas serve', async () => {
    const before = await onReplicas('get');
    for (let i = 0; i < 30; i++) await client.call('GET', `warm:${i}`);
    return (await onReplicas('get')) - before >= 30;
  });
  await client.call('PROXY', 'READS', 'DEFAULT');
  return { proxy, client };
}

async function callsOf(node: LocalNode): Promise<Map<string, number>> {
  const info = String(await onNode(cluster, node, (client) => client.call('INFO', 'commandstats')));
  const found = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)];
  return new Map(found.map(([, name, calls]) => [name as string, Number(calls)]));
}

async function rolesNow(role: 'master' | 'slave'): Promise<LocalNode[]> {
  const nodes: LocalNode[] = [];
  for (const node of cluster.nodes) {
    if (node.pid === 0) continue;
    const info = String(
      await onNode(cluster, node, (client) => client.call('INFO', 'replication')),
    );
    if (info.includes(`role:${role}`)) nodes.push(node);
  }
  return nodes;
}

/** Calls of a command at all replicas so far. */
async function onReplicas(command: string): Promise<number> {
  let sum = 0;
  for (const node of await rolesNow('slave')) sum += (await callsOf(node)).get(command) ?? 0;
  return sum;
}

describe('reads over replicas', () => {
  it('go where the weights say, and writes to primaries only', async () => {
    const { client } = await withReads({ consistency: 'eventual' });
    const before = await onReplicas('get');
    for (let i = 0; i < 100; i++) await client.call('SET', `w:${i}`, i);
    for (let i = 0; i < 300; i++) await client.call('GET', `w:${i % 100}`);
    expect((await onReplicas('get')) - before).toBe(300);
    for (const node of await rolesNow('slave')) {
      // What replicas run of SET came by replication, which is not counted as refused.
      const calls = await callsOf(node);
      expect([...calls.keys()]).not.toContain('del');
    }
  });

  it('stay with the primary where a client or the configuration says so', async () => {
    const { proxy, client } = await withReads();
    const count = async (): Promise<number> => {
      const before = await onReplicas('get');
      for (let i = 0; i < 50; i++) await client.call('GET', `m:${i}`);
      return (await onReplicas('get')) - before;
    };
    // A replica that was asked late, on a busy machine, leaves some to the primary.
    const allOnReplicas = async (): Promise<boolean> => (await count()) === 50;
    expect(await client.call('PROXY', 'READS')).toBe('session');
    await until('replicas serve all', allOnReplicas);
    await client.call('PROXY', 'READS', 'PRIMARY');
    expect(await count()).toBe(0);
    await client.call('READONLY');
    expect(await client.call('PROXY', 'READS')).toBe('eventual');
    await until('replicas serve all', allOnReplicas);
    await client.call('READWRITE');
    expect(await client.call('PROXY', 'READS')).toBe('session');
    await client.call('CONFIG', 'SET', 'reads.replicas', 'off');
    expect(await count()).toBe(0);
    await client.call('CONFIG', 'SET', 'reads.replicas', 'on');
    await until('replicas serve again', allOnReplicas);
    await client.call('CONFIG', 'SET', 'reads.weights.replica', '0');
    const other = await connect(proxy);
    await until('weights are taken over', async () => {
      const before = await onReplicas('get');
      for (let i = 0; i < 20; i++) await other.call('GET', `m:${i}`);
      return (await onReplicas('get')) === before;
    });
    await expect(client.call('PROXY', 'READS', 'NEVER')).rejects.toThrow('ERR PROXY READS takes');
  });

  it('of read-only blocks, scripts and several keys go to replicas too', async () => {
    const { client } = await withReads({ consistency: 'eventual' });
    const keys = Array.from({ length: 12 }, (_, i) => `k:${i}`);
    for (const key of keys) await client.call('SET', key, key);
    await until('replicas have them', async () => {
      const values = (await client.call('MGET', ...keys)) as string[];
      return values.every((value, i) => value === keys[i]);
    });
    const seen = async (command: string, run: () => Promise<unknown>): Promise<number> => {
      const before = await onReplicas(command);
      await run();
      return (await onReplicas(command)) - before;
    };
    expect(await seen('mget', () => client.call('MGET', ...keys))).toBeGreaterThan(2);
    expect(await seen('exists', () => client.call('EXISTS', ...keys))).toBeGreaterThan(2);
    const block = async (): Promise<void> => {
      await client.call('MULTI');
      await client.call('GET', '{t}1');
      await client.call('STRLEN', '{t}1');
      expect(await client.call('EXEC')).toEqual([null, 0]);
    };
    expect(await seen('exec', block)).toBe(1);
    const script = "return redis.call('GET', KEYS[1])";
    expect(await seen('eval_ro', () => client.call('EVAL_RO', script, 1, 'k:1'))).toBe(1);
    const digest = String(await client.call('SCRIPT', 'LOAD', script));
    const run = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        expect(await client.call('EVALSHA_RO', digest, 1, 'k:2')).toBe('k:2');
      }
    };
    // Each replica that does not have it is given it.
    expect(await seen('evalsha_ro', run)).toBeGreaterThanOrEqual(20);
    const library =
      "#!lua name=lib\nredis.register_function{function_name='f', callback=function(k) return redis.call('GET', k[1]) end, flags={'no-writes'}}";
    await client.call('FUNCTION', 'LOAD', 'REPLACE', library);
    await until('replicas have the function', async () => {
      try {
        return (await client.call('FCALL_RO', 'f', 1, 'k:3')) === 'k:3';
      } catch {
        return false;
      }
    });
    expect(await seen('fcall_ro', () => client.call('FCALL_RO', 'f', 1, 'k:3'))).toBe(1);
  });

  it('never go there when they have side effects, or belong to a walk', async () => {
    const { client } = await withReads({ consistency: 'eventual' });
    await client.call('HSET', 'h', 'f', 'v');
    const before = new Map<string, number>();
    const commands = ['touch', 'hscan', 'eval', 'setnx', 'getdel', 'publish'];
    for (const command of commands) before.set(command, await onReplicas(command));
    for (let i = 0; i < 10; i++) {
      await client.call('TOUCH', 'h');
      await client.call('HSCAN', 'h', 0);
      await client.call('EVAL', "return redis.call('GET', KEYS[1])", 1, 'x');
      await client.call('GETDEL', 'nothing');
      await client.call('PUBLISH', 'channel', 'text');
    }
    for (const command of commands)
      expect([command, await onReplicas(command)]).toEqual([command, before.get(command)]);
  });

  it('show a client its own writes, pipelined or not, though replicas lag', async () => {
    const { proxy, client } = await withReads();
    const [laggard] = await rolesNow('slave');
    const pid = (laggard as LocalNode).pid;
    process.kill(pid, 'SIGSTOP');
    try {
      const others = [client, await connect(proxy), await connect(proxy)];
      let misses = 0;
      const run = async (one: RespClient, name: number): Promise<void> => {
        for (let i = 0; i < 150; i++) {
          const key = `own:${name}:${i % 7}`;
          const replies = [
            one.call('SET', key, i),
            one.call('GET', key),
            one.call('GET', `${key}:x`),
          ];
          const [, pipelined] = await Promise.all(replies);
          if (pipelined !== String(i)) misses++;
          if ((await one.call('GET', key)) !== String(i)) misses++;
        }
      };
      await Promise.all(others.map(run));
      expect(misses).toBe(0);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('are taken over by others when a replica hangs or dies, without an error', async () => {
    const { proxy } = await withReads({ consistency: 'eventual' });
    const one = await connect(proxy);
    const [first, second] = (await rolesNow('slave')) as [LocalNode, LocalNode];
    let stopped = false;
    let served = 0;
    let slowest = 0;
    const reading = (async () => {
      while (!stopped) {
        const start = performance.now();
        await one.call('MGET', 'a', 'b', 'c', 'd', 'e', 'f');
        slowest = Math.max(slowest, performance.now() - start);
        served++;
      }
    })();
    const more = async (count: number): Promise<void> => {
      const goal = served + count;
      await until('reads go on', async () => served >= goal);
    };
    await more(100);
    process.kill(second.pid, 'SIGSTOP');
    await more(300);
    process.kill(second.pid, 'SIGCONT');
    await cluster.kill(first, 'SIGKILL');
    await more(300);
    await cluster.restart(first);
    stopped = true;
    await reading;
    expect(slowest).toBeLessThan(2500);
  });
});
