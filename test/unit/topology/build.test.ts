import { describe, expect, it } from 'vitest';

import { type BuildOptions, buildSnapshot } from '../../../src/topology/build.ts';
import { mergeViews } from '../../../src/topology/merge.ts';
import type { Picture } from '../../../src/topology/picture.ts';
import {
  NO_SHARD,
  nodeAddress,
  type Snapshot,
  slotInMotion,
} from '../../../src/topology/snapshot.ts';
import { idOf, type NodeWords, viewOf } from './cluster-text.ts';

const OPTIONS: BuildOptions = { upstreamId: 4, epoch: 12, polledAt: 99.5, serverVersion: '7.0.15' };

/** The picture that the first node alone gives. */
function pictureOf(...nodes: readonly [NodeWords, ...NodeWords[]]): Picture {
  const picture = mergeViews([viewOf(nodes[0].name, nodes)]);
  if (picture === null) throw new Error('no picture');
  return picture;
}

describe('a snapshot', () => {
  const nodes: readonly [NodeWords, ...NodeWords[]] = [
    { name: 'c', epoch: 3, slots: '0-5460' },
    { name: 'a', epoch: 1, slots: '5461-10922' },
    { name: 'b', epoch: 2, slots: '10923-16383' },
    { name: '2', flags: 'slave', follows: 'c' },
    { name: '1', flags: 'slave,fail', follows: 'c' },
    { name: 'e' },
  ];
  const built = (): Snapshot => buildSnapshot(pictureOf(...nodes), OPTIONS);

  it('orders shards by their lowest slot', () => {
    const snapshot = built();
    const primaries = snapshot.shards.map(({ primary }) => snapshot.nodes[primary]?.id);
    expect(primaries).toEqual([idOf('c'), idOf('a'), idOf('b')]);
    expect(snapshot.shards.map(({ configEpoch }) => configEpoch)).toEqual([3, 1, 2]);
    expect([snapshot.slots[0], snapshot.slots[5461], snapshot.slots[16383]]).toEqual([0, 1, 2]);
  });

  it('keeps failed replicas, flagged', () => {
    const snapshot = built();
    const replicas = snapshot.shards[0]?.replicas.map((index) => snapshot.nodes[index]);
    expect(replicas?.map((node) => [node?.id[0], node?.failed])).toEqual([
      ['1', true],
      ['2', false],
    ]);
  });

  it('keeps primaries without slots among the nodes only', () => {
    const snapshot = built();
    expect(snapshot.nodes.map(({ id }) => id[0])).toContain('e');
    expect(snapshot.shards).toHaveLength(3);
  });

  it('carries what it is given', () => {
    const snapshot = built();
    expect(snapshot).toMatchObject({
      ...{ upstreamId: 4, epoch: 12, polledAt: 99.5, serverVersion: '7.0.15' },
      ...{ mode: 'cluster', crossSlotFree: false },
    });
  });

  it('of the same picture is the same', () => {
    const [first, ...rest] = nodes;
    expect(buildSnapshot(pictureOf(first, ...rest.toReversed()), OPTIONS)).toEqual(built());
  });
});

it('the shard of a failed primary keeps its slots and replicas', () => {
  const picture = pictureOf(
    { name: 'b', slots: '8192-16383' },
    { name: 'a', flags: 'master,fail', slots: '0-8191' },
    { name: 'd', flags: 'slave', follows: 'a' },
  );
  const snapshot = buildSnapshot(picture, OPTIONS);
  const shard = snapshot.shards[snapshot.slots[0] as number];
  expect(snapshot.nodes[shard?.primary ?? -1]).toMatchObject({ id: idOf('a'), failed: true });
  expect(shard?.replicas).toHaveLength(1);
});

it('slots that nobody claims have no shard', () => {
  const snapshot = buildSnapshot(pictureOf({ name: 'a', slots: '0-9 11' }), OPTIONS);
  expect([...snapshot.slots.subarray(8, 13)]).toEqual([0, 0, NO_SHARD, 0, NO_SHARD]);
});

