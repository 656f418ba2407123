/**
 * Publish and subscribe over a cluster that stands still: as one Redis would do it.
 *
 * Over 400 lines: all of it shares one cluster, which takes longer to start than most of it to run.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { onNode, until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { primaries, tagOfSlot } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { Listener } from '../support/pubsub/listener.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';

const CUTS = 'slotgate_pubsub_slow_subscriber_cuts_total';
/** A channel of each shard. */
const CHANNELS = [100, 6000, 12_000].map((slot) => `{${tagOfSlot(slot)}}news`);

let proxy: TestProxy;
let plain: PlainRedis;
let client: RespClient;
const opened: Listener[] = [];

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
  plain = await startRedis();
  client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
});

afterAll(async () => {
  client?.close();
  await proxy?.close();
  await plain?.stop();
});

afterEach(async () => {
  for (const listener of opened.splice(0)) listener.close();
  await until('nobody is subscribed any more', async () => {
    return (await upstreamChannels()).length === 0;
  });
});

async function open(protocol: 2 | 3 = 2, port = proxy.port): Promise<Listener> {
  const listener = await Listener.open(port, protocol);
  opened.push(listener);
  return listener;
}

/** What the nodes think that somebody is subscribed to: channels of all primaries. */
async function upstreamChannels(): Promise<string[]> {
  const lists = await Promise.all(
    (await primaries(proxy.cluster)).map((node) =>
      onNode(proxy.cluster, node, (direct) => direct.call('PUBSUB', 'CHANNELS')),
    ),
  );
  return lists.flat() as string[];
}

describe('the very bytes of Redis', () => {
  const RESP2 = [
    'UNSUBSCRIBE',
    'UNSUBSCRIBE nothere',
    'PUNSUBSCRIBE',
    'SUNSUBSCRIBE',
    'SUNSUBSCRIBE x',
    'SUBSCRIBE',
    'PUBLISH a',
    'PUBLISH a nobody',
    'PUBSUB',
    'PUBSUB NUMPAT x',
    'PUBSUB CHANNELS a b',
    'PUBSUB NUMSUB',
    'PUBSUB NUMSUB a b',
    'PUBSUB SHARDNUMSUB a',
    'PUBSUB CHANNELS',
    'PUBSUB SHARDCHANNELS',
    'PUBSUB nothere',
    'SUBSCRIBE a b a',
    'GET x',
    'CLIENT LIST',
    'CLIENT nothere',
    'CLIENT',
    'NOSUCH x',
    'GET',
    'PING',
    'PING hi',
    'PING a b',
    'MULTI',
    'HELLO 3',
    'PUBSUB NUMSUB a',
    'PSUBSCRIBE p* q*',
    'SSUBSCRIBE {z}1 {z}2',
    'UNSUBSCRIBE b nothere b',
    'UNSUBSCRIBE',
    'GET x',
    'PUNSUBSCRIBE',
    'SUNSUBSCRIBE {z}2',
    'SUNSUBSCRIBE',
    'GET x',
    'SUBSCRIBE a',
    'RESET',
    'GET x',
    'SUBSCRIBE a',
    'QUIT',
  ];
  const RESP3 = [
    'UNSUBSCRIBE',
    'SUBSCRIBE a',
    'PING',
    'GET x',
    'PSUBSCRIBE p*',
    'PUBSUB NUMSUB a b',
    'PUBSUB CHANNELS',
    'PUBSUB NUMPAT',
    'SSUBSCRIBE s',
    'PUBSUB SHARDCHANNELS',
    'PUBSUB SHARDNUMSUB s',
    'CLIENT REPLY OFF',
    'SUBSCRIBE b',
    'GET x',
    'CLIENT REPLY ON',
    'CLIENT REPLY SKIP',
    'SUBSCRIBE c',
    'UNSUBSCRIBE c',
    'HELLO 2 AUTH x',
    'RESET',
    'PING',
  ];

  /** What the server says to these lines, each answered before the next is sent. */
  async function said(port: number, protocol: 2 | 3, lines: readonly string[]): Promise<string> {
    const listener = await open(protocol, port);
    let isMute = false;
    for (const [i, line] of lines.entries()) {
      listener.socket.write(`${line}\r\nPING mark${i}\r\n`);
      if (line.endsWith('REPLY OFF')) isMute = true;
      if (line.endsWith('REPLY ON')) isMute = false;
      // The mark is not answered either; the order of what comes later shows as much.
      if (isMute || line.endsWith('SKIP')) continue;
      await until(`${line} is answered`, () => {
        return listener.closed || listener.text.includes(`mark${i}\r\n`);
      });
    }
    return listener.text;
  }

  it.each([
    [2, RESP2],
    [3, RESP3],
  ] as const)('RESP%i', async (protocol, lines) => {
    const ours = await said(proxy.port, protocol, lines);
    const theirs = await said(plain.port, protocol, lines);
    expect(ours).toBe(theirs);
  });

  it.each([2, 3] as const)('messages in RESP%i', async (protocol) => {
    const transcripts = [];
    for (const [port, publish] of [
      [proxy.port, () => client.call('PUBLISH', 'a\xff', 'one\r\ntwo')],
      [plain.port, () => plainPublish('a\xff', 'one\r\ntwo')],
    ] as const) {
      const listener = await open(protocol, port);
      await listener.subscribe('SUBSCRIBE', 'a\xff');
      await listener.subscribe('PSUBSCRIBE', 'a*');
      expect(await publish()).toBe(2);
      await listener.has(4);
      transcripts.push(listener.text);
    }
    expect(transcripts[0]).toBe(transcripts[1]);
  });

  async function plainPublish(channel: string, message: string): Promise<unknown> {
    const direct = await plain.connect();
    try {
      return await direct.call('PUBLISH', channel, message);
    } finally {
      direct.close();
    }
  }
});

