/**
 * Clients that are hostile, broken or careless. Each gets what Redis would say or a clean close;
 * everybody else is served meanwhile, and the memory comes back.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LatencyProbe } from '../../bench/load/latency-probe.ts';
import { connectResp, encodeCommand } from '../../src/lib/resp-client.ts';
import { until, useCluster } from '../support/cluster.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { RawClient, transcript } from '../support/raw-client.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';

const KB = 1024;
const MB = 1024 * KB;
/** What one client may cost while it misbehaves: its requests' and its replies' limit, and slack. */
const MISBEHAVIOUR_BYTES_MAX = 256 * MB;
const AFTERMATH_BYTES_MAX = 30 * MB;
/** No timing test: what a stuck event loop or a blocked lane would exceed. */
const BYSTANDER_WORST_MS = 1000;

const PING = '*1\r\n$4\r\nPING\r\n';
const QUIT = '*1\r\n$4\r\nQUIT\r\n';

const cluster = useCluster({ shards: 3, replicas: 0 });
let proxy: ProxyProcess;
let redis: PlainRedis;
let bystander: LatencyProbe;
let before = 0;

beforeAll(async () => {
  redis = await startRedis();
  proxy = await startProxyProcess({ cluster: { seeds: [...cluster().seeds] } });
  await until('the proxy is ready', () => proxy.isReady());
  for (const { port } of [proxy, redis]) {
    const client = await connectResp({ host: '127.0.0.1', port });
    for (const [key, size] of [
      ['bad:64', 64],
      ['bad:1k', KB],
      ['bad:1m', MB],
    ] as const) {
      await client.call('SET', key, 'x'.repeat(size));
    }
    for (let i = 0; i < 16; i++) await client.call('SET', `bystander:${i}`, 'x'.repeat(64));
    client.close();
  }
  const keys = Array.from({ length: 16 }, (_, i) => `bystander:${i}`);
  const options = { port: proxy.port, connections: 4, requestsPerSecond: 200, keys };
  bystander = await LatencyProbe.start(options);
  await ordinaryTraffic();
  before = (await proxy.memory()).rss;
});

afterAll(async () => {
  await bystander?.stop();
  await proxy?.stop();
  await redis?.stop();
});

describe('bytes that are no commands', () => {
  /** Redis' own answer, to the byte. */
  const asRedis: readonly (readonly [name: string, payload: string, said: string])[] = [
    ['*-5 is ignored', `*-5\r\n${PING}${QUIT}`, '+PONG\r\n+OK\r\n'],
    ['*0, *-1 and empty lines are ignored', `*0\r\n*-1\r\n\r\n\r\n${QUIT}`, '+OK\r\n'],
    ['*99999999999', '*99999999999\r\n', '-ERR Protocol error: invalid multibulk length\r\n'],
    ['*abc', '*abc\r\n', '-ERR Protocol error: invalid multibulk length\r\n'],
    ['$-2', '*1\r\n$-2\r\n', '-ERR Protocol error: invalid bulk length\r\n'],
    ['$536870913', '*1\r\n$536870913\r\n', '-ERR Protocol error: invalid bulk length\r\n'],
    ['no $ where one belongs', '*1\r\nPING\r\n', "-ERR Protocol error: expected '$', got 'P'\r\n"],
    ['unbalanced quotes', 'set a "b\r\n', '-ERR Protocol error: unbalanced quotes in request\r\n'],
    ['HTTP POST', 'POST / HTTP/1.1\r\nHost: example.org\r\n\r\n', ''],
    [
      'what came before the error is answered',
      `${PING}*x\r\n${PING}`,
      '+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n',
    ],
  ];

  test.each(asRedis)('%s', async (_name, payload, said) => {
    expect((await transcript(proxy, payload)).said).toBe(said);
    expect((await transcript(redis, payload)).said).toBe(said);
  });

  test('an HTTP GET is an inline GET with too many arguments; its Host: ends it', async () => {
    const request = 'GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n';
    const { said } = await transcript(proxy, request);
    expect(said).toBe("-ERR wrong number of arguments for 'get' command\r\n");
    // Redis drops with the connection what it had to say.
    expect((await transcript(redis, request)).said).toBe('');
  });

  test('a TLS hello is waited on as an unfinished line, and ended with its client', async () => {
    const hello = Buffer.concat([
      Buffer.from('1603010200010001fc0303', 'hex'),
      Buffer.alloc(506, 7),
    ]);
    expect(await transcript(proxy, hello, { fin: true })).toEqual({ said: '', errorCode: '' });
    expect(await transcript(redis, hello, { fin: true })).toEqual({ said: '', errorCode: '' });
  });

  test('random bytes get error lines and at last a close', async () => {
    for (let i = 0; i < 20; i++) {
      const { said } = await transcript(proxy, randomBytes(64 * KB), { fin: true });
      for (const line of said.split('\r\n').slice(0, -1)) expect(line).toMatch(/^-ERR /);
    }
  });

  test('a missing CRLF behind a bulk is an error, stricter than Redis', async () => {
    const { said } = await transcript(proxy, `*1\r\n$4\r\nPINGxx${PING}`);
    expect(said).toBe('-ERR Protocol error: expected CRLF after bulk\r\n');
  });

  test('an inline command of 1 MB', async () => {
    const { said } = await transcript(proxy, 'a'.repeat(MB));
    expect(said).toBe('-ERR Protocol error: too big inline request\r\n');
    // Redis resets the connection when unread bytes are left, and its words may be lost with it.
    const real = await transcript(redis, 'a'.repeat(MB));
    expect(real.said === said || real.errorCode !== '').toBe(true);
  });

  test('2 million arguments are refused by their count, before they arrive', async () => {
    const { said } = await transcript(proxy, `*2000000\r\n${'$1\r\na\r\n'.repeat(10)}`);
    expect(said).toBe('-ERR Protocol error: invalid multibulk length\r\n');
    const whole = await transcript(proxy, `*2000000\r\n${'$1\r\na\r\n'.repeat(2_000_000)}`);
    expect(whole.said === said || whole.errorCode !== '').toBe(true);
  });
});

