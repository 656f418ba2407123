/** CLIENT …: who is connected and what they do, stopped, freed and paused, over real nodes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { childrenOf, connectToWorker } from '../support/load/workers.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { RawClient } from '../support/raw-client.ts';

let proxy: TestProxy;
const open: RespClient[] = [];

beforeAll(async () => {
  proxy = await startProxy();
});

afterAll(() => proxy?.close());

afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

async function connect(name = ''): Promise<RespClient> {
  const client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 10_000 });
  open.push(client);
  if (name !== '') await client.call('CLIENT', 'SETNAME', name);
  return client;
}

/** The fields of the client of this name, {} when it is not there. */
async function fields(asker: RespClient, name: string): Promise<Record<string, string>> {
  const list = String(await asker.call('CLIENT', 'LIST'));
  const line = list.split('\n').find((each) => each.includes(` name=${name} `)) ?? '';
  const pairs = line.split(' ').map((field) => field.split('=') as [string, string]);
  return Object.fromEntries(pairs.filter(([key]) => key !== ''));
}

async function idOf(client: RespClient): Promise<number> {
  return Number(await client.call('CLIENT', 'ID'));
}

async function isBlocked(asker: RespClient, name: string): Promise<void> {
  await until(`${name} blocks`, async () => (await fields(asker, name)).flags === 'b');
}

describe('CLIENT LIST', () => {
  it('shows transactions, watched keys, blocked and monitoring clients', async () => {
    const asker = await connect('asker');
    const queuing = await connect('queuing');
    await queuing.call('WATCH', '{w}1', '{w}2');
    await queuing.call('MULTI');
    await queuing.call('SET', '{w}1', '1');
    expect(await fields(asker, 'queuing')).toMatchObject({ flags: 'x', multi: '1', watch: '2' });
    await queuing.call('DISCARD');
    expect(await fields(asker, 'queuing')).toMatchObject({ flags: 'N', multi: '-1', watch: '0' });
    const blocked = await connect('blocked');
    const popped = blocked.call('BLPOP', 'empty', 0);
    await isBlocked(asker, 'blocked');
    expect(await fields(asker, 'blocked')).toMatchObject({ cmd: 'blpop' });
    await asker.call('RPUSH', 'empty', 'x');
    expect(await popped).toEqual(['empty', 'x']);
    const monitor = await connect('watcher');
    await monitor.call('MONITOR');
    expect(await fields(asker, 'watcher')).toMatchObject({ flags: 'O' });
    const list = String(await asker.call('CLIENT', 'LIST', 'TYPE', 'replica'));
    expect(list.match(/ name=\S*/g)).toEqual([' name=watcher']);
  });
});

describe('CLIENT KILL', () => {
  it('closes a blocked client by its id', async () => {
    const asker = await connect();
    const blocked = await connect('victim');
    const popped = blocked.call('BLPOP', 'nothing', 0);
    popped.catch(() => undefined);
    await isBlocked(asker, 'victim');
    expect(await asker.call('CLIENT', 'KILL', 'ID', await idOfName(asker, 'victim'))).toBe(1);
    await expect(popped).rejects.toThrow();
    // Nothing is popped for it any more.
    await asker.call('RPUSH', 'nothing', 'kept');
    expect(await asker.call('LRANGE', 'nothing', 0, -1)).toEqual(['kept']);
  });

  it('spares the one that asks unless told otherwise', async () => {
    const asker = await connect();
    const id = await idOf(asker);
    expect(await asker.call('CLIENT', 'KILL', 'ID', id)).toBe(0);
    expect(await asker.call('CLIENT', 'KILL', 'ID', id, 'SKIPME', 'no')).toBe(1);
    await expect(asker.call('PING')).rejects.toThrow();
  });
});

async function idOfName(asker: RespClient, name: string): Promise<number> {
  return Number((await fields(asker, name)).id);
}

