/**
 * What each slot weighs: its keys, or their bytes as far as samples tell. The bytes of a slot are its
 * number of keys times the mean of some of them, all of them where there are few.
 */

import type { SnapshotNode } from '../../topology/snapshot.ts';
import { SLOT_COUNT } from '../../topology/snapshot.ts';
import type { BalanceBy } from './job-report.ts';
import { KeyFinder } from './key-finder.ts';
import type { MoverNodes } from './move-parties.ts';

const SAMPLES = 10;
/** Slots in one look: clients are served in between. */
const SLOTS_AT_ONCE = 64;

/** 16384 entries. `owners`: slot → index into `primaries`. */
export async function slotWeights(
  nodes: MoverNodes,
  primaries: readonly SnapshotNode[],
  owners: Uint16Array,
  by: Exclude<BalanceBy, 'slots'>,
): Promise<Float64Array> {
  const keys = new KeyFinder(nodes);
  const weights = new Float64Array(SLOT_COUNT);
  await Promise.all(
    primaries.map(async (node, index) => {
      const slots = [...owners.keys()].filter((slot) => owners[slot] === index);
      for (let at = 0; at < slots.length; at += SLOTS_AT_ONCE) {
        const part = slots.slice(at, at + SLOTS_AT_ONCE);
        const counts = await keys.count(node, part);
        const means = by === 'keys' ? new Map() : await meanBytes(keys, node, part);
        part.forEach((slot, each) => {
          weights[slot] = (counts[each] ?? 0) * (by === 'keys' ? 1 : (means.get(slot) ?? 0));
        });
      }
    }),
  );
  return weights;
}

async function meanBytes(
  keys: KeyFinder,
  node: SnapshotNode,
  slots: readonly number[],
): Promise<Map<number, number>> {
  const sums = new Map<number, { bytes: number; count: number }>();
  for (const { slot, bytes } of await keys.find(node, slots, SAMPLES)) {
    const sum = sums.get(slot) ?? { bytes: 0, count: 0 };
    sum.bytes += bytes;
    sum.count++;
    sums.set(slot, sum);
  }
  return new Map([...sums].map(([slot, { bytes, count }]) => [slot, bytes / count]));
}