describe('messages', () => {
  it('reach every subscriber once, in the order of their publisher, from all shards', async () => {
    const listeners = await Promise.all([open(2), open(2), open(3)]);
    for (const listener of listeners) await listener.subscribe('SUBSCRIBE', ...CHANNELS);
    const count = 1000;
    const numbers = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        client.call('PUBLISH', CHANNELS[i % 3] as string, String(i)),
      ),
    );
    expect(new Set(numbers)).toEqual(new Set([3]));
    for (const listener of listeners) await listener.has(3 + count);
    for (const listener of listeners) {
      for (const [shard, channel] of CHANNELS.entries()) {
        const expected = Array.from({ length: count }, (_, i) => i).filter((i) => i % 3 === shard);
        expect(listener.payloads(channel)).toEqual(expected.map(String));
      }
    }
  });

  it('come by pattern from all shards, and twice to whoever asked in two ways', async () => {
    const listener = await open();
    await listener.subscribe('PSUBSCRIBE', '{t*}news', '*');
    await listener.subscribe('SUBSCRIBE', CHANNELS[1] as string);
    const numbers = await Promise.all(
      CHANNELS.map((channel) => client.call('PUBLISH', channel, 'x')),
    );
    expect(numbers).toEqual([2, 3, 2]);
    await listener.has(3 + 7);
    for (const pattern of ['{t*}news', '*']) {
      const channels = listener.matches(pattern).map(([channel]) => channel);
      expect(channels.sort()).toEqual([...CHANNELS].sort());
    }
    expect(await client.call('PUBSUB', 'NUMPAT')).toBe(2);
  });

  it('do not come after UNSUBSCRIBE', async () => {
    const listener = await open(3);
    await listener.subscribe('SUBSCRIBE', 'a', 'b');
    expect(await listener.ask('UNSUBSCRIBE', 'a')).toEqual(['unsubscribe', 'a', 1]);
    expect(await client.call('PUBLISH', 'a', 'x')).toBe(0);
    expect(await client.call('PUBLISH', 'b', 'y')).toBe(1);
    await listener.has(4);
    expect(listener.payloads('a')).toEqual([]);
    expect(await upstreamChannels()).toEqual(['b']);
  });

  it('that a client publishes to itself come too, and its commands stay in order', async () => {
    const listener = await open(3);
    listener.say('SET', 'k', '1');
    listener.say('SUBSCRIBE', 'self');
    listener.say('PUBLISH', 'self', 'x');
    listener.say('GET', 'k');
    await listener.has(5);
    listener.say('UNSUBSCRIBE', 'self');
    listener.say('PUBLISH', 'self', 'y');
    listener.say('GET', 'k');
    await listener.has(8);
    const replies = listener.frames.filter(
      (frame) => !Array.isArray(frame) || frame[0] !== 'message',
    );
    expect(replies).toEqual([
      'OK',
      ['subscribe', 'self', 1],
      1,
      '1',
      ['unsubscribe', 'self', 0],
      0,
      '1',
    ]);
    expect(listener.payloads('self')).toEqual(['x']);
  });

  it('never stand amid a reply that comes in parts', async () => {
    const big = 'v'.repeat(8 << 20);
    await client.call('SET', 'big', big);
    const listener = await open(3);
    await listener.subscribe('SUBSCRIBE', 'amid');
    for (let i = 0; i < 3; i++) listener.say('GET', 'big');
    let published = 0;
    while (listener.frames.filter((frame) => typeof frame === 'string').length < 3) {
      await client.call('PUBLISH', 'amid', String(published++));
    }
    await until('all messages are there', () => listener.payloads('amid').length === published);
    const values = listener.frames.filter((frame) => typeof frame === 'string');
    expect(values.every((value) => value === big)).toBe(true);
    const expected = Array.from({ length: published }, (_, i) => String(i));
    expect(listener.payloads('amid')).toEqual(expected);
    await client.call('DEL', 'big');
  });

  it('of a megabyte and more go through whole', async () => {
    const listener = await open();
    await listener.subscribe('SUBSCRIBE', 'large');
    const sizes = [65_000, 66_000, 300_000, 5_000_000, 10];
    for (const size of sizes) await client.call('PUBLISH', 'large', 'm'.repeat(size));
    await until('all have come', () => listener.payloads('large').length === sizes.length);
    expect(listener.payloads('large').map((payload) => payload.length)).toEqual(sizes);
  });
});

