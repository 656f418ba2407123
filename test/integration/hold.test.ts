/** A shard goes away: which commands wait, for how long, and what the others notice of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../src/lib/log.ts';
import { connectResp, type RespClient, type RespReply } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { Worker } from '../../src/process/worker-role.ts';
import { onNode, ownerOf, startTestCluster, until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw-client.ts';

const SHARDS = 3;
const HIT = tagsOfShard(0, SHARDS, 1)[0] as string;
const OTHER = tagsOfShard(1, SHARDS, 1)[0] as string;
/** What a command that does not wait may take on a busy machine. */
const AT_ONCE_MS = 400;
/** Clients of other shards: nothing but the machine's own slowness may hold them up. */
const OTHERS_GAP_MS = 2000;

/** As at start; CONFIG SET takes them live. */
const DEFAULTS = {
  timeoutMs: '10s',
  maxRequests: '20000',
  maxFailoverMs: '30s',
  minGapMs: '0',
  dryRun: 'no',
} as const;

let cluster: LocalCluster;
let node: LocalNode;
let proxy: TestProxy;
/** The worker inside, for what control asks of it. */
let worker: Worker;
const lines: string[] = [];
const clients: RespClient[] = [];

beforeAll(async () => {
  // Nothing is promoted, and the cluster never agrees that the node has failed.
  cluster = await startTestCluster({ shards: SHARDS, replicas: 0, nodeTimeoutMs: 60_000 });
  node = (await ownerOf(cluster, 1)) as LocalNode;
  const listen = vi.spyOn(Worker.prototype, 'listen');
  const destination = { write: (line: string) => void lines.push(line) };
  proxy = await startProxy({
    cluster,
    config: { health: { pingIntervalMs: 100, pingTimeoutMs: 200, downAfter: 2 } },
    log: createLogger({ level: 'info', format: 'json', destination }),
  });
  worker = listen.mock.contexts[0] as Worker;
  listen.mockRestore();
});

afterEach(async () => {
  release();
  for (const client of clients.splice(0)) client.close();
  if (node.pid === 0) await cluster.restart(node);
});

afterAll(async () => {
  await proxy?.close();
  await cluster?.stop();
});

/** Resolves when all shards serve and these settings are in force. */
async function use(hold: Partial<Record<keyof typeof DEFAULTS, string>>): Promise<void> {
  const client = await connect();
  const set = async (settings: Readonly<Record<string, string>>): Promise<void> => {
    const pairs = Object.entries(settings).flatMap(([name, value]) => [`hold.${name}`, value]);
    if (pairs.length > 0) await client.call('CONFIG', 'SET', ...pairs);
  };
  await set(DEFAULTS);
  // A primary that has just been started refuses writes for a while.
  expect(await client.call('SET', `{${HIT}}k`, 0)).toBe('OK');
  await until('nothing is held', async () => (await sum('slotgate_hold_state')) === 0);
  await set(hold);
}

async function connect(): Promise<RespClient> {
  const { host, port } = proxy;
  const client = await connectResp({ host, port, timeoutMs: 30_000 });
  clients.push(client);
  return client;
}

interface Outcome {
  /** The reply, or the error's text. */
  readonly said: string;
  readonly ms: number;
}

async function timed(call: Promise<RespReply>): Promise<Outcome> {
  const from = performance.now();
  const said = await call.then(String, String);
  return { said, ms: performance.now() - from };
}

/** Kills the node and waits until the proxy has seen it. */
async function killNode(probe: RespClient): Promise<void> {
  await cluster.kill(node, 'SIGKILL');
  await until('the proxy has lost the node', async () => {
    return (await sum('slotgate_upstream_up', node.port)) === 0;
  });
  expect(await probe.call('SET', `{${OTHER}}alive`, 1)).toBe('OK');
}

async function sum(family: string, label: string | number = ''): Promise<number> {
  return (await Metrics.read(proxy.httpUrl)).sum(family, String(label));
}

function hold(drainMs: number): Promise<{ drained: boolean }> {
  const addresses = [`${node.host}:${node.port}`];
  return worker.handle('hold.start', { addresses, drainMs }) as Promise<{ drained: boolean }>;
}

