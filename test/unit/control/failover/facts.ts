/** Makers of what nodes say, for the tests of failovers: a test names only what matters to it. */

import type { ConnectTry, ReplicaWord } from '../../../../src/control/failover/proof.ts';
import type { ReplicationFacts } from '../../../../src/control/health/health-view.ts';
import {
  NO_SHARD,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
} from '../../../../src/topology/snapshot.ts';

export const REPLID = 'a'.repeat(40);

/** Of a replica whose primary has just died. */
export function facts(over: Partial<ReplicationFacts> = {}): ReplicationFacts {
  return {
    askedAt: 10,
    answeredAt: 11,
    role: 'replica',
    replid: REPLID,
    offset: 1000,
    linkUp: false,
    isSyncing: false,
    linkDownSeconds: 0,
    isLoading: false,
    ...over,
  };
}

export function refusal(startedAt: number, over: Partial<ConnectTry> = {}): ConnectTry {
  const endedAt = startedAt + 1;
  return { startedAt, endedAt, outcome: 'refused', code: 'ECONNREFUSED', ...over };
}

export function word(over: Partial<ReplicaWord> = {}): ReplicaWord {
  return { id: 'r1', address: 'r1:1', wasUp: true, facts: facts(), failure: '', ...over };
}

export interface ShardWords {
  readonly primary: string;
  readonly replicas?: readonly string[];
  readonly configEpoch?: number;
  /** No slots. */
  readonly isEmpty?: boolean;
}

/** Ids are single words and ports count from 1 in the order of the ids; `alone`: primaries apart. */
export function snapshotOf(
  epoch: number,
  shards: readonly ShardWords[],
  alone: readonly string[] = [],
): Snapshot {
  const replicas = new Set(shards.flatMap((shard) => shard.replicas ?? []));
  const ids = [...shards.map(({ primary }) => primary), ...replicas, ...alone].sort();
  const nodes = ids.map((id, index): SnapshotNode => {
    const role = replicas.has(id) ? 'replica' : 'primary';
    return { id, host: 'h', port: index + 1, role, failed: false, zone: '' };
  });
  const slots = new Uint16Array(SLOT_COUNT).fill(NO_SHARD);
  const owning = shards.flatMap(({ isEmpty }, index) => (isEmpty === true ? [] : [index]));
  owning.forEach((shard, at) => {
    slots[at] = shard;
  });
  return {
    upstreamId: 0,
    epoch,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: shards.map(({ primary, replicas: own = [], configEpoch = 1 }) => ({
      primary: ids.indexOf(primary),
      replicas: own.map((id) => ids.indexOf(id)),
      configEpoch,
    })),
    slots,
    motion: new Uint8Array(SLOT_COUNT >> 3),
    polledAt: 0,
    serverVersion: '7.0.15',
  };
}
