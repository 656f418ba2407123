/** What the metrics show of the newest picture of the cluster. */

import type { DiscoveryStatus } from '../control/discovery.ts';
import type { ClusterStatus, NodePlace } from '../metrics/picture-families.ts';
import { NO_SHARD, nodeAddress, type Snapshot, shardOfNode } from '../topology/snapshot.ts';

export function clusterStatus(status: DiscoveryStatus): ClusterStatus {
  const { snapshot } = status;
  const shardSlots = new Array<number>(snapshot?.shards.length ?? 0).fill(0);
  let owned = 0;
  for (const shard of snapshot?.slots ?? []) {
    if (shard === NO_SHARD) continue;
    shardSlots[shard] = (shardSlots[shard] ?? 0) + 1;
    if (!isFailed(snapshot, shard)) owned++;
  }
  return {
    ok: status.ready && snapshot !== null && owned === snapshot.slots.length,
    shardSlots,
    refreshesOk: status.refreshesOk,
    refreshesFailed: status.refreshesFailed,
    lastRefreshSeconds: status.lastRefreshUnixMs / 1000,
  };
}

function isFailed(snapshot: Snapshot | null, shard: number): boolean {
  const primary = snapshot?.shards[shard]?.primary;
  return primary === undefined || snapshot?.nodes[primary]?.failed !== false;
}

export function nodePlace(snapshot: Snapshot | null, address: string): NodePlace | undefined {
  if (snapshot === null) return undefined;
  const index = snapshot.nodes.findIndex((node) => nodeAddress(node) === address);
  const node = snapshot.nodes[index];
  if (node === undefined) return undefined;
  const shard = shardOfNode(snapshot, index);
  return shard < 0 ? undefined : { shard, role: node.role };
}
