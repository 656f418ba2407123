/**
 * Which slots move so that the wanted shards share them evenly. Pure: owners in, moves out.
 *
 * **By number of slots** the shares differ by one slot at most, and no plan moves fewer: a shard
 * gives exactly what it has above its share, the greater shares going to those that have most, and
 * takes only what it lacks.
 *
 * **By weight** (bytes or keys) an even split is the partition problem, so shares are only near: a
 * slot moves when that evens out its shard and the lightest one, heaviest first, until no move does.
 * A second plan on the result of the first is therefore empty.
 */

import { NO_SHARD, SLOT_COUNT } from '../../topology/snapshot.ts';

export interface SlotMove {
  readonly slot: number;
  /** Indexes of shards, as in the owners given. */
  readonly from: number;
  readonly to: number;
}

export interface SlotPlanWish {
  /** 16384 entries: index of the shard that owns the slot. */
  readonly owners: Uint16Array;
  /** By index of the shard: is it to own slots? Shards that own none yet are new. */
  readonly keeps: readonly boolean[];
  /** What each slot weighs, 16384 entries of 0 or more; absent: every slot counts the same. */
  readonly weights?: Float64Array;
  /** By weight: shares this far from the mean, relatively, are even enough to be left alone. */
  readonly tolerance?: number;
}

/** redis-cli's --cluster-rebalance leaves 2 % alone too. */
const TOLERANCE = 0.02;
/** An empty slot weighs so much of the mean one, so that empty slots are shared out as well. */
const BASE_SHARE = 1 / 50;

/**
 * In order of the slots.
 * @throws RangeError for slots that nobody owns, and where no shard is to keep any
 */
export function planSlots(wish: SlotPlanWish): SlotMove[] {
  const { owners, keeps, weights } = wish;
  if (owners.length !== SLOT_COUNT) throw new RangeError(`owners of ${owners.length} slots`);
  const lost = owners.findIndex((owner) => owner === NO_SHARD || owner >= keeps.length);
  if (lost >= 0) throw new RangeError(`slot ${lost} has no owner among the shards`);
  const kept = keeps.flatMap((keep, shard) => (keep ? [shard] : []));
  if (kept.length === 0) throw new RangeError('no shard is to keep slots');
  const next = Uint16Array.from(owners);
  if (weights === undefined) shareByCount(next, keeps, kept);
  else shareByWeight(next, keeps, kept, weightsWithBase(weights), wish.tolerance ?? TOLERANCE);
  const moves: SlotMove[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const [from, to] = [owners[slot] as number, next[slot] as number];
    if (from !== to) moves.push({ slot, from, to });
  }
  return moves;
}

/** How much each shard holds. */
export function loadsOf(
  owners: Uint16Array,
  shards: number,
  weights: Float64Array | undefined,
): number[] {
  const loads = new Array<number>(shards).fill(0);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const owner = owners[slot] as number;
    loads[owner] = (loads[owner] as number) + (weights?.[slot] ?? 1);
  }
  return loads;
}

function shareByCount(next: Uint16Array, keeps: readonly boolean[], kept: readonly number[]): void {
  const counts = loadsOf(next, keeps.length, undefined);
  const shares = sharesOf(counts, kept);
  const takers = kept.filter((shard) => (counts[shard] as number) < (shares[shard] as number));
  let at = 0;
  // A giver's last slots go, so that what it keeps stays in one piece; takers fill up one by one.
  for (let slot = SLOT_COUNT - 1; slot >= 0; slot--) {
    const from = next[slot] as number;
    if ((counts[from] as number) <= (shares[from] as number)) continue;
    const to = takers[at] as number;
    next[slot] = to;
    counts[from] = (counts[from] as number) - 1;
    counts[to] = (counts[to] as number) + 1;
    if ((counts[to] as number) >= (shares[to] as number)) at++;
  }
}

/** The greater shares to those that have most: every other choice would move more. */
function sharesOf(counts: readonly number[], kept: readonly number[]): number[] {
  const shares = counts.map(() => 0);
  const base = Math.floor(SLOT_COUNT / kept.length);
  let rest = SLOT_COUNT - base * kept.length;
  const most = [...kept].sort((a, b) => (counts[b] as number) - (counts[a] as number) || a - b);
  for (const shard of most) shares[shard] = rest-- > 0 ? base + 1 : base;
  return shares;
}

function weightsWithBase(weights: Float64Array): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const base = total > 0 ? (total / SLOT_COUNT) * BASE_SHARE : 1;
  return weights.map((weight) => weight + base);
}

function shareByWeight(
  next: Uint16Array,
  keeps: readonly boolean[],
  kept: readonly number[],
  weights: Float64Array,
  tolerance: number,
): void {
  let loads = loadsOf(next, keeps.length, weights);
  const mean = loads.reduce((sum, load) => sum + load, 0) / kept.length;
  const slack = mean * tolerance;
  const heaviestFirst = Array.from(next.keys()).sort(
    (a, b) => (weights[b] as number) - (weights[a] as number) || a - b,
  );
  const move = (slot: number, to: number): void => {
    const [from, weight] = [next[slot] as number, weights[slot] as number];
    loads[from] = (loads[from] as number) - weight;
    loads[to] = (loads[to] as number) + weight;
    next[slot] = to;
  };
  for (const slot of heaviestFirst) {
    if (!keeps[next[slot] as number]) move(slot, lightest(loads, kept));
  }
  for (let moved = true; moved; ) {
    moved = false;
    // Afresh: sums grown by moves differ in their last digits from those of the next plan.
    loads = loadsOf(next, keeps.length, weights);
    if (kept.every((shard) => Math.abs((loads[shard] as number) - mean) <= slack)) return;
    for (const slot of heaviestFirst) {
      const from = loads[next[slot] as number] as number;
      if (from <= mean) continue;
      const weight = weights[slot] as number;
      const taker = lightest(loads, kept);
      const to = loads[taker] as number;
      const fits = weight <= from - mean && weight <= mean - to;
      // Each such move makes the sum of squares smaller, so there is an end.
      if (!fits && (from - mean <= slack || to + weight >= from)) continue;
      move(slot, taker);
      moved = true;
    }
  }
}

function lightest(loads: readonly number[], kept: readonly number[]): number {
  let found = kept[0] as number;
  for (const shard of kept) {
    if ((loads[shard] as number) < (loads[found] as number)) found = shard;
  }
  return found;
}
