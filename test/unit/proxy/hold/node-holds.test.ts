import { beforeEach, describe, expect, it } from 'vitest';
import { NodeHolds } from '../../../../src/proxy/hold/node-holds.ts';
import { BAR, type LaneSet, type Upstream } from '../../../../src/proxy/lane-set.ts';
import type { Runtime } from '../../../../src/transport/transport.ts';

const ADDRESSES = ['n:1', 'n:2', 'unknown:3'];

let now: number;
let ended: number;
let tasks: Set<() => void>;
let settings: { timeoutMs: number; dryRun: boolean };
let upstreams: Map<string, Upstream>;
let holds: NodeHolds;

interface FakeLane {
  count: number;
  heartbeat: object | null;
}

/** A node with lanes of which only the queues' lengths matter. */
function node(...lanes: FakeLane[]): Upstream {
  return { barred: 0, all: new Set(lanes), pinned: new Set() } as unknown as Upstream;
}

beforeEach(() => {
  now = 1000;
  ended = 0;
  tasks = new Set();
  settings = { timeoutMs: 1000, dryRun: false };
  upstreams = new Map();
  const runtime = {
    now: () => now,
    every: (_ms: number, task: () => void) => {
      tasks.add(task);
      return () => tasks.delete(task);
    },
  };
  const lanes = {
    bar: (upstream: Upstream, reason: number, isBarred: boolean) => {
      upstream.barred = isBarred ? upstream.barred | reason : upstream.barred & ~reason;
    },
  };
  holds = new NodeHolds({
    lanes: lanes as unknown as LaneSet,
    runtime: runtime as unknown as Runtime,
    settings: { ...settings, maxRequests: 1, maxBytes: 1, maxFailoverMs: 1, minGapMs: 0 },
    upstreamAt: (address) => upstreams.get(address),
    onEnd: () => ended++,
  });
});

function pass(ms: number): void {
  now += ms;
  for (const task of [...tasks]) task();
  holds.tick(now);
}

describe('hold.start', () => {
  it('is drained when nothing but heartbeats is in flight', async () => {
    const [first, second] = [
      { count: 2, heartbeat: {} },
      { count: 1, heartbeat: {} },
    ];
    upstreams.set('n:1', node(first)).set('n:2', node(second));
    const started = holds.start({ addresses: ADDRESSES, drainMs: 500 });
    expect([...upstreams.values()].map(({ barred }) => barred)).toEqual([BAR.held, BAR.held]);
    pass(100);
    expect(tasks.size).toBe(1);
    first.count = 1;
    pass(2);
    expect(await started).toEqual({ drained: true });
    expect(tasks.size).toBe(0);
  });

  it('says so when that takes too long, and holds on', async () => {
    upstreams.set('n:1', node({ count: 1, heartbeat: null }));
    const started = holds.start({ addresses: ADDRESSES, drainMs: 500 });
    pass(499);
    pass(1);
    expect(await started).toEqual({ drained: false });
    expect(upstreams.get('n:1')?.barred).toBe(BAR.held);
  });

  it('ends by itself five seconds after draining when control says nothing more', async () => {
    upstreams.set('n:1', node());
    await holds.start({ addresses: ADDRESSES, drainMs: 500 });
    pass(5499);
    expect(ended).toBe(0);
    pass(1);
    expect(ended).toBe(1);
    expect(upstreams.get('n:1')?.barred).toBe(0);
    pass(10_000);
    expect(ended).toBe(1);
  });

  it('hold.end ends it at once', async () => {
    upstreams.set('n:1', node());
    await holds.start({ addresses: ADDRESSES, drainMs: 500 });
    holds.end({ addresses: ADDRESSES });
    expect(ended).toBe(1);
    expect(upstreams.get('n:1')?.barred).toBe(0);
  });
});
