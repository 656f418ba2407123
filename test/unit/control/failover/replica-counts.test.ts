import { describe, expect, test } from 'vitest';
import { ReplicaCounts, type ShardNeed } from '../../../../src/control/failover/replica-counts.ts';
import type { Snapshot } from '../../../../src/topology/snapshot.ts';
import { drawSnapshot, idOf } from './snapshots.ts';

const STABLE_MS = 1000;

/** `spares`: names of nodes that the configuration lists. */
function watch(spares = '') {
  const counts = new ReplicaCounts({
    stableMs: STABLE_MS,
    isSpare: ({ id }) => spares.includes(id[0] as string),
  });
  let now = 0;
  /** What is needed once this has been the picture long enough. */
  const settle = (snapshot: Snapshot): ShardNeed[] => {
    counts.onSnapshot(snapshot, now);
    now += STABLE_MS;
    return counts.onSnapshot(snapshot, now++);
  };
  return { counts, settle };
}

function lacks(needs: readonly ShardNeed[]): string[] {
  return needs.map(({ shard, lack, wanted }) => `shard ${shard}: ${lack} of ${wanted}`);
}

describe('a shard lacks replicas', () => {
  test('after a promotion, as long as the dead node stays away', () => {
    const { settle } = watch();
    expect(settle(drawSnapshot(['a b', 'c d']))).toEqual([]);
    // Nobody is primary: nothing could be done.
    expect(settle(drawSnapshot(['a! b', 'c d']))).toEqual([]);
    const [need] = settle(drawSnapshot(['b', 'c d'], 'a!'));
    expect(need).toMatchObject({ shard: 0, lack: 1, wanted: 1, replicas: [] });
    expect(need?.primary.id).toBe(idOf('b'));
    expect(settle(drawSnapshot(['b a', 'c d']))).toEqual([]);
  });

  test('though its primary died right after it was first seen', () => {
    const { counts } = watch();
    counts.onSnapshot(drawSnapshot(['a b', 'c d']), 0);
    counts.onSnapshot(drawSnapshot(['a! b', 'c d']), 1);
    expect(lacks(counts.onSnapshot(drawSnapshot(['b', 'c d'], 'a!'), 2))).toEqual([
      'shard 0: 1 of 1',
    ]);
  });

  test('when a replica died', () => {
    const { settle } = watch();
    settle(drawSnapshot(['a b c']));
    expect(lacks(settle(drawSnapshot(['a b c!'])))).toEqual(['shard 0: 1 of 2']);
    expect(lacks(settle(drawSnapshot(['a b! c!'])))).toEqual(['shard 0: 2 of 2']);
  });

  test('not when an operator removed one', () => {
    const { settle } = watch();
    settle(drawSnapshot(['a b c']));
    expect(settle(drawSnapshot(['a b']))).toEqual([]);
    // Only the one that failed is missed.
    expect(lacks(settle(drawSnapshot(['a b!'])))).toEqual(['shard 0: 1 of 2']);
  });

  test('not by a number that was there for a moment only', () => {
    const { counts, settle } = watch();
    settle(drawSnapshot(['a b']));
    counts.onSnapshot(drawSnapshot(['a b c']), 2001);
    expect(settle(drawSnapshot(['a b'], 'c!'))).toEqual([]);
  });

  test('since when', () => {
    const { counts, settle } = watch();
    settle(drawSnapshot(['a b']));
    expect(counts.onSnapshot(drawSnapshot(['a b!']), 5000)[0]?.since).toBe(5000);
    expect(counts.onSnapshot(drawSnapshot(['a b!']), 9000)[0]?.since).toBe(5000);
  });
});

describe('a spare that stands in', () => {
  test('is one too many when the lost node is back', () => {
    const { settle } = watch('e');
    settle(drawSnapshot(['a b']));
    settle(drawSnapshot(['b'], 'a! e'));
    expect(settle(drawSnapshot(['b e'], 'a!'))).toEqual([]);
    expect(lacks(settle(drawSnapshot(['b e a'])))).toEqual(['shard 0: -1 of 1']);
    // However long that lasts.
    expect(lacks(settle(drawSnapshot(['b e a'])))).toEqual(['shard 0: -1 of 1']);
  });

  test('is all that the shard has for whoever has not seen more', () => {
    const { settle } = watch('e');
    expect(settle(drawSnapshot(['b e'], 'a!'))).toEqual([]);
    expect(lacks(settle(drawSnapshot(['b e a'])))).toEqual(['shard 0: -1 of 1']);
  });

  test('is replaced in turn when it dies', () => {
    const { settle } = watch('ef');
    settle(drawSnapshot(['a b']));
    settle(drawSnapshot(['b e'], 'a! f'));
    expect(lacks(settle(drawSnapshot(['b e!'], 'a! f')))).toEqual(['shard 0: 1 of 1']);
  });
});

test('a node that an operator adds raises the number', () => {
  const { settle } = watch();
  settle(drawSnapshot(['a b']));
  expect(settle(drawSnapshot(['a b c']))).toEqual([]);
  expect(lacks(settle(drawSnapshot(['a b c!'])))).toEqual(['shard 0: 1 of 2']);
});
