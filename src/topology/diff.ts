/**
 * What differs between two snapshots. Control gives a new epoch only to a picture that changed;
 * workers need the slots whose owner changed, for a session's barrier.
 */

import {
  NO_SHARD,
  nodeAddress,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
  type SnapshotShard,
  slotInMotion,
} from './snapshot.ts';

/**
 * Ascending slots whose owner (id or address) or whose motion bit changed. Without a previous
 * snapshot: every slot that has an owner or is in motion.
 */
export function changedSlots(previous: Snapshot | null, next: Snapshot): number[] {
  const sameOwner = ownerComparison(previous, next);
  const changed: number[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const movedBefore = previous !== null && slotInMotion(previous, slot);
    if (!sameOwner(slot) || movedBefore !== slotInMotion(next, slot)) changed.push(slot);
  }
  return changed;
}

/** True where anything but `epoch` and `polledAt` differs. */
export function hasChanged(previous: Snapshot | null, next: Snapshot): boolean {
  if (previous === null) return true;
  return (
    previous.upstreamId !== next.upstreamId ||
    previous.mode !== next.mode ||
    previous.crossSlotFree !== next.crossSlotFree ||
    previous.serverVersion !== next.serverVersion ||
    !sameList(previous.nodes, next.nodes, sameNode) ||
    !sameList(previous.shards, next.shards, sameShard) ||
    !sameNumbers(previous.slots, next.slots) ||
    !sameNumbers(previous.motion, next.motion)
  );
}

/** Names each shard's owner once, so that slots compare by two array reads. */
function ownerComparison(previous: Snapshot | null, next: Snapshot): (slot: number) => boolean {
  const before =
    previous === null ? [] : previous.shards.map((shard) => ownerName(previous, shard));
  const after = next.shards.map((shard) => ownerName(next, shard));
  return (slot) => {
    const old = previous === null ? NO_SHARD : (previous.slots[slot] as number);
    const now = next.slots[slot] as number;
    return (old === NO_SHARD ? '' : before[old]) === (now === NO_SHARD ? '' : after[now]);
  };
}

function ownerName(snapshot: Snapshot, shard: SnapshotShard): string {
  const node = snapshot.nodes[shard.primary] as SnapshotNode;
  return `${snapshot.upstreamId} ${node.id} ${nodeAddress(node)}`;
}

function sameNode(a: SnapshotNode, b: SnapshotNode): boolean {
  return (
    a.id === b.id &&
    a.host === b.host &&
    a.port === b.port &&
    a.role === b.role &&
    a.failed === b.failed &&
    a.zone === b.zone &&
    sameList(a.aliases ?? [], b.aliases ?? [], Object.is)
  );
}

function sameShard(a: SnapshotShard, b: SnapshotShard): boolean {
  return (
    a.primary === b.primary &&
    a.configEpoch === b.configEpoch &&
    sameList(a.replicas, b.replicas, Object.is)
  );
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((value, index) => same(value, b[index] as T));
}

function sameNumbers(a: Uint16Array | Uint8Array, b: Uint16Array | Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}
