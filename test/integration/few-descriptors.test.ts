/** A process that may open few files: clients beyond them are refused in words, the others served. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectionsWithin } from '../../src/lib/descriptors.ts';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { until, useCluster } from '../support/cluster.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const OPEN_FILES = 300;
const SLOTGATE = fileURLToPath(new URL('../../src/cli/slotgate.ts', import.meta.url));

const cluster = useCluster({ shards: 3, replicas: 0 });
let proxy: ProxyProcess;

beforeAll(async () => {
  const config = { cluster: { seeds: [...cluster().seeds] } };
  proxy = await startProxyProcess(config, undefined, OPEN_FILES);
  await until('the proxy is ready', () => proxy.isReady());
});

afterAll(() => proxy?.stop());

test('as many clients as there are files for are served, further ones refused as Redis does', async () => {
  const clients: RespClient[] = [];
  const refusals: string[] = [];
  for (let i = 0; i < OPEN_FILES; i++) {
    const client = await connectResp({ host: '127.0.0.1', port: proxy.port, timeoutMs: 30_000 });
    const said = await client.call('SET', `key:${i}`, 'x').catch((error: Error) => error.message);
    if (said === 'OK') clients.push(client);
    else {
      refusals.push(String(said));
      client.close();
    }
  }
  const most = connectionsWithin(OPEN_FILES, true);
  expect(clients.length).toBeLessThan(most);
  // Of these, some are connections to the three nodes.
  expect(clients.length).toBeGreaterThan(most - 20);
  expect(refusals.filter((text) => !/max number of clients|ECONNRESET|closed/.test(text))).toEqual(
    [],
  );
  expect(refusals).toContain('ERR max number of clients reached');
  await until('they are counted', async () => {
    const metrics = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
    return metrics.includes(`connections_rejected_total{reason="maxclients"} ${refusals.length}`);
  });
  const again = await Promise.all(clients.map((client) => client.call('PING')));
  expect(new Set(again)).toEqual(new Set(['PONG']));
  for (const client of clients) client.close();
  expect(proxy.output).toContain(`"openFiles":${OPEN_FILES}`);
});

test('too few to load the program: one line says so, and how many it takes', () => {
  const script = 'ulimit -n 64; exec "$@"';
  const command = [process.execPath, '--import', 'tsx', SLOTGATE, 'serve', '--port', '0'];
  const { status, stderr, stdout } = spawnSync('sh', ['-c', script, 'sh', ...command], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^slotgate: each process may open 64 files only .*128.*\n$/);
});
