/** What the metrics show of the newest picture of the cluster. */

import type { DiscoveryStatus } from '../control/discovery.ts';
import type { ClusterStatus, NodePlace } from '../metrics/picture-families.ts';
import { nodeAddress, type Snapshot, shardOfNode, slotCounts } from '../topology/snapshot.ts';
import { type ServiceInput, serviceOf } from './readiness.ts';

export function clusterStatus(
  status: DiscoveryStatus,
  healthOf: ServiceInput['healthOf'],
): ClusterStatus {
  const { snapshot, refusing } = status;
  const { unserved, isWhole } = serviceOf({ snapshot, healthOf, refusing });
  return {
    ok: status.ready && isWhole,
    unservedShards: unserved,
    shardSlots: snapshot === null ? [] : slotCounts(snapshot),
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
