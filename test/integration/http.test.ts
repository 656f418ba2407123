/** The HTTP side of a proxy that has served real traffic: metrics that add up, health that is true. */
import { spawnSync } from 'node:child_process';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { transcript } from '../support/raw-client.ts';

let proxy: TestProxy;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0, config: { maxclients: 50 } });
});
afterAll(() => proxy?.close());

function get(path: string, accept = '*/*'): Promise<Response> {
  return fetch(proxy.httpUrl + path, { headers: { accept } });
}

/** Samples of one scrape by their whole name, labels included. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number>();
  for (const line of (await (await get('/metrics')).text()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}

/** What each of these samples has grown by once `expected` holds; waits for the workers' report. */
async function growth(
  before: ReadonlyMap<string, number>,
  expected: Readonly<Record<string, number>>,
): Promise<void> {
  let grown: Record<string, number> = {};
  const names = Object.keys(expected);
  const isThere = async (): Promise<boolean> => {
    const now = await scrape();
    grown = Object.fromEntries(
      names.map((name) => [name, (now.get(name) ?? 0) - (before.get(name) ?? 0)]),
    );
    return names.every((name) => grown[name] === expected[name]);
  };
  await until('the metrics tell it', isThere, 5000).catch(() => expect(grown).toEqual(expected));
}

describe('/metrics after traffic', () => {
  test('counts commands by name and result, errors, connections and bytes', async () => {
    const before = await scrape();
    const ask = 'GET a\r\n';
    const payload =
      `${ask.repeat(10)}SET a 1\r\nINCR a\r\nLPUSH a x\r\nSUNION a b\r\nNOSUCH\r\nSELECT 3\r\n` +
      'MGET a b c\r\nPING\r\nQUIT\r\n';
    const { said } = await transcript(proxy, payload);
    await transcript(proxy, '*x\r\n');
    await growth(before, {
      'slotgate_commands_total{cmd="get",result="ok"}': 10,
      'slotgate_commands_total{cmd="set",result="ok"}': 1,
      'slotgate_commands_total{cmd="incr",result="ok"}': 1,
      'slotgate_commands_total{cmd="lpush",result="error"}': 1,
      'slotgate_commands_total{cmd="sunion",result="rejected"}': 1,
      'slotgate_commands_total{cmd="other",result="error"}': 1,
      'slotgate_commands_total{cmd="mget",result="ok"}': 1,
      'slotgate_commands_total{cmd="ping",result="ok"}': 1,
      'slotgate_command_duration_seconds_count{cmd="get"}': 10,
      'slotgate_errors_total{err="WRONGTYPE"}': 1,
      'slotgate_errors_total{err="CROSSSLOT"}': 1,
      slotgate_downstream_connections_total: 2,
      slotgate_downstream_connections: 0,
      slotgate_downstream_protocol_errors_total: 1,
      slotgate_downstream_received_bytes_total: payload.length + 4,
      slotgate_downstream_sent_bytes_total:
        said.length + '-ERR Protocol error: invalid multibulk length\r\n'.length,
    });
  });

  test('counts while a connection is still open', async () => {
    const before = await scrape();
    const client = await connectResp({ host: '127.0.0.1', port: proxy.port });
    await client.call('SET', 'k', 'x'.repeat(1000));
    for (let i = 0; i < 100; i++) await client.call('GET', 'k');
    await growth(before, {
      'slotgate_commands_total{cmd="get",result="ok"}': 100,
      slotgate_downstream_sent_bytes_total: 5 + 100 * 1009,
    });
    client.close();
  });

  test('has every family, the histograms add up, the cluster is told', async () => {
    const client = new Redis(proxy.port);
    await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`key:${i}`, i)));
    client.disconnect();
    await until('a report has come', async () => {
      return ((await scrape()).get('slotgate_commands_total{cmd="set",result="ok"}') ?? 0) >= 300;
    });
    const samples = await scrape();
    const text = await (await get('/metrics')).text();
    const families = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(families).toEqual(expect.arrayContaining([...EXPECTED_FAMILIES]));
    expect(new Set(families).size).toBe(families.length);

    const perShard = [0, 1, 2].map(
      (shard) => samples.get(`slotgate_upstream_duration_seconds_count{shard="${shard}"}`) ?? 0,
    );
    expect(Math.min(...perShard)).toBeGreaterThan(50);
    const last = 'slotgate_command_duration_seconds_bucket{cmd="set",le="+Inf"}';
    expect(samples.get(last)).toBe(
      samples.get('slotgate_command_duration_seconds_count{cmd="set"}'),
    );

    expect(samples.get('slotgate_cluster_state')).toBe(1);
    expect(samples.get('slotgate_cluster_shards')).toBe(3);
    const slots = [...samples].filter(([name]) => name.startsWith('slotgate_cluster_slots'));
    expect(slots.reduce((sum, [, count]) => sum + count, 0)).toBe(16384);
    const up = [...samples].filter(([name]) => name.startsWith('slotgate_upstream_up{'));
    expect(up.map(([, value]) => value)).toEqual([1, 1, 1]);
    for (const { host, port } of proxy.cluster.nodes) {
      expect(up.some(([name]) => name.includes(`node="${host}:${port}"`))).toBe(true);
    }
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(samples.size).toBeLessThan(5000);
  });

  test('is what Prometheus and OpenMetrics scrapers want', async () => {
    const plain = await get('/metrics');
    expect(plain.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const open = await get('/metrics', 'application/openmetrics-text; version=1.0.0');
    expect(open.headers.get('content-type')).toMatch(/^application\/openmetrics-text/);
    expect(await open.text()).toMatch(/# EOF\n$/);
  });

  const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
  if (!hasPromtool) console.log('promtool is not installed: `check metrics` is skipped');

  test.skipIf(!hasPromtool)('promtool check metrics has nothing to say about ours', async () => {
    const text = await (await get('/metrics')).text();
    const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => /slotgate_|error/i.test(line));
    expect(ours).toEqual([]);
  });
});

