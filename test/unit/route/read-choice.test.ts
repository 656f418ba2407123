import { describe, expect, it } from 'vitest';
import { ReadChoice, type ReadRules } from '../../../src/route/read-choice.ts';
import { NO_NODE, type RouteNode, Routing } from '../../../src/route/routing.ts';
import type { ReadNode } from '../../../src/topology/read-plan.ts';
import { SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';

const RULES: ReadRules = { maxStalenessMs: 100, whenPrimaryDown: 'bounded' };
const NOW = 10_000;

function snapshot(): Snapshot {
  const node = (port: number, role: 'primary' | 'replica') => ({
    id: String(port),
    host: 'h',
    port,
    role,
    failed: false,
    zone: '',
  });
  return {
    upstreamId: 0,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes: [node(1, 'primary'), node(2, 'replica'), node(3, 'replica')],
    shards: [{ primary: 0, replicas: [1, 2], configEpoch: 1 }],
    slots: new Uint16Array(SLOT_COUNT),
    motion: new Uint8Array(SLOT_COUNT / 8),
    polledAt: 1,
    serverVersion: '7.0.15',
  };
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

function stage(rules: Partial<ReadRules> = {}): Stage {
  const routing = new Routing();
  const inFlight = new Map<number, number>();
  const unreachable = new Set<number>();
  const load = {
    isReachable: (node: RouteNode) => !unreachable.has(node.index),
    inFlight: (node: RouteNode) => inFlight.get(node.index) ?? 0,
  };
  const choice = new ReadChoice({ ...RULES, ...rules }, routing, load, prng(7));
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
});
