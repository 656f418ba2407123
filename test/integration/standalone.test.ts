/** A primary and its replicas without cluster mode, found by a list of addresses. */
import { afterEach, describe, expect, it } from 'vitest';
import type { RespClient } from '../../src/lib/resp-client.ts';
import { until, withCluster } from '../support/cluster.ts';
import {
  isReady,
  type ServerProcess,
  type StandaloneProxy,
  type StandaloneStage,
  startStandalone,
  startStandaloneProxy,
} from '../support/standalone.ts';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function stage(replicas: number): Promise<StandaloneStage> {
  const started = await startStandalone({ replicas });
  closing.push(() => started.stop());
  return started;
}

async function proxyFor(
  seeds: readonly string[],
  config: Parameters<typeof startStandaloneProxy>[0] = {},
): Promise<StandaloneProxy> {
  const proxy = await startStandaloneProxy({
    upstream: { mode: 'standalone' },
    cluster: { seeds: [...seeds], refreshIntervalMs: '200ms' },
    hold: { timeoutMs: '20s' },
    ...config,
  });
  closing.push(() => proxy.close());
  return proxy;
}

async function clientOf(proxy: StandaloneProxy): Promise<RespClient> {
  const client = await proxy.connect();
  closing.push(async () => client.close());
  return client;
}

/** "role address" of each node, as PROXY NODES has them. */
async function nodesOf(client: RespClient): Promise<string> {
  return JSON.stringify(await client.call('PROXY', 'NODES'));
}

/** How often the picture was read anew. */
async function polls(proxy: StandaloneProxy): Promise<number> {
  const page = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
  return Number(/^slotgate_topology_refreshes_total\{result="ok"\} (\d+)$/m.exec(page)?.[1] ?? 0);
}

async function promote(next: ServerProcess, others: readonly ServerProcess[]): Promise<void> {
  await next.ask('REPLICAOF', 'NO', 'ONE');
  for (const other of others) await other.ask('REPLICAOF', next.host, String(next.port));
}

describe('a list of addresses', () => {
  it('finds the primary and all replicas from a replica alone; keys may stand together', async () => {
    const { servers, seeds } = await stage(2);
    const proxy = await proxyFor([seeds[2] as string]);
    await isReady(proxy);
    const client = await clientOf(proxy);
    expect(await client.call('MSET', 'a', '1', 'b', '2', 'c', '3')).toBe('OK');
    expect(await client.call('SUNIONSTORE', 'x', 'y', 'z')).toBe(0);
    expect(await client.call('RENAME', 'a', 'd')).toBe('OK');
    expect(await servers[0]?.ask('MGET', 'b', 'c', 'd')).toEqual(['2', '3', '1']);
    for (const seed of seeds) expect(await nodesOf(client)).toContain(seed);
  });

  it('follows a promotion, holds meanwhile, and does not go back to the old primary', async () => {
    const { servers, seeds } = await stage(2);
    const [first, second, third] = servers as [ServerProcess, ServerProcess, ServerProcess];
    const proxy = await proxyFor(seeds);
    await isReady(proxy);
    const client = await clientOf(proxy);
    expect(await client.call('SET', 'k', 'before')).toBe('OK');
    await until('replicas have it', async () => (await second.ask('GET', 'k')) === 'before');
    await first.kill();
    const held = client.call('SET', 'k', 'held');
    await promote(second, [third]);
    expect(await held).toBe('OK');
    expect(await second.ask('GET', 'k')).toBe('held');

    await first.start();
    expect(await first.role()).toBe('master');
    const before = await polls(proxy);
    await until('it was seen', async () => (await polls(proxy)) >= before + 3);
    expect(await client.call('SET', 'k', 'after')).toBe('OK');
    expect(await second.ask('GET', 'k')).toBe('after');

    await second.kill();
    const waiting = client.call('SET', 'k', 'again');
    // Only the old primary calls itself one now: it lacks what was written since.
    await promote(third, [first]);
    expect(await waiting).toBe('OK');
    expect(await third.ask('GET', 'k')).toBe('again');
    await until('the old primary follows', async () => (await first.ask('GET', 'k')) === 'again');
  });

  it('a planned switch shows no error', async () => {
    const { servers, seeds } = await stage(1);
    const [first, second] = servers as [ServerProcess, ServerProcess];
    const proxy = await proxyFor(seeds);
    await isReady(proxy);
    const client = await clientOf(proxy);
    let count = 0;
    let isOver = false;
    const writing = (async () => {
      while (!isOver) count = Number(await client.call('INCR', 'n'));
    })();
    await until('writes go on', () => count > 100);
    await first.ask('FAILOVER', 'TO', second.host, String(second.port));
    await until('the roles have changed', async () => (await second.role()) === 'master');
    const before = count;
    await until('writes go on', () => count > before + 100);
    isOver = true;
    await writing;
    expect(Number(await second.ask('GET', 'n'))).toBe(count);
  });
});

