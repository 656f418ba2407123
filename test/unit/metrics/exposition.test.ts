import { spawnSync } from 'node:child_process';
import { Counter } from 'prom-client';
import { describe, expect, test } from 'vitest';
import {
  ERROR_WORDS,
  HISTOGRAM_STRIDE,
  OTHER,
  RESULT,
  SCALAR,
} from '../../../src/metrics/definitions.ts';
import { createExposition } from '../../../src/metrics/exposition.ts';
import { MetricsMerge } from '../../../src/metrics/merge.ts';
import type { ClusterStatus, NodePlace } from '../../../src/metrics/picture-families.ts';
import { SCALAR_FAMILIES } from '../../../src/metrics/scalar-families.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';

const STATUS: ClusterStatus = {
  ok: true,
  unservedShards: 0,
  shardSlots: [8192, 8192],
  refreshesOk: 9,
  refreshesFailed: 1,
  lastRefreshSeconds: 1_700_000_000.5,
};
const PLACES: Record<string, NodePlace> = {
  '10.0.0.1:7000': { shard: 0, role: 'primary' },
  '[::1]:7001': { shard: 1, role: 'replica' },
};
const OPENMETRICS = 'application/openmetrics-text;version=1.0.0';

function setUp() {
  const worker = new WorkerMetrics([OTHER, 'get', 'set']);
  const merge = new MetricsMerge();
  const exposition = createExposition({
    totals: () => {
      merge.update(1, worker.report());
      return merge.totals();
    },
    cluster: () => STATUS,
    nodePlace: (address) => PLACES[address],
    unresponsiveWorkers: () => 3,
    build: { version: '0.1.0', revision: 'abc\\"\n' },
  });
  return { worker, merge, exposition };
}

function useEverything(worker: WorkerMetrics): void {
  worker.countCommand(1, RESULT.ok);
  worker.countCommand(1, RESULT.error);
  worker.observeCommand(1, 60);
  worker.observeCommand(1, 3_000_000);
  worker.observeShard(0, 200);
  worker.countError(ERROR_WORDS.indexOf('WRONGTYPE'));
  worker.add(SCALAR.receivedBytes, 1e12);
  for (const address of Object.keys(PLACES)) worker.nodeConnected(worker.acquireNode(address));
}

