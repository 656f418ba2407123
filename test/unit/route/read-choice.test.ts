import { describe, expect, it } from 'vitest';
import { ReadChoice, type ReadRules } from '../../../src/route/read-choice.ts';
import { NO_NODE, type RouteNode, Routing } from '../../../src/route/routing.ts';
import type { ReadNode } from '../../../src/topology/read-plan.ts';
import { NO_SHARD, type Snapshot } from '../../../src/topology/snapshot.ts';
import { halves, nodeOf, shardOf, slotsOf } from './snapshots.ts';

const RULES: ReadRules = { maxStalenessMs: 100, whenPrimaryDown: 'bounded' };
const NOW = 10_000;

/** One shard: node 1 and its replicas 2 and 3. */
function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  const replica = { role: 'replica' } as const;
  return halves({
    nodes: [nodeOf(1), nodeOf(2, replica), nodeOf(3, replica)],
    shards: [shardOf(0, [1, 2])],
    slots: slotsOf((slot) => (slot === 16383 ? NO_SHARD : 0)),
    polledAt: 1,
    ...more,
  });
}

/** A generator that is the same in each run. */
function prng(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Stage {
  readonly choice: ReadChoice;
  readonly routing: Routing;
  readonly inFlight: Map<number, number>;
  readonly unreachable: Set<number>;
  plan(...more: Partial<ReadNode>[]): void;
}

function stage(rules: Partial<ReadRules> = {}, random = prng(7)): Stage {
  const routing = new Routing();
  const inFlight = new Map<number, number>();
  const unreachable = new Set<number>();
  const load = {
    isReachable: (node: RouteNode) => !unreachable.has(node.index),
    inFlight: (node: RouteNode) => inFlight.get(node.index) ?? 0,
  };
  const choice = new ReadChoice({ ...RULES, ...rules }, routing, load, random);
  routing.apply(snapshot());
  choice.onSnapshot();
  const plan = (...more: Partial<ReadNode>[]): void => {
    const usual = { weight: 100, tier: 0 as const, answeredAt: NOW, isUsable: true };
    choice.onPlan({
      nodes: more.map((node, i) => ({
        address: `h:${i + 1}`,
        watermark: i === 0 ? 0 : NOW - 10,
        ...usual,
        ...node,
      })),
    });
  };
  return { choice, routing, inFlight, unreachable, plan };
}

function counts(choice: ReadChoice, picks: number, since = 0, isDown = false): number[] {
  const found = [0, 0, 0, 0];
  for (let i = 0; i < picks; i++) {
    const index = choice.pick(5, NOW, since, isDown);
    found[index === NO_NODE ? 3 : index] = (found[index === NO_NODE ? 3 : index] as number) + 1;
  }
  return found;
}

describe('the choice of a node for a read', () => {
  it('meets the weights within two per cent', () => {
    const { choice, plan } = stage();
    plan({ weight: 20 }, { weight: 50 }, { weight: 30 });
    const total = 100_000;
    const found = counts(choice, total);
    const expected = [0.2, 0.5, 0.3].map((share) => share * total);
    expected.forEach((wanted, i) => {
      expect(Math.abs((found[i] as number) - wanted) / total).toBeLessThan(0.02);
    });
    const chiSquare = expected.reduce((sum, wanted, i) => {
      return sum + ((found[i] as number) - wanted) ** 2 / wanted;
    }, 0);
    // 2 degrees of freedom: beyond this once in a thousand runs of true chance.
    expect(chiSquare).toBeLessThan(13.8);
  });

  it('relieves a node that has clearly more in flight than another of its weight', () => {
    const { choice, plan, inFlight } = stage();
    plan({ weight: 0 }, {}, {});
    inFlight.set(1, 250).set(2, 0);
    const [, one, other] = counts(choice, 10_000) as [number, number, number];
    expect(Math.abs(one - other)).toBeLessThan(500);
    inFlight.set(1, 700).set(2, 100);
    expect(counts(choice, 100)).toEqual([0, 0, 100, 0]);
    inFlight.set(2, 150);
    expect(counts(choice, 100)[1]).toBeGreaterThan(20);
    // Another weight is another share.
    plan({ weight: 0 }, {}, { weight: 1 });
    inFlight.set(2, 0);
    expect(counts(choice, 100)[1]).toBeGreaterThan(90);
  });

  it('never falls on a node without a weight, and on the owner where all have none', () => {
    const { choice, plan } = stage();
    plan({ weight: 100 }, { weight: 0 }, { weight: 0 });
    expect(choice.hasReplicas).toBe(false);
    plan({ weight: 0 }, { weight: 0 }, { weight: 0 });
    expect(choice.pick(5, NOW, 0, false)).toBe(NO_NODE);
  });

  it.each<[string, Partial<ReadNode>]>([
    ['is not usable', { isUsable: false }],
    ['is too far behind', { watermark: NOW - 101 }],
    ['was never seen', { watermark: 0 }],
    ['lacks the own write', { watermark: NOW - 51 }],
  ])('passes over a replica that %s', (_what, node) => {
    const { choice, plan } = stage();
    plan({ weight: 0 }, node, {});
    expect(counts(choice, 50, NOW - 50)).toEqual([0, 0, 50, 0]);
  });

  it('keeps to the nearest tier while one of it can serve', () => {
    const { choice, plan, unreachable } = stage();
    plan({ tier: 1 }, { tier: 0 }, { tier: 1, weight: 50 });
    expect(counts(choice, 50)).toEqual([0, 50, 0, 0]);
    unreachable.add(1);
    const [first, , third] = counts(choice, 300) as [number, number, number];
    expect(first + third).toBe(300);
    expect(first).toBeGreaterThan(third);
  });

  it.each([
    ['serve', [0, 50, 0, 0], NOW - 5000],
    ['bounded', [0, 0, 0, 50], NOW - 5000],
    ['bounded', [0, 50, 0, 0], NOW - 50],
    ['refuse', [0, 0, 0, 50], NOW - 50],
  ] as const)('with a dead primary and %s', (whenPrimaryDown, expected, watermark) => {
    const { choice, plan } = stage({ whenPrimaryDown });
    plan({}, { watermark }, { weight: 0 });
    expect(counts(choice, 50, 0, true)).toEqual(expected);
  });

  it('leaves slots in motion, and such as a MOVED has overtaken, to their owner', () => {
    const { choice, routing, plan } = stage();
    plan({ weight: 0 }, {}, {});
    routing.setInMotion(5, NOW);
    expect(choice.pick(5, NOW, 0, false)).toBe(NO_NODE);
    expect(choice.pick(6, NOW, 0, false)).not.toBe(NO_NODE);
    routing.setMoved(6, 1, NOW);
    expect(choice.pick(6, NOW, 0, false)).toBe(NO_NODE);
  });

  it('gives a node the part of chance that is its weight, the lower end included', () => {
    for (const [random, expected] of [
      [0, 0],
      [0.25, 1],
      [0.5, 1],
      [0.75, 2],
      [0.999, 2],
    ] as const) {
      const { choice, plan } = stage({}, () => random);
      plan({ weight: 1 }, { weight: 2 }, { weight: 1 });
      expect(choice.pick(5, NOW, 0, false)).toBe(expected);
    }
  });

  it('falls on a node with a weight even where fractions do not add up', () => {
    const { choice, plan } = stage({}, () => 1 - Number.EPSILON / 2);
    plan({ weight: 0.3 }, { weight: 0.7 }, { weight: 0 });
    expect(choice.pick(5, NOW, 0, false)).toBe(1);
  });

  it('takes a replica that has just what it must have', () => {
    const { choice, plan } = stage();
    plan({ weight: 0 }, { watermark: NOW - 100 }, { weight: 0 });
    expect(choice.pick(5, NOW, NOW - 100, false)).toBe(1);
    expect(choice.pick(5, NOW, NOW - 99, false)).toBe(NO_NODE);
    expect(choice.pick(5, NOW + 1, 0, false)).toBe(NO_NODE);
  });

  it('never takes one of which nothing is known, not even with a dead primary', () => {
    const { choice, plan } = stage({ whenPrimaryDown: 'serve' });
    plan({}, { watermark: 0 }, { weight: 0 });
    expect(choice.pick(5, NOW, 0, true)).toBe(NO_NODE);
  });

  it('sees no relief in a node with a quarter of what is too much, but in one with less', () => {
    const { choice, plan, inFlight } = stage({}, () => 0);
    plan({ weight: 0 }, {}, {});
    inFlight.set(1, 256 + 4 * 100).set(2, 100);
    expect(choice.pick(5, NOW, 0, false)).toBe(1);
    inFlight.set(2, 99);
    expect(choice.pick(5, NOW, 0, false)).toBe(2);
  });

  it('leaves slots that nobody owns, and shards without a primary, to their owner', () => {
    const { choice, plan, routing } = stage();
    plan({ weight: 0 }, {}, {});
    expect(choice.pick(16383, NOW, 0, false)).toBe(NO_NODE);
    routing.apply(snapshot({ epoch: 2, shards: [shardOf(9, [1])] }));
    choice.onSnapshot();
    expect(choice.pick(5, NOW, 0, false)).toBe(NO_NODE);
    routing.apply(snapshot({ epoch: 3, shards: [shardOf(9)] }));
    choice.onSnapshot();
    expect(choice.pick(5, NOW, 0, false)).toBe(NO_NODE);
  });
});

describe('plans and snapshots', () => {
  it('may come in any order: the plan in force holds for the next snapshot', () => {
    const { choice, plan, routing } = stage();
    plan({ weight: 0 }, { tier: 1 }, { weight: 30, tier: 1 });
    const before = counts(choice, 1000);
    expect((before[1] as number) / (before[2] as number)).toBeGreaterThan(2);
    routing.apply(snapshot({ epoch: 2 }));
    choice.onSnapshot();
    const [primary, first, second] = counts(choice, 1000) as [number, number, number];
    expect(primary).toBe(0);
    expect(first / second).toBeGreaterThan(2);
    plan({ weight: 0 }, { tier: 1 }, { tier: 0 });
    routing.apply(snapshot({ epoch: 3 }));
    choice.onSnapshot();
    expect(counts(choice, 50)).toEqual([0, 0, 50, 0]);
    plan({ weight: 0 }, { isUsable: false }, { watermark: NOW - 101 });
    routing.apply(snapshot({ epoch: 4 }));
    choice.onSnapshot();
    expect(counts(choice, 50)).toEqual([0, 0, 0, 50]);
  });

  it('know whether replicas serve at all', () => {
    const { choice, plan, routing } = stage();
    expect(choice.hasReplicas).toBe(false);
    plan({}, { weight: 0 }, { weight: 1 });
    expect(choice.hasReplicas).toBe(true);
    routing.apply(snapshot({ epoch: 2 }));
    choice.onSnapshot();
    expect(choice.hasReplicas).toBe(true);
    // Node 3 is gone, and with it the only replica with a weight.
    routing.apply(snapshot({ epoch: 3, shards: [shardOf(0, [1])] }));
    choice.onSnapshot();
    expect(choice.hasReplicas).toBe(false);
    plan({}, { weight: 0 }, { weight: 1 });
    expect(choice.hasReplicas).toBe(false);
    plan({}, { weight: 1 });
    expect(choice.hasReplicas).toBe(true);
    plan({}, { weight: 0 });
    expect(choice.hasReplicas).toBe(false);
  });

  it('may speak of nodes that the other does not know', () => {
    const { choice, plan, routing } = stage();
    plan({ weight: 0 }, {}, {}, {}, {});
    expect(counts(choice, 50)[0]).toBe(0);
    routing.apply(snapshot({ epoch: 2, shards: [shardOf(0, [1, 8])] }));
    choice.onSnapshot();
    expect(counts(choice, 50)).toEqual([0, 50, 0, 0]);
  });

  it('are wanted both', () => {
    const routing = new Routing();
    const load = { isReachable: () => true, inFlight: () => 0 };
    const choice = new ReadChoice(RULES, routing, load, () => 0);
    choice.onSnapshot();
    expect([choice.hasReplicas, choice.pick(5, NOW, 0, false)]).toEqual([false, NO_NODE]);
    routing.apply(snapshot());
    choice.onSnapshot();
    expect([choice.hasReplicas, choice.pick(5, NOW, 0, false)]).toEqual([false, NO_NODE]);
  });
});
