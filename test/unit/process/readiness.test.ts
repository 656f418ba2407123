import { describe, expect, it } from 'vitest';
import type { DiscoveryStatus } from '../../../src/control/discovery.ts';
import type { Evidence, NodeHealth } from '../../../src/control/health/health-view.ts';
import { clusterStatus } from '../../../src/process/picture-metrics.ts';
import { type ReadinessInput, readinessOf } from '../../../src/process/readiness.ts';
import { NO_SHARD, nodeAddress, type Snapshot } from '../../../src/topology/snapshot.ts';
import { drawSnapshot, portOf } from '../control/failover/snapshots.ts';

const SNAPSHOT = drawSnapshot(['a d', 'b e', 'c f']);

function address(name: string): string {
  return `127.0.0.1:${portOf(name)}`;
}

type Down = Readonly<Record<string, Evidence>>;

function healthOf(down: Down): ReadonlyMap<string, NodeHealth> {
  return new Map(
    Object.entries(down).map(([name, evidence]): [string, NodeHealth] => [
      address(name),
      { id: '', address: address(name), state: 'down', since: 0, evidence, facts: null },
    ]),
  );
}

/** Nodes that are down, by name. */
function readiness(down: Down = {}, over: Partial<ReadinessInput> = {}) {
  const health = healthOf(down);
  return readinessOf({
    isDraining: false,
    isKnown: true,
    reason: '',
    snapshot: SNAPSHOT,
    healthOf: (node) => health.get(node),
    refusing: new Set(),
    refusalOf: () => '',
    full: [],
    plan: null,
    workers: 1,
    reports: [''],
    silent: [],
    bare: [],
    strays: [],
    ...over,
  });
}

function node(name: string, failed: boolean): Snapshot['nodes'][number] {
  const [like] = SNAPSHOT.nodes;
  if (like === undefined) throw new Error('no node');
  return { ...like, id: name, port: portOf(name), failed };
}

function without(slots: readonly number[]): Snapshot {
  const copy = SNAPSHOT.slots.slice();
  for (const slot of slots) copy[slot] = NO_SHARD;
  return { ...SNAPSHOT, slots: copy };
}

