/** SIGUSR2 replaces all processes while clients are served; SIGHUP reads the configuration anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { type BuiltProgram, buildProgram } from '../support/built-program.ts';
import { onNode, startTestCluster, until } from '../support/cluster.ts';
import { watchCounters } from '../support/load/falling-counters.ts';
import { Metrics } from '../support/load/metrics.ts';
import { RawClient } from '../support/load/raw-client.ts';
import { Visitors } from '../support/load/visitors.ts';
import { childrenOf, isAlive } from '../support/load/workers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const WORKERS = 2;
const DRAIN_MS = 800;
const LOOK_MS = 50;

let program: BuiltProgram;
let cluster: LocalCluster;
let slotgate: ProxyProcess;
let clients: RespClient[] = [];

beforeAll(async () => {
  program = await buildProgram();
  cluster = await startTestCluster({ shards: 3, replicas: 0, nodeTimeoutMs: 60_000 });
});

afterAll(async () => {
  await cluster?.stop();
  program?.remove();
});

afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await slotgate?.stop();
});

async function start(workers: number): Promise<void> {
  slotgate = await startProxyProcess(
    {
      workers,
      drainTimeoutMs: DRAIN_MS,
      hold: { timeoutMs: DRAIN_MS },
      cluster: { seeds: [...cluster.seeds] },
      log: { level: 'info' },
    },
    program.cli,
  );
  await allServe(workers);
}

async function allServe(workers: number): Promise<void> {
  await until('all workers serve', async () => {
    try {
      if (!(await slotgate.isReady())) return false;
      return (await Metrics.read(slotgate.httpUrl)).sum('slotgate_workers') === workers;
    } catch {
      return false; // Control is away.
    }
  });
}

async function connect(): Promise<RespClient> {
  const client = await connectResp({ host: '127.0.0.1', port: slotgate.port, timeoutMs: 20_000 });
  clients.push(client);
  return client;
}

function signal(name: NodeJS.Signals): void {
  process.kill(slotgate.pid, name);
}

function pids(): number[] {
  return childrenOf(slotgate.pid).map(({ pid }) => pid);
}

/** Log lines with this message, of the part of the log after `from`. */
function lines(message: string, from = 0): Record<string, unknown>[] {
  return slotgate.output
    .slice(from)
    .split('\n')
    .filter((line) => line.includes(`"msg":"${message}`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function logged(message: string, from = 0): Promise<Record<string, unknown>> {
  await until(`the log says: ${message}`, () => lines(message, from).length > 0, 60_000);
  return lines(message, from)[0] as Record<string, unknown>;
}

describe('SIGUSR2', () => {
  it('replaces every process; nobody is refused, no error is shown, no counter falls', async () => {
    await start(WORKERS);
    const visitors = new Visitors({ port: slotgate.port, short: 4, long: 2 });
    const subscriber = await connect();
    await subscriber.call('SUBSCRIBE', 'news');
    const watch = watchCounters(() => slotgate.httpUrl, {
      everyMs: LOOK_MS,
      mayReplaceControl: true,
    });
    const digest = await (await connect()).call('SCRIPT', 'LOAD', 'return "kept"');
    await until('clients come and go', () => visitors.report.visits > 100);
    const before = pids();
    signal('SIGUSR2');
    await logged('replacing all workers');
    // Asked for again meanwhile it is done once more, not more often.
    signal('SIGUSR2');
    await logged('the new worker serves');
    signal('SIGUSR2');
    await until('both are done', () => lines('all were replaced').length === 2, 60_000);
    const after = pids();
    expect(after).toHaveLength(before.length);
    expect(before.filter(isAlive)).toEqual([]);
    const { visits, answers } = visitors.report;
    await until('clients still come and go', () => visitors.report.visits > visits + 100);
    await until('others stay', () => visitors.report.answers > answers + 100);
    const report = await visitors.stop();
    expect(report.problems).toEqual([]);
    expect(await watch.stop()).toEqual([]);
    expect(lines('replacing all workers')).toHaveLength(2);
    const metrics = await Metrics.read(slotgate.httpUrl);
    expect(metrics.sum('slotgate_worker_exits_total')).toBe(2 * WORKERS);
    expect(metrics.sum('slotgate_workers')).toBe(WORKERS);
    expect(metrics.sum('slotgate_commands_total', 'cmd="get"')).toBeGreaterThan(report.visits);
    // Scripts are still known when the nodes have lost them.
    for (const node of cluster.nodes) {
      await onNode(cluster, node, (client) => client.call('SCRIPT', 'FLUSH'));
    }
    expect(await (await connect()).call('EVALSHA', String(digest), 1, 'key')).toBe('kept');
    // Those that were subscribed at workers that have gone are not counted any more.
    expect(subscriber.isOpen).toBe(false);
    expect(await (await connect()).call('PUBLISH', 'news', 'x')).toBe(0);
  });

  it('what a client has begun it may end, an idle one is let go; SIGTERM meanwhile ends all', async () => {
    await start(WORKERS);
    const busy = await Promise.all(Array.from({ length: 6 }, connect));
    for (const client of busy) await client.call('MULTI');
    const idle = await Promise.all(
      Array.from({ length: 12 }, () => RawClient.connect(slotgate.port)),
    );
    signal('SIGUSR2');
    await logged('the new worker serves');
    for (const client of busy) expect(await client.call('SET', 'in-multi', '1')).toBe('QUEUED');
    for (const client of busy) expect(await client.call('EXEC')).toEqual(['OK']);
    await until('idle ones have been let go', () => idle.some(({ isClosed }) => isClosed));
    expect(idle.map(({ received }) => received).join('')).toBe('');
    const children = pids();
    expect(await slotgate.stop('SIGTERM')).toBe(0);
    expect(children.filter(isAlive)).toEqual([]);
    expect(lines('all were replaced')).toEqual([]);
  });

  it('a program that does not start replaces nobody; a mended one does', async () => {
    await start(WORKERS);
    const worker = join(program.dist, 'process/worker-child.js');
    const whole = readFileSync(worker, 'utf8');
    writeFileSync(worker, `${whole}\nthrow new Error('half an upgrade');\n`);
    try {
      const before = pids();
      const client = await connect();
      signal('SIGUSR2');
      await logged('processes are no further replaced');
      expect(pids().sort()).toEqual(before.sort());
      expect(await client.call('SET', 'still', 'here')).toBe('OK');
      expect(await slotgate.isReady()).toBe(true);
      writeFileSync(worker, whole);
      signal('SIGUSR2');
      await logged('all were replaced');
      expect(pids().filter((pid) => before.includes(pid))).toEqual([]);
    } finally {
      writeFileSync(worker, whole);
    }
  });
});

type Tree = Record<string, unknown>;

function rewrite(change: (config: Tree) => Tree): void {
  const text = readFileSync(slotgate.configFile, 'utf8');
  writeFileSync(slotgate.configFile, stringify(change(parse(text) as Tree)));
}

/** CONFIG GET of as many clients as make it sure that all workers are asked. */
async function shownByAll(name: string): Promise<string[]> {
  const several = await Promise.all(Array.from({ length: 24 }, connect));
  const values = await Promise.all(several.map((client) => client.call('CONFIG', 'GET', name)));
  return [...new Set(values.map((value) => String((value as string[])[1])))];
}

async function expectShown(name: string, value: string): Promise<void> {
  await until(`${name} is ${value} everywhere`, async () => {
    return (await shownByAll(name)).join() === value;
  });
}

async function replaced(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until('it is replaced', () => {
    const now = pids();
    return !now.includes(pid) && now.length === WORKERS + 1;
  });
  await allServe(WORKERS);
}

function pidOf(role: 'control' | 'worker'): number {
  const isWanted = role === 'control' ? 0 : 1;
  return childrenOf(slotgate.pid).find(({ worker }) => Math.min(1, worker) === isWanted)?.pid ?? 0;
}

describe('SIGHUP', () => {
  it('takes over what may change, in all workers and in those to come', async () => {
    await start(WORKERS);
    rewrite((config) => ({
      ...config,
      timeout: 77,
      maxclients: 4321,
      reads: { weights: { replica: 40 } },
      'tcp-keepalive': 17,
    }));
    signal('SIGHUP');
    const { changed } = await logged('the configuration was read again');
    expect((changed as string[]).sort()).toEqual([
      'maxclients',
      'reads.weights.replica',
      'timeout',
    ]);
    expect((await logged('changed in the configuration')).settings).toEqual(['tcp-keepalive']);
    await expectShown('timeout', '77');
    await expectShown('maxclients', '4321');
    await expectShown('tcp-keepalive', '300');
    await expectShown('reads.weights.replica', '40');
    // And CONFIG SET outlives control, until the configuration is read again.
    await (await connect()).call('CONFIG', 'SET', 'maxclients', '5432');
    await replaced(pidOf('control'));
    await replaced(pidOf('worker'));
    await expectShown('timeout', '77');
    await expectShown('maxclients', '5432');

    rewrite((config) => ({ ...config, timeout: 78, maxclients: 'many', prot: 1 }));
    const from = slotgate.output.length;
    signal('SIGHUP');
    await logged('the configuration stays as it was', from);
    const told = lines('the configuration stays as it was', from);
    expect(told.map(({ where }) => String(where))).toEqual([
      expect.stringMatching(/slotgate\.yaml:\d+:\d+$/),
      expect.stringMatching(/slotgate\.yaml:\d+:\d+$/),
    ]);
    await expectShown('timeout', '77');
    await expectShown('maxclients', '5432');
    rewrite(({ prot: _, ...config }) => ({ ...config, maxclients: 4321 }));
    signal('SIGHUP');
    await expectShown('timeout', '78');
    await expectShown('maxclients', '4321');
  });

  it('in one process too, where SIGUSR2 has nothing to replace', async () => {
    await start(1);
    rewrite((config) => ({ ...config, timeout: 66, workers: 3 }));
    signal('SIGHUP');
    await expectShown('timeout', '66');
    expect((await logged('changed in the configuration')).settings).toEqual(['workers']);
    rewrite((config) => ({ ...config, timeout: -1 }));
    signal('SIGHUP');
    await logged('the configuration stays as it was');
    await expectShown('timeout', '66');
    signal('SIGUSR2');
    await logged('nothing is replaced: with one worker');
    expect(await (await connect()).call('PING')).toBe('PONG');
  });
});