describe('subscriptions', () => {
  it('of many clients are one upstream, and counted as many', async () => {
    const listeners = await Promise.all(Array.from({ length: 20 }, () => open()));
    await Promise.all(listeners.map((listener) => listener.subscribe('SUBSCRIBE', 'shared')));
    const counts = await Promise.all(
      (await primaries(proxy.cluster)).map((node) =>
        onNode(proxy.cluster, node, async (direct) => {
          return ((await direct.call('PUBSUB', 'NUMSUB', 'shared')) as [string, number])[1];
        }),
      ),
    );
    expect(counts.sort()).toEqual([0, 0, 1]);
    expect(await client.call('PUBSUB', 'NUMSUB', 'shared', 'other')).toEqual([
      'shared',
      20,
      'other',
      0,
    ]);
    expect(await client.call('PUBLISH', 'shared', 'x')).toBe(20);
    expect(await client.call('PUBSUB', 'CHANNELS', 'sh*')).toEqual(['shared']);
    const metrics = await untilMetric('slotgate_pubsub_subscriptions', 20);
    expect(metrics.sum('slotgate_pubsub_upstream_subscriptions')).toBe(1);
  });

  it('end at once with their client', async () => {
    const [one, other] = [await open(), await open()];
    await one.subscribe('SUBSCRIBE', 'mine', 'ours');
    await other.subscribe('SUBSCRIBE', 'ours');
    one.close();
    await until('the nodes know', async () => (await upstreamChannels()).join() === 'ours');
    expect(await client.call('PUBLISH', 'ours', 'x')).toBe(1);
  });

  it('are counted beside those of clients that are connected to the node itself', async () => {
    const listener = await open();
    await listener.subscribe('SUBSCRIBE', CHANNELS[0] as string);
    const node = (await primaries(proxy.cluster))[0];
    const direct = await open(2, node?.port);
    await direct.subscribe('SUBSCRIBE', CHANNELS[0] as string);
    expect(await client.call('PUBLISH', CHANNELS[0] as string, 'x')).toBe(2);
    await listener.has(2);
    await direct.has(2);
  });

  it('100,000 of one client, and many in as many commands', async () => {
    const count = 100_000;
    await client.call('CONFIG', 'SET', 'limits.subscriptions', count);
    const names = Array.from({ length: count }, (_, i) => `c${i}`);
    const [one, other] = [await open(), await open()];
    one.keepsText = false;
    other.keepsText = false;
    one.say('SUBSCRIBE', ...names);
    const single = names.slice(0, 20_000);
    for (const name of single) other.say('SUBSCRIBE', name);
    await one.has(count);
    await other.has(single.length);
    expect(one.frames[count - 1]).toEqual(['subscribe', `c${count - 1}`, count]);
    expect(other.frames.at(-1)).toEqual(['subscribe', single.at(-1), single.length]);
    expect(await client.call('PUBLISH', 'c7777', 'x')).toBe(2);
    await one.has(count + 1);
    one.say('UNSUBSCRIBE');
    await one.has(2 * count + 1);
    expect(one.frames[2 * count]).toEqual(['unsubscribe', expect.any(String), 0]);
  });

  it('are shown by CLIENT LIST', async () => {
    const listener = await open(3);
    await listener.subscribe('SUBSCRIBE', 'a', 'b');
    await listener.subscribe('PSUBSCRIBE', 'p*');
    const line = String(await listener.ask('CLIENT', 'INFO'));
    expect(line).toContain('sub=2 psub=1 ssub=0');
    expect(line).toMatch(/flags=P/);
  });
});

async function untilMetric(family: string, value: number): Promise<Metrics> {
  let metrics = await Metrics.read(proxy.httpUrl);
  await until(`${family} is ${value}`, async () => {
    metrics = await Metrics.read(proxy.httpUrl);
    return metrics.sum(family) === value;
  });
  return metrics;
}

