import { describe, expect, it } from 'vitest';

import { buildSnapshot } from '../../../src/topology/build.ts';
import { changedSlots, hasChanged } from '../../../src/topology/diff.ts';
import { mergeViews } from '../../../src/topology/merge.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
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

const BEFORE = snapshotOf([A, B, D]);

describe('nothing has changed', () => {
  it('between two polls that saw the same', () => {
    const next = snapshotOf([A, B, D], { epoch: 2, polledAt: 2 });
    expect(hasChanged(BEFORE, next)).toBe(false);
    expect(changedSlots(BEFORE, next)).toEqual([]);
  });
});

describe('slots have changed', () => {
  it('when they have another owner, also where shards are renumbered', () => {
    const next = snapshotOf([
      { ...A, slots: '10-99' },
      { ...B, epoch: 9, slots: '0-9 100-199' },
      D,
    ]);
    expect(changedSlots(BEFORE, next)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(hasChanged(BEFORE, next)).toBe(true);
  });

  it('when their owner has another address', () => {
    const next = snapshotOf([{ ...A, address: '127.0.0.1:9999@19999' }, B, D]);
    expect(changedSlots(BEFORE, next)).toHaveLength(100);
  });

  it('when they begin or cease to be in motion', () => {
    const next = snapshotOf([{ ...A, slots: `0-99 [5->-${idOf('b')}]` }, B, D]);
    expect(changedSlots(BEFORE, next)).toEqual([5]);
    expect(changedSlots(next, BEFORE)).toEqual([5]);
  });

  it('when they lose their owner', () => {
    expect(changedSlots(BEFORE, snapshotOf([{ ...A, slots: '0-98' }, B, D]))).toEqual([99]);
  });

  it('at a cut-over to another upstream, all of them', () => {
    const next = snapshotOf([A, B, D], { upstreamId: 1 });
    expect(changedSlots(BEFORE, next)).toHaveLength(200);
  });

  it('in the first snapshot, all that have an owner', () => {
    expect(changedSlots(null, BEFORE)).toHaveLength(200);
    expect(hasChanged(null, BEFORE)).toBe(true);
  });
});

describe('something else has changed', () => {
  const others: readonly [string, Snapshot][] = [
    ['a failed flag', snapshotOf([A, B, { ...D, flags: 'slave,fail' }])],
    ['a replica more', snapshotOf([A, B, D, { name: 'e', flags: 'slave', follows: 'b' }])],
    ['a replica that follows another', snapshotOf([A, B, { ...D, follows: 'b' }])],
    ['a config epoch', snapshotOf([{ ...A, epoch: 5 }, B, D])],
    ['the oldest version', snapshotOf([A, B, D], { serverVersion: '7.2.0' })],
    ['the mode', snapshotOf([A, B, D], { mode: 'standalone' })],
    ['a host name', snapshotOf([A, { ...B, address: '127.0.0.1:7011@17011,b.example' }, D])],
  ];

  it.each(others)('%s', (_name, next) => {
    expect(hasChanged(BEFORE, next)).toBe(true);
    expect(changedSlots(BEFORE, next)).toEqual([]);
  });
});