describe('CLIENT UNBLOCK', () => {
  it.each([
    ['one slot', ['{u}a', '{u}b']],
    ['several slots', ['u-a', 'u-b', 'u-c']],
  ])('frees a client that waits over %s', async (_, keys) => {
    const asker = await connect();
    const waiter = await connect('waiter');
    const id = await idOf(waiter);
    const first = waiter.call('BLPOP', ...keys, 0);
    await isBlocked(asker, 'waiter');
    expect(await asker.call('CLIENT', 'UNBLOCK', id)).toBe(1);
    expect(await first).toBeNull();
    const second = waiter.call('BLPOP', ...keys, 0);
    second.catch(() => undefined);
    await isBlocked(asker, 'waiter');
    expect(await asker.call('CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1);
    await expect(second).rejects.toThrow('UNBLOCKED client unblocked via CLIENT UNBLOCK');
    expect(await asker.call('CLIENT', 'UNBLOCK', id)).toBe(0);
    // Freed for good: what is pushed now is nobody's.
    await asker.call('RPUSH', keys[0] as string, 'x');
    expect(await waiter.call('LPOP', keys[0] as string)).toBe('x');
  });

  it('is 0 for a client that nobody knows', async () => {
    expect(await (await connect()).call('CLIENT', 'UNBLOCK', 999_999)).toBe(0);
  });
});

describe('CLIENT PAUSE', () => {
  it('WRITE keeps writes back, transactions that write too, and lets reads through', async () => {
    const asker = await connect();
    const writer = await connect('writer');
    const inMulti = await connect('in-multi');
    await asker.call('SET', 'p', 'before');
    await inMulti.call('MULTI');
    await inMulti.call('SET', 'p', 'exec');
    expect(await asker.call('CLIENT', 'PAUSE', 60_000, 'WRITE')).toBe('OK');
    let isWritten = false;
    const written = writer.call('SET', 'p', 'after').then(() => (isWritten = true));
    const executed = inMulti.call('EXEC').then(() => (isWritten = true));
    await isBlocked(asker, 'writer');
    await until('EXEC waits', async () => (await fields(asker, 'in-multi')).flags === 'xb');
    expect(await asker.call('GET', 'p')).toBe('before');
    const late = await connect();
    const script = late.call('EVAL', 'return 1', 0);
    expect(isWritten).toBe(false);
    expect(await asker.call('CLIENT', 'UNPAUSE')).toBe('OK');
    await Promise.all([written, executed]);
    expect(await script).toBe(1);
  });

  it('ALL stops every command but what ends it, at most for its time', async () => {
    const asker = await connect();
    const other = await connect('other');
    expect(await asker.call('CLIENT', 'PAUSE', 60_000)).toBe('OK');
    const paused = Promise.all([other.call('PING'), other.call('GET', 'none')]);
    const ender = await connect();
    expect(await ender.call('CLIENT', 'UNPAUSE')).toBe('OK');
    expect(await paused).toEqual(['PONG', null]);
    const before = performance.now();
    await asker.call('CLIENT', 'PAUSE', 150);
    expect(await other.call('PING')).toBe('PONG');
    expect(performance.now() - before).toBeGreaterThan(140);
  });

  it('does not lose a client that blocks', async () => {
    const asker = await connect();
    const waiter = await connect('blocked-in-pause');
    const popped = waiter.call('BLPOP', 'paused-list', 0);
    await isBlocked(asker, 'blocked-in-pause');
    await asker.call('CLIENT', 'PAUSE', 60_000, 'WRITE');
    const pusher = await connect('pusher');
    const pushed = pusher.call('RPUSH', 'paused-list', 'v');
    await isBlocked(asker, 'pusher');
    await asker.call('CLIENT', 'UNPAUSE');
    expect(await pushed).toBe(1);
    expect(await popped).toEqual(['paused-list', 'v']);
  });

  it('a client that leaves while it is kept back does nothing', async () => {
    const asker = await connect();
    await asker.call('CLIENT', 'PAUSE', 60_000, 'WRITE');
    const leaver = await connect('leaver');
    leaver.call('SET', 'left', '1').catch(() => undefined);
    await isBlocked(asker, 'leaver');
    expect(await asker.call('CLIENT', 'KILL', 'ID', await idOfName(asker, 'leaver'))).toBe(1);
    await asker.call('CLIENT', 'UNPAUSE');
    expect(await asker.call('EXISTS', 'left')).toBe(0);
  });
});

describe('CLIENT REPLY', () => {
  it('OFF, SKIP and ON over routed, split, local and failing commands', async () => {
    const client = await RawClient.open(proxy);
    const commands = [
      'CLIENT REPLY SKIP',
      'SET r 1',
      'GET r',
      'CLIENT REPLY OFF',
      'PING',
      'MSET r2 1 r3 2',
      'NOSUCH',
      'GET',
      'CLIENT REPLY SKIP',
      'CLIENT REPLY ON',
      'GET r',
      'MGET r2 r3',
    ];
    client.send(`${commands.join('\r\n')}\r\n`);
    const expected = '$1\r\n1\r\n+OK\r\n$1\r\n1\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n';
    await client.hasReceived(expected.length);
    expect(client.text).toBe(expected);
    client.destroy();
  });
});

describe('over two worker processes', () => {
  let slotgate: ProxyProcess;
  let one: RespClient;
  let two: RespClient;

  beforeAll(async () => {
    slotgate = await startProxyProcess({
      workers: 2,
      cluster: { seeds: proxy.cluster.seeds },
    });
    await until('both workers serve', async () => {
      const metrics = await Metrics.read(slotgate.httpUrl);
      return metrics.sum('slotgate_workers') === 2 && (await slotgate.isReady());
    });
    one = await connectToWorker(slotgate.port, 1);
    two = await connectToWorker(slotgate.port, 2);
  }, 60_000);

  afterAll(async () => {
    one?.close();
    two?.close();
    await slotgate?.stop();
  });

  it('LIST, UNBLOCK, PAUSE, KILL and CONFIG SET reach the clients of the other', async () => {
    const waiter = await connectToWorker(slotgate.port, 2);
    await waiter.call('CLIENT', 'SETNAME', 'far');
    const popped = waiter.call('BLPOP', 'far-list', 0);
    await isBlocked(one, 'far');
    expect(String(await one.call('INFO', 'clients'))).toContain('blocked_clients:1');
    expect(await one.call('CLIENT', 'UNBLOCK', await idOfName(one, 'far'))).toBe(1);
    expect(await popped).toBeNull();
    await one.call('CLIENT', 'PAUSE', 60_000, 'WRITE');
    const written = waiter.call('SET', 'far', '1');
    await isBlocked(one, 'far');
    await one.call('CLIENT', 'UNPAUSE');
    expect(await written).toBe('OK');
    expect(await one.call('CLIENT', 'KILL', 'ID', await idOfName(one, 'far'))).toBe(1);
    await expect(waiter.call('PING')).rejects.toThrow();
    await one.call('CONFIG', 'SET', 'timeout', '77');
    expect(await two.call('CONFIG', 'GET', 'timeout')).toEqual(['timeout', '77']);
  });

  it('a monitor is shown the commands of both', async () => {
    const monitor = await RawClient.open({ port: slotgate.port });
    monitor.send('MONITOR\r\n');
    await monitor.hasReceived(5);
    await one.call('PING', 'from-one');
    await two.call('PING', 'from-two');
    await until('both are shown', () => /from-one[\s\S]*from-two/.test(monitor.text));
    monitor.destroy();
  });

  it('a worker that starts later is told what CONFIG SET has changed', async () => {
    await one.call('CONFIG', 'SET', 'timeout', '88');
    const victim = childrenOf(slotgate.pid).find(({ worker }) => worker === 2);
    if (victim === undefined) throw new Error('there is no second worker');
    process.kill(victim.pid, 'SIGKILL');
    await until('its successor has the setting', async () => {
      const late = await connectResp({ host: '127.0.0.1', port: slotgate.port });
      const [id, reply] = await Promise.all([
        late.call('CLIENT', 'ID'),
        late.call('CONFIG', 'GET', 'timeout'),
      ]).finally(() => late.close());
      return Number(id) % 64 === 2 && (reply as string[])[1] === '88';
    });
  });
});