it('slots in motion have their bit, and a primary that imports its first slot is a shard', () => {
  const picture = pictureOf(
    { name: 'b', slots: `[7-<-${idOf('a')}]` },
    { name: 'a', slots: '0-16383' },
  );
  const snapshot = buildSnapshot(picture, OPTIONS);
  expect([6, 7, 8].map((slot) => slotInMotion(snapshot, slot))).toEqual([false, true, false]);
  expect(snapshot.shards.map(({ primary }) => snapshot.nodes[primary]?.id)).toEqual([
    idOf('a'),
    idOf('b'),
  ]);
  expect(snapshot.slots[7]).toBe(0);
});

describe('what a silent node was last seen with', () => {
  /** a and b while slot 7 moves from a to b; then what b, or a, alone says of the other. */
  const seen = (): Picture | null =>
    mergeViews([
      viewOf('a', [{ name: 'a', slots: `0-9 [7->-${idOf('b')}]` }]),
      viewOf('b', [{ name: 'b', slots: `10-16383 [7-<-${idOf('a')}]` }]),
    ]);
  const bits = (picture: Picture | null): boolean[] => {
    const snapshot = buildSnapshot(picture as Picture, OPTIONS);
    return [6, 7].map((slot) => slotInMotion(snapshot, slot));
  };

  it('holds while it may come back', () => {
    const silent = [
      { name: 'c', slots: '10-16383' },
      { name: 'a', flags: 'master,fail', slots: '0-9' },
    ];
    expect(bits(mergeViews([viewOf('c', silent)], seen()))).toEqual([false, true]);
  });

  it('holds no more when it has failed and its slots are others', () => {
    const succeeded = [
      { name: 'c', epoch: 9, slots: '0-16383' },
      { name: 'a', flags: 'master,fail' },
      { name: 'b', flags: 'master,fail' },
    ];
    const picture = mergeViews([viewOf('c', succeeded)], seen());
    expect(picture?.nodes.some(({ migrating }) => migrating.length > 0)).toBe(true);
    expect(bits(picture)).toEqual([false, false]);
    expect(buildSnapshot(picture as Picture, OPTIONS).shards).toHaveLength(1);
  });
});

describe('addresses', () => {
  const picture = (): Picture =>
    pictureOf(
      { name: 'a', address: '172.17.0.2:6379@16379,redis-a', slots: '0-8191' },
      { name: 'b', address: '172.17.0.3:6379@16379', slots: '8192-16383' },
    );
  const natMap = new Map([['172.17.0.2:6379', { host: '127.0.0.1', port: 17001 }]]);
  const mapped = () => buildSnapshot(picture(), { ...OPTIONS, natMap }).nodes;

  it('go through the NAT map', () => {
    expect(mapped().map(nodeAddress)).toEqual(['127.0.0.1:17001', '172.17.0.3:6379']);
  });

  it('that redirects may name are kept as aliases', () => {
    expect(mapped()[0]?.aliases).toEqual(['172.17.0.2:6379', 'redis-a:6379']);
    expect(mapped()[1]?.aliases).toBeUndefined();
  });

  it('may be mapped by announced host name', () => {
    const byName = new Map([['redis-a:6379', { host: '127.0.0.1', port: 17009 }]]);
    const nodes = buildSnapshot(picture(), { ...OPTIONS, natMap: byName }).nodes;
    expect(nodes[0]).toMatchObject({ host: '127.0.0.1', port: 17009 });
  });

  it('that we asked are not mapped again', () => {
    const blank = pictureOf({ name: 'a', address: ':7010@17010', slots: '0-16383' });
    const trap = new Map([['127.0.0.1:7010', { host: '192.0.2.1', port: 1 }]]);
    const [node] = buildSnapshot(blank, { ...OPTIONS, natMap: trap }).nodes;
    expect(node?.host).toBe('127.0.0.1');
    expect(node).not.toHaveProperty('aliases');
  });

  it('that control found dead mark their node failed', () => {
    const unusable = new Set(['127.0.0.1:17001']);
    const nodes = buildSnapshot(picture(), { ...OPTIONS, natMap, unusable }).nodes;
    expect(nodes.map(({ failed }) => failed)).toEqual([true, false]);
  });

  it('zones come from CLUSTER SHARDS, else from the host name', () => {
    const zones = new Map([[idOf('b'), 'eu-1b']]);
    const nodes = buildSnapshot(picture(), { ...OPTIONS, zones }).nodes;
    expect(nodes.map(({ zone }) => zone)).toEqual(['redis-a', 'eu-1b']);
  });
});
