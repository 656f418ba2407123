/**
 * A client that sends all before it reads anything: slotgate reads no more of its requests at
 * limits.maxRequestBuffer, so with its commands waiting until it reads it would hang for ever.
 */
import { describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { ordinaryAnswer } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

const SMALL = `$5000\r\n${'x'.repeat(5000)}\r\n`;
const SET = `SET b ${'x'.repeat(30_000)}`;

/** It has a reply unread that keeps its commands back. */
function stage(limits: Readonly<Record<string, unknown>> = {}): {
  bench: Bench;
  client: BenchClient;
} {
  const some = { replyHighWater: 4096, replyHardLimit: '256kb', maxRequestBuffer: '64kb' };
  const bench = new Bench({ limits: { ...some, slowReaderSeconds: 3, ...limits } });
  bench.node(7001).answer = (args) => (args[0] === 'GET' ? SMALL : ordinaryAnswer(args));
  const client = bench.client().send('SET b 1');
  client.take();
  client.isReading = false;
  client.send('GET b');
  return { bench, client };
}

function served(bench: Bench): number {
  return bench.node(7001).log.length - 2;
}

/** Until it is beyond both limits. */
function fill(client: BenchClient): number {
  let sent = 0;
  while (!client.isPaused) {
    client.send(SET, 'GET b');
    sent += 2;
    if (sent > 1000) throw new Error('it is read for ever');
  }
  return sent;
}

describe('a client that has sent more than limits.maxRequestBuffer and reads nothing', () => {
  it('is served on, and finds every reply in its order when it reads', () => {
    const { bench, client } = stage();
    client.send(SET, 'GET b');
    expect(served(bench)).toBe(0);
    for (let i = 1; i < 20; i++) client.send(SET, 'GET b');
    expect(served(bench)).toBeGreaterThan(30);
    expect(client.isPaused).toBe(false);
    client.readOn();
    expect(client.take()).toBe(SMALL + `+OK\r\n${SMALL}`.repeat(20));
    expect(served(bench)).toBe(40);
  });

  it('waits again once its requests are read again', () => {
    const { bench, client } = stage();
    client.send(SET, SET, SET);
    expect(served(bench)).toBe(3);
    client.send('GET b');
    expect(client.isPaused).toBe(false);
    expect(served(bench)).toBe(3);
  });

  it('is served up to limits.replyHardLimit, then cut as one that reads nothing', () => {
    const { bench, client } = stage();
    fill(client);
    const { size } = client.session.out;
    expect(size).toBeGreaterThan(256 * 1024);
    expect(size).toBeLessThan(256 * 1024 + 8 * SMALL.length);
    bench.advance(2000);
    expect(client.isClosed).toBe(false);
    expect(bench.proxy.slowReaders.news(bench.now)).toBe(null);
    bench.advance(2500);
    expect(client.isClosed).toBe(true);
    expect(bench.scalar(SCALAR.slowReaderCuts)).toBe(1);
    const news = bench.proxy.slowReaders.news(bench.now);
    expect(news).toMatchObject({ cut: 1, unreadBytes: size });
    expect(news?.waitingBytes).toBeGreaterThan(64 * 1024);
  });

  it('is asked for no more than that, however many of its commands wait', () => {
    const { client } = stage();
    client.send(...new Array(4000).fill('GET b'));
    expect(client.isPaused).toBe(true);
    expect(client.session.out.size).toBeGreaterThan(256 * 1024);
    // What was on its way still comes.
    expect(client.session.out.size).toBeLessThan(2 * 256 * 1024 + SMALL.length);
    client.readOn();
    expect(client.take().length).toBe(4001 * SMALL.length);
  });

  it('is told of once a minute, with the number of them', () => {
    const { bench, client } = stage();
    fill(client);
    bench.advance(4500);
    expect(bench.proxy.slowReaders.news(bench.now)?.cut).toBe(1);
    for (let i = 0; i < 2; i++) {
      const other = bench.client();
      other.isReading = false;
      fill(other.send('GET b'));
    }
    bench.advance(4500);
    expect(bench.scalar(SCALAR.slowReaderCuts)).toBe(3);
    expect(bench.proxy.slowReaders.news(bench.now)).toBe(null);
    bench.advance(60_000);
    expect(bench.proxy.slowReaders.news(bench.now)?.cut).toBe(2);
  });

  it('that reads a little, stops and writes on is served up to the limit again', () => {
    const { bench, client } = stage();
    fill(client);
    const before = served(bench);
    // The kernel takes a few writes and no more.
    const { out } = client.session;
    while (out.size > 256 * 1024) client.session.onDrain();
    expect(out.size).toBeGreaterThan(128 * 1024);
    bench.run();
    expect(served(bench)).toBeGreaterThan(before);
    fill(client);
    expect(client.session.out.size).toBeGreaterThan(256 * 1024);
    bench.advance(4500);
    expect(client.isClosed).toBe(true);
  });

  it('has replies behind a late one counted as well', () => {
    const { bench } = stage({ replyHardLimit: '100kb' });
    const client = bench.client().send('SET b 1', 'SET a 1');
    client.take();
    const late = bench.node(7003);
    late.answer = () => null;
    client.send('GET a');
    const sent = fill(client);
    const { pending, window, out } = client.session;
    expect([out.size, pending < window]).toEqual([0, true]);
    // One in two is small.
    expect(Math.floor(pending / 2) * SMALL.length).toBeGreaterThan(100 * 1024);
    expect(Math.floor(pending / 2) * SMALL.length).toBeLessThan(100 * 1024 + 8 * SMALL.length);
    late.connectionOf('GET a').reply('$1\r\n1\r\n');
    bench.run();
    expect(client.take()).toBe(`$1\r\n1\r\n${`+OK\r\n${SMALL}`.repeat(sent / 2)}`);
  });

  it('has a lane read on that was paused for it above the hard limit, once it has read below', () => {
    const { bench, client } = stage({ replyHardLimit: '200kb', bigReplyBytes: '64kb' });
    const node = bench.node(7001);
    client.readOn();
    client.take();
    node.answer = () => null;
    client.send('GET b');
    client.isReading = false;
    const lane = node.connectionOf('GET b');
    const big = `$400000\r\n${'x'.repeat(400_000)}\r\n`;
    lane.push(big.slice(0, 250_000));
    bench.run();
    expect(lane.isPaused).toBe(true);
    client.session.onDrain();
    client.session.onDrain();
    bench.run();
    expect(lane.isPaused).toBe(true);
    client.send(SET, SET, SET);
    expect(client.isPaused).toBe(true);
    expect(lane.isPaused).toBe(false);
  });
});

describe('a client with as many requests whose replies are all read', () => {
  it('is not cut, however long its commands wait', () => {
    const { bench, client } = stage();
    client.readOn();
    client.take();
    bench.node(7001).answer = (args) => (args[0] === 'BLPOP' ? null : ordinaryAnswer(args));
    client.send('BLPOP b 0').send(SET, SET, SET);
    expect(client.isPaused).toBe(true);
    client.isReading = false;
    bench.advance(60_000);
    expect(client.isClosed).toBe(false);
    expect(client.isPaused).toBe(true);
    client.isReading = true;
    bench.node(7001).connectionOf('BLPOP b 0').reply('*-1\r\n');
    bench.run();
    expect(client.take()).toBe('*-1\r\n+OK\r\n+OK\r\n+OK\r\n');
  });
});