describe('reads over replicas', () => {
  const reads = { weights: { primary: 0, replica: 100 }, whenPrimaryDown: 'serve' as const };

  /** GETs that this server has run. */
  async function getsOf(server: ServerProcess): Promise<number> {
    const text = String(await server.ask('INFO', 'commandstats'));
    return Number(/^cmdstat_get:calls=(\d+)/m.exec(text)?.[1] ?? 0);
  }

  async function replicasServe(proxy: StandaloneProxy, count: number): Promise<void> {
    await until('replicas are eligible', async () => {
      const page = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
      return page.split('slotgate_replica_staleness_seconds{').length - 1 >= count;
    });
  }

  it('replicas serve them in any database, also while the primary is dead', async () => {
    const { servers, seeds } = await stage(2);
    const [first, ...replicas] = servers as [ServerProcess, ServerProcess, ServerProcess];
    const proxy = await proxyFor(seeds, { reads: { ...reads, consistency: 'eventual' } });
    await isReady(proxy);
    const client = await clientOf(proxy);
    await client.call('SELECT', '3');
    await client.call('SET', 'k', 'three');
    // Each of them: with eventual reads one may be behind.
    expect(await client.call('WAIT', '2', '10000')).toBe(2);
    await replicasServe(proxy, 2);
    await until('a replica answers', async () => (await client.call('GET', 'k')) === 'three');
    const before = await getsOf(first);
    for (let i = 0; i < 100; i++) expect(await client.call('GET', 'k')).toBe('three');
    expect(await getsOf(first)).toBe(before);
    for (const replica of replicas) expect(await getsOf(replica)).toBeGreaterThan(20);

    await first.kill();
    const from = performance.now();
    for (let i = 0; i < 100; i++) expect(await client.call('GET', 'k')).toBe('three');
    expect(performance.now() - from).toBeLessThan(5000);
  });

  it('a session does not miss its own writes', async () => {
    const { seeds } = await stage(1);
    const proxy = await proxyFor(seeds, { reads: { ...reads, consistency: 'session' } });
    await isReady(proxy);
    const client = await clientOf(proxy);
    await replicasServe(proxy, 1);
    await client.call('SELECT', '2');
    for (let i = 0; i < 300; i++) {
      await client.call('MSET', 'a', `${i}`, 'b', `${i}`);
      expect(await client.call('MGET', 'a', 'b')).toEqual([`${i}`, `${i}`]);
    }
  });
});

describe('upstream.mode', () => {
  it('cluster refuses servers without cluster mode, and says why', async () => {
    const { seeds } = await stage(0);
    const proxy = await proxyFor(seeds, { upstream: { mode: 'cluster' } });
    await until('a reason is there', async () =>
      (await proxy.reason()).includes('runs without cluster mode, and upstream.mode is cluster'),
    );
  });

  it('standalone refuses nodes of a cluster, and says why', async () => {
    await withCluster({ shards: 1, replicas: 0 }, async ({ seeds }) => {
      const proxy = await proxyFor(seeds);
      await until('a reason is there', async () =>
        (await proxy.reason()).includes('runs in cluster mode, and upstream.mode is standalone'),
      );
    });
  });

  it('auto takes what is there', async () => {
    const { seeds } = await stage(0);
    const proxy = await proxyFor(seeds, { upstream: { mode: 'auto' } });
    await isReady(proxy);
  });
});
