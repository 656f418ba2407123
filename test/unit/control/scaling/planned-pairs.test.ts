/** Moves of a plan, by pairs of nodes. */
import { expect, it } from 'vitest';
import type { ClusterLayout } from '../../../../src/control/scaling/cluster-layout.ts';
import type { Layout } from '../../../../src/control/scaling/layout.ts';
import { plannedPairs } from '../../../../src/control/scaling/planned-pairs.ts';
import { SLOT_COUNT } from '../../../../src/topology/snapshot.ts';
import { nodeOf, slotsOf } from '../../route/snapshots.ts';

const HALF = SLOT_COUNT / 2;
const layout: ClusterLayout = {
  shards: [
    { primary: nodeOf(1), replicas: [nodeOf(11), nodeOf(12, { failed: true })], slots: HALF },
    { primary: nodeOf(2), replicas: [], slots: HALF },
  ],
  owners: slotsOf((slot) => (slot < HALF ? 0 : 1)),
  free: [],
};

function plan(...keeps: boolean[]): Layout {
  return { keeps, dismissed: [], primaries: [], enlisted: [], enlistedLast: [], missing: 0 };
}

it('a shard that goes gives all it has; replicas of the taker that live are told with it', () => {
  const [pair, ...others] = plannedPairs(plan(true, false), layout, undefined, [], new Set());
  expect(others).toEqual([]);
  expect([pair?.from.port, pair?.to.port, pair?.targetReplicas.map(({ port }) => port)]).toEqual([
    2,
    1,
    [11],
  ]);
  expect([...(pair?.slots ?? [])].sort((a, b) => a - b)).toEqual(
    Array.from({ length: HALF }, (_, i) => HALF + i),
  );
});

it('a new primary takes from each, one pair for two nodes', () => {
  const pairs = plannedPairs(plan(true, true), layout, undefined, [nodeOf(3)], new Set());
  expect(pairs.map(({ from, to }) => `${from.port}>${to.port}`).sort()).toEqual(['1>3', '2>3']);
  const taken = pairs.flatMap(({ slots }) => slots);
  expect(taken.length).toBe(Math.floor(SLOT_COUNT / 3));
  expect(pairs.every(({ targetReplicas }) => targetReplicas.length === 0)).toBe(true);
});

it('new primaries follow the shards, in their order', () => {
  const pairs = plannedPairs(
    plan(false, false),
    layout,
    undefined,
    [nodeOf(3), nodeOf(4)],
    new Set(),
  );
  const slotsTo = (port: number): number =>
    pairs.filter(({ to }) => to.port === port).reduce((sum, { slots }) => sum + slots.length, 0);
  expect([slotsTo(3), slotsTo(4)]).toEqual([HALF, HALF]);
});

it('what stays is not moved, and a pair that has nothing else is none', () => {
  const all = Array.from({ length: HALF }, (_, i) => HALF + i);
  const stays = new Set(all.slice(0, -1));
  const [pair] = plannedPairs(plan(true, false), layout, undefined, [], stays);
  expect(pair?.slots).toEqual([SLOT_COUNT - 1]);
  expect(plannedPairs(plan(true, false), layout, undefined, [], new Set(all))).toEqual([]);
});

it('weights decide where they are given', () => {
  const weights = new Float64Array(SLOT_COUNT).map((_, slot) => (slot < HALF ? 3 : 1));
  expect(plannedPairs(plan(true, true), layout, undefined, [], new Set())).toEqual([]);
  const pairs = plannedPairs(plan(true, true), layout, weights, [], new Set());
  expect(pairs.map(({ from, to }) => `${from.port}>${to.port}`)).toEqual(['1>2']);
  expect(pairs[0]?.slots.length).toBeGreaterThan(HALF / 4);
});
