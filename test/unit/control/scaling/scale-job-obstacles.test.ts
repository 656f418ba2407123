/** A job in the way of another, met by obstacles. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobRecord } from '../../../../src/control/scaling/job-record.ts';
import type { ScaleJob } from '../../../../src/control/scaling/scale-job.ts';
import { FakeCluster } from './fake-cluster.ts';
import { createJob, lines, onceMoved, SETTINGS } from './scaling-rig.ts';

let cluster: FakeCluster;

/** Two shards, and a member without slots. */
beforeEach(() => {
  cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] });
});

const recorded = (): JobRecord => JSON.parse(cluster.lease.job) as JobRecord;
const run = (job: ScaleJob): Promise<unknown> => cluster.time.until(job.run());
const windows = (): number =>
  cluster.log.filter((line) => line.includes('"isMarked":false')).length;

describe('the lease lost to another', () => {
  it('ends it after the windows under way; the other keeps its lease and record', async () => {
    const job = createJob(cluster);
    const theirs = { holder: 'they', until: Number.POSITIVE_INFINITY, job: '{"theirs":1}' };
    let begun = 0;
    onceMoved(cluster, job, 500, () => {
      cluster.lease = { ...theirs };
      begun = windows();
    });
    await run(job);
    expect(job.progress.state).toBe('failed');
    expect(job.progress.problem).toContain('slotgate they is changing this cluster');
    expect(cluster.lease).toEqual(theirs);
    expect(windows() - begun).toBeLessThanOrEqual(1);
  });

  it('for a while only ends it, too: the other may have changed anything', async () => {
    cluster.put(7001, 8191, 'k8191');
    const batch = cluster.batch.bind(cluster);
    let begun = 0;
    cluster.batch = async (node, commands, timeoutMs) => {
      if (commands[0]?.[0] === 'MIGRATE') {
        cluster.lease = { holder: 'they', until: Number.POSITIVE_INFINITY, job: '' };
        await cluster.time.pause(5000);
        cluster.lease = { holder: '', until: 0, job: '' };
        begun = windows();
      }
      return batch(node, commands, timeoutMs);
    };
    for (let slot = 0; slot < 8192; slot++) cluster.put(7001, slot, `k${slot}`);
    const job = createJob(cluster, {}, null, { settings: () => ({ ...SETTINGS, parallel: 1 }) });
    await run(job);
    expect(job.progress.state).toBe('failed');
    expect(job.progress.problem).toContain('slotgate they');
    expect([begun > 0, windows()]).toEqual([true, begun]);
    // What the other has left, if anything, is no business of ours.
    expect(cluster.lease).toEqual({ holder: '', until: 0, job: '' });
  });

  it('or never had: nothing is done', async () => {
    cluster.lease = { holder: 'they', until: Number.POSITIVE_INFINITY, job: '' };
    const job = createJob(cluster);
    await run(job);
    const toNodes = cluster.log.filter((line) => !line.startsWith('workers'));
    expect([job.progress.state, toNodes]).toEqual(['failed', []]);
    expect([cluster.lease.holder, cluster.lease.job]).toEqual(['they', '']);
  });
});

describe('an obstacle', () => {
  it('is told, and gone about a second later: what was open is ended first', async () => {
    for (let slot = 0; slot < 8192; slot++) cluster.put(7001, slot, `k${slot}`);
    let refusals = 0;
    cluster.refuse = (_, command) =>
      command.startsWith('MIGRATE') && refusals++ === 4 ? 'IOERR no answer' : undefined;
    const job = createJob(cluster);
    await run(job);
    expect(job.progress.report()).toMatchObject({ state: 'done', problem: '' });
    const texts = job.progress.report().events.map(({ text }) => text);
    expect(texts.some((text) => text.includes('IOERR no answer'))).toBe(true);
    expect(texts.some((text) => /^\d+ slots that were half-way are at rest$/.test(text))).toBe(
      true,
    );
    expect(lines.some((line) => line.startsWith('warn') && line.includes('IOERR'))).toBe(true);
    expect(cluster.openSlots).toEqual([]);
    for (let slot = 0; slot < 8192; slot++) {
      expect(Object.keys(cluster.values(cluster.ownerOf(slot), slot))).toEqual([`k${slot}`]);
    }
  });

  it('that stays ends the job after five minutes, with what it was', async () => {
    cluster.refuse = (_, command) => (command.includes('IMPORTING') ? 'ERR no' : undefined);
    // Fewer passes than there would be: each looks at the whole cluster.
    const { pause } = cluster.time;
    const job = createJob(cluster, {}, null, { pause: (ms) => pause(ms === 1000 ? 25_000 : ms) });
    await run(job);
    expect(job.progress.report()).toMatchObject({
      state: 'failed',
      problem: expect.stringContaining('ERR no'),
    });
    expect(cluster.time.now).toBeGreaterThan(300_000);
    expect(cluster.time.now).toBeLessThan(330_000);
    // The next one knows what it was at.
    expect(recorded()).toMatchObject({ id: 'job-1', failed: true });
  });

  it('that is an error of ours ends it at once', async () => {
    cluster.onBroadcast = () => {
      throw new TypeError('a slip');
    };
    const job = createJob(cluster);
    await run(job);
    expect([job.progress.state, job.progress.problem]).toEqual(['failed', 'a slip']);
    expect(cluster.time.now).toBeLessThan(2000);
    expect(lines.some((line) => line.startsWith('error scaling ended'))).toBe(true);
  });

  it('too few nodes are waited for', async () => {
    const job = createJob(cluster, { shards: 4 });
    const running = job.run();
    await cluster.time.until(running, () => job.progress.problem !== '');
    expect(job.progress.problem).toMatch(/2 more nodes are needed.*1 are free/);
    expect(job.progress.state).toBe('running');
    job.cancel();
    await cluster.time.until(running);
    expect(job.progress.state).toBe('cancelled');
  });
});

