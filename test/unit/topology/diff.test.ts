import { describe, expect, it } from 'vitest';

import { buildSnapshot } from '../../../src/topology/build.ts';
import { changedSlots, hasChanged } from '../../../src/topology/diff.ts';
import { mergeViews } from '../../../src/topology/merge.ts';
import type { Snapshot, SnapshotNode, SnapshotShard } from '../../../src/topology/snapshot.ts';
import { idOf, type NodeWords, viewOf } from './cluster-text.ts';

const A: NodeWords = { name: 'a', epoch: 1, slots: '0-99' };
const B: NodeWords = { name: 'b', epoch: 2, slots: '100-199' };
const D: NodeWords = { name: 'd', flags: 'slave', follows: 'a' };

function snapshotOf(nodes: readonly NodeWords[], change: Partial<Snapshot> = {}): Snapshot {
  const picture = mergeViews([viewOf((nodes[0] as NodeWords).name, nodes)]);
  if (picture === null) throw new Error('no picture');
  const options = { upstreamId: 0, epoch: 1, polledAt: 1, serverVersion: '7.0.15' };
  return { ...buildSnapshot(picture, options), ...change };
}

/** Made in each test anew: what runs while tests are collected belongs to none of them. */
const present = (): Snapshot => snapshotOf([A, B, D]);

describe('nothing has changed', () => {
  it('between two polls that saw the same', () => {
    const next = snapshotOf([A, B, D], { epoch: 2, polledAt: 2 });
    expect(hasChanged(present(), next)).toBe(false);
    expect(changedSlots(present(), next)).toEqual([]);
  });
});

describe('slots have changed', () => {
  it('when they have another owner, also where shards are renumbered', () => {
    const next = snapshotOf([
      { ...A, slots: '10-99' },
      { ...B, epoch: 9, slots: '0-9 100-199' },
      D,
    ]);
    expect(changedSlots(present(), next)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(hasChanged(present(), next)).toBe(true);
  });

  it('when their owner has another address', () => {
    const next = snapshotOf([{ ...A, address: '127.0.0.1:9999@19999' }, B, D]);
    expect(changedSlots(present(), next)).toHaveLength(100);
  });

  it('when they begin or cease to be in motion', () => {
    const next = snapshotOf([{ ...A, slots: `0-99 [5->-${idOf('b')}]` }, B, D]);
    expect(changedSlots(present(), next)).toEqual([5]);
    expect(changedSlots(next, present())).toEqual([5]);
  });

  it('when they lose their owner', () => {
    expect(changedSlots(present(), snapshotOf([{ ...A, slots: '0-98' }, B, D]))).toEqual([99]);
  });

  it('at a cut-over to another upstream, all of them', () => {
    const next = snapshotOf([A, B, D], { upstreamId: 1 });
    expect(changedSlots(present(), next)).toHaveLength(200);
  });

  it('in the first snapshot, all that have an owner', () => {
    expect(changedSlots(null, present())).toHaveLength(200);
    expect(hasChanged(null, present())).toBe(true);
  });
});

describe('something else has changed', () => {
  const others: readonly [string, () => Snapshot][] = [
    ['a failed flag', () => snapshotOf([A, B, { ...D, flags: 'slave,fail' }])],
    ['a replica more', () => snapshotOf([A, B, D, { name: 'e', flags: 'slave', follows: 'b' }])],
    ['a replica that follows another', () => snapshotOf([A, B, { ...D, follows: 'b' }])],
    ['a config epoch', () => snapshotOf([{ ...A, epoch: 5 }, B, D])],
    ['the oldest version', () => snapshotOf([A, B, D], { serverVersion: '7.2.0' })],
    ['the mode', () => snapshotOf([A, B, D], { mode: 'standalone' })],
    ['a host name', () => snapshotOf([A, { ...B, address: '127.0.0.1:7011@17011,b.example' }, D])],
  ];

  it.each(others)('%s', (_name, next) => {
    expect(hasChanged(present(), next())).toBe(true);
    expect(changedSlots(present(), next())).toEqual([]);
  });
});

describe('of two pictures each single field counts', () => {
  const first = <T>(list: readonly T[], change: Partial<T>): T[] =>
    list.map((item, i) => (i === 0 ? { ...item, ...change } : item));
  const node = (change: Partial<SnapshotNode>) => () =>
    snapshotWith({ nodes: first(present().nodes, change) });
  const shard = (change: Partial<SnapshotShard>) => () =>
    snapshotWith({ shards: first(present().shards, change) });
  const snapshotWith = (change: Partial<Snapshot>): Snapshot => ({ ...present(), ...change });
  const last = <T extends Uint8Array | Uint16Array>(list: T): T => {
    list[list.length - 1] = 1;
    return list;
  };

  it.each<[string, () => Snapshot]>([
    ['the upstream', () => snapshotWith({ upstreamId: 1 })],
    ['keys that may cross slots', () => snapshotWith({ crossSlotFree: true })],
    ['an id', node({ id: idOf('f') })],
    ['a host', node({ host: 'elsewhere' })],
    ['a port', node({ port: 1 })],
    ['a role', node({ role: 'replica' })],
    ['a zone', node({ zone: 'eu-1a' })],
    ['an alias', node({ aliases: ['a:1'] })],
    ['a primary', shard({ primary: 1 })],
    ['its replicas', shard({ replicas: [] })],
    ['its config epoch', shard({ configEpoch: 7 })],
    ['the last slot', () => snapshotWith({ slots: last(present().slots) })],
    ['motion of the last slots', () => snapshotWith({ motion: last(present().motion) })],
    ['a part of the slots', () => snapshotWith({ slots: present().slots.subarray(0, 200) })],
  ])('%s', (_what, changed) => {
    expect(hasChanged(present(), changed())).toBe(true);
    expect(hasChanged(changed(), present())).toBe(true);
    expect(hasChanged(changed(), changed())).toBe(false);
  });
});
