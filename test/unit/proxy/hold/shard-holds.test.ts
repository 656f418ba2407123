import { beforeEach, describe, expect, it } from 'vitest';
import { HOLD_FIELD, HOLD_STRIDE, SCALAR } from '../../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../../src/metrics/worker-metrics.ts';
import { HOLD } from '../../../../src/proxy/hold/shard-hold.ts';
import { type HoldNews, ShardHolds } from '../../../../src/proxy/hold/shard-holds.ts';
import { NO_SHARD } from '../../../../src/topology/snapshot.ts';

let metrics: WorkerMetrics;
let settings: {
  timeoutMs: number;
  maxRequests: number;
  maxBytes: number;
  maxFailoverMs: number;
  minGapMs: number;
  dryRun: boolean;
};
/** By slot. */
let away: Map<number, number>;
let planned: boolean;
let news: HoldNews[];
let reason: string;
let shardOf: (slot: number) => number;
let holds: ShardHolds;

beforeEach(() => {
  metrics = new WorkerMetrics(['other']);
  settings = {
    timeoutMs: 1000,
    maxRequests: 10,
    maxBytes: 1000,
    maxFailoverMs: 5000,
    minGapMs: 0,
    dryRun: false,
  };
  away = new Map();
  planned = false;
  news = [];
  reason = '';
  shardOf = (slot) => slot >> 8;
  holds = new ShardHolds({
    metrics,
    settings,
    shards: {
      awaySince: (slot) => away.get(slot) ?? 0,
      isPlanned: () => planned,
      addressOf: () => 'n:1',
      whyAway: () => reason,
    },
    shardOf: (slot) => shardOf(slot),
    onHold: (one) => news.push(one),
  });
});

function shown(shard: number): [number, number] {
  const row = shard * HOLD_STRIDE;
  const { holding, draining } = HOLD_FIELD;
  return [metrics.holds[row + holding] as number, metrics.holds[row + draining] as number];
}

function scalar(index: number): number {
  return metrics.scalars[index] as number;
}

describe('the time of a command', () => {
  it('counts from when it came, not from when the shard went away', () => {
    away.set(1, 1000);
    expect(holds.verdict(1, 4000, 4999, true)).toBe('');
    expect(holds.verdict(1, 4000, 5000, false)).toBe('timeout');
    expect(holds.verdict(1, 5500, 6000, true)).toBe('max-failover');
    expect(scalar(SCALAR.holdSkippedTooLong)).toBe(1);
  });

  it('is also that of one that waits for room on its lane', () => {
    expect(holds.verdict(1, 4000, 4999, true)).toBe('');
    expect(holds.verdict(1, 4000, 5000, false)).toBe('timeout');
    expect(scalar(SCALAR.holdsStarted)).toBe(0);
  });
});

describe('dry run', () => {
  it('nothing waits, and what would have is counted and logged', () => {
    settings.dryRun = true;
    away.set(1, 1000);
    for (let i = 0; i < 5; i++) expect(holds.verdict(1, 1010, 1010, true)).toBe('dry-run');
    holds.review(1200);
    away.clear();
    holds.review(2010);
    holds.review(3010);
    expect(scalar(SCALAR.holdSkippedDryRun)).toBe(5);
    expect(scalar(SCALAR.holdsStarted)).toBe(1);
    expect(scalar(SCALAR.holdSeconds)).toBe(1);
    expect(news).toMatchObject([
      { event: 'held', shard: 0, node: 'n:1', dryRun: true, commands: 5 },
      { event: 'serves', heldMs: 1000, awayMs: 1010, commands: 5 },
    ]);
  });

  it('a full lane is no failover: commands wait for it', () => {
    settings.dryRun = true;
    expect(holds.verdict(1, 1000, 1000, true)).toBe('');
  });
});