function release(): void {
  worker.handle('hold.end', { addresses: [`${node.host}:${node.port}`] });
}

describe('how long a command waits', () => {
  it('hold.minGapMs: a shard that comes and goes is not held each time', async () => {
    // Before any other test: the shard has not been held yet.
    await use({ timeoutMs: '20s', minGapMs: '60s' });
    const client = await connect();
    const probe = await connect();
    await client.call('SET', `{${HIT}}k`, 1);
    await killNode(probe);
    const held = timed(client.call('SET', `{${HIT}}k`, 2));
    await until('it is held', async () => (await sum('slotgate_hold_state', 'holding')) === 1);
    await cluster.restart(node);
    expect((await held).said).toBe('OK');
    await until('the hold is over', async () => (await sum('slotgate_hold_state')) === 0);
    await killNode(probe);
    const refused = await timed(client.call('SET', `{${HIT}}k`, 3));
    expect(refused.said).toMatch(/CLUSTERDOWN .*hold\.minGapMs/);
    expect(refused.ms).toBeLessThan(AT_ONCE_MS);
  });

  it('hold.timeoutMs from when it came, and not at all after hold.maxFailoverMs', async () => {
    await use({ timeoutMs: '600', maxFailoverMs: '2000' });
    const client = await connect();
    await client.call('SET', `{${HIT}}k`, 1);
    await cluster.kill(node, 'SIGKILL');
    const killedAt = performance.now();
    const first = await timed(client.call('GET', `{${HIT}}k`));
    expect(first.said).toMatch(/CLUSTERDOWN .* is out of reach .*hold\.timeoutMs/);
    expect(first.ms).toBeGreaterThan(500);
    // It comes when the shard has been away for longer than the first waited.
    const second = await timed(client.call('SET', `{${HIT}}k`, 2));
    expect(second.said).toMatch(/hold\.timeoutMs/);
    expect(second.ms).toBeGreaterThan(500);
    await until('the longest failover is over', () => performance.now() - killedAt > 2200);
    const third = await timed(client.call('SET', `{${HIT}}k`, 3));
    expect(third.said).toMatch(/CLUSTERDOWN .* for more than 2 s \(hold\.maxFailoverMs\)/);
    expect(third.ms).toBeLessThan(AT_ONCE_MS);
    await until('it shows', async () => {
      return (await sum('slotgate_hold_skipped_requests_total', 'maxFailoverMs')) > 0;
    });
    expect(await sum('slotgate_hold_state')).toBe(0);
  });

  it('a pipeline is answered as one: what came with the first does not wait anew', async () => {
    await use({ timeoutMs: '1000' });
    const client = await connect();
    await hold(10_000);
    const from = performance.now();
    const early = Array.from({ length: 20 }, () => timed(client.call('INCR', `{${HIT}}k`)));
    await until('half of the time has passed', () => performance.now() - from > 500);
    const late = timed(client.call('INCR', `{${HIT}}k`));
    for (const { said, ms } of await Promise.all(early)) {
      expect(said).toMatch(/hold\.timeoutMs/);
      expect(ms).toBeGreaterThan(950);
      expect(ms).toBeLessThan(1000 + AT_ONCE_MS);
    }
    const { ms } = await late;
    expect(ms).toBeGreaterThan(950);
    expect(ms).toBeLessThan(1100 + AT_ONCE_MS);
  });

  it('hold.dryRun: no command waits, what would have is counted and logged', async () => {
    await use({ dryRun: 'yes' });
    lines.length = 0;
    const client = await connect();
    await client.call('SET', `{${HIT}}k`, 1);
    await killNode(await connect());
    for (let i = 0; i < 3; i++) {
      const { said, ms } = await timed(client.call('SET', `{${HIT}}k`, 2));
      expect(said).toMatch(/CLUSTERDOWN .*hold\.dryRun/);
      expect(ms).toBeLessThan(AT_ONCE_MS);
    }
    await until('the log tells', () => lines.some((line) => line.includes('would be held')));
    await cluster.restart(node);
    await until('the log tells the end', () => lines.some((line) => line.includes('serves again')));
    expect(await client.call('CONFIG', 'SET', 'hold.dryRun', 'no')).toBe('OK');
    // The node refuses for a while yet: that is waited for now.
    expect(await client.call('SET', `{${HIT}}k`, 3)).toBe('OK');
    await until('it is counted', async () => {
      return (await sum('slotgate_hold_skipped_requests_total', 'dryRun')) >= 3;
    });
    expect(await sum('slotgate_hold_seconds_total')).toBeGreaterThan(0);
  });

  it('hold.maxRequests: more than that do not wait', async () => {
    await use({ timeoutMs: '20s', maxRequests: '5' });
    const all = await Promise.all(Array.from({ length: 8 }, connect));
    await hold(10_000);
    const outcomes = all.map((client) => timed(client.call('INCR', `{${HIT}}n`)));
    await until('five wait', async () => (await sum('slotgate_holding_requests')) === 5);
    release();
    const said = (await Promise.all(outcomes)).map((outcome) => outcome.said);
    expect(said.filter((text) => /hold\.maxRequests/.test(text)).length).toBe(3);
    expect(said.filter((text) => /^\d+$/.test(text)).length).toBe(5);
  });
});

