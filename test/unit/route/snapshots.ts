/** Small clusters as workers are told of them. */
import {
  NO_SHARD,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
  type SnapshotShard,
} from '../../../src/topology/snapshot.ts';

export function nodeOf(port: number, more: Partial<SnapshotNode> = {}): SnapshotNode {
  return { id: String(port), host: 'h', port, role: 'primary', failed: false, zone: '', ...more };
}

export function shardOf(primary: number, replicas: readonly number[] = []): SnapshotShard {
  return { primary, replicas, configEpoch: 1 };
}

/** Nodes 1 and 2 with half of the slots each; of slot 16383 nobody knows anything. */
export function halves(more: Partial<Snapshot> = {}): Snapshot {
  return {
    upstreamId: 0,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes: [nodeOf(1), nodeOf(2)],
    shards: [shardOf(0), shardOf(1)],
    slots: slotsOf((slot) => (slot === 16383 ? NO_SHARD : slot >> 13)),
    motion: motionOf(),
    polledAt: 100,
    serverVersion: '7.0.15',
    ...more,
  };
}

export function slotsOf(shardOfSlot: (slot: number) => number): Uint16Array {
  return Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => shardOfSlot(slot));
}

export function motionOf(...slots: number[]): Uint8Array {
  const motion = new Uint8Array(SLOT_COUNT / 8);
  for (const slot of slots) motion[slot >> 3] = (motion[slot >> 3] as number) | (1 << (slot & 7));
  return motion;
}