describe('an instance is ready', () => {
  it('when all is well', () => {
    expect(readiness()).toEqual({ ready: true, reasons: [], degraded: [] });
  });

  it('with seeds that are not used, which it names', () => {
    const strays = ['seeds of another cluster are not used: 10.0.0.9:7000'];
    expect(readiness({}, { strays })).toEqual({ ready: true, reasons: [], degraded: strays });
  });

  it('while one of its shards is dead, which it names', () => {
    expect(readiness({ b: 'refused', e: 'refused' })).toEqual({
      ready: true,
      reasons: [],
      degraded: [`shard 1 is not served: its primary ${address('b')} is down (refused)`],
    });
  });

  it('while the cluster agreed that a primary has failed', () => {
    const { degraded } = readiness({}, { snapshot: drawSnapshot(['a! d', 'b e', 'c f']) });
    expect(degraded).toEqual([`shard 0 is not served: its primary ${address('a')} has failed`]);
  });

  it('without some slots, and tells how many and which', () => {
    expect(readiness({}, { snapshot: without([7]) }).degraded).toEqual(['slot 7 has no primary']);
    const { ready, degraded } = readiness({}, { snapshot: without([3, 5, 6, 7, 16383]) });
    expect(ready).toBe(true);
    expect(degraded).toEqual(['5 slots have no primary: 3, 5-7, 16383']);
    const odd = Array.from({ length: 20 }, (_, i) => 2 * i);
    expect(readiness({}, { snapshot: without(odd) }).degraded).toEqual([
      '20 slots have no primary: 0, 2, 4, 6, 8, 10, 12, 14, and 12 more',
    ]);
  });

  it('while a worker does not answer, if another does', () => {
    const silent = [{ worker: 2, silentMs: 12_400 }];
    expect(readiness({}, { workers: 2, silent })).toEqual({
      ready: true,
      reasons: [],
      degraded: ['worker 2 has not answered for 12 s'],
    });
    const { ready, reasons } = readiness({}, { workers: 1, silent });
    expect(ready).toBe(false);
    expect(reasons).toEqual(['worker 2 has not answered for 12 s']);
  });

  it('while a shard has lost all its replicas', () => {
    const { ready, degraded } = readiness({}, { bare: [{ shard: 1, wanted: 2 }] });
    expect(ready).toBe(true);
    expect(degraded).toEqual(['shard 1 has no replica left, of 2']);
  });

  it('names such a shard as soon as its replicas are known to be down', () => {
    const snapshot = drawSnapshot(['a d', 'b e g', 'c f']);
    const told = ['shard 1 has no replica left, of 2'];
    expect(readiness({ e: 'refused' }, { snapshot }).degraded).toEqual([]);
    expect(readiness({ e: 'refused', g: 'silent' }, { snapshot }).degraded).toEqual(told);
    // The cluster has agreed on one of them, then on both.
    const half = drawSnapshot(['a d', 'b e! g', 'c f']);
    expect(readiness({ e: 'refused', g: 'silent' }, { snapshot: half }).degraded).toEqual(told);
    const bare = [{ shard: 1, wanted: 2 }];
    expect(readiness({ e: 'refused', g: 'silent' }, { snapshot: half, bare }).degraded).toEqual(
      told,
    );
  });

  it('names it until its replica is trusted again', () => {
    const stateOf = (state: NodeHealth['state']) => {
      const known = { ...healthOf({ d: 'refused' }).get(address('d')), state } as NodeHealth;
      return readiness({}, { healthOf: (node) => (node === known.address ? known : undefined) });
    };
    const told = ['shard 0 has no replica left, of 1'];
    expect(stateOf('recovering').degraded).toEqual(told);
    for (const state of ['up', 'suspect'] as const) expect(stateOf(state).degraded).toEqual([]);
  });

  it('while a shard refuses writes, with the word for it', () => {
    const refusalOf = (node: string) => (node === address('c') ? 'MISCONF' : '');
    const { ready, degraded } = readiness({}, { refusalOf });
    expect(ready).toBe(true);
    expect(degraded).toEqual(['shard 2 refuses writes (MISCONF)']);
    // It is not served at all: that is the news.
    const dead = readiness({ c: 'silent' }, { refusalOf }).degraded;
    expect(dead).toEqual([`shard 2 is not served: its primary ${address('c')} is down (silent)`]);
  });

  it('while a node takes no more connections', () => {
    const { ready, degraded } = readiness({}, { full: ['h:1'] });
    expect(ready).toBe(true);
    expect(degraded).toEqual(['h:1 takes no more connections (its maxclients)']);
  });

  it('while nodes of no shard are down, which it names', () => {
    const deposed = { ...SNAPSHOT, nodes: [...SNAPSHOT.nodes, node('g', true), node('h', false)] };
    expect(readiness({}, { snapshot: deposed }).degraded).toEqual([
      `1 node is down: ${address('g')}`,
    ]);
    expect(readiness({ h: 'refused' }, { snapshot: deposed })).toEqual({
      ready: true,
      reasons: [],
      degraded: [`2 nodes are down: ${address('g')}, ${address('h')}`],
    });
    // A replica's shard counts its own.
    expect(readiness({ e: 'refused' }).degraded).toEqual(['shard 1 has no replica left, of 1']);
  });

  it('as long as replicas serve reads', () => {
    const node = {
      address: address('d'),
      weight: 1,
      tier: 0,
      watermark: 1,
      answeredAt: 1,
    } as const;
    const plan = { nodes: [{ ...node, isUsable: true }] };
    const all = { a: 'silent', b: 'silent', c: 'silent' } as const;
    const { ready, degraded } = readiness(all, { plan });
    expect(ready).toBe(true);
    expect(degraded[0]).toBe(
      `shard 0 serves reads only: its primary ${address('a')} is down (silent)`,
    );
    expect(readiness(all, { plan: { nodes: [{ ...node, isUsable: false }] } }).ready).toBe(false);
    expect(
      readiness(all, { plan: { nodes: [{ ...node, isUsable: true, weight: 0 }] } }).ready,
    ).toBe(false);
  });
});

