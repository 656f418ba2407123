/** Supervisor, control and two workers as processes: each of them killed, and all of them stopped. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { ownerOf, startTestCluster, until } from '../support/cluster.ts';
import { watchCounters } from '../support/load/falling-counters.ts';
import { Load } from '../support/load/load.ts';
import { MIX } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { moveSlot, primaries, tagOfSlot } from '../support/load/slots.ts';
import { childrenOf, connectToWorker, isAlive } from '../support/load/workers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const WORKERS = 2;
const SLOT = 500;
const TAGS = [SLOT, 7000, 13000].map(tagOfSlot);

let cluster: LocalCluster;
let slotgate: ProxyProcess;

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 3, replicas: 0, nodeTimeoutMs: 60_000 });
});

afterAll(() => cluster?.stop());

async function start(): Promise<void> {
  slotgate = await startProxyProcess({
    workers: WORKERS,
    drainTimeoutMs: '10s',
    // What is in flight is to be the test's alone.
    heartbeatMs: '60s',
    cluster: { seeds: cluster.seeds },
    log: { level: 'info' },
  });
  await until('all workers serve', isWhole);
}

async function isWhole(): Promise<boolean> {
  try {
    if (!(await slotgate.isReady())) return false;
    return (await Metrics.read(slotgate.httpUrl)).sum('slotgate_workers') === WORKERS;
  } catch {
    return false; // Control is away.
  }
}

function pidOf(worker: number): number {
  return childrenOf(slotgate.pid).find((child) => child.worker === worker)?.pid ?? 0;
}

function startLoad(name: string, worker?: number): Promise<Load> {
  return Load.start({
    name,
    port: slotgate.port,
    clients: 4,
    depth: 8,
    tags: TAGS,
    mix: MIX.all,
    seed: 41,
    ...(worker === undefined ? {} : { worker }),
  });
}

async function expectUntouched(load: Load): Promise<void> {
  const report = await load.stop();
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(Object.fromEntries(report.errors)).toEqual({});
  expect(report.uncertain).toBe(0);
  expect(report.overtakenSingle).toBe(0);
}

describe('one of them dies', () => {
  beforeAll(start);
  afterAll(async () => {
    await slotgate?.stop();
  });

  it('a worker is killed: the other serves on, it is replaced, counters never go down', async () => {
    const load = await startLoad('survivor', 2);
    const victim = await connectToWorker(slotgate.port, 1);
    await victim.call('SET', 'k', 'v');
    await load.progress(500);
    const watch = watchCounters(() => slotgate.httpUrl, { everyMs: 0, mayReplaceControl: false });
    const pid = pidOf(1);
    const lost = victim.call('GET', `{${TAGS[0]}}nothing`).then(() => victim.call('PING'));
    await lost;
    process.kill(pid, 'SIGKILL');
    await until('its clients are told', () => !victim.isOpen);
    await until('it is replaced', () => ![0, pid].includes(pidOf(1)));
    await until('all workers serve', isWhole);
    const again = await connectToWorker(slotgate.port, 1);
    expect(await again.call('GET', 'k')).toBe('v');
    again.close();
    await load.progress(500);
    expect(await watch.stop()).toEqual([]);
    await expectUntouched(load);
    const metrics = await Metrics.read(slotgate.httpUrl);
    expect(metrics.sum('slotgate_worker_exits_total')).toBeGreaterThan(0);
  });

  it('control is killed: no client notices, and it comes back', async () => {
    const load = await startLoad('no-control');
    await load.progress(500);
    const pid = pidOf(0);
    process.kill(pid, 'SIGKILL');
    await load.progress(500);
    await until('control is back', () => ![0, pid].includes(pidOf(0)));
    await until('all is ready', isWhole);
    await load.progress(500);
    await expectUntouched(load);
  });

  it('a worker stands still: /readyz and /metrics tell it, until it goes on', async () => {
    const readyz = async (): Promise<string> => (await slotgate.get('/readyz')).text();
    const standing = async (): Promise<number> =>
      (await Metrics.read(slotgate.httpUrl)).sum('slotgate_workers_unresponsive');
    expect(await standing()).toBe(0);
    const pid = pidOf(2);
    process.kill(pid, 'SIGSTOP');
    try {
      await until('it is told', async () => (await readyz()) !== 'ready\n', 20_000);
      expect(await readyz()).toMatch(/^ready, degraded: worker 2 has not answered for \d+ s\n$/);
      expect(await standing()).toBe(1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('it is well again', async () => (await readyz()) === 'ready\n', 10_000);
    expect(await standing()).toBe(0);
    expect(pidOf(2)).toBe(pid);
  });

  it('control hangs while a slot moves: the workers follow by themselves', async () => {
    const load = await startLoad('hung-control');
    const from = (await ownerOf(cluster, SLOT)) as LocalNode;
    const to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
    const betweenSteps = (): Promise<void> => load.progress(40);
    const control = pidOf(0);
    process.kill(control, 'SIGSTOP');
    try {
      await moveSlot(cluster, { slot: SLOT, from, to, batch: 4, betweenSteps });
      await load.progress(500);
    } finally {
      process.kill(control, 'SIGCONT');
    }
    await until('all is ready', isWhole);
    await moveSlot(cluster, { slot: SLOT, from: to, to: from, batch: 4, betweenSteps });
    await load.progress(500);
    await expectUntouched(load);
  });
});

describe('all of them end', () => {
  beforeEach(start);
  afterEach(async () => {
    await slotgate?.stop('SIGKILL');
  });

  async function canConnect(): Promise<boolean> {
    try {
      (await connectResp({ host: '127.0.0.1', port: slotgate.port })).close();
      return true;
    } catch {
      return false;
    }
  }

  it('SIGTERM: what is in flight is answered, nobody new gets in, exit 0', async () => {
    const node = (await ownerOf(cluster, SLOT)) as LocalNode;
    const clients: RespClient[] = [];
    for (const worker of [1, 2]) clients.push(await connectToWorker(slotgate.port, worker));
    const children = childrenOf(slotgate.pid);
    expect(children).toHaveLength(WORKERS + 1);
    const titles = children.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    const told = titles.map((title) => title.replace(/\0+$/, '')).sort();
    expect(told).toEqual(['slotgate: control', 'slotgate: worker 1', 'slotgate: worker 2']);
    await cluster.kill(node, 'SIGSTOP');
    const answers = clients.map((client, i) => client.call('SET', `{${TAGS[0]}}drain${i}`, i));
    const settled = Promise.allSettled(answers);
    // Commands behind them on the same connections prove that those have been taken.
    const idle = await connectResp({ host: '127.0.0.1', port: slotgate.port });
    await idle.call('SET', `{${TAGS[1]}}other`, 1);
    await until('both are in flight', async () => {
      const metrics = await Metrics.read(slotgate.httpUrl);
      return metrics.sum('slotgate_upstream_inflight_requests', `:${node.port}"`) >= 2;
    });
    const stopped = slotgate.stop('SIGTERM');
    await until('readiness is off', async () => (await slotgate.get('/readyz')).status === 503);
    await until('nobody new gets in', async () => !(await canConnect()));
    await until('idle clients are let go', () => !idle.isOpen);
    await cluster.kill(node, 'SIGCONT');
    expect(await settled).toEqual(answers.map(() => ({ status: 'fulfilled', value: 'OK' })));
    expect(await stopped).toBe(0);
    expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
    for (const client of clients) client.close();
  });

  it('SIGTERM under load: what was answered is there, what was not may be repeated', async () => {
    const load = await startLoad('drained');
    await load.progress(300);
    expect(await slotgate.stop('SIGTERM')).toBe(0);
    await until('all clients were told', () => load.report.broken.length > 0);
    expect(Object.fromEntries(load.report.errors)).toEqual({});
    expect(load.report.uncertain).toBe(0);
    expect(load.report.wrong).toEqual([]);
  });

  it('the supervisor is killed: nothing is left', async () => {
    const children = childrenOf(slotgate.pid);
    const client = await connectResp({ host: '127.0.0.1', port: slotgate.port });
    await slotgate.stop('SIGKILL');
    await until('no process is left', () => children.every(({ pid }) => !isAlive(pid)));
    await until('the client is told', () => !client.isOpen);
    // A process counts as ended while its last threads still hold the socket for a moment.
    await until('nobody gets in', async () => !(await canConnect()));
  });
});