describe('health', () => {
  test('/livez, /healthz and /readyz, as text and as JSON', async () => {
    for (const [path, text] of [
      ['/livez', 'ok\n'],
      ['/healthz', 'ok\n'],
      ['/readyz', 'ready\n'],
    ] as const) {
      const response = await get(path);
      expect([response.status, await response.text()]).toEqual([200, text]);
    }
    const health = (await (await get('/healthz', 'application/json')).json()) as object;
    expect(health).toMatchObject({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const ready = await (await get('/readyz', 'application/json')).json();
    expect(ready).toEqual({ ready: true, reasons: [], degraded: [] });
  });

  test('a page for people, an answer for what is not there, and nothing but reading', async () => {
    const page = await get('/');
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      expect.stringMatching(/html/),
    ]);
    expect((await get('/nothing')).status).toBe(404);
    const posted = await fetch(`${proxy.httpUrl}/metrics`, { method: 'POST', body: 'x' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('one shard down leaves it ready, all of them do not; it comes back with them', async () => {
    const { cluster } = proxy;
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error('no node');
    await cluster.kill(first, 'SIGKILL');
    await until('the state is known', async () => {
      return (await scrape()).get('slotgate_cluster_state') === 0;
    });
    // Two thirds of the keys are served: taking all traffic away would help nobody.
    const [status, text] = await readiness();
    expect(status).toBe(200);
    const where = `${first.host}:${first.port}`;
    expect((await scrape()).get('slotgate_shards_unserved')).toBe(1);
    expect(text).toContain(`ready, degraded: shard 0 is not served: its primary ${where} `);
    for (const node of cluster.nodes.slice(1)) await cluster.kill(node, 'SIGKILL');
    await until('it is not ready', async () => (await readiness())[0] === 503);
    expect((await readiness())[1]).toMatch(/^not ready: no seed answers: .*ECONNREFUSED/);
    expect((await get('/livez')).status).toBe(200);
    for (const node of cluster.nodes) await cluster.restart(node);
    await until('it is ready again', async () => (await readiness())[0] === 200);
    await until('the state is well', async () => {
      return (await scrape()).get('slotgate_cluster_state') === 1;
    });
  });
});

test('a shard whose last replica is lost right after the start is told, until it has one again', async () => {
  const replicated = await startProxy({ shards: 3, replicas: 1 });
  try {
    const { cluster, httpUrl } = replicated;
    const readyz = async (): Promise<string> => (await fetch(`${httpUrl}/readyz`)).text();
    await until('it is ready', async () => (await readyz()) === 'ready\n');
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error('no node');
    await cluster.kill(first, 'SIGKILL');
    const where = `${first.host}:${first.port}`;
    const told = `ready, degraded: shard 0 has no replica left, of 1; 1 node is down: ${where}\n`;
    await until('the replica serves, and is alone', async () => (await readyz()) === told);
    await cluster.restart(first);
    await until('it has a replica again', async () => (await readyz()) === 'ready\n');
  } finally {
    await replicated.close();
  }
});

async function readiness(): Promise<[status: number, text: string]> {
  const response = await get('/readyz');
  return [response.status, await response.text()];
}

const EXPECTED_FAMILIES = [
  'slotgate_build_info',
  'slotgate_workers',
  'slotgate_workers_unresponsive',
  'slotgate_downstream_connections_total',
  'slotgate_downstream_connections',
  'slotgate_downstream_connections_rejected_total',
  'slotgate_downstream_received_bytes_total',
  'slotgate_downstream_sent_bytes_total',
  'slotgate_downstream_protocol_errors_total',
  'slotgate_downstream_slow_reader_pauses_total',
  'slotgate_downstream_slow_reader_cuts_total',
  'slotgate_commands_total',
  'slotgate_command_duration_seconds',
  'slotgate_errors_total',
  'slotgate_upstream_duration_seconds',
  'slotgate_upstream_connections',
  'slotgate_upstream_connections_opened_total',
  'slotgate_upstream_connect_failures_total',
  'slotgate_upstream_inflight_requests',
  'slotgate_upstream_up',
  'slotgate_redirects_total',
  'slotgate_holds_total',
  'slotgate_held_requests_total',
  'slotgate_holding_requests',
  'slotgate_uncertain_writes_total',
  'slotgate_retries_total',
  'slotgate_cluster_state',
  'slotgate_shards_unserved',
  'slotgate_cluster_slots',
  'slotgate_cluster_shards',
  'slotgate_topology_refreshes_total',
  'slotgate_topology_last_refresh_timestamp_seconds',
  'process_resident_memory_bytes',
] as const;