describe('what the operators see', () => {
  it('the state of each shard', () => {
    away.set(1, 1000).set(256, 1000);
    holds.verdict(1, 1010, 1010, true);
    holds.verdict(256, 1010, 1010, true);
    holds.of(256).count(1, 1010);
    expect([shown(0), shown(1), shown(2)]).toEqual([
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
    away.clear();
    holds.review(1500);
    expect([shown(0), shown(1)]).toEqual([
      [0, 0],
      [0, 1],
    ]);
    holds.of(256).count(-1, 1501);
    expect(shown(1)).toEqual([0, 0]);
  });

  it('a connection that is back at once is not logged', () => {
    away.set(1, 1000);
    holds.verdict(1, 1000, 1000, true);
    holds.review(1050);
    away.clear();
    holds.review(1075);
    expect(news).toEqual([]);
    expect(scalar(SCALAR.holdsStarted)).toBe(1);
  });
});

describe('what the log tells', () => {
  function hold(now: number): void {
    holds.verdict(1, now, now, true);
    holds.review(now + 100);
  }
  const events = (): unknown[] => news.map(({ event }) => event);

  it('the reason, as the shards or the node itself know it', () => {
    away.set(1, 1000);
    reason = 'ECONNREFUSED';
    hold(1000);
    expect(news[0]).toMatchObject({ event: 'held', shard: 0, reason: 'ECONNREFUSED', awayMs: 100 });

    reason = '';
    holds.onRefused(256, 'LOADING it loads', 2000);
    holds.verdict(256, 2000, 2000, true);
    holds.review(2100);
    expect(news[1]).toMatchObject({ shard: 1, reason: 'it said "LOADING it loads"' });
  });

  it('slots that belong to no shard have no number', () => {
    shardOf = () => NO_SHARD;
    away.set(1, 1000);
    hold(1000);
    expect(news).toMatchObject([{ event: 'held', shard: null }]);
  });

  it('one end for a shard that is away again before it was well for a second', () => {
    away.set(1, 1000);
    hold(1000);
    away.clear();
    holds.review(1500);
    holds.onRefused(1, 'CLUSTERDOWN not yet', 1600);
    hold(1600);
    holds.review(2600);
    expect(events()).toEqual(['held']);
    holds.review(3599);
    expect(events()).toEqual(['held']);
    holds.review(3600);
    expect(news.slice(1)).toMatchObject([{ event: 'serves', reason: '', awayMs: 1600 }]);
  });

  it('the end of a planned switch at once, and a hold right behind it', () => {
    planned = true;
    away.set(1, 1000);
    hold(1000);
    away.clear();
    holds.review(1500);
    expect(events()).toEqual(['held', 'serves']);
    planned = false;
    away.set(1, 1600);
    hold(1600);
    expect(events()).toEqual(['held', 'serves', 'held']);
  });

  it('an end at once when a write was served', () => {
    away.set(1, 1000);
    hold(1000);
    away.clear();
    holds.review(1500);
    holds.of(1).onReady();
    holds.review(1510);
    expect(events()).toEqual(['held', 'serves']);
  });

  it('that hold.maxFailoverMs is over, and later that the shard serves again', () => {
    away.set(1, 1000);
    hold(1000);
    holds.review(6000);
    expect(news[1]).toMatchObject({ event: 'given-up', heldMs: 5000, awayMs: 5000 });
    holds.verdict(1, 8000, 8000, true);
    holds.review(9000);
    away.clear();
    holds.review(9500);
    holds.review(10_499);
    expect(events()).toEqual(['held', 'given-up']);
    holds.review(10_500);
    expect(news[2]).toMatchObject({ event: 'serves', heldMs: 5000, awayMs: 8500 });
  });
});

describe('a node that refuses', () => {
  it('is away until it has not refused for a while', () => {
    holds.onRefused(1, 'LOADING it loads', 1000);
    expect(holds.verdict(1, 1000, 1000, true)).toBe('');
    expect(holds.of(1).state).toBe(HOLD.holding);
    for (let now = 1100; now < 6000; now += 100) holds.onRefused(1, 'LOADING it loads', now);
    expect(holds.verdict(1, 5900, 6000, true)).toBe('max-failover');
    holds.onRefused(1, 'LOADING it loads', 9000);
    expect(holds.verdict(1, 9000, 9001, true)).toBe('');
    holds.review(9700);
    expect(holds.of(1).state).toBe(HOLD.idle);
  });
});

it('a node that has served a write refuses no more', () => {
  holds.onRefused(1, 'LOADING it loads', 1000);
  holds.verdict(1, 1000, 1000, true);
  holds.of(1).onReady();
  holds.review(1010);
  expect(holds.of(1).state).toBe(HOLD.idle);
});

it('a planned switch waits whatever the failover rules say', () => {
  settings.maxFailoverMs = 0;
  settings.minGapMs = 100_000;
  planned = true;
  away.set(1, 1000);
  expect(holds.verdict(1, 1010, 1010, true)).toBe('');
  expect(holds.of(1).isPlanned).toBe(true);
});

it('slots without an owner are held as one shard', () => {
  shardOf = () => NO_SHARD;
  away.set(1, 1000).set(9000, 1000);
  holds.verdict(1, 1010, 1010, true);
  holds.verdict(9000, 1010, 1010, true);
  expect(scalar(SCALAR.holdsStarted)).toBe(1);
});

it('a reshard gives the shards other indexes: a hold keeps its shard', () => {
  away.set(256, 1000);
  holds.verdict(256, 1010, 1010, true);
  const hold = holds.of(256);
  shardOf = (slot) => (slot >> 8) + 3;
  holds.onRouting();
  expect(holds.of(256)).toBe(hold);
  expect(shown(4)).toEqual([1, 0]);
  expect(shown(1)).toEqual([0, 0]);
});
