/**
 * The picture of one cluster that control hands to the workers: plain, immutable, replaced whole.
 * Being plain it can be posted between processes; `epoch` says which of two is newer.
 */

export const SLOT_COUNT = 16384;
/** Value of {@link Snapshot.slots} for a slot that no reachable shard claims. */
export const NO_SHARD = 0xffff;

export interface SnapshotNode {
  /** The node's 40-character cluster id. */
  readonly id: string;
  /** Address to dial, after NAT mapping and with empty or "?" hosts resolved. */
  readonly host: string;
  readonly port: number;
  readonly role: 'primary' | 'replica';
  /** True when the cluster flags this node fail (agreed) or control cannot use it. */
  readonly failed: boolean;
  /** Availability zone or host name where the server tells one (CLUSTER SHARDS), else ''. */
  readonly zone: string;
  /**
   * Other "host:port" names that redirects may give this node: its announced address where a NAT
   * map changed it, and its announced host name. Absent when there are none.
   */
  readonly aliases?: readonly string[];
}

export interface SnapshotShard {
  /** Index into {@link Snapshot.nodes}. */
  readonly primary: number;
  /** Indexes into {@link Snapshot.nodes}. */
  readonly replicas: readonly number[];
  /** Config epoch of the primary's claim; a lower one never replaces a higher one. */
  readonly configEpoch: number;
}

export interface Snapshot {
  /** Which upstream this pictures; a migration's cut-over is a snapshot with another id. */
  readonly upstreamId: number;
  /**
   * Assigned by control; grows with every change of the picture. A poll that found nothing new
   * is published with the same epoch and a newer {@link polledAt}, so of two snapshots the newer
   * is the one with the higher epoch or, at the same epoch, the later poll.
   */
  readonly epoch: number;
  readonly mode: 'cluster' | 'standalone';
  /** True where one shard owns every slot without cluster mode: no CROSSSLOT, no splitting. */
  readonly crossSlotFree: boolean;
  readonly nodes: readonly SnapshotNode[];
  /** Ordered by the primary's lowest slot, then by node id. */
  readonly shards: readonly SnapshotShard[];
  /** 16384 entries: index into {@link shards}, or {@link NO_SHARD}. */
  readonly slots: Uint16Array;
  /** 16384-bit map: slots marked importing or migrating on any primary (bit slot & 7 of byte slot >> 3). */
  readonly motion: Uint8Array;
  /** Monotonic milliseconds (process.hrtime) at which the poll behind this picture *started*. */
  readonly polledAt: number;
  /** Lowest redis_version seen among the nodes, e.g. "7.0.15"; '' when unknown. */
  readonly serverVersion: string;
}

export function slotInMotion(snapshot: Snapshot, slot: number): boolean {
  return ((snapshot.motion[slot >> 3] as number) & (1 << (slot & 7))) !== 0;
}

/** "host:port" with IPv6 hosts in brackets: the name of a node in metrics, logs and redirects. */
export function nodeAddress(node: { readonly host: string; readonly port: number }): string {
  return node.host.includes(':') ? `[${node.host}]:${node.port}` : `${node.host}:${node.port}`;
}

/** The primary of each shard; none while nothing is known of the cluster. */
export function primariesOf(snapshot: Snapshot | null): SnapshotNode[] {
  if (snapshot === null) return [];
  return snapshot.shards.flatMap(({ primary }) => snapshot.nodes[primary] ?? []);
}

/** The shard that the node with this index belongs to; -1 for a node without one. */
export function shardOfNode({ shards }: Snapshot, node: number): number {
  return shards.findIndex(({ primary, replicas }) => primary === node || replicas.includes(node));
}

/** How many slots each shard owns. */
export function slotCounts({ slots, shards }: Pick<Snapshot, 'slots' | 'shards'>): number[] {
  const counts = new Array<number>(shards.length).fill(0);
  for (const shard of slots) if (shard !== NO_SHARD) counts[shard] = (counts[shard] ?? 0) + 1;
  return counts;
}

/** Slots that no shard owns. */
export interface UnownedSlots {
  readonly count: number;
  /** In order, such as 5 or 7-9. */
  readonly ranges: readonly string[];
}

export function unownedSlots({ slots }: Pick<Snapshot, 'slots'>): UnownedSlots {
  const ranges: string[] = [];
  let count = 0;
  for (let from = slots.indexOf(NO_SHARD); from >= 0; ) {
    let end = from;
    while (slots[end] === NO_SHARD) end++;
    count += end - from;
    ranges.push(end - from === 1 ? String(from) : `${from}-${end - 1}`);
    from = slots.indexOf(NO_SHARD, end);
  }
  return { count, ranges };
}
