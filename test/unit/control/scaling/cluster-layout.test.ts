/** The cluster as scaling looks at it. */
import { describe, expect, it } from 'vitest';
import { layoutOf, placeOf, placesOf } from '../../../../src/control/scaling/cluster-layout.ts';
import { NO_SHARD, type Snapshot } from '../../../../src/topology/snapshot.ts';
import { halves, nodeOf, shardOf, slotsOf } from '../../route/snapshots.ts';

const replica = (port: number, more: object = {}) => nodeOf(port, { role: 'replica', ...more });

/** 1 and 2 own slots, 3 has a replica only, 4 and 5 have nothing; 11, 12 follow 1, 13 follows 3. */
function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  const nodes = [nodeOf(4), nodeOf(2), nodeOf(1), nodeOf(3), nodeOf(5)];
  return halves({
    nodes: [...nodes, replica(11), replica(12, { failed: true }), replica(13)],
    shards: [shardOf(2, [5, 6]), shardOf(1)],
    slots: slotsOf((slot) => (slot < 100 ? 0 : slot > 16000 ? NO_SHARD : 1)),
    ...more,
  });
}

const FOLLOWERS = new Map(Object.entries({ '11': '1', '12': '1', '13': '3', '4': '', '5': '' }));
const NOBODY: ReadonlySet<string> = new Set();
const ports = (nodes: readonly { readonly port: number }[]): number[] =>
  nodes.map(({ port }) => port);

describe('a layout', () => {
  it('has the shards in the order of slots, then those that own none and have replicas', () => {
    const { shards, owners, free } = layoutOf(snapshot(), FOLLOWERS, NOBODY);
    expect(
      shards.map(({ primary, replicas, slots }) => [primary.port, ports(replicas), slots]),
    ).toEqual([
      [1, [11, 12], 100],
      [2, [], 15901],
      [3, [13], 0],
    ]);
    expect(ports(free)).toEqual([4, 5]);
    expect([0, 99, 100, 16000, 16001].map((slot) => owners[slot])).toEqual([0, 0, 1, 1, NO_SHARD]);
  });

  it('knows an owner by its slots only: a shard that imports its first one owns nothing yet', () => {
    const shards = [shardOf(0), shardOf(2), shardOf(1)];
    const slots = slotsOf((slot) => (slot < 100 ? 1 : 2));
    const layout = layoutOf(snapshot({ shards, slots }), FOLLOWERS, NOBODY);
    expect(layout.shards.map(({ primary }) => primary.port)).toEqual([1, 2, 3]);
    expect(ports(layout.free)).toEqual([4, 5]);
    expect([layout.owners[0], layout.owners[100]]).toEqual([0, 1]);
  });

  it('takes nothing of a node that has failed and owns nothing', () => {
    const nodes = snapshot().nodes.map((node) =>
      [3, 4].includes(node.port) ? { ...node, failed: true } : node,
    );
    const { shards, free } = layoutOf(snapshot({ nodes }), FOLLOWERS, NOBODY);
    expect([ports(shards.map(({ primary }) => primary)), ports(free)]).toEqual([[1, 2], [5]]);
  });

  it('counts a replica where it follows now, whatever the picture has', () => {
    const { shards } = layoutOf(snapshot(), new Map([...FOLLOWERS, ['11', '2']]), NOBODY);
    expect(shards.map(({ replicas }) => ports(replicas))).toEqual([[12], [11], [13]]);
  });
});

describe('a node that is to leave', () => {
  const leaving = (...ids: string[]) => layoutOf(snapshot(), FOLLOWERS, new Set(ids));

  it('counts while it has slots, with its replicas', () => {
    const { shards } = leaving('1', '11', '12');
    expect(shards.map(({ primary, replicas }) => [primary.port, ports(replicas)])).toEqual([
      [1, [11, 12]],
      [2, []],
      [3, [13]],
    ]);
  });

  it('is neither free nor a shard once it has none', () => {
    const { shards, free } = leaving('3', '13', '4');
    expect([ports(shards.map(({ primary }) => primary)), ports(free)]).toEqual([[1, 2], [5]]);
  });

  it('is no replica of one that stays, whose last slot it followed', () => {
    const { shards } = leaving('11');
    expect(shards.map(({ replicas }) => ports(replicas))).toEqual([[12], [], [13]]);
  });
});

it('places are ids, addresses, hosts and zones; replicas that failed have none', () => {
  expect(placeOf(nodeOf(7, { host: '::1', zone: 'z' }))).toEqual({
    id: '7',
    address: '[::1]:7',
    host: '::1',
    zone: 'z',
  });
  const [shard] = layoutOf(snapshot(), FOLLOWERS, NOBODY).shards;
  if (shard === undefined) throw new Error('no shard');
  const { primary, replicas, load } = placesOf(shard, 77);
  expect([primary.id, replicas.map(({ id }) => id), load]).toEqual(['1', ['11'], 77]);
});