it('a node that hangs: what is in flight is answered late, what comes then is held', async () => {
  await use({});
  const client = await connect();
  await client.call('DEL', `{${HIT}}hangs`);
  await cluster.kill(node, 'SIGSTOP');
  try {
    const first = timed(client.call('INCR', `{${HIT}}hangs`));
    let sent = 0;
    const later: Promise<Outcome>[] = [];
    // Commands are sent on until control and the lane both say that nothing is answered.
    await until('commands are held', async () => {
      const other = await connect();
      later.push(timed(other.call('INCR', `{${HIT}}hangs`)));
      sent++;
      return (await sum('slotgate_hold_state', 'holding')) === 1;
    });
    await cluster.kill(node, 'SIGCONT');
    expect((await first).said).toBe('1');
    const values = (await Promise.all(later)).map(({ said }) => Number(said));
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, i) => i + 2));
  } finally {
    await cluster.kill(node, 'SIGCONT');
  }
});

describe('the end of a hold', () => {
  const CLIENTS = 2000;
  const DEPTH = 5;

  it('is paced: clients of other shards go on, each held one keeps its order', async () => {
    await use({ timeoutMs: '30s' });
    const probe = await connect();
    const port = proxy.port;
    const held: RawClient[] = [];
    for (let i = 0; i < CLIENTS; i++) held.push(await RawClient.open({ port }));
    await hold(20_000);
    held.forEach((client, i) => {
      const pushes = Array.from({ length: DEPTH }, (_, n) => `RPUSH {${HIT}}list${i} ${n}\r\n`);
      client.send(`${pushes.join('')}LRANGE {${HIT}}list${i} 0 -1\r\n`);
    });
    await until('all wait', async () => (await sum('slotgate_holding_requests')) === CLIENTS);
    const before = await longestOf(probe, 300);
    release();
    const longest = await longestOf(probe, 0, () => held.every(({ received }) => received > 0));
    const expected = `${Array.from({ length: DEPTH }, (_, n) => `:${n + 1}\r\n`).join('')}*${DEPTH}\r\n`;
    for (const client of held) {
      await client.hasReceived(expected.length + DEPTH * 7);
      const elements = Array.from({ length: DEPTH }, (_, n) => `$1\r\n${n}\r\n`).join('');
      expect(client.text).toBe(expected + elements);
      client.destroy();
    }
    process.stdout.write(`longest wait of others: ${before} ms held, ${longest} ms released\n`);
    expect(longest).toBeLessThan(OTHERS_GAP_MS);
    await until('nothing drains', async () => (await sum('slotgate_hold_state')) === 0);
  });

  /** Longest time of a command for another shard, in `count` of them or until `isOver`. */
  async function longestOf(probe: RespClient, count: number, isOver = () => true): Promise<number> {
    let longest = 0;
    for (let i = 0; i < count || !isOver(); i++) {
      longest = Math.max(longest, (await timed(probe.call('GET', `{${OTHER}}k`))).ms);
    }
    return Math.round(longest);
  }
});