describe('time', () => {
  it('slots that moved count against giving up, however long their pass took', async () => {
    cluster.batchMs = 4000;
    const job = createJob(cluster);
    let isRefused = false;
    cluster.refuse = (_, command) => {
      if (isRefused || cluster.time.now < 310_000 || !command.includes('IMPORTING'))
        return undefined;
      isRefused = true;
      return 'ERR once';
    };
    await cluster.time.until(job.run());
    expect(job.progress.report()).toMatchObject({ state: 'done', problem: '' });
    expect(isRefused).toBe(true);
  });

  it('a long pause does not count as failing', async () => {
    const job = createJob(cluster);
    job.pause();
    const running = job.run();
    await cluster.time.until(running, () => cluster.time.now > 310_000);
    let isRefused = false;
    cluster.refuse = (_, command) => {
      if (isRefused || !command.includes('IMPORTING')) return undefined;
      isRefused = true;
      return 'ERR once';
    };
    job.resume();
    await cluster.time.until(running);
    expect(job.progress.report()).toMatchObject({ state: 'done', problem: '' });
  });

  it('it is running again when it was resumed while the lease could not be renewed', async () => {
    const job = createJob(cluster);
    job.pause();
    const running = job.run();
    await cluster.time.until(running, () => job.progress.state === 'paused');
    cluster.refuse = (_, command) => (command.startsWith('EVAL') ? 'CLUSTERDOWN' : undefined);
    await cluster.time.until(running, () => job.progress.problem !== '');
    job.resume();
    cluster.refuse = () => undefined;
    const states = new Set<string>();
    cluster.onBroadcast = (method) => {
      if (method === 'move.begin') states.add(job.progress.state);
    };
    await cluster.time.until(running);
    expect([...states]).toEqual(['running']);
  });

  it('a renewal that is late does not bring the lease back after the end', async () => {
    const job = createJob(cluster);
    job.pause();
    // The first renewal beside the pause's own is turned away once, and tries again in 100 ms.
    let isRefused = false;
    cluster.refuse = (_, command) => {
      if (isRefused || cluster.time.now < 1200 || !command.startsWith('EVAL')) return undefined;
      isRefused = true;
      job.cancel();
      return 'CLUSTERDOWN';
    };
    await cluster.time.until(job.run());
    await cluster.time.until(cluster.time.pause(10_000));
    expect([job.progress.state, isRefused]).toEqual(['cancelled', true]);
    expect(cluster.lease).toEqual({ holder: '', until: 0, job: '' });
  });

  it('a renewal that comes while the lease is being given back does not take it again', async () => {
    const job = createJob(cluster);
    let [refusedAt, renewals] = [0, 0];
    cluster.refuse = (_, command) => {
      if (!command.startsWith('EVAL')) return undefined;
      if (!command.includes("'DEL'")) {
        if (refusedAt > 0) renewals++;
        return undefined;
      }
      if (refusedAt === 0) refusedAt = cluster.time.now;
      return cluster.time.now < refusedAt + 3000 ? 'CLUSTERDOWN' : undefined;
    };
    await run(job);
    await cluster.time.until(cluster.time.pause(10_000));
    expect([job.progress.state, refusedAt > 0, renewals]).toEqual(['done', true, 0]);
    expect(cluster.lease).toEqual({ holder: '', until: 0, job: '' });
  });
});