describe('clients that behave badly, beside one that does not', () => {
  beforeEach(async () => {
    await bystander.mark('all');
  });

  afterEach(async () => {
    const { count, errors, firstError, maxMs } = await bystander.mark('all');
    expect({ errors, firstError }).toEqual({ errors: 0, firstError: '' });
    // A test may be too quick for it to have had its turn.
    if (count > 0) expect(maxMs).toBeLessThan(BYSTANDER_WORST_MS);
    await until('it is answered', async () => (await bystander.mark()).count > 0);
  });

  test('2,000 connections that never finish a command', async () => {
    const clients: RawClient[] = [];
    while (clients.length < 2000) {
      const opened = Array.from({ length: 100 }, () => RawClient.open(proxy, 64));
      for (const client of await Promise.all(opened)) {
        client.send('*3\r\n$3\r\nSET\r\n$100\r\nunfinished');
        clients.push(client);
      }
    }
    const peak = await peakWhile(() => expectAllServed(64));
    expect(clients.filter(({ closed }) => closed)).toHaveLength(0);
    expect(peak - before).toBeLessThan(100 * MB);
    for (const client of clients) client.destroy();
    await until('they are forgotten', async () => (await connections()) < 20);
  });

  test('a client that announces 512 MB and sends a little costs a little', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(proxy)));
    for (const client of clients) {
      client.send(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n${'x'.repeat(64 * KB)}`);
      await client.flushed(5000);
    }
    expect(await peakWhile(() => expectAllServed(64))).toBeLessThan(before + 40 * MB);
    for (const client of clients) client.destroy();
  });

  test('a client that sends and never reads', async () => {
    const client = await RawClient.open(proxy);
    client.socket.pause();
    const payload = encodeCommand(['GET', 'bad:1k']);
    const peak = await peakWhile(async () => {
      client.send(Buffer.concat(new Array(200_000).fill(payload)));
      expect(await client.flushed(20_000)).toBe(true);
      await expectAllServed(64);
    });
    expect(peak - before).toBeLessThan(MISBEHAVIOUR_BYTES_MAX);
    client.destroy();
  });

  test('100,000 GETs of 1 KB, all written before the first reply is read, are all answered', async () => {
    const count = 100_000;
    const client = await RawClient.open(proxy);
    client.socket.pause();
    const peak = await peakWhile(async () => {
      client.send(Buffer.concat(new Array(count).fill(encodeCommand(['GET', 'bad:1k']))));
      expect(await client.flushed(20_000)).toBe(true);
      client.socket.resume();
      await client.hasReceived(count * (KB + 9));
    });
    client.send(QUIT);
    await client.isClosed();
    expect(client.received).toBe(count * (KB + 9) + 5);
    expect(peak - before).toBeLessThan(MISBEHAVIOUR_BYTES_MAX);
  });

  test('clients that leave in the middle of a reply', async () => {
    for (let i = 0; i < 30; i++) {
      const client = await RawClient.open(proxy, 64);
      client.send(Buffer.concat(new Array(20).fill(encodeCommand(['GET', 'bad:1m']))));
      await client.hasReceived(1);
      if (i % 2 === 0) client.socket.resetAndDestroy();
      else client.destroy();
    }
    await until('they are forgotten', async () => (await connections()) < 20);
  });

  test('300,000 pipelined commands', async () => {
    const count = 300_000;
    const client = await RawClient.open(proxy, 64);
    const peak = await peakWhile(async () => {
      client.send(Buffer.concat(new Array(count).fill(encodeCommand(['GET', 'bad:64']))));
      await client.hasReceived(count * (64 + 7));
    });
    client.send(QUIT);
    await client.isClosed();
    expect(client.received).toBe(count * (64 + 7) + 5);
    expect(peak - before).toBeLessThan(MISBEHAVIOUR_BYTES_MAX);
  });

  test('1,000 clients that come, ask and go leave nothing behind', async () => {
    const count = 1000;
    const opened = await counter('slotgate_downstream_connections_total');
    for (let i = 0; i < count; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const { said } = await transcript(proxy, `${PING}GET bad:64\r\n${QUIT}`);
          expect(said).toMatch(/^\+PONG\r\n\$64\r\nx{64}\r\n\+OK\r\n$/);
        }),
      );
    }
    await until('they are forgotten and counted', async () => {
      const total = await counter('slotgate_downstream_connections_total');
      return total >= opened + count && (await connections()) < 20;
    });
    // The nodes never see more connections than there are lanes and control's own.
    const node = await connectResp({ host: '127.0.0.1', port: cluster().nodes[0]?.port ?? 0 });
    const list = String(await node.call('CLIENT', 'LIST'));
    node.close();
    expect(list.trim().split('\n').length).toBeLessThan(12);
  });
});

test('after all of it the memory is back within 30 MB', async () => {
  let now = await proxy.memory();
  await until(
    `resident memory is near the ${Math.round(before / MB)} MB of before`,
    async () => {
      now = await proxy.memory();
      return now.rss - before < AFTERMATH_BYTES_MAX;
    },
    20_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(now)}`);
  });
});