describe('hold.start and hold.end', () => {
  it('commands of all kinds wait, others do not, and all go on afterwards', async () => {
    await use({});
    const watching = await connect();
    const blocked = await connect();
    const probe = await connect();
    const key = `{${HIT}}held`;
    await probe.call('MSET', key, 1, `{${OTHER}}held`, 1);
    await watching.call('WATCH', key);
    const popped = timed(blocked.call('BLPOP', `{${HIT}}pop`, 20));
    await until('it blocks', async () => (await sum('slotgate_downstream_blocked_clients')) === 1);
    expect(await hold(2000)).toEqual({ drained: true });

    const queue = async (client: RespClient, ...commands: string[][]): Promise<RespReply> => {
      for (const [name = '', ...rest] of commands.slice(0, -1)) await client.call(name, ...rest);
      const [name = '', ...rest] = commands.at(-1) as string[];
      return client.call(name, ...rest);
    };
    const waiting: Promise<Outcome>[] = [
      timed(queue(watching, ['MULTI'], ['INCR', key], ['EXEC'])),
      timed(queue(await connect(), ['MULTI'], ['INCR', key], ['EXEC'])),
      timed(queue(await connect(), ['GET', key])),
      timed(queue(await connect(), ['MSET', key, '7', `{${OTHER}}held`, '7'])),
      timed(queue(await connect(), ['EVAL', 'return redis.call("INCR", KEYS[1])', '1', key])),
      timed(queue(await connect(), ['DBSIZE'])),
      timed(queue(await connect(), ['PUBLISH', HIT, 'm'])),
      timed(queue(await connect(), ['BLPOP', `{${HIT}}other`, '0.1'])),
      timed(queue(await connect(), ['WATCH', key])),
    ];
    let answered = 0;
    for (const each of waiting) each.then(() => answered++);
    await until('all wait', async () => {
      return (await sum('slotgate_holding_requests')) === waiting.length;
    });
    for (let i = 0; i < 50; i++) await probe.call('SET', `{${OTHER}}k`, i);
    expect(answered).toBe(0);
    expect(await probe.call('GET', `{${OTHER}}held`)).toBe('1');
    expect(await sum('slotgate_hold_state', 'holding')).toBe(1);

    release();
    for (const { said } of await Promise.all(waiting)) expect(said).not.toMatch(/Error|ERR/);
    expect(await probe.call('RPUSH', `{${HIT}}pop`, 'x')).toBe(1);
    expect((await popped).said).toBe(`{${HIT}}pop,x`);
  });

  it('what is in flight is waited for, as long as it may take', async () => {
    await use({});
    const client = await connect();
    await client.call('SET', `{${HIT}}k`, 1);
    await cluster.kill(node, 'SIGSTOP');
    try {
      const pending = timed(client.call('SET', `{${HIT}}k`, 2));
      await until('it is in flight', async () => {
        return (await sum('slotgate_upstream_inflight_requests', node.port)) > 0;
      });
      expect(await hold(100)).toEqual({ drained: false });
      const second = hold(10_000);
      await cluster.kill(node, 'SIGCONT');
      expect(await second).toEqual({ drained: true });
      expect((await pending).said).toBe('OK');
    } finally {
      await cluster.kill(node, 'SIGCONT');
      release();
    }
  });

  it('a client that leaves while its node is held is taken off it', async () => {
    await use({});
    const blocked = await connect();
    const pop = timed(blocked.call('BLPOP', `{${HIT}}pop`, 20));
    await until('it blocks', async () => (await sum('slotgate_downstream_blocked_clients')) === 1);
    expect(await hold(1000)).toEqual({ drained: true });
    blocked.close();
    await pop;
    await until('the node has let go of it', async () => {
      const info = await onNode(cluster, node, (client) => client.call('INFO', 'clients'));
      return String(info).includes('blocked_clients:0');
    });
    release();
    const probe = await connect();
    expect(await probe.call('RPUSH', `{${HIT}}pop`, 'y')).toBe(1);
    expect(await probe.call('LPOP', `{${HIT}}pop`)).toBe('y');
  });
});
