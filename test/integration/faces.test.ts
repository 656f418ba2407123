/** What clients take slotgate for: a cluster of several slotgates, a Sentinel, a single Redis. */
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { freePorts } from '../../src/local/ports.ts';
import { startTestCluster } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

let cluster: LocalCluster;
const proxies: TestProxy[] = [];

async function start(config: Parameters<typeof startProxy>[0] = {}): Promise<TestProxy> {
  const proxy = await startProxy({ ...config, cluster });
  proxies.push(proxy);
  return proxy;
}

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 3, replicas: 0 });
});

afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await cluster?.stop();
});

describe('two slotgates announced as one cluster', () => {
  it('share the clients of a cluster-aware client, and either takes any slot', async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const announce = { proxies: [`127.0.0.1:${first}`, `127.0.0.1:${second}`] };
    await start({ config: { port: first, announce } });
    await start({ config: { port: second, announce } });
    const client = new Cluster([{ host: '127.0.0.1', port: first }]);
    for (let i = 0; i < 100; i++) expect(await client.set(`face:${i}`, String(i))).toBe('OK');
    const ports = client.nodes('master').map(({ options }) => options.port);
    expect(ports.sort()).toEqual([first, second].sort());
    client.disconnect();
    const used: number[] = [];
    for (const port of [first, second]) {
      const direct = await connectResp({ host: '127.0.0.1', port });
      for (let i = 0; i < 100; i++) expect(await direct.call('GET', `face:${i}`)).toBe(String(i));
      const stats = String(await direct.call('INFO', 'commandstats'));
      used.push(Number(/cmdstat_set:calls=(\d+)/.exec(stats)?.[1] ?? 0));
      direct.close();
    }
    expect(Math.min(...used)).toBeGreaterThan(20);
    expect(used[0] ?? 0).toBe(100 - (used[1] ?? 0));
  });
});

describe('Sentinel', () => {
  it.each([
    ['its own port', true],
    ['the normal port', false],
  ])('leads ioredis to slotgate, asked on %s', async (_, hasOwnPort) => {
    const [port = 0] = await freePorts(1);
    const proxy = await start({ config: hasOwnPort ? { 'sentinel-port': port } : {} });
    const asked = hasOwnPort ? port : proxy.port;
    const client = new Redis({
      sentinels: [{ host: '127.0.0.1', port: asked }],
      name: 'any-name',
      failoverDetector: true,
    });
    expect(await client.set('by-sentinel', '1')).toBe('OK');
    expect(client.stream.remotePort).toBe(proxy.port);
    client.disconnect();
  });
});

describe('face: standalone', () => {
  it('is a Redis without cluster mode to its clients', async () => {
    const proxy = await start({ config: { face: 'standalone' } });
    const client = await connectResp({ host: proxy.host, port: proxy.port });
    expect(String(await client.call('INFO', 'server'))).toContain('redis_mode:standalone');
    for (const words of [['INFO'], ['SLOTS'], ['COUNTKEYSINSLOT', '1']]) {
      await expect(client.call('CLUSTER', ...words)).rejects.toThrow(
        'ERR This instance has cluster support disabled',
      );
    }
    expect(await client.call('MSET', 'a', '1', 'b', '2')).toBe('OK');
    client.close();
  });
});
