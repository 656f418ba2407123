/** The moves of a situation, by pairs of nodes. Pure. */

import type { SnapshotNode } from '../../topology/snapshot.ts';
import { alone, type ClusterLayout, type LayoutShard } from './cluster-layout.ts';
import type { Layout } from './layout.ts';
import { planSlots } from './slot-plan.ts';
import type { PlannedPair } from './slot-transfer.ts';

/** `fresh`: primaries that own nothing yet, in the plan's order; `stays`: slots that are not moved. */
export function plannedPairs(
  plan: Layout,
  { shards, owners }: ClusterLayout,
  weights: Float64Array | undefined,
  fresh: readonly SnapshotNode[],
  stays: ReadonlySet<number>,
): PlannedPair[] {
  const all = [...shards, ...fresh.map(alone)];
  const keeps = all.map((_, shard) => plan.keeps[shard] ?? true);
  const moves = planSlots({ owners, keeps, ...(weights === undefined ? {} : { weights }) });
  const pairs = new Map<string, PlannedPair & { readonly slots: number[] }>();
  for (const { slot, from, to } of moves) {
    if (stays.has(slot)) continue;
    const [source, target] = [all[from] as LayoutShard, all[to] as LayoutShard];
    const name = `${from} ${to}`;
    const pair = pairs.get(name) ?? {
      from: source.primary,
      to: target.primary,
      targetReplicas: target.replicas.filter(({ failed }) => !failed),
      slots: [],
    };
    pair.slots.push(slot);
    pairs.set(name, pair);
  }
  return [...pairs.values()];
}
