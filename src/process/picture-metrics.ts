/** What the metrics show of the newest picture of the cluster. */

import type { DiscoveryStatus } from '../control/discovery.ts';
import type { ClusterStatus, NodePlace } from '../metrics/picture-families.ts';
import { NO_SHARD, nodeAddress, type Snapshot, shardOfNode } from '../topology/snapshot.ts';
import { type ServiceInput, serviceOf } from './readiness.ts';

export function clusterStatus(
  status: DiscoveryStatus,
  healthOf: ServiceInput['healthOf'],
): ClusterStatus {
  const { snapshot, refusing } = status;
  const { unserved, isWhole } = serviceOf({ snapshot, healthOf, refusing });
  const shardSlots = new Array<number>(snapshot?.shards.length ?? 0).fill(0);
  for (const shard of snapshot?.slots ?? []) {
    if (shard !== NO_SHARD) shardSlots[shard] = (shardSlots[shard] ?? 0) + 1;
  }
  return {
    ok: status.ready && isWhole,
    unservedShards: unserved,
    shardSlots,
    refreshesOk: status.refreshesOk,
    refreshesFailed: status.refreshesFailed,
    lastRefreshSeconds: status.lastRefreshUnixMs / 1000,
  };
}

export function nodePlace(snapshot: Snapshot | null, address: string): NodePlace | undefined {
  if (snapshot === null) return undefined;
  const index = snapshot.nodes.findIndex((node) => nodeAddress(node) === address);
  const node = snapshot.nodes[index];
  if (node === undefined) return undefined;
  const shard = shardOfNode(snapshot, index);
  return shard < 0 ? undefined : { shard, role: node.role };
}
