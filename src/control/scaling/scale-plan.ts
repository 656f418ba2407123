/** What a scale would do, for people to look at before they say yes. */

import { nodeAddress, type SnapshotNode } from '../../topology/snapshot.ts';
import { askInfo } from '../failover/node-questions.ts';
import type { NodeAccess } from '../node-access.ts';
import { Fleet, type FleetOptions, type Situation } from './fleet.ts';
import type { PlanReport, PlanShard, ScaleWish } from './job-report.ts';
import { MoveFailed } from './move-parties.ts';
import { plannedPairs } from './planned-pairs.ts';
import type { PlannedPair } from './slot-transfer.ts';

/** A shard that is to go leaves its data to the others: so much room they must have, times what is used. */
const HEADROOM = 1.3;

/** @throws NodesMissing, MoveFailed, ReplaceFailed: why it cannot be done now */
export async function planReport(options: FleetOptions, wish: ScaleWish): Promise<PlanReport> {
  const situation = await new Fleet(options).look(wish);
  const { layout, plan, weights } = situation;
  const memory = await Promise.all(
    layout.shards.map(({ primary }) => memoryOf(options.nodes, primary)),
  );
  checkRoom(situation, memory);
  const fresh = plan.primaries.map(
    (place): SnapshotNode => ({
      id: place.id,
      host: place.host,
      port: Number(place.address.slice(place.address.lastIndexOf(':') + 1)),
      role: 'primary',
      failed: false,
      zone: place.zone,
    }),
  );
  const pairs = plannedPairs(plan, layout, weights, fresh, new Set());
  const moved = (of: 'keys' | 'dataBytes'): number =>
    Math.round(
      pairs.reduce((sum, { from, slots }) => {
        const index = layout.shards.findIndex(({ primary }) => primary.id === from.id);
        const share = slots.length / Math.max(1, layout.shards[index]?.slots ?? 1);
        return sum + share * (memory[index]?.[of] ?? 0);
      }, 0),
    );
  return {
    wish,
    shardsNow: layout.shards.filter(({ slots }) => slots > 0).length,
    slotsToMove: pairs.reduce((sum, { slots }) => sum + slots.length, 0),
    keysToMove: moved('keys'),
    bytesToMove: moved('dataBytes'),
    shards: shardsOf(situation, pairs, fresh),
    nodes: nodeLines(situation),
  };
}

interface ShardMemory {
  readonly keys: number;
  readonly usedBytes: number;
  /** Of it, what is data. */
  readonly dataBytes: number;
  /** 0: no limit. */
  readonly maxBytes: number;
}

async function memoryOf(nodes: NodeAccess, node: SnapshotNode): Promise<ShardMemory> {
  const fields = await askInfo(nodes, node);
  const keys = /keys=(\d+)/.exec(fields.get('db0') ?? '')?.[1];
  return {
    keys: Number(keys ?? 0),
    usedBytes: Number(fields.get('used_memory') ?? 0),
    dataBytes: Number(fields.get('used_memory_dataset') ?? 0),
    maxBytes: Number(fields.get('maxmemory') ?? 0),
  };
}

/** @throws MoveFailed with the arithmetic */
function checkRoom({ plan, layout }: Situation, memory: readonly ShardMemory[]): void {
  if (plan.keeps.every((keeps) => keeps)) return;
  const limits = memory.filter((_, shard) => plan.keeps[shard]).map(({ maxBytes }) => maxBytes);
  // A node without a limit takes what its machine has.
  if (limits.includes(0)) return;
  const room = limits.reduce((sum, bytes) => sum + bytes, 0);
  const used = memory.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  if (room >= used * HEADROOM) return;
  throw new MoveFailed(
    `${limits.length} of ${layout.shards.length} shards would have ${megabytes(room)} for ` +
      `${megabytes(used)} that are used, and ${HEADROOM} times as much is wanted: ` +
      `${megabytes(used * HEADROOM)}; keep more shards, or raise maxmemory`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function shardsOf(
  { layout }: Situation,
  pairs: readonly PlannedPair[],
  fresh: readonly SnapshotNode[],
): PlanShard[] {
  const change = (node: SnapshotNode): number =>
    pairs.reduce((sum, { from, to, slots }) => {
      if (from.id === node.id) return sum - slots.length;
      return to.id === node.id ? sum + slots.length : sum;
    }, 0);
  const row = (node: SnapshotNode, before: number): PlanShard => ({
    address: nodeAddress(node),
    slotsBefore: before,
    slotsAfter: before + change(node),
  });
  return [
    ...layout.shards.map(({ primary, slots }) => row(primary, slots)),
    ...fresh.map((node) => row(node, 0)),
  ];
}

function nodeLines({ plan, layout }: Situation): string[] {
  const heads = [
    ...layout.shards.map(({ primary }) => nodeAddress(primary)),
    ...plan.primaries.map(({ address }) => address),
  ];
  const gone = layout.shards.flatMap(({ primary, replicas }, shard) =>
    plan.keeps[shard] === true ? [] : [primary, ...replicas],
  );
  const reused = new Set(plan.enlistedLast.map(({ node }) => node.id));
  return [
    ...plan.dismissed.map(({ node, shard }) => `${node.address} leaves ${heads[shard]}`),
    ...plan.primaries.map(({ address }) => `${address} joins as a primary`),
    ...plan.enlisted.map(
      ({ node, shard }) => `${node.address} joins as a replica of ${heads[shard]}`,
    ),
    ...plan.enlistedLast.map(
      ({ node, shard }) => `${node.address} is drained and becomes a replica of ${heads[shard]}`,
    ),
    ...gone
      .filter(({ id }) => !reused.has(id))
      .map((node) => `${nodeAddress(node)} is drained and leaves`),
  ];
}
