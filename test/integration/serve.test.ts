/** `slotgate serve` and its neighbours on the command line, as processes of their own. */
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { freePorts } from '../../src/local/ports.ts';
import { startTestCluster, type TestClusterOptions, until } from '../support/cluster.ts';
import { startProxy } from '../support/proxy.ts';
import {
  type ProxyProcess,
  runSlotgate,
  startProxyProcess,
  withConfigFile,
} from '../support/proxy-process.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';

const PASSWORD = 'node-secret-7f3a';
const WRONG = 'guess-91c2';

const toStop: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

async function serve(config: ConfigInput): Promise<ProxyProcess> {
  const proxy = await startProxyProcess(config);
  toStop.push(() => proxy.stop());
  return proxy;
}

async function clusterOf(options: TestClusterOptions): Promise<LocalCluster> {
  const cluster = await startTestCluster({ shards: 3, replicas: 0, ...options });
  toStop.push(() => cluster.stop());
  return cluster;
}

async function redisWith(settings: Readonly<Record<string, string>>): Promise<PlainRedis> {
  const redis = await startRedis(settings);
  toStop.push(() => redis.stop());
  return redis;
}

async function connect({ port }: { readonly port: number }): Promise<RespClient> {
  const client = await connectResp({ host: '127.0.0.1', port, timeoutMs: 15_000 });
  toStop.push(async () => client.close());
  return client;
}

async function readyz(proxy: ProxyProcess): Promise<string> {
  return (await proxy.get('/readyz')).text();
}

describe('a start that fails', () => {
  test('a configuration that is wrong names file, line, column and what is allowed', async () => {
    const text = 'port: 70000\ncluster:\n  seedz: [a:1]\nlimits:\n  replyHighWater: lots\n';
    await withConfigFile(text, async (file) => {
      const { code, out, err } = await runSlotgate(['serve', '-c', file]);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      const lines = err.trimEnd().split('\n');
      expect(lines.find((line) => line.includes(`${file}:1:7`))).toMatch(/port.*70000.*0 to 65535/);
      expect(lines.find((line) => line.includes(`${file}:3:3`))).toMatch(/seedz.*seeds/);
      expect(lines.find((line) => line.includes(`${file}:5:19`))).toMatch(/lots.*such as 64mb/);
    });
  });

  test('a file that is not there', async () => {
    const { code, err } = await runSlotgate(['serve', '-c', '/nowhere/slotgate.yaml']);
    expect(code).toBe(1);
    expect(err).toMatch(/^slotgate: .*\/nowhere\/slotgate\.yaml.*\n$/);
  });

  test.each([
    ['port', '--port', 1],
    ['http.port', '--http-port', 1],
    ['port', '--port', 2],
    ['http.port', '--http-port', 2],
  ] as const)(
    'a busy %s is told in one line that names %s (%d workers)',
    async (name, option, workers) => {
      const { server, port } = await occupied();
      const ports = name === 'port' ? { port, http: { port: 0 } } : { port: 0, http: { port } };
      await withConfigFile({ ...ports, workers, log: { level: 'error' } }, async (file) => {
        const { code, out, err } = await runSlotgate(['serve', '-c', file]);
        expect({ code, out }).toEqual({ code: 1, out: '' });
        expect(err.trimEnd().split('\n')).toHaveLength(1);
        expect(err).toContain(String(port));
        expect(err).toContain(option);
      }).finally(() => server.close());
    },
  );
});

function occupied(): Promise<{ server: Server; port: number }> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({ server, port: typeof address === 'object' && address !== null ? address.port : 0 });
    });
  });
}

describe('a cluster that is not there yet', () => {
  test('is waited for, and served once it has come up', async () => {
    const [nodePort = 0] = await freePorts(1);
    const proxy = await serve({
      cluster: { seeds: [`127.0.0.1:${nodePort}`], refreshIntervalMs: 200 },
      hold: { timeoutMs: 300 },
    });
    await until('readiness says why', async () => {
      return (await readyz(proxy)).includes(`127.0.0.1:${nodePort}`);
    });
    expect(await readyz(proxy)).toMatch(/^not ready: .*ECONNREFUSED/);
    const health = ['healthcheck', '--url', `${proxy.httpUrl}/readyz`];
    const sick = await runSlotgate(health);
    expect(sick.code).toBe(3);
    expect(sick.err).toMatch(/503 not ready: /);

    const client = await connect(proxy);
    await expect(client.call('GET', 'a')).rejects.toThrow(/^CLUSTERDOWN .*hold\.timeoutMs/);
    expect(await client.call('PING')).toBe('PONG');

    // The first node takes the port that was named as the seed.
    await clusterOf({ nodePort, shards: 3, replicas: 0 });
    await until('the proxy is ready', () => proxy.isReady());
    expect(await client.call('SET', 'a', '1')).toBe('OK');
    expect(await client.call('MGET', 'a', 'b', 'c')).toEqual(['1', null, null]);
    const well = await runSlotgate([...health, '--redis', `127.0.0.1:${proxy.port}`]);
    expect(well).toMatchObject({ code: 0, err: '' });
    expect(well.out).toMatch(/200 ready\n.*PONG/);
  });
});

