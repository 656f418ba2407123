/** The cluster as scaling looks at it: who may keep slots, who is free. Pure. */

import {
  NO_SHARD,
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
  slotCounts,
} from '../../topology/snapshot.ts';
import type { Place, ShardPlaces } from './layout.ts';

export interface LayoutShard {
  readonly primary: SnapshotNode;
  readonly replicas: readonly SnapshotNode[];
  readonly slots: number;
}

export interface ClusterLayout {
  /** Primaries with slots, or with replicas and no slots yet; in the order of their first slot. */
  readonly shards: readonly LayoutShard[];
  /** Index into shards for each slot, or NO_SHARD. */
  readonly owners: Uint16Array;
  /** Living primaries without slots and replicas. */
  readonly free: readonly SnapshotNode[];
}

/** `followers`: replica → primary; `leaving`: ids of nodes that count only while they have slots. */
export function layoutOf(
  snapshot: Snapshot,
  followers: ReadonlyMap<string, string>,
  leaving: ReadonlySet<string>,
): ClusterLayout {
  const replicas = (id: string): SnapshotNode[] =>
    snapshot.nodes.filter(
      (node) =>
        node.role === 'replica' &&
        followers.get(node.id) === id &&
        (!leaving.has(node.id) || leaving.has(id)),
    );
  const counts = slotCounts(snapshot);
  const shards: LayoutShard[] = [];
  const indexes = new Map<number, number>();
  snapshot.shards.forEach(({ primary }, shard) => {
    const node = snapshot.nodes[primary];
    const slots = counts[shard] ?? 0;
    if (node === undefined || slots === 0) return;
    indexes.set(shard, shards.length);
    shards.push({ primary: node, replicas: replicas(node.id), slots });
  });
  const free: SnapshotNode[] = [];
  for (const node of snapshot.nodes) {
    const isOwner = shards.some(({ primary }) => primary.id === node.id);
    if (node.role !== 'primary' || node.failed || isOwner || leaving.has(node.id)) continue;
    const own = replicas(node.id);
    if (own.length === 0) free.push(node);
    else shards.push({ primary: node, replicas: own, slots: 0 });
  }
  const owners = snapshot.slots.map((shard) => indexes.get(shard) ?? NO_SHARD);
  return { shards, owners, free };
}

/** A primary that owns nothing yet. */
export function alone(primary: SnapshotNode): LayoutShard {
  return { primary, replicas: [], slots: 0 };
}

export function placeOf(node: SnapshotNode): Place {
  return { id: node.id, address: nodeAddress(node), host: node.host, zone: node.zone };
}

export function placesOf({ primary, replicas }: LayoutShard, load: number): ShardPlaces {
  return {
    primary: placeOf(primary),
    replicas: replicas.filter(({ failed }) => !failed).map(placeOf),
    load,
  };
}
