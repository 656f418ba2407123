/** Nodes that fail in the ways that nodes fail: each is told apart. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { monotonicNow } from '../../src/transport/node-runtime.ts';
import { until } from '../support/cluster.ts';
import { bulk, FakeNode } from '../support/fake-node.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { Watched, type WatchedNode } from '../support/watched.ts';

const QUICK: ConfigInput = {
  health: { pingIntervalMs: 100, pingTimeoutMs: 300 },
  reads: { pollMs: 100 },
};

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function watch(nodes: readonly WatchedNode[], config = QUICK): Watched {
  const watched = Watched.of(nodes, config);
  undo.push(() => watched.stop());
  return watched;
}

async function redis(settings: Readonly<Record<string, string>> = {}): Promise<PlainRedis> {
  const server = await startRedis({ 'enable-debug-command': 'local', ...settings });
  undo.push(() => server.stop());
  return server;
}

async function connect(server: PlainRedis): Promise<RespClient> {
  const client = await server.connect();
  undo.push(() => client.close());
  return client;
}

async function pidOf(server: PlainRedis): Promise<number> {
  const client = await server.connect();
  const info = String(await client.call('INFO', 'server'));
  client.close();
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

describe('one node', () => {
  it('killed by kill -9 is refused, and down after 0.15 s; it is up when it is back', async () => {
    const server = await redis();
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    const killedAt = monotonicNow();
    await server.stop();
    const { since } = await watched.reaches(server, 'down', 'refused');
    expect(since - killedAt).toBeLessThan(300);
    const warning = watched.lines.filter(({ level }) => level === 'warn');
    expect(warning).toMatchObject([{ evidence: 'refused' }]);
    expect(warning[0]?.msg).toMatch(/nobody listens/);
    await redis({ port: String(server.port) });
    await watched.reaches(server, 'up');
    expect(watched.transitions.map(({ from, to }) => `${from} ${to}`)).toEqual([
      'suspect up',
      'up suspect',
      'suspect down',
      'down recovering',
      'recovering up',
    ]);
    const again = watched.lines.filter(({ level }) => level === 'info');
    expect(again).toMatchObject([{ was: 'refused', msg: 'a node is up again' }]);
  });

  it('under SIGSTOP is silent, and never refused', async () => {
    const server = await redis();
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    const pid = await pidOf(server);
    process.kill(pid, 'SIGSTOP');
    undo.push(() => process.kill(pid, 'SIGCONT'));
    await watched.reaches(server, 'down', 'silent');
    process.kill(pid, 'SIGCONT');
    await watched.reaches(server, 'up');
    expect(new Set(watched.transitions.map(({ evidence }) => evidence))).toEqual(
      new Set(['', 'silent']),
    );
  });

  it('that reads its data from disk is loading', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'slotgate-health-'));
    undo.push(() => rm(dir, { recursive: true }));
    const server = await redis({ dir, 'loading-process-events-interval-bytes': '1024' });
    const client = await connect(server);
    await client.call('DEBUG', 'POPULATE', '2000', 'key', '200');
    await client.call('CONFIG', 'SET', 'key-load-delay', '2000');
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    const reloading = client.call('DEBUG', 'RELOAD');
    const health = await watched.reaches(server, 'down', 'loading');
    expect(health.facts?.isLoading).toBe(true);
    await onServer(server, 'CONFIG', 'SET', 'key-load-delay', '0');
    await reloading;
    await watched.reaches(server, 'up');
    await watched.watch.health.refresh(`${server.host}:${server.port}`);
    expect(watched.of(server).facts?.isLoading).toBe(false);
  });

  it('kept by a script is busy', async () => {
    const server = await redis({ 'busy-reply-threshold': '50' });
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    const client = await connect(server);
    const script = client.call('EVAL', 'while true do end', '0').catch((error: Error) => error);
    await watched.reaches(server, 'down', 'busy');
    await onServer(server, 'SCRIPT', 'KILL');
    await script;
    await watched.reaches(server, 'up');
  });

  it('at its maxclients accepts and closes: reset, which is no proof of death', async () => {
    const server = await redis({ maxclients: '3' });
    const clients: RespClient[] = [];
    await until('three clients are connected', async () => {
      const client = await connect(server);
      const isTaken = await client.call('PING').then(
        () => true,
        () => false,
      );
      if (isTaken) clients.push(client);
      return clients.length === 3;
    });
    const watched = watch([server]);
    await watched.reaches(server, 'down', 'reset');
    for (const client of clients) client.close();
    await watched.reaches(server, 'up');
  });

  it('that wants a password we do not have refuses us: auth', async () => {
    const server = await redis({ requirepass: 'secret' });
    await watch([server]).reaches(server, 'down', 'auth');
    const wrong = { ...QUICK, cluster: { password: 'wrong' } };
    const watched = watch([server], wrong);
    await watched.reaches(server, 'down', 'auth');
    expect(JSON.stringify(watched.lines)).not.toContain('wrong"');
    const right = { ...QUICK, cluster: { password: 'secret' } };
    await watch([server], right).reaches(server, 'up');
  });

  it('whose account may not run INFO is up, without facts, and that is said once', async () => {
    const server = await redis();
    await onServer(server, 'ACL', 'SETUSER', 'bare', 'on', 'nopass', '+ping');
    const config = { ...QUICK, cluster: { username: 'bare', password: 'any' } };
    const watched = watch([server], config);
    await watched.reaches(server, 'up');
    await until('it was said', () => watched.lines.some(({ level }) => level === 'warn'));
    await watched.watch.health.refresh(`${server.host}:${server.port}`);
    expect(watched.of(server)).toMatchObject({ state: 'up', facts: null });
    expect(watched.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('that closes an idle connection stays up', async () => {
    const server = await redis();
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    await onServer(server, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await watched.watch.health.refresh(`${server.host}:${server.port}`);
    expect(watched.of(server).state).toBe('up');
    expect(watched.transitions).toHaveLength(1);
  });
});

describe('what is no redis-server', () => {
  it('a full accept queue is unreachable', async () => {
    const { port, pid, stop } = await listenerThatNeverAccepts();
    undo.push(stop);
    const fillers: Socket[] = [];
    undo.push(() => fillers.forEach((socket) => void socket.destroy()));
    process.kill(pid, 'SIGSTOP');
    for (let i = 0; i < 4; i++) {
      const filler = createConnection({ host: '127.0.0.1', port });
      filler.on('error', () => undefined);
      fillers.push(filler);
    }
    await until('the queue is full', () => fillers.some(({ connecting }) => !connecting));
    const node = { host: '127.0.0.1', port };
    await watch([node]).reaches(node, 'down', 'unreachable');
  });

  it('a node that answers PING and no commands is stuck', async () => {
    const fake = await FakeNode.start((command) => (command === 'PING' ? '+PONG\r\n' : null));
    undo.push(() => fake.stop());
    const node = { host: '127.0.0.1', port: fake.port };
    const watched = watch([node]);
    await watched.reaches(node, 'down', 'stuck');
    const primary = (): string =>
      bulk(`# R\r\nrole:master\r\nmaster_replid:${'a'.repeat(40)}\r\nmaster_repl_offset:7\r\n`);
    fake.answer = (command) => (command === 'PING' ? '+PONG\r\n' : primary());
    await watched.reaches(node, 'up');
    expect(watched.of(node).facts).toMatchObject({ role: 'primary', offset: 7 });
  });

  it('a node that answers us while the workers wait for it is suspect, and no more', async () => {
    const server = await redis();
    const watched = watch([server]);
    await watched.reaches(server, 'up');
    const hint = { reason: 'timeout', node: `${server.host}:${server.port}` } as const;
    watched.watch.onHint(hint);
    await watched.watch.health.refresh(hint.node);
    expect(watched.of(server).state).toBe('up');
    watched.watch.onHint(hint);
    await watched.reaches(server, 'suspect', 'stuck');
    await watched.reaches(server, 'up');
    expect(watched.transitions.map(({ to }) => to)).toEqual(['up', 'suspect', 'up']);
  });
});

async function onServer(server: PlainRedis, ...words: [string, ...string[]]): Promise<void> {
  const client = await server.connect();
  await client.call(...words);
  client.close();
}

async function listenerThatNeverAccepts() {
  const program = `const s = require('node:net').createServer();
    s.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return { port: Number(line.toString()), pid: child.pid as number, stop };
}

describe('a whole slotgate', () => {
  let proxy: TestProxy;
  let client: RespClient;

  beforeAll(async () => {
    proxy = await startProxy({ shards: 1, replicas: 1, config: { reads: { pollMs: 100 } } });
    client = await connectResp({ host: proxy.host, port: proxy.port });
  });

  afterAll(async () => {
    client?.close();
    await proxy?.close();
  });

  it('shows state and staleness of each node', async () => {
    const [primary, replica] = proxy.cluster.nodes.map(({ host, port }) => `${host}:${port}`);
    const state = (node = '', role = ''): string =>
      `slotgate_node_state{node="${node}",shard="0",role="${role}",state="up"} 1`;
    const staleness = `slotgate_replica_staleness_seconds{node="${replica}",shard="0"} `;
    const text = async (): Promise<string> => (await fetch(`${proxy.httpUrl}/metrics`)).text();
    await until('the replica has been seen to keep up', async () => {
      const line = (await text()).split('\n').find((one) => one.startsWith(staleness));
      return Number(line?.slice(staleness.length)) < 3;
    });
    const shown = await text();
    expect(shown).toContain(state(primary, 'primary'));
    expect(shown).toContain(state(replica, 'replica'));
    expect(shown.match(/^slotgate_node_state/gm)).toHaveLength(8);
  });

  it('changes weights while it runs, also of single nodes, and shows them', async () => {
    const [, replica] = proxy.cluster.nodes.map(({ host, port }) => `${host}:${port}`);
    expect(await client.call('CONFIG', 'SET', 'reads.weights.replica', '40')).toBe('OK');
    expect(await client.call('CONFIG', 'SET', 'reads.nodeWeights', `${replica}=7`)).toBe('OK');
    expect(await client.call('CONFIG', 'GET', 'reads.*eights*')).toEqual([
      'reads.nodeWeights',
      `${replica}=7`,
      'reads.weights.primary',
      '100',
      'reads.weights.replica',
      '40',
      'reads.zoneWeights',
      '',
    ]);
    expect(await client.call('CONFIG', 'SET', 'reads.nodeWeights', '')).toBe('OK');
    await expect(client.call('CONFIG', 'SET', 'reads.pollMs', '900ms')).rejects.toThrow(
      /reads.maxStalenessMs is 1000/,
    );
  });
});
