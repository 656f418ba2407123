/**
 * Who was elected, deposed or ordered to stand lately, as far as the snapshots and our own orders
 * tell. Pure: times are monotonic milliseconds given by the caller.
 *
 * Why it matters (found by trial on Redis 7.0.15): a node keeps the votes of its last election for
 * 4 × cluster-node-timeout, and one that is ordered to stand again within that time wins on those
 * old votes. The others then depose it within milliseconds, and what it acknowledged in between is
 * lost. And voters turn away a second election for one primary within 2 × cluster-node-timeout.
 */

import { NO_SHARD, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';

/** A change of primary that two snapshots show. */
export interface Election {
  /** Index of the shard in the newer snapshot. */
  readonly shard: number;
  readonly elected: SnapshotNode;
  /** The primary before, as the older snapshot had it; null when that did not show it. */
  readonly deposed: SnapshotNode | null;
}

/** Beyond every bound that is asked for: node time-outs are seconds, four of them minutes. */
const FORGOTTEN_AFTER_MS = 3_600_000;
const NEVER = Number.NEGATIVE_INFINITY;

export class ElectionHistory {
  readonly #electedAt = new Map<string, number>();
  readonly #deposedAt = new Map<string, number>();
  readonly #orderedAt = new Map<string, number>();
  #last: Snapshot | null = null;

  /**
   * Feed every snapshot. Times count from when we saw the change, so that they err towards longer
   * waits. Returns the changes of primary since the last one.
   */
  onSnapshot(snapshot: Snapshot, now: number): Election[] {
    const last = this.#last;
    this.#last = snapshot;
    if (last === null || last.epoch === snapshot.epoch) return [];
    if (last.upstreamId !== snapshot.upstreamId || snapshot.mode !== 'cluster') return [];
    this.#forget(now);
    const elections = changesOfPrimary(last, snapshot);
    for (const { elected, deposed } of elections) {
      this.#electedAt.set(elected.id, now);
      if (deposed !== null) this.#deposedAt.set(deposed.id, now);
    }
    for (const id of stepped(last, snapshot)) this.#deposedAt.set(id, now);
    for (const id of raised(last, snapshot)) this.#electedAt.set(id, now);
    return elections;
  }

  /**
   * `candidate` is ordered to replace `primary`: counts as elected, whatever comes of it. Call what
   * it returns when the order certainly had no effect.
   */
  noteOrder(candidate: string, primary: string, now: number): () => void {
    const electedAt = this.electedAt(candidate);
    const orderedAt = this.orderedAt(primary);
    this.#electedAt.set(candidate, now);
    this.#orderedAt.set(primary, now);
    return () => {
      this.#electedAt.set(candidate, electedAt);
      this.#orderedAt.set(primary, orderedAt);
    };
  }

  /** When this node last won an election or was ordered to stand; -Infinity when it never did. */
  electedAt(id: string): number {
    return this.#electedAt.get(id) ?? NEVER;
  }

  /** When this primary last lost its slots to another node; -Infinity when it never did. */
  deposedAt(id: string): number {
    return this.#deposedAt.get(id) ?? NEVER;
  }

  /** When somebody was last ordered to replace this primary; -Infinity when nobody was. */
  orderedAt(id: string): number {
    return this.#orderedAt.get(id) ?? NEVER;
  }

  #forget(now: number): void {
    for (const map of [this.#electedAt, this.#deposedAt, this.#orderedAt]) {
      for (const [id, at] of map) if (now - at > FORGOTTEN_AFTER_MS) map.delete(id);
    }
  }
}

/** Nodes that own slots now and were replicas before. */
function changesOfPrimary(last: Snapshot, next: Snapshot): Election[] {
  const elections: Election[] = [];
  const owning = owningShards(next);
  next.shards.forEach(({ primary }, shard) => {
    const elected = next.nodes[primary];
    if (elected === undefined || !owning.has(shard)) return;
    const before = last.nodes.findIndex(({ id }) => id === elected.id);
    if (last.nodes[before]?.role !== 'replica') return;
    const old = last.shards.find(({ replicas }) => replicas.includes(before));
    elections.push({ shard, elected, deposed: last.nodes[old?.primary ?? -1] ?? null });
  });
  return elections;
}

/** Ids of primaries with slots that became replicas. */
function stepped(last: Snapshot, next: Snapshot): string[] {
  const roles = new Map(next.nodes.map(({ id, role }) => [id, role]));
  const owning = owningShards(last);
  return last.shards.flatMap(({ primary }, shard) => {
    const id = last.nodes[primary]?.id;
    return id !== undefined && owning.has(shard) && roles.get(id) === 'replica' ? [id] : [];
  });
}

/**
 * Ids of primaries whose config epoch grew: deposed and elected again between two polls, perhaps.
 * Slots that are moved raise it too; to think of that as an election costs a wait, no more.
 */
function raised(last: Snapshot, next: Snapshot): string[] {
  const before = new Map(
    last.shards.map(({ primary, configEpoch }) => [last.nodes[primary]?.id, configEpoch]),
  );
  return next.shards.flatMap(({ primary, configEpoch }) => {
    const id = next.nodes[primary]?.id;
    const epoch = before.get(id);
    return id !== undefined && epoch !== undefined && configEpoch > epoch ? [id] : [];
  });
}

/** Indexes of the shards that own a slot. */
export function owningShards(snapshot: Snapshot): Set<number> {
  const owning = new Set<number>(snapshot.slots);
  owning.delete(NO_SHARD);
  return owning;
}