describe('clients', () => {
  it('that do not read are cut, and nobody else notices', async () => {
    const [slow, quick] = [await open(), await open(3)];
    quick.keepsText = false;
    for (const listener of [slow, quick]) await listener.subscribe('SUBSCRIBE', 'flood');
    slow.socket.pause();
    const before = (await Metrics.read(proxy.httpUrl)).sum(CUTS);
    const payload = 'x'.repeat(1 << 20);
    const messages = 48;
    for (let i = 0; i < messages; i++) await client.call('PUBLISH', 'flood', payload);
    await until('the quick one has all', () => quick.payloads('flood').length === messages);
    await untilMetric(CUTS, before + 1);
    expect(await client.call('PUBLISH', 'flood', 'x')).toBe(1);
    slow.socket.resume();
    await until('the slow one sees its end', () => slow.closed);
    expect(quick.closed).toBe(false);
  });

  it('that are subscribed are never idle', async () => {
    const other = await startProxy({ cluster: proxy.cluster, config: { timeout: 1 } });
    try {
      const [listener, idle] = [await open(2, other.port), await open(2, other.port)];
      await listener.subscribe('SUBSCRIBE', 'quiet');
      expect(await idle.ask('PING')).toBe('PONG');
      await until('the idle one is closed', () => idle.closed);
      expect(await client.call('PUBLISH', 'quiet', 'x')).toBe(1);
      await listener.has(2);
    } finally {
      await other.close();
    }
  });
});

describe('shard channels', () => {
  it('are served by the owner of their slot', async () => {
    const listener = await open();
    for (const channel of CHANNELS) await listener.subscribe('SSUBSCRIBE', channel);
    for (const channel of CHANNELS) expect(await client.call('SPUBLISH', channel, 'x')).toBe(1);
    await listener.has(6);
    for (const channel of CHANNELS) expect(listener.payloads(channel)).toEqual(['x']);
    const listed = (await client.call('PUBSUB', 'SHARDCHANNELS')) as string[];
    expect(listed.sort()).toEqual([...CHANNELS].sort());
    expect(await client.call('PUBSUB', 'SHARDNUMSUB', CHANNELS[0] as string)).toEqual([
      CHANNELS[0],
      1,
    ]);
    listener.say('SUNSUBSCRIBE');
    await listener.has(9);
    expect(await client.call('SPUBLISH', CHANNELS[0] as string, 'x')).toBe(0);
  });

  it('of several slots in one command are refused', async () => {
    const listener = await open();
    const refusal = await listener.ask('SSUBSCRIBE', ...CHANNELS);
    expect(refusal).toMatch(/^-CROSSSLOT Keys in request don't hash to the same slot/);
  });
});

describe('transactions', () => {
  it('publish, but do not subscribe', async () => {
    const listener = await open();
    await listener.subscribe('SUBSCRIBE', 'tx');
    await client.call('MULTI');
    expect(await client.call('PUBLISH', 'tx', 'x')).toBe('QUEUED');
    await client.call('EXEC');
    await listener.has(2);
    expect(listener.payloads('tx')).toEqual(['x']);
    await client.call('MULTI');
    await expect(client.call('SUBSCRIBE', 'a')).rejects.toThrow('inside MULTI');
    await expect(client.call('EXEC')).rejects.toThrow('EXECABORT');
  });
});

describe('keyspace notifications', () => {
  it('come from every shard, once', async () => {
    expect(await client.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA')).toBe('OK');
    expect(await client.call('CONFIG', 'GET', 'notify-keyspace-events')).toEqual([
      'notify-keyspace-events',
      'AKE',
    ]);
    await expect(client.call('CONFIG', 'SET', 'notify-keyspace-events', '?')).rejects.toThrow(
      'Invalid event class character',
    );
    const keys = CHANNELS.map((channel) => channel.replace('news', 'key'));
    const listener = await open();
    const single = `__keyspace@0__:${keys[2]}`;
    await listener.subscribe('PSUBSCRIBE', '__keyevent@0__:*', '*');
    await listener.subscribe('SUBSCRIBE', single);
    for (const key of keys) await client.call('SET', key, '1');
    await client.call('PUBLISH', 'plain', 'once');
    await until('all have come', () => listener.frames.length >= 3 + 3 + 6 + 1 + 1);
    await client.call('PUBLISH', 'plain', 'end');
    await until('the end', () => listener.matches('*').some(([, payload]) => payload === 'end'));
    const events = listener.matches('__keyevent@0__:*');
    expect(events.sort()).toEqual(keys.map((key) => ['__keyevent@0__:set', key]).sort());
    expect(listener.payloads(single)).toEqual(['set']);
    const others = listener.matches('*').filter(([channel]) => channel === 'plain');
    expect(others).toEqual([
      ['plain', 'once'],
      ['plain', 'end'],
    ]);
    expect(listener.matches('*')).toHaveLength(8);
    expect(await client.call('PUBSUB', 'NUMPAT')).toBe(2);
    expect(await client.call('CONFIG', 'SET', 'notify-keyspace-events', '')).toBe('OK');
    await client.call('DEL', ...keys);
  });
});
