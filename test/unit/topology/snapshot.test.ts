import { describe, expect, it } from 'vitest';
import {
  NO_SHARD,
  nodeAddress,
  primariesOf,
  SLOT_COUNT,
  type Snapshot,
  shardOfNode,
  slotInMotion,
} from '../../../src/topology/snapshot.ts';

function snapshotOf(primaries: readonly number[]): Snapshot {
  const nodes = [1, 2, 3].map((port) => ({
    ...{ id: String(port), host: 'h', port, role: 'primary' as const, failed: false, zone: '' },
  }));
  return {
    ...{ upstreamId: 0, epoch: 1, mode: 'cluster', crossSlotFree: false, nodes },
    shards: primaries.map((primary) => ({ primary, replicas: [], configEpoch: 1 })),
    slots: new Uint16Array(SLOT_COUNT).fill(NO_SHARD),
    motion: Uint8Array.from({ length: SLOT_COUNT / 8 }, (_, byte) => Number(byte === 1) * 0b101),
    ...{ polledAt: 0, serverVersion: '' },
  };
}

describe('a snapshot', () => {
  it('has one primary for each shard, in the order of the shards', () => {
    expect(primariesOf(snapshotOf([2, 0])).map(({ port }) => port)).toEqual([3, 1]);
    expect(primariesOf(snapshotOf([2, 9])).map(({ port }) => port)).toEqual([3]);
    expect(primariesOf(null)).toEqual([]);
  });

  it('knows the shard of a primary and of a replica', () => {
    const shard = (primary: number, replicas: number[]) => ({ primary, replicas, configEpoch: 1 });
    const snapshot = { ...snapshotOf([]), shards: [shard(2, []), shard(0, [3, 1])] };
    expect([0, 1, 2, 3, 4].map((node) => shardOfNode(snapshot, node))).toEqual([1, 1, 0, 1, -1]);
  });

  it('has a bit for each slot in motion', () => {
    const snapshot = snapshotOf([]);
    const moving = Array.from({ length: 32 }, (_, slot) => slotInMotion(snapshot, slot));
    expect(moving.flatMap((moves, slot) => (moves ? [slot] : []))).toEqual([8, 10]);
  });

  it('names nodes by host and port, IPv6 in brackets', () => {
    expect(nodeAddress({ host: 'redis.example', port: 6379 })).toBe('redis.example:6379');
    expect(nodeAddress({ host: '::1', port: 6379 })).toBe('[::1]:6379');
  });
});
