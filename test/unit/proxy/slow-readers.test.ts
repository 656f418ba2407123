/** Who counts as a client that does not read: not one whose reply has only just come. */
import { describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import type { NodeConnection } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

/** Longer than what is kept in one piece, and than the hard limit below. */
const BIG = `$100000\r\n${'x'.repeat(100_000)}\r\n`;

function stage(more: Readonly<Record<string, unknown>> = {}): Bench {
  const limits = { replyHighWater: '16kb', replyHardLimit: '64kb', bigReplyBytes: '64kb' };
  return new Bench({ limits: { ...limits, ...more } });
}

describe('a lane set aside for big replies', () => {
  it('is closed once all its clients have gone, and not before', () => {
    const bench = stage();
    const node = bench.node(7001);
    node.answer = ([name]) => (name === 'GET' ? null : '+OK\r\n');
    const [one, other] = [bench.client(), bench.client()];
    one.send('GET b');
    other.send('GET b');
    const lane = node.connectionOf('GET b');
    lane.push(BIG.slice(0, 70_000));
    bench.run();
    one.leave();
    bench.advance(3000);
    expect(lane.isClosed).toBe(false);
    other.leave();
    bench.advance(3000);
    expect(lane.isClosed).toBe(true);
  });
});

describe('a big reply while others wait behind it', () => {
  /** A client that was silent for a minute asks for it, and somebody else behind it. */
  function asked(isReading: boolean): { bench: Bench; client: BenchClient; lane: NodeConnection } {
    const bench = stage();
    const node = bench.node(7001);
    const client = bench.client().send('SET b 1');
    client.take();
    node.answer = ([name]) => (name === 'GET' ? null : '+OK\r\n');
    bench.advance(60_000);
    client.send('GET b');
    bench.client().send('GET b');
    client.isReading = isReading;
    return { bench, client, lane: node.connectionOf('GET b') };
  }

  it('does not cut a client that has been silent for long', () => {
    const { bench, client, lane } = asked(true);
    // Without its end: it is passed on in parts.
    lane.push(BIG.slice(0, -10));
    bench.run();
    expect(bench.scalar(SCALAR.slowReaderCuts)).toBe(0);
    expect(client.take()).toContain('xxxx');
  });

  /** How many are cut when the rest comes `ms` after the first part, of which nothing was taken. */
  function cutsAfter(ms: number): number {
    const { bench, lane } = asked(false);
    lane.push(BIG.slice(0, 70_000));
    bench.run();
    bench.advance(ms);
    lane.push(BIG.slice(70_000, -10));
    bench.run();
    return bench.scalar(SCALAR.slowReaderCuts);
  }

  it('nor one whose kernel has only just begun to wait', () => {
    expect(cutsAfter(10)).toBe(0);
  });

  it('cuts one that takes nothing of it for a while', () => {
    expect(cutsAfter(300)).toBe(1);
  });
});

describe('a big reply that takes longer than commands may', () => {
  /** 100 kB in parts, one each second; the client takes what comes. */
  function dripping(seconds: number): { bench: Bench; client: BenchClient; said: string } {
    const bench = stage();
    const node = bench.node(7001);
    node.answer = () => null;
    const client = bench.client().send('GET b', 'GET f');
    const lane = node.connectionOf('GET b');
    const step = Math.ceil(BIG.length / seconds);
    let said = '';
    for (let at = 0; at < BIG.length; at += step) {
      lane.push(BIG.slice(at, at + step));
      bench.advance(1000);
      said += client.take();
    }
    return { bench, client, said };
  }

  it('is passed on to its end, and what waits behind it is not sent twice', () => {
    const { bench, client, said } = dripping(12);
    expect([said.length, client.isClosed]).toEqual([BIG.length, false]);
    expect(bench.scalar(SCALAR.commandTimeouts)).toBe(0);
    expect(bench.node(7001).log).toEqual(['GET b', 'GET f']);
  });

  it("nor is a client's break the node's, which was not read meanwhile", () => {
    const bench = stage({ slowReaderSeconds: 60 });
    const node = bench.node(7001);
    node.answer = () => null;
    const client = bench.client().send('GET b');
    const lane = node.connectionOf('GET b');
    client.isReading = false;
    lane.push(BIG.slice(0, 70_000));
    bench.run();
    expect(lane.isPaused).toBe(true);
    bench.advance(8000);
    client.readOn();
    let said = client.take();
    expect(lane.isPaused).toBe(false);
    bench.advance(1000);
    lane.push(BIG.slice(70_000));
    bench.run();
    said += client.take();
    expect([said.length, client.isClosed]).toEqual([BIG.length, false]);
  });
});
