/** Plans of slots: every slot owned once, shares even, nothing moved without need. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  loadsOf,
  planSlots,
  type SlotMove,
  type SlotPlanWish,
} from '../../../../src/control/scaling/slot-plan.ts';
import { NO_SHARD, SLOT_COUNT } from '../../../../src/topology/snapshot.ts';

/** What owns the slots afterwards; a move that does not begin where its slot is fails the test. */
function applied({ owners }: SlotPlanWish, moves: readonly SlotMove[]): Uint16Array {
  const next = Uint16Array.from(owners);
  for (const { slot, from, to } of moves) {
    if (next[slot] !== from) throw new Error(`slot ${slot} is not at ${from}`);
    next[slot] = to;
  }
  return next;
}

/** Slots in equal runs, as clusters are made. */
function inRuns(shards: number): Uint16Array {
  return Uint16Array.from({ length: SLOT_COUNT }, (_, slot) =>
    Math.floor((slot * shards) / SLOT_COUNT),
  );
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The fewest moves there can be: what is above its share has to go. */
function fewest(counts: readonly number[], kept: number): number {
  const base = Math.floor(SLOT_COUNT / kept);
  let rest = SLOT_COUNT % kept;
  let stays = 0;
  for (const count of [...counts].sort((a, b) => b - a).slice(0, kept)) {
    const share = rest-- > 0 ? base + 1 : base;
    stays += Math.min(count, share);
  }
  return SLOT_COUNT - stays;
}

describe('by number of slots', () => {
  it('from any of 1 … 128 shards to any: even, minimal, and nothing to do a second time', () => {
    for (let from = 1; from <= 128; from++) {
      for (const to of range(128).map((i) => i + 1)) {
        // All pairs of up to 10 shards, then those that a step of 101 meets, and the ends.
        const isEnd = (from === 1 || from === 128) && (to === 1 || to === 128);
        if (!isEnd && Math.max(from, to) > 10 && (from * 131 + to) % 101 !== 0) continue;
        const keeps = range(Math.max(from, to)).map((shard) => shard < to);
        const wish = { owners: inRuns(from), keeps };
        const moves = planSlots(wish);
        const owners = applied(wish, moves);
        const counts = loadsOf(owners, keeps.length, undefined);
        const kept = counts.slice(0, to);
        expect(Math.max(...kept) - Math.min(...kept)).toBeLessThanOrEqual(1);
        expect(counts.slice(to).every((count) => count === 0)).toBe(true);
        const before = loadsOf(wish.owners, keeps.length, undefined).slice(0, to);
        expect(moves.length).toBe(fewest(before, to));
        expect(planSlots({ owners, keeps })).toEqual([]);
      }
    }
  }, 60_000);

  it('a new shard takes slots in runs, one from each that gives', () => {
    const moves = planSlots({ owners: inRuns(3), keeps: [true, true, true, true, true] });
    const runs = moves.filter(
      ({ slot, to }, i) => moves[i - 1]?.slot !== slot - 1 || moves[i - 1]?.to !== to,
    );
    expect(runs.length).toBeLessThanOrEqual(5);
  });

  it('whatever the slots lie like', () => {
    const wishes = fc.integer({ min: 1, max: 128 }).chain((shards) =>
      fc.record({
        owners: fc.uint16Array({
          minLength: SLOT_COUNT,
          maxLength: SLOT_COUNT,
          max: shards - 1,
        }),
        kept: fc.integer({ min: 1, max: shards }),
        shards: fc.constant(shards),
      }),
    );
    fc.assert(
      fc.property(wishes, ({ owners, kept, shards }) => {
        const wish = { owners, keeps: range(shards).map((shard) => shard < kept) };
        const moves = planSlots(wish);
        const counts = loadsOf(applied(wish, moves), shards, undefined);
        expect(
          Math.max(...counts.slice(0, kept)) - Math.min(...counts.slice(0, kept)),
        ).toBeLessThan(2);
        expect(moves.length).toBe(fewest(loadsOf(owners, shards, undefined).slice(0, kept), kept));
      }),
      { numRuns: 30 },
    );
  }, 60_000);
});

describe('by weight', () => {
  const weighed = fc.integer({ min: 1, max: 40 }).chain((shards) =>
    fc.record({
      shards: fc.constant(shards),
      from: fc.integer({ min: 1, max: shards }),
      kept: fc.integer({ min: 1, max: shards }),
      seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      heavy: fc.integer({ min: 0, max: 5 }),
    }),
  );

  it('drains what is to go, evens out, and has nothing to do a second time', () => {
    fc.assert(
      fc.property(weighed, ({ shards, from, kept, seed, heavy }) => {
        const weights = weightsFrom(seed, heavy);
        const keeps = range(shards).map((shard) => shard < kept);
        const wish = { owners: inRuns(from), keeps, weights };
        const owners = applied(wish, planSlots(wish));
        const loads = loadsOf(owners, shards, weights);
        expect(loads.slice(kept).every((load) => load === 0)).toBe(true);
        expect(planSlots({ ...wish, owners })).toEqual([]);
        const mean = weights.reduce((sum, weight) => sum + weight, 0) / kept;
        const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0);
        for (const load of loads.slice(0, kept)) {
          expect(load).toBeLessThanOrEqual(mean * 1.1 + heaviest);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('what is even within the tolerance is left alone', () => {
    const weights = new Float64Array(SLOT_COUNT).fill(100);
    const owners = Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => (slot < 8300 ? 0 : 1));
    expect(planSlots({ owners, keeps: [true, true], weights })).toEqual([]);
    expect(planSlots({ owners, keeps: [true, true], weights, tolerance: 0.001 })).toHaveLength(108);
  });

  it('an empty cluster is shared out by slots', () => {
    const weights = new Float64Array(SLOT_COUNT);
    const wish = { owners: inRuns(1), keeps: [true, true], weights };
    const counts = loadsOf(applied(wish, planSlots(wish)), 2, undefined);
    expect(Math.abs((counts[0] as number) - (counts[1] as number))).toBeLessThan(SLOT_COUNT * 0.05);
  });

  it('moves a heavy slot rather than many light ones', () => {
    const weights = new Float64Array(SLOT_COUNT).fill(1);
    weights[5] = 8000;
    const owners = inRuns(2);
    const moves = planSlots({ owners, keeps: [true, true, true], weights });
    expect(moves).toContainEqual({ slot: 5, from: 0, to: 2 });
  });
});

/** Log-uniform weights, some slots empty, some as heavy as a hundred thousand others. */
function weightsFrom(seed: number, heavy: number): Float64Array {
  let state = seed;
  const random = (): number => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const weights = new Float64Array(SLOT_COUNT).map(() =>
    random() < 0.3 ? 0 : Math.exp(random() * 8),
  );
  for (let i = 0; i < heavy; i++) weights[Math.floor(random() * SLOT_COUNT)] = 3e7;
  return weights;
}

it('is refused with slots that nobody owns, and with nobody to own them', () => {
  const owners = inRuns(2);
  expect(() => planSlots({ owners, keeps: [false, false] })).toThrow(/no shard is to keep/);
  owners[77] = NO_SHARD;
  expect(() => planSlots({ owners, keeps: [true, true] })).toThrow(/slot 77 has no owner/);
  expect(() => planSlots({ owners: new Uint16Array(3), keeps: [true] })).toThrow(/3 slots/);
});