describe('an instance is not ready', () => {
  it.each(['refused', 'silent', 'auth', 'loading'] as const)(
    'when no primary serves: %s',
    (evidence) => {
      const { ready, reasons } = readiness({ a: evidence, b: evidence, c: evidence });
      expect(ready).toBe(false);
      expect(reasons).toHaveLength(4);
      expect(reasons[0]).toBe('no shard is served');
      expect(reasons[1]).toContain(`${address('a')} is down (${evidence})`);
    },
  );

  it('when no slot has a primary', () => {
    const { reasons } = readiness(
      {},
      { snapshot: without(SNAPSHOT.slots.map((_, i) => i) as never) },
    );
    expect(reasons).toEqual(['no shard is served', '16384 slots have no primary: 0-16383']);
  });

  it('without a picture, a worker or one that takes clients', () => {
    const unknown = { isKnown: false, reason: 'no seed answers', snapshot: null };
    expect(readiness({}, unknown).reasons).toEqual(['no seed answers']);
    expect(readiness({}, { workers: 0, reports: [] }).reasons).toEqual(['no worker is running']);
    expect(readiness({}, { reports: [] }).reasons).toEqual(['no worker takes clients yet']);
  });

  it('while it drains, said once', () => {
    const { reasons } = readiness({}, { isDraining: true, reports: ['draining', 'draining'] });
    expect(reasons).toEqual(['draining']);
  });

  it('without cluster mode while nobody may be written to', () => {
    const slots = SNAPSHOT.slots.map(() => NO_SHARD);
    const snapshot: Snapshot = { ...SNAPSHOT, mode: 'standalone', slots };
    expect(readiness({}, { snapshot, reason: 'two primaries' }).reasons).toEqual(['two primaries']);
    expect(readiness({}, { snapshot }).reasons).toEqual(['no primary is known']);
  });

  it('without cluster mode when the primary is dead', () => {
    const slots = SNAPSHOT.slots.map(() => 0);
    const { reasons } = readiness(
      { a: 'silent' },
      { snapshot: { ...SNAPSHOT, mode: 'standalone', slots } },
    );
    expect(reasons).toEqual([
      `shard 0 is not served: its primary ${address('a')} is down (silent)`,
    ]);
  });
});

describe('a primary that answers, but refuses all commands', () => {
  it('does not serve, and the way out is named', () => {
    const { ready, degraded } = readiness({}, { refusing: new Set([address('a')]) });
    expect([ready, degraded]).toEqual([
      true,
      [
        expect.stringMatching(
          /shard 0 is not served: .* refuses all commands, CLUSTERDOWN: .* bus/,
        ),
      ],
    ]);
  });

  it('like all the others: not ready', () => {
    const owners = SNAPSHOT.shards.map(({ primary }) => SNAPSHOT.nodes[primary]);
    const refusing = new Set(
      owners.map((owner) => nodeAddress(owner as Snapshot['nodes'][number])),
    );
    expect(readiness({}, { refusing }).reasons[0]).toBe('no shard is served');
  });
});

describe('the metrics of the cluster follow the same rule', () => {
  function metrics(snapshot: Snapshot | null, down: Down = {}, ready = true) {
    const health = healthOf(down);
    const refusing: ReadonlySet<string> = new Set();
    const status = { ready, snapshot, lastRefreshUnixMs: 0, refusing } as DiscoveryStatus;
    const { ok, unservedShards } = clusterStatus(status, (each) => health.get(each));
    return { ok, unservedShards };
  }

  it('1 while every slot has a primary that serves', () => {
    expect(metrics(SNAPSHOT)).toEqual({ ok: true, unservedShards: 0 });
    expect(metrics(SNAPSHOT, { e: 'refused' })).toEqual({ ok: true, unservedShards: 0 });
  });

  it.each(['silent', 'auth', 'busy', 'refused'] as const)(
    '0 while a primary does not serve that the cluster takes for well: %s',
    (evidence) => {
      expect(metrics(SNAPSHOT, { c: evidence })).toEqual({ ok: false, unservedShards: 1 });
      expect(readiness({ c: evidence }).degraded).toHaveLength(1);
    },
  );

  it('0 for one that the cluster takes for failed, for slots without a primary, with no picture', () => {
    expect(metrics(drawSnapshot(['a! d', 'b! e', 'c f']))).toEqual({
      ok: false,
      unservedShards: 2,
    });
    expect(metrics(without([7]))).toEqual({ ok: false, unservedShards: 0 });
    expect(metrics(null)).toEqual({ ok: false, unservedShards: 0 });
    expect(metrics(SNAPSHOT, {}, false)).toEqual({ ok: false, unservedShards: 0 });
    const withheld: Snapshot = {
      ...SNAPSHOT,
      mode: 'standalone',
      slots: SNAPSHOT.slots.map(() => NO_SHARD),
    };
    expect(metrics(withheld)).toEqual({ ok: false, unservedShards: 0 });
  });
});