/** Samples of the text format by their name and labels as written. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const parts =
      /^([a-z_][a-z0-9_]*(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)+\})?) (\S+)$/i.exec(line);
    if (parts === null) throw new Error(`no sample line: ${line}`);
    const [, series = '', value = ''] = parts;
    if (samples.has(series)) throw new Error(`twice in one scrape: ${series}`);
    samples.set(series, Number(value));
  }
  return samples;
}

async function scrape(exposition: ReturnType<typeof setUp>['exposition'], accept?: string) {
  const { body, contentType } = await exposition.render(accept);
  return { body, contentType, samples: samplesOf(body) };
}

describe('text format 0.0.4', () => {
  test('shows what the worker counted', async () => {
    const { worker, exposition } = setUp();
    useEverything(worker);
    const { samples, contentType } = await scrape(exposition);
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(samples.get('slotgate_commands_total{cmd="get",result="ok"}')).toBe(1);
    expect(samples.get('slotgate_commands_total{cmd="get",result="error"}')).toBe(1);
    expect(samples.get('slotgate_commands_total{cmd="get",result="rejected"}')).toBe(0);
    expect(samples.get('slotgate_errors_total{err="WRONGTYPE"}')).toBe(1);
    expect(samples.get('slotgate_downstream_received_bytes_total')).toBe(1e12);
    expect(samples.get('slotgate_cluster_state')).toBe(1);
    expect(samples.get('slotgate_shards_unserved')).toBe(0);
    expect(samples.get('slotgate_cluster_slots{shard="1"}')).toBe(8192);
    expect(samples.get('slotgate_topology_refreshes_total{result="error"}')).toBe(1);
    expect(samples.get('slotgate_workers')).toBe(1);
    expect(samples.get('slotgate_workers_unresponsive')).toBe(3);
    const build = `version="0.1.0",revision="abc\\\\\\"\\n",node_version="${process.version}"`;
    expect(samples.get(`slotgate_build_info{${build}}`)).toBe(1);
    expect(samples.get('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(samples.has('nodejs_heap_size_used_bytes')).toBe(true);
  });

  test('histograms are cumulative, in seconds, and end in +Inf', async () => {
    const { worker, exposition } = setUp();
    useEverything(worker);
    const { samples } = await scrape(exposition);
    const name = 'slotgate_command_duration_seconds';
    expect(samples.get(`${name}_bucket{cmd="get",le="0.00005"}`)).toBe(0);
    expect(samples.get(`${name}_bucket{cmd="get",le="0.0001"}`)).toBe(1);
    expect(samples.get(`${name}_bucket{cmd="get",le="1.0"}`)).toBe(1);
    expect(samples.get(`${name}_bucket{cmd="get",le="2.5"}`)).toBe(1);
    expect(samples.get(`${name}_bucket{cmd="get",le="+Inf"}`)).toBe(2);
    expect(samples.get(`${name}_count{cmd="get"}`)).toBe(2);
    expect(samples.get(`${name}_sum{cmd="get"}`)).toBeCloseTo(3.00006, 9);
    expect(samples.get('slotgate_upstream_duration_seconds_count{shard="0"}')).toBe(1);
    const buckets = [...samples.keys()].filter((series) => series.startsWith(`${name}_bucket`));
    expect(buckets).toHaveLength(HISTOGRAM_STRIDE - 1);
  });

  test('shows only commands that were used, and everything with a fixed label from the start', async () => {
    const { exposition } = setUp();
    const { samples } = await scrape(exposition);
    const names = [...samples.keys()].join('\n');
    expect(names).not.toContain('cmd=');
    expect(samples.get('slotgate_redirects_total{kind="moved"}')).toBe(0);
    expect(samples.get('slotgate_errors_total{err="other"}')).toBe(0);
    expect(samples.get('slotgate_downstream_connections_rejected_total{reason="auth"}')).toBe(0);
    expect(samples.get('slotgate_held_requests_ended_total{end="evicted"}')).toBe(0);
  });

  test('nodes carry shard and role on gauges, the address alone on counters', async () => {
    const { worker, exposition } = setUp();
    useEverything(worker);
    const lost = worker.acquireNode('10.9.9.9:1');
    worker.nodeConnectFailed(lost);
    const { samples } = await scrape(exposition);
    const primary = '{node="10.0.0.1:7000",shard="0",role="primary"}';
    const replica = '{node="[::1]:7001",shard="1",role="replica"}';
    expect(samples.get(`slotgate_upstream_connections${primary}`)).toBe(1);
    expect(samples.get(`slotgate_upstream_up${replica}`)).toBe(1);
    expect(samples.get('slotgate_upstream_connect_failures_total{node="[::1]:7001"}')).toBe(0);
    expect([...samples.keys()].some((series) => series.includes('10.9.9.9'))).toBe(false);

    worker.nodeConnected(lost);
    const opened = 'slotgate_upstream_connections_opened_total{node="10.9.9.9:1"}';
    expect((await scrape(exposition)).samples.get(opened)).toBe(1);
  });

  test('a node that nobody tried has no state, one that failed is down', async () => {
    const { worker, exposition } = setUp();
    const node = worker.acquireNode('10.0.0.1:7000');
    worker.addInflight(node, 1);
    const up = 'slotgate_upstream_up{node="10.0.0.1:7000",shard="0",role="primary"}';
    expect((await scrape(exposition)).samples.has(up)).toBe(false);
    worker.nodeConnectFailed(node);
    expect((await scrape(exposition)).samples.get(up)).toBe(0);
  });
});

test('OpenMetrics when asked, and the text format unharmed by it afterwards', async () => {
  const { worker, exposition } = setUp();
  useEverything(worker);
  const own = new Counter({ name: 'slotgate_tests_total', help: 'A test.', registers: [] });
  own.inc(3);
  exposition.add(own);
  const open = await scrape(exposition, OPENMETRICS);
  expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  expect(open.body.endsWith('\n# EOF\n')).toBe(true);
  expect(open.body).not.toContain('\n\n');
  expect(open.body).toContain('# TYPE slotgate_commands counter\n');
  expect(open.body).toContain('# TYPE slotgate_downstream_connections gauge\n');
  expect(open.body).toContain('# TYPE slotgate_downstream_connections_total unknown\n');
  expect(open.body).toContain('# TYPE slotgate_tests counter\nslotgate_tests_total 3\n');
  expect(open.samples.get('slotgate_commands_total{cmd="get",result="ok"}')).toBe(1);

  const text = await scrape(exposition);
  expect(text.body).toContain('# TYPE slotgate_commands_total counter\n');
  expect(text.body).toContain('# TYPE slotgate_tests_total counter\nslotgate_tests_total 3\n');
  expect(text.body).toContain('# TYPE process_cpu_seconds_total counter\n');
  const ours = (names: Iterable<string>) =>
    [...names].filter((name) => name.startsWith('slotgate'));
  expect(ours(open.samples.keys())).toEqual(ours(text.samples.keys()));
});

test('every family is declared once, with its samples beneath it', async () => {
  const { worker, exposition } = setUp();
  useEverything(worker);
  for (const accept of [undefined, OPENMETRICS]) {
    const { body } = await exposition.render(accept);
    const declared = [...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(new Set(declared).size).toBe(declared.length);
    let family = '';
    for (const line of body.split('\n')) {
      if (line.startsWith('# TYPE ')) family = line.split(' ')[2] as string;
      if (line !== '' && !line.startsWith('#')) expect(line.startsWith(family)).toBe(true);
    }
  }
});

test('every scalar is exposed exactly once, and only counters end in _total', () => {
  const exposed = SCALAR_FAMILIES.flatMap(({ of }) =>
    typeof of === 'string' ? [of] : Object.values(of.values),
  );
  expect(exposed.toSorted()).toEqual(Object.keys(SCALAR).toSorted());
  for (const { name, type } of SCALAR_FAMILIES) {
    expect(name.endsWith('_total')).toBe(type === 'counter');
  }
});

const promtool = spawnSync('promtool', ['--version'], { stdio: 'ignore' });
const hasPromtool = promtool.error === undefined;
if (!hasPromtool) console.warn('skipped: promtool is not installed (Debian: prometheus)');

test.skipIf(!hasPromtool)('promtool check metrics has nothing to say', async () => {
  const { worker, exposition } = setUp();
  for (const use of [() => {}, () => useEverything(worker)]) {
    use();
    const { body } = await exposition.render(undefined);
    const check = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    expect(check.stdout + check.stderr).toBe('');
    expect(check.status).toBe(0);
  }
});
