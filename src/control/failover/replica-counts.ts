/**
 * How many replicas each shard should have, learnt by watching: the number found at first, and the
 * highest that was there for a while. Pure: times are monotonic milliseconds given by the caller.
 *
 * A shard is known by its members, since its primary changes. It lacks replicas only while members
 * are there that failed: whom an operator removed (CLUSTER FORGET) is not missed. Spares that
 * stand in do not raise the number, or a shard would keep them for good.
 */

import type { Snapshot, SnapshotNode } from '../../topology/snapshot.ts';

export interface ShardNeed {
  readonly shard: number;
  readonly primary: SnapshotNode;
  /** Those that have not failed. */
  readonly replicas: readonly SnapshotNode[];
  readonly wanted: number;
  /** Above 0: so many replicas are missing; below: so many are more than wanted. */
  readonly lack: number;
  /** Since when the lack is what it is. */
  readonly since: number;
}

export interface ReplicaCountsOptions {
  /** How long a number of replicas must have been there to count, milliseconds. */
  readonly stableMs: number;
  readonly isSpare: (node: SnapshotNode) => boolean;
}

interface ShardRecord {
  readonly members: Set<string>;
  /** -1 until the shard has been seen. */
  wanted: number;
  seen: number;
  seenSince: number;
  lack: number;
  lackSince: number;
}

export class ReplicaCounts {
  readonly #options: ReplicaCountsOptions;
  readonly #records = new Set<ShardRecord>();

  constructor(options: ReplicaCountsOptions) {
    this.#options = options;
  }

  /** Feed every snapshot; returns the shards whose number of replicas is not the one wanted. */
  onSnapshot(snapshot: Snapshot, now: number): ShardNeed[] {
    const used = new Set<ShardRecord>();
    const needs: ShardNeed[] = [];
    for (const [shard, found] of owningShards(snapshot)) {
      const record = this.#recordOf(found, used, now);
      used.add(record);
      const need = this.#update(record, found, now);
      const { lack, lackSince: since, wanted } = need;
      if (lack === 0) continue;
      const replicas = found.replicas.filter(({ failed }) => !failed);
      needs.push({ shard, primary: found.primary, replicas, wanted, lack, since });
    }
    this.#forget(snapshot);
    return needs;
  }

  /** A shard whose primary is dead is not seen for a while: its record stays as long as its members. */
  #forget({ nodes }: Snapshot): void {
    const present = new Set(nodes.map(({ id }) => id));
    for (const record of this.#records) {
      for (const id of record.members) if (!present.has(id)) record.members.delete(id);
      if (record.members.size === 0) this.#records.delete(record);
    }
  }

  /** Its members are those of the record that knows its primary, and whoever follows it now. */
  #recordOf({ primary, replicas }: FoundMembers, used: Set<ShardRecord>, now: number): ShardRecord {
    const free = [...this.#records].filter((record) => !used.has(record));
    const record = free.find(({ members }) => members.has(primary.id)) ?? newRecord(now);
    this.#records.add(record);
    for (const { id } of [primary, ...replicas]) {
      for (const other of this.#records) if (other !== record) other.members.delete(id);
      record.members.add(id);
    }
    return record;
  }

  #update(record: ShardRecord, found: FoundMembers, now: number): ShardRecord {
    const { isSpare, stableMs } = this.#options;
    // What is seen first is taken as it is: spares may be all that this shard has.
    const counted = found.replicas.filter((node) => record.wanted < 0 || !isSpare(node));
    if (counted.length !== record.seen) {
      record.seen = counted.length;
      record.seenSince = now;
    }
    // The first number counts at once: a primary may die before it has been there for a while.
    const isWanted = record.wanted < 0 || now - record.seenSince >= stableMs;
    if (isWanted) record.wanted = Math.max(record.wanted, record.seen);
    const lack = lackOf(record, found);
    if (lack !== record.lack) {
      record.lack = lack;
      record.lackSince = now;
    }
    return record;
  }
}

interface FoundMembers {
  readonly primary: SnapshotNode;
  readonly replicas: readonly SnapshotNode[];
  /** Every node of the snapshot, by id. */
  readonly all: ReadonlyMap<string, SnapshotNode>;
}

function newRecord(now: number): ShardRecord {
  return { members: new Set(), wanted: -1, seen: -1, seenSince: now, lack: 0, lackSince: now };
}

function lackOf(
  { members, wanted }: ShardRecord,
  { primary, replicas, all }: FoundMembers,
): number {
  const living = replicas.filter(({ failed }) => !failed).length;
  const failed = [...members].filter((id) => id !== primary.id && all.get(id)?.failed === true);
  return living > wanted ? wanted - living : Math.min(wanted - living, failed.length);
}

/** Shards that own slots and have a living primary: the others have no place for a replica now. */
function owningShards(snapshot: Snapshot): Map<number, FoundMembers> {
  const all = new Map(snapshot.nodes.map((node) => [node.id, node]));
  const owning = new Set<number>(snapshot.slots);
  const found = new Map<number, FoundMembers>();
  snapshot.shards.forEach((shard, index) => {
    const primary = snapshot.nodes[shard.primary];
    if (primary === undefined || primary.failed || !owning.has(index)) return;
    const replicas = shard.replicas.flatMap((at) => snapshot.nodes[at] ?? []);
    found.set(index, { primary, replicas, all });
  });
  return found;
}