describe('a cluster with a password', () => {
  test('is served with the right one; nothing tells it', async () => {
    const { seeds } = await clusterOf({ password: PASSWORD });
    const proxy = await serve({
      cluster: { seeds: [...seeds], password: PASSWORD },
      log: { level: 'trace' },
    });
    await until('the proxy is ready', () => proxy.isReady());
    const client = await connect(proxy);
    expect(await client.call('MSET', 'a', '1', 'b', '2', 'c', '3')).toBe('OK');
    expect(await client.call('MGET', 'a', 'b', 'c')).toEqual(['1', '2', '3']);
    expect(JSON.stringify(await client.call('CONFIG', 'GET', '*'))).not.toContain(PASSWORD);
    expect(await proxy.stop()).toBe(0);
    expect(proxy.output).not.toContain(PASSWORD);
  });

  test.each([
    ['a wrong one', WRONG, /WRONGPASS/],
    ['none', '', /NOAUTH|password/],
  ])('with %s readiness says so, and no log repeats it', async (_name, password, reason) => {
    const { seeds } = await clusterOf({ shards: 1, password: PASSWORD });
    const proxy = await serve({
      cluster: { seeds: [...seeds], password, refreshIntervalMs: 200 },
      hold: { timeoutMs: 300 },
      log: { level: 'trace' },
    });
    await until('readiness says why', async () => reason.test(await readyz(proxy)));
    expect((await proxy.get('/readyz')).status).toBe(503);
    const client = await connect(proxy);
    await expect(client.call('GET', 'a')).rejects.toThrow(/^CLUSTERDOWN /);
    expect(await proxy.stop()).toBe(0);
    if (password !== '') expect(proxy.output).not.toContain(password);
    expect(proxy.output).not.toContain(PASSWORD);
  });
});

describe('other shapes', () => {
  test('a cluster of one shard', async () => {
    const proxy = await startProxy({ shards: 1 });
    toStop.push(() => proxy.close());
    const client = await connect(proxy);
    expect(await client.call('MSET', 'a', '1', 'b', '2')).toBe('OK');
    expect(await client.call('DBSIZE')).toBe(2);
    // One shard is still a cluster: its node would refuse.
    await expect(client.call('SUNION', 'a', 'b')).rejects.toThrow(/^CROSSSLOT /);
  });

  test('a single Redis: keys of one command may be any', async () => {
    const redis = await redisWith({});
    const proxy = await serve({ cluster: { seeds: [`127.0.0.1:${redis.port}`] } });
    await until('the proxy is ready', () => proxy.isReady());
    const client = await connect(proxy);
    expect(await client.call('SADD', 'a', '1')).toBe(1);
    expect(await client.call('SADD', 'b', '2')).toBe(1);
    expect(await client.call('SUNION', 'a', 'b')).toEqual(['1', '2']);
    expect(await client.call('RENAME', 'a', 'c')).toBe('OK');
    expect(await client.call('EVAL', 'return #KEYS', 3, 'x', 'y', 'z')).toBe(3);
    expect(await client.call('MSET', 'k1', '1', 'k2', '2', 'k3', '3')).toBe('OK');
    expect(await client.call('MGET', 'k1', 'k2', 'k3', 'k4')).toEqual(['1', '2', '3', null]);
    expect(await client.call('MSETNX', 'k4', '4', 'k5', '5')).toBe(1);
    expect(await client.call('DEL', 'k1', 'k2', 'k3', 'k4', 'k5')).toBe(5);
    expect(await client.call('DBSIZE')).toBe(2);
    const [cursor, keys] = (await client.call('SCAN', '0', 'COUNT', 100)) as [string, string[]];
    expect([cursor, [...keys].sort()]).toEqual(['0', ['b', 'c']]);
  });

  test('several workers: served by all, drained by SIGTERM with exit code 0', async () => {
    const { seeds } = await clusterOf({});
    const config = { cluster: { seeds: [...seeds] }, workers: 2, drainTimeoutMs: 20_000 };
    const proxy = await serve(config);
    await until('the proxy is ready', () => proxy.isReady());
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(proxy)));
    const answers = await Promise.all(
      clients.flatMap((client, i) => [client.call('SET', `k${i}`, i), client.call('GET', `k${i}`)]),
    );
    expect(answers).toEqual(clients.flatMap((_, i) => ['OK', String(i)]));
    const before = performance.now();
    // The second worker may still be starting: nobody waits for it.
    expect(await proxy.stop('SIGTERM')).toBe(0);
    expect(performance.now() - before).toBeLessThan(10_000);
    await expect(connect(proxy)).rejects.toThrow(/refused/i);
  });
});