/** What any application does: a process that has served is not as small as one that has not. */
async function ordinaryTraffic(): Promise<void> {
  const target = { host: '127.0.0.1', port: proxy.port };
  const clients = await Promise.all(Array.from({ length: 200 }, () => connectResp(target)));
  for (let round = 0; round < 10; round++) {
    const calls = clients.flatMap((client) =>
      Array.from({ length: 32 }, (_, i) => client.call('GET', i % 2 === 0 ? 'bad:64' : 'bad:1k')),
    );
    await Promise.all(calls);
  }
  const big = clients
    .slice(0, 20)
    .flatMap((client) => Array.from({ length: 5 }, () => client.call('GET', 'bad:1m')));
  await Promise.all(big);
  for (const client of clients) client.close();
}

/** Highest resident bytes of the proxy while `body` runs. */
async function peakWhile(body: () => Promise<void>): Promise<number> {
  let peak = proxy.residentBytes;
  const timer = setInterval(() => {
    peak = Math.max(peak, proxy.residentBytes);
  }, 20);
  try {
    await body();
  } finally {
    clearInterval(timer);
  }
  return Math.max(peak, proxy.residentBytes);
}

/** Keys of every shard, read one after the other. */
async function expectAllServed(count: number): Promise<void> {
  const client = await connectResp({ host: '127.0.0.1', port: proxy.port });
  for (let i = 0; i < count; i++) {
    expect(await client.call('SET', `served:${i}`, i)).toBe('OK');
    expect(await client.call('GET', `served:${i}`)).toBe(String(i));
  }
  client.close();
}

function connections(): Promise<number> {
  return counter('slotgate_downstream_connections');
}

async function counter(name: string): Promise<number> {
  const text = await (await proxy.get('/metrics')).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}
