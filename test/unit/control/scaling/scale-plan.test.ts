/** What a scale would do, and the arithmetic that refuses one. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { PlanReport, ScaleWish } from '../../../../src/control/scaling/job-report.ts';
import { planReport } from '../../../../src/control/scaling/scale-plan.ts';
import { FakeCluster } from './fake-cluster.ts';
import { recordOf, scalingOptions } from './scaling-rig.ts';

const MB = 1024 * 1024;
let cluster: FakeCluster;

beforeEach(() => {
  cluster = new FakeCluster(
    { 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] },
    { 7101: 7001, 7102: 7002 },
  );
});

async function plan(more: Partial<ScaleWish>): Promise<PlanReport | undefined> {
  const wish = { ...recordOf().wish, replicas: 1, ...more };
  return cluster.time.until(planReport(scalingOptions(cluster), wish));
}

describe('room', () => {
  const set = (maxMb: number, usedMb: readonly number[]): void => {
    [7001, 7002].forEach((port, at) => {
      cluster.member(port).maxBytes = maxMb * MB;
      cluster.member(port).usedBytes = (usedMb[at] as number) * MB;
    });
  };

  it('of 1.3 times the data is enough, and less is refused with the sum', async () => {
    set(130, [60, 40]);
    expect((await plan({ shards: 1 }))?.shardsNow).toBe(2);
    set(129.9, [60, 40]);
    await expect(plan({ shards: 1 })).rejects.toThrow(
      '1 of 2 shards would have 129.9 MB for 100.0 MB that are used, and 1.3 times as much is wanted: ' +
        '130.0 MB; keep more shards, or raise maxmemory',
    );
  });

  it('is that of the shards that stay', async () => {
    set(100, [70, 70]);
    cluster.member(7001).maxBytes = 1000 * MB;
    expect((await plan({ shards: 1 }))?.wish.shards).toBe(1);
    const [stays] =
      (await plan({ shards: 1 }))?.shards.filter(({ slotsAfter }) => slotsAfter > 0) ?? [];
    expect(stays?.address).toBe('h:7001');
    cluster.member(7001).maxBytes = 100 * MB;
    cluster.member(7002).maxBytes = 1000 * MB;
    await expect(plan({ shards: 1 })).rejects.toThrow('would have 100.0 MB for 140.0 MB');
  });

  it('is not asked for where a node has no limit, or no shard goes', async () => {
    set(0, [60, 40]);
    expect((await plan({ shards: 1 }))?.slotsToMove).toBe(8192);
    set(1, [60, 40]);
    expect((await plan({ shards: 2 }))?.slotsToMove).toBe(0);
  });
});

it('a shard more: slots, estimates and nodes', async () => {
  cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] });
  for (let i = 0; i < 30; i++) cluster.put(7001, i, `k${i}`);
  for (const port of [7001, 7002]) cluster.member(port).usedBytes = 30 * MB;
  const report = await plan({ shards: 3, replicas: 0 });
  expect(report).toMatchObject({ shardsNow: 2, slotsToMove: 5461 });
  // A third of what each has.
  expect(report?.keysToMove).toBe(10);
  expect(report?.bytesToMove).toBeCloseTo(20 * MB, -4);
  expect(report?.shards.map(({ address, slotsBefore }) => [address, slotsBefore])).toEqual([
    ['h:7001', 8192],
    ['h:7002', 8192],
    ['h:7003', 0],
  ]);
  expect(report?.shards.reduce((sum, { slotsAfter }) => sum + slotsAfter, 0)).toBe(16384);
  expect(report?.nodes).toEqual(['h:7003 joins as a primary']);
});

it('replicas fewer: those that leave', async () => {
  expect((await plan({ shards: 2, replicas: 0 }))?.nodes).toEqual([
    'h:7101 leaves h:7001',
    'h:7102 leaves h:7002',
  ]);
});

it('a shard less: its nodes leave, or are used where replicas are wanted', async () => {
  expect((await plan({ shards: 1 }))?.nodes).toEqual([
    'h:7002 is drained and leaves',
    'h:7102 is drained and leaves',
  ]);
  expect((await plan({ shards: 1, replicas: 3 }))?.nodes).toEqual([
    'h:7003 joins as a replica of h:7001',
    'h:7002 is drained and becomes a replica of h:7001',
    'h:7102 is drained and leaves',
  ]);
});

it('a plan changes nothing', async () => {
  await plan({ shards: 1 });
  expect([cluster.log, cluster.lease.holder]).toEqual([[], '']);
});
