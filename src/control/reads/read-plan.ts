/** From what is known of the nodes to what workers may do with them. Pure. */

import type { Config } from '../../config/schema.ts';
import type { ReadNode, ReadPlan } from '../../topology/read-plan.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeHealth } from '../health/health-view.ts';

export type ReadSettings = Config['reads'];

export interface ReadPlanInput {
  readonly snapshot: Snapshot;
  readonly settings: ReadSettings;
  readonly health: (address: string) => NodeHealth | undefined;
  /** Of a replica, monotonic ms. */
  readonly watermark: (address: string) => number;
  /** The part of its weight that a replica gets now, see Ramp. */
  readonly part: (address: string, health: NodeHealth | undefined, isUsable: boolean) => number;
}

export function buildReadPlan(input: ReadPlanInput): ReadPlan {
  const { snapshot, settings, health } = input;
  const nodes: ReadNode[] = [];
  for (const shard of snapshot.shards) {
    const primary = snapshot.nodes[shard.primary];
    if (primary === undefined) continue;
    const primaryHealth = health(nodeAddress(primary));
    nodes.push({
      address: nodeAddress(primary),
      weight: weightOf(primary, 'primary', settings),
      tier: tierOf(primary, settings),
      watermark: 0,
      answeredAt: primaryHealth?.facts?.answeredAt ?? 0,
      isUsable: isPrimaryUsable(primaryHealth),
    });
    const isPrimaryAlive = isAlive(primary, primaryHealth);
    for (const index of shard.replicas) {
      const replica = snapshot.nodes[index];
      if (replica !== undefined) nodes.push(replicaOf(replica, isPrimaryAlive, input));
    }
  }
  return { nodes };
}

function replicaOf(node: SnapshotNode, isPrimaryAlive: boolean, input: ReadPlanInput): ReadNode {
  const address = nodeAddress(node);
  const health = input.health(address);
  const isUsable = isReplicaUsable(health, isPrimaryAlive);
  const part = input.part(address, health, isUsable);
  return {
    address,
    weight: weightOf(node, 'replica', input.settings) * part,
    tier: tierOf(node, input.settings),
    watermark: input.watermark(address),
    answeredAt: health?.facts?.answeredAt ?? 0,
    isUsable,
  };
}

/** Could a replica serve any read by these settings? */
export function wantsReplicas(snapshot: Snapshot, settings: ReadSettings): boolean {
  if (!settings.replicas) return false;
  return snapshot.shards.some(({ replicas }) =>
    replicas.some((index) => {
      const node = snapshot.nodes[index];
      return node !== undefined && weightOf(node, 'replica', settings) > 0;
    }),
  );
}

/** The most special setting wins: of the node, of its zone (replicas), of its role. */
export function weightOf(
  node: SnapshotNode,
  role: 'primary' | 'replica',
  settings: ReadSettings,
): number {
  const own = byAddress(node, settings.nodeWeights);
  if (role === 'primary') return own ?? settings.weights.primary;
  if (!settings.replicas) return 0;
  return own ?? entryOf(settings.zoneWeights, zoneOf(node, settings)) ?? settings.weights.replica;
}

export function zoneOf(node: SnapshotNode, settings: ReadSettings): string {
  return byAddress(node, settings.nodeZones) ?? node.zone;
}

/** A node whose zone is not known is not one of another zone. */
function tierOf(node: SnapshotNode, settings: ReadSettings): 0 | 1 {
  const zone = zoneOf(node, settings);
  return settings.zone === '' || zone === '' || zone === settings.zone ? 0 : 1;
}

/** By the address that is dialled, or another one that the node announces. */
function byAddress<T>(node: SnapshotNode, map: Readonly<Record<string, T>>): T | undefined {
  const own = entryOf(map, nodeAddress(node));
  if (own !== undefined) return own;
  const alias = node.aliases?.find((name) => Object.hasOwn(map, name));
  return alias === undefined ? undefined : map[alias];
}

/** What every object has besides is no entry: servers say what zone they are in, in any words. */
function entryOf<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** A suspect may still answer; if it does not, its watermark soon says so. */
function answers(health: NodeHealth | undefined): boolean {
  return health?.state === 'up' || health?.state === 'suspect';
}

/** Whether it says anything at all: what it says (-BUSY, -LOADING) is for the clients or the hold. */
function isPrimaryUsable(health: NodeHealth | undefined): boolean {
  if (health === undefined) return true;
  const { evidence, state } = health;
  const isMute = evidence === 'silent' || evidence === 'unreachable' || evidence === 'refused';
  return state !== 'down' || !isMute;
}

/** In doubt it is dead: its replicas, whose links broke with it, are to go on serving meanwhile. */
function isAlive(node: SnapshotNode, health: NodeHealth | undefined): boolean {
  return health?.state === 'up' && health.facts?.isLoading !== true && !node.failed;
}

function isReplicaUsable(health: NodeHealth | undefined, isPrimaryAlive: boolean): boolean {
  const facts = health?.facts;
  if (!answers(health) || facts === null || facts === undefined) return false;
  // It answers control, but not the workers: their reads are better off elsewhere.
  if (health?.evidence === 'stuck') return false;
  if (facts.role !== 'replica' || facts.isLoading || facts.isSyncing) return false;
  if (facts.linkUp) return true;
  const wasEverUp = facts.linkDownSeconds >= 0;
  return wasEverUp && !isPrimaryAlive;
}
