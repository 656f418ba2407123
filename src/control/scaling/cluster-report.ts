/** The cluster as `slotgate status` shows it: shards, how full they are, and how evenly. */

import { withDeadline } from '../../lib/deadline.ts';
import {
  NO_SHARD,
  nodeAddress,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
  slotCounts,
  slotInMotion,
} from '../../topology/snapshot.ts';
import { askInfo, replicationOf } from '../failover/node-questions.ts';
import type { NodeAccess } from '../node-access.ts';
import type { ClusterReport, JobReport, ReplicaStatus, ShardStatus } from './job-report.ts';

export interface ClusterReportSources {
  readonly nodes: NodeAccess & { snapshot(): Snapshot | null };
  readonly stateOf: (address: string) => string | undefined;
  readonly stalenessMs: (address: string) => number | null;
  /** "host:port" of spares. */
  readonly spares: readonly string[];
  readonly job: () => JobReport | null;
}

interface NodeNumbers {
  readonly keys: number;
  readonly usedBytes: number;
  readonly maxBytes: number;
  readonly offset: number;
}

/** A node that takes longer counts as silent here. */
const PATIENCE_MS = 1000;

/** Null while nothing is known of the upstream. */
export async function reportCluster(sources: ClusterReportSources): Promise<ClusterReport | null> {
  const snapshot = sources.nodes.snapshot();
  if (snapshot === null) return null;
  const numbers = await Promise.all(snapshot.nodes.map((node) => askNumbers(sources.nodes, node)));
  const counts = slotCounts(snapshot);
  const shards = snapshot.shards.map(({ primary, replicas }, shard): ShardStatus => {
    const own = numbers[primary];
    const node = snapshot.nodes[primary] as SnapshotNode;
    return {
      shard,
      primary: nodeAddress(node),
      slots: counts[shard] ?? 0,
      keys: own?.keys ?? null,
      usedBytes: own?.usedBytes ?? null,
      maxBytes: own?.maxBytes ?? null,
      state: stateOf(sources, node, own),
      replicas: replicas.map((at): ReplicaStatus => {
        const replica = snapshot.nodes[at] as SnapshotNode;
        const theirs = numbers[at];
        const isKnown = own !== undefined && theirs !== undefined;
        return {
          address: nodeAddress(replica),
          state: stateOf(sources, replica, theirs),
          stalenessMs: sources.stalenessMs(nodeAddress(replica)),
          lagBytes: isKnown ? Math.max(0, own.offset - theirs.offset) : null,
        };
      }),
    };
  });
  const placed = new Set(
    snapshot.shards.flatMap(({ primary, replicas }) => [primary, ...replicas]),
  );
  const free = snapshot.nodes.filter(
    (node, at) => !placed.has(at) && node.role === 'primary' && !node.failed,
  );
  return {
    shards,
    free: [...new Set([...free.map(nodeAddress), ...freeSpares(sources, snapshot)])],
    skew: {
      slots: skewOf(shards.map(({ slots }) => slots)),
      bytes: skewOf(shards.map(({ usedBytes }) => usedBytes)),
      keys: skewOf(shards.map(({ keys }) => keys)),
    },
    slotsInMotion: motionCount(snapshot),
    slotsUnowned: snapshot.slots.filter((shard) => shard === NO_SHARD).length,
    job: sources.job(),
  };
}

function freeSpares({ spares }: ClusterReportSources, { nodes }: Snapshot): string[] {
  const members = new Set(nodes.map(nodeAddress));
  return spares.filter((address) => !members.has(address));
}

function stateOf(
  sources: ClusterReportSources,
  node: SnapshotNode,
  numbers: NodeNumbers | undefined,
): string {
  const plain = node.failed ? 'failed' : numbers === undefined ? 'down' : 'up';
  return sources.stateOf(nodeAddress(node)) ?? plain;
}

/** Undefined when it does not answer. */
async function askNumbers(nodes: NodeAccess, node: SnapshotNode): Promise<NodeNumbers | undefined> {
  const asked = askInfo(nodes, node).then(
    (fields): NodeNumbers => ({
      keys: Number(/keys=(\d+)/.exec(fields.get('db0') ?? '')?.[1] ?? 0),
      usedBytes: Number(fields.get('used_memory') ?? 0),
      maxBytes: Number(fields.get('maxmemory') ?? 0),
      offset: replicationOf(fields).offset,
    }),
    () => undefined,
  );
  return withDeadline(asked, PATIENCE_MS, () => undefined);
}

/** The fullest over the mean; 1 where all are alike, or nothing is known. */
function skewOf(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null);
  const sum = known.reduce((total, value) => total + value, 0);
  if (sum === 0) return 1;
  return Math.round((Math.max(...known) * known.length * 1000) / sum) / 1000;
}

function motionCount(snapshot: Snapshot): number {
  let count = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) if (slotInMotion(snapshot, slot)) count++;
  return count;
}
