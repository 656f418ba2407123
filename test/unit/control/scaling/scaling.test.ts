/** Scaling as it is offered: what is refused and why, one job at a time, and the one left by others. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ScaleRequest } from '../../../../src/control/scaling/scale-request.ts';
import {
  type Scaling,
  type ScalingRefusalReason,
  ScalingRefused,
} from '../../../../src/control/scaling/scaling.ts';
import { FakeCluster } from './fake-cluster.ts';
import { createScaling, lines, recordOf } from './scaling-rig.ts';

let cluster: FakeCluster;
let scaling: Scaling;

beforeEach(() => {
  cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] });
  scaling = createScaling(cluster);
});

async function refusal(work: Promise<unknown>): Promise<[ScalingRefusalReason, string]> {
  const error = await cluster.time.until(
    work.then(
      () => null,
      (reason: unknown) => reason,
    ),
  );
  if (!(error instanceof ScalingRefused)) throw new Error(`not refused: ${String(error)}`);
  return [error.reason, error.message];
}

const start = async (request: ScaleRequest): Promise<string> =>
  (await scaling.start('scale', request)).id;
const ended = (): Promise<void> =>
  cluster.time.untilSo(() => (scaling.latest?.endedAt ?? 0) > 0 && lines.includes('job false'));

describe('refused', () => {
  it('is everything while nothing is known, and without a cluster', async () => {
    const { snapshot } = cluster;
    const nodes = (look: () => ReturnType<typeof snapshot> | null) =>
      Object.assign(Object.create(cluster) as FakeCluster, { snapshot: look });
    scaling = createScaling(cluster, { nodes: nodes(() => null) as never });
    expect((await refusal(scaling.plan({ shards: 3 })))[0]).toBe('not-now');
    const standalone = { ...cluster.snapshot(), mode: 'standalone' as const };
    scaling = createScaling(cluster, { nodes: nodes(() => standalone) });
    expect((await refusal(scaling.start('scale', { shards: 3 })))[0]).toBe('no-cluster');
  });

  it('is what there are no nodes for, with the numbers, and nothing is begun', async () => {
    const [reason, message] = await refusal(scaling.start('scale', { shards: 5 }));
    expect(reason).toBe('not-now');
    expect(message).toMatch(/3 more nodes are needed.*1 are free/);
    expect([scaling.jobs, cluster.lease.holder, cluster.log]).toEqual([[], '', []]);
  });

  it('is a named node that cannot be taken', async () => {
    cluster.put(7003, 5, 'k5');
    const [reason, message] = await refusal(scaling.plan({ shards: 3, nodes: ['h:7003'] }));
    expect([reason, message]).toEqual(['not-now', 'h:7003 cannot be taken: is not empty']);
  });

  it('is a second job, with the name of the first', async () => {
    const id = await start({ shards: 3 });
    const [reason, message] = await refusal(scaling.start('rebalance', {}));
    expect([reason, message.includes(id)]).toEqual(['busy', true]);
    await ended();
    expect(scaling.jobs.length).toBe(1);
    await start({});
  });

  it('is one of two that begin at once', async () => {
    const both = Promise.allSettled([start({ shards: 3 }), start({ shards: 1 })]);
    const results = await cluster.time.until(both);
    expect(results?.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [one, other] = [
      scaling.jobs[0]?.id,
      results?.find(({ status }) => status === 'rejected'),
    ];
    expect([scaling.jobs.length, String((other as PromiseRejectedResult).reason)]).toEqual([
      1,
      expect.stringContaining(`job ${one} is under way`),
    ]);
    await ended();
    expect(scaling.latest?.state).toBe('done');
  });

  it('is one of two that two slotgates begin at once', async () => {
    const other = createScaling(cluster);
    const both = [start({ shards: 3 }), other.start('scale', { shards: 1 })];
    const results = await cluster.time.until(Promise.allSettled(both));
    expect(results?.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(scaling.jobs.length + other.jobs.length).toBe(1);
  });

  it('is what another slotgate is at', async () => {
    cluster.lease = { holder: 'they', until: Number.POSITIVE_INFINITY, job: '' };
    const [reason, message] = await refusal(scaling.start('scale', { shards: 3 }));
    expect([reason, message]).toEqual(['busy', expect.stringContaining('slotgate they')]);
    expect(scaling.jobs).toEqual([]);
  });
});

describe('a job', () => {
  it('is begun and found by its id; control hears when one is under way', async () => {
    const report = await scaling.start('scale', { shards: 3, by: 'keys', bigKeys: 'move' });
    expect(report).toMatchObject({
      kind: 'scale',
      state: 'running',
      wish: { shards: 3, replicas: 0, by: 'keys', nodes: [], movesBigKeys: true },
    });
    expect(lines).toContain('job true');
    expect(lines).not.toContain('job false');
    await ended();
    expect(scaling.job(report.id)).toMatchObject({ id: report.id, state: 'done' });
    expect([scaling.latest?.id, scaling.job('other')]).toEqual([report.id, null]);
  });

  it('by a size has its shards and replicas', async () => {
    const { wish } = await scaling.plan({ spec: '3x0x2gb', shards: 99 });
    expect([wish.shards, wish.replicas]).toEqual([3, 0]);
  });

  it('that names no number keeps what is there, offered or not', async () => {
    const { wish } = await scaling.plan({});
    expect([wish.shards, wish.replicas]).toEqual([2, 0]);
  });

  it('that names no number of replicas takes none away, though one shard has fewer', async () => {
    cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]] }, { 7101: 7001 });
    scaling = createScaling(cluster);
    const report = await scaling.plan({ by: 'keys' });
    expect([report.nodes, report.wish.leavesReplicas]).toEqual([[], true]);
    await start({});
    await ended();
    expect([scaling.latest?.state, cluster.known]).toEqual(['done', [7001, 7002, 7101]]);
    // Named, the same number is one of each shard.
    expect((await scaling.plan({ replicas: 0 })).nodes).toEqual(['h:7101 leaves h:7001']);
  });

  it('is paused, resumed and cancelled by its id', async () => {
    const id = await start({ shards: 3 });
    expect(scaling.steer(id, 'pause').state).toBe('pausing');
    await cluster.time.untilSo(() => scaling.latest?.state === 'paused');
    scaling.steer(id, 'resume');
    await ended();
    expect(scaling.latest?.state).toBe('done');
    const other = await start({ shards: 1 });
    expect(scaling.steer(other, 'cancel').state).toBe('cancelling');
    await cluster.time.untilSo(() => scaling.latest?.state === 'cancelled');
    expect(scaling.latest?.id).toBe(other);
  });

  it('that nobody has heard of cannot be steered, nor one that has ended', async () => {
    const reasonOf = (id: string): string => {
      try {
        return scaling.steer(id, 'pause').state;
      } catch (error) {
        return (error as ScalingRefused).reason;
      }
    };
    expect(reasonOf('nobody')).toBe('unknown-job');
    const id = await start({ shards: 2, any: true });
    await ended();
    expect(reasonOf(id)).toBe('busy');
    expect(scaling.latest?.state).toBe('done');
  });

  it('is remembered, the last twenty of them', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 22; i++) {
      lines.length = 0;
      ids.push(await start({}));
      await ended();
    }
    expect(scaling.jobs.map(({ id }) => id)).toEqual(ids.slice(2));
  });

  it('ends what a job before it has left, and is told what its processes were', async () => {
    cluster.mark(5, 7001, 7003);
    cluster.put(7001, 5, 'k5');
    cluster.put(7003, 5, 'l5');
    const left = recordOf({ id: 'dead', window: [5], paused: true });
    cluster.lease = { holder: 'they', until: 0, job: JSON.stringify(left) };
    const id = await start({ shards: 2, any: true });
    expect(id).not.toBe('dead');
    await ended();
    // A new job is not paused because the old one was.
    expect(scaling.latest?.state).toBe('done');
    const texts = scaling.latest?.events.map(({ text }) => text);
    expect(texts).toContain('1 slots that were half-way are at rest');
    expect(cluster.openSlots).toEqual([]);
    expect(cluster.values(cluster.ownerOf(5), 5)).toEqual({ k5: '7001', l5: '7003' });
  });
});

describe('a job that a process before this one began', () => {
  const snapshot = (): void => scaling.onSnapshot(cluster.snapshot());
  const leave = (until: number, more = {}): void => {
    cluster.lease = { holder: 'dead', until, job: JSON.stringify(recordOf(more)) };
  };

  it('goes on with the first picture, as it was begun', async () => {
    leave(0);
    snapshot();
    await ended();
    expect(scaling.jobs.length).toBe(1);
    expect(scaling.latest).toMatchObject({
      id: 'job-1',
      kind: 'scale',
      startedAt: 77,
      state: 'done',
      slots: { moved: 5461 },
    });
    expect(scaling.latest?.events[0]?.text).toMatch(/^goes on/);
    expect(cluster.lease.job).toBe('');
    leave(0);
    snapshot();
    await cluster.time.until(cluster.time.pause(60_000));
    expect(scaling.jobs.length).toBe(1);
  });

  it('is paused if it was', async () => {
    leave(0, { paused: true });
    snapshot();
    await cluster.time.untilSo(() => scaling.latest?.state === 'paused');
    expect(scaling.latest?.slots.moved).toBe(0);
  });

  it('and gave up is not gone on with: what it left half-way is ended', async () => {
    cluster.mark(5, 7001, 7003);
    cluster.put(7003, 5, 'k5');
    leave(0, { failed: true, window: [5] });
    snapshot();
    await ended();
    expect(scaling.latest).toMatchObject({ id: 'job-1', state: 'cancelled', slots: { moved: 1 } });
    expect([cluster.ownerOf(5), cluster.openSlots, cluster.lease.job]).toEqual([7003, [], '']);
  });

  it('cannot be looked for without the right to: that is told once, and not tried again', async () => {
    let asked = 0;
    cluster.refuse = (_, command) => {
      if (!command.startsWith('HGET')) return undefined;
      asked++;
      return 'NOPERM no';
    };
    snapshot();
    await cluster.time.until(cluster.time.pause(60_000));
    expect(asked).toBe(1);
    expect(lines.filter((line) => line.includes('no scaling job can be looked for'))).toHaveLength(
      1,
    );
  });

  it('goes on once the lease of the dead one has run out', async () => {
    leave(4000);
    snapshot();
    await cluster.time.untilSo(() => scaling.jobs.length > 0);
    expect(cluster.time.now).toBeGreaterThanOrEqual(4000);
    expect(cluster.time.now).toBeLessThan(7000);
  });

  it('and another slotgate goes on with is left to it', async () => {
    leave(Number.POSITIVE_INFINITY);
    snapshot();
    await cluster.time.untilSo(() => lines.some((line) => line.includes('is left to whoever')));
    expect([scaling.jobs, cluster.lease.holder]).toEqual([[], 'dead']);
    expect(cluster.time.now).toBeGreaterThanOrEqual(15_000);
  });

  it('is none: nothing is taken', async () => {
    snapshot();
    await cluster.time.until(cluster.time.pause(60_000));
    expect([scaling.jobs, cluster.lease.holder, cluster.log]).toEqual([[], '', []]);
  });

  it('is not looked for without a cluster, nor after the end', async () => {
    leave(0);
    scaling.onSnapshot({ ...cluster.snapshot(), mode: 'standalone' });
    await cluster.time.until(cluster.time.pause(1000));
    expect(scaling.jobs).toEqual([]);
    leave(cluster.time.now + 4000);
    snapshot();
    scaling.stop();
    await cluster.time.until(cluster.time.pause(20_000));
    expect(scaling.jobs).toEqual([]);
  });
});
