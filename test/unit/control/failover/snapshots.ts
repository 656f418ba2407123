/** Snapshots in a few words, for tests of what control concludes from them. */
import { NO_SHARD, SLOT_COUNT, type Snapshot } from '../../../../src/topology/snapshot.ts';

/** Each shard as "primary replica replica …"; a name with ! has failed. `others` have no shard. */
export function drawSnapshot(shards: readonly string[], others = ''): Snapshot {
  const names = [...shards.flatMap((shard) => shard.split(' ')), ...others.split(' ')].filter(
    (name) => name !== '',
  );
  const plain = names.map((name) => name.replace('!', ''));
  const primaries = new Set(shards.map((shard) => (shard.split(' ')[0] ?? '').replace('!', '')));
  const nodes = plain.map((name, index) => ({
    id: idOf(name),
    host: '127.0.0.1',
    port: portOf(name),
    role:
      primaries.has(name) || others.includes(name) ? ('primary' as const) : ('replica' as const),
    failed: names[index]?.includes('!') === true,
    zone: '',
  }));
  const at = (name: string): number => plain.indexOf(name.replace('!', ''));
  return {
    upstreamId: 0,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: shards.map((shard) => {
      const [primary = '', ...replicas] = shard.split(' ').map(at);
      return { primary: Number(primary), replicas, configEpoch: 1 };
    }),
    slots: new Uint16Array(SLOT_COUNT).map((_, slot) =>
      shards.length === 0 ? NO_SHARD : Math.floor((slot * shards.length) / SLOT_COUNT),
    ),
    motion: new Uint8Array(SLOT_COUNT >> 3),
    polledAt: 0,
    serverVersion: '7.0.15',
  };
}

export function idOf(name: string): string {
  return name.repeat(40);
}

export function portOf(name: string): number {
  return 7000 + Number.parseInt(name, 16);
}
