/** A job over a whole fake cluster: to its end, paused, cancelled. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobRecord } from '../../../../src/control/scaling/job-record.ts';
import type { ScaleJob } from '../../../../src/control/scaling/scale-job.ts';
import { FakeCluster } from './fake-cluster.ts';
import { createJob, onceMoved, recordOf, slotsOf } from './scaling-rig.ts';

let cluster: FakeCluster;

/** Two shards, and a member without slots. */
beforeEach(() => {
  cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] });
});

const recorded = (): JobRecord => JSON.parse(cluster.lease.job) as JobRecord;
const run = (job: ScaleJob): Promise<unknown> => cluster.time.until(job.run());
const windows = (): number =>
  cluster.log.filter((line) => line.includes('"isMarked":false')).length;

describe('to the end', () => {
  it('a new shard gets its share; the record and the lease go', async () => {
    for (let slot = 0; slot < 16384; slot += 500) {
      cluster.put(slot < 8192 ? 7001 : 7002, slot, `k${slot}`);
    }
    const told = [0, 0, 0];
    const onMoved = (...counts: number[]): void =>
      counts.forEach((count, at) => {
        told[at] = (told[at] as number) + count;
      });
    const job = createJob(cluster, {}, null, { onMoved });
    await run(job);
    expect(told).toEqual([5461, job.progress.keysMoved, job.progress.bytesMoved]);
    expect(job.progress.report()).toMatchObject({
      state: 'done',
      problem: '',
      slots: { moved: 5461, total: 5461 },
      shards: [{ address: 'h:7001' }, { address: 'h:7003', taken: 5461 }, { address: 'h:7002' }],
    });
    expect([7001, 7002, 7003].map((port) => slotsOf(cluster, port)).sort()).toEqual([
      5461, 5461, 5462,
    ]);
    expect(cluster.lease).toEqual({ holder: '', until: 0, job: '' });
    expect(cluster.openSlots).toEqual([]);
    for (let slot = 0; slot < 16384; slot += 500) {
      expect(Object.keys(cluster.values(cluster.ownerOf(slot), slot))).toEqual([`k${slot}`]);
    }
    expect(job.progress.keysMoved).toBe(
      cluster.log
        .filter((line) => / MIGRATE /.test(line))
        .join(' ')
        .match(/k\d+/g)?.length,
    );
  });

  it('slots are weighed once, though keys come and go: other weights would move others', async () => {
    for (let slot = 0; slot < 8192; slot++) cluster.put(7001, slot, `k${slot}`);
    let weighed = 0;
    cluster.refuse = (_, command) => {
      if (command === 'CLUSTER COUNTKEYSINSLOT 0') weighed++;
      return undefined;
    };
    const job = createJob(cluster, { by: 'keys' });
    await run(job);
    expect(job.progress.report()).toMatchObject({ state: 'done', problem: '' });
    expect(job.progress.slotsMoved).toBeGreaterThan(0);
    expect(weighed).toBe(1);
  });

  it('what is as it should be is left alone, and said to the workers', async () => {
    const job = createJob(cluster, { shards: 2 });
    await run(job);
    expect(job.progress.report()).toMatchObject({ state: 'done', slots: { moved: 0, total: 0 } });
    expect(cluster.log).toEqual(['workers move.end {"slots":null,"owner":""}']);
  });

  it('a big key stays with its slot, the rest moves, and the job says so', async () => {
    for (let slot = 0; slot < 8192; slot++) cluster.put(7001, slot, `k${slot}`, 2_000_000);
    const job = createJob(cluster);
    await run(job);
    const { state, problem } = job.progress.report();
    expect(state).toBe('failed');
    expect(problem).toMatch(
      /^2\d\d\d slots stay where they are, the first is \d+: key .*--big-keys move/,
    );
    expect([slotsOf(cluster, 7001), slotsOf(cluster, 7002), cluster.lease.holder]).toEqual([
      8192,
      5461,
      '',
    ]);
  });
});

describe('while it runs', () => {
  it('the record in the cluster has the slots under way, and the processes of all primaries', async () => {
    const seen: JobRecord[] = [];
    cluster.onBroadcast = (method) => {
      if (method === 'move.begin') seen.push(recorded());
    };
    await run(createJob(cluster));
    const begun = cluster.log.flatMap((line) => {
      const [, json] = /move\.begin (.*"isMarked":false.*)/.exec(line) ?? [];
      return json === undefined ? [] : [(JSON.parse(json) as { slots: number[] }).slots];
    });
    expect(begun.length).toBeGreaterThan(3);
    const marked = seen.filter((_, at) => at === 0);
    expect(marked[0]?.window).toEqual(expect.arrayContaining(begun[0] ?? []));
    expect(seen.every(({ window }) => window.length > 0)).toBe(true);
    expect(seen[0]?.runIds).toEqual({
      [cluster.node(7001).id]: 'run-7001',
      [cluster.node(7002).id]: 'run-7002',
      [cluster.node(7003).id]: 'run-7003',
    });
    expect(seen[0]).toMatchObject({ id: 'job-1', kind: 'scale', startedAt: 77, paused: false });
  });

  it('the lease is renewed in steps that take longer than it lasts', async () => {
    cluster.put(7001, 8191, 'k8191');
    cluster.put(7002, 16383, 'k16383');
    const batch = cluster.batch.bind(cluster);
    const held: boolean[] = [];
    cluster.batch = async (node, commands, timeoutMs) => {
      if (commands[0]?.[0] === 'MIGRATE') {
        await cluster.time.pause(20_000);
        held.push(cluster.lease.holder === 'me' && cluster.lease.until > cluster.time.now);
      }
      return batch(node, commands, timeoutMs);
    };
    for (let slot = 0; slot < 16384; slot += 1000) {
      cluster.put(slot < 8192 ? 7001 : 7002, slot, `k${slot}`);
    }
    await run(createJob(cluster));
    expect(held.length).toBeGreaterThan(0);
    expect(held.every((isHeld) => isHeld)).toBe(true);
  });
});

describe('paused', () => {
  it('it ends what it has in hand, keeps its lease, and goes on when told', async () => {
    const job = createJob(cluster);
    onceMoved(cluster, job, 500, () => {
      job.pause();
      expect(job.progress.state).toBe('pausing');
    });
    const running = job.run();
    await cluster.time.until(running, () => job.progress.state === 'paused');
    const [moved, begun] = [job.progress.slotsMoved, windows()];
    expect(moved).toBeLessThan(5461);
    expect(cluster.openSlots).toEqual([]);
    const until = cluster.time.now + 60_000;
    await cluster.time.until(running, () => cluster.time.now > until);
    expect([job.progress.slotsMoved, windows(), job.progress.state]).toEqual([
      moved,
      begun,
      'paused',
    ]);
    expect(cluster.lease.until).toBeGreaterThan(cluster.time.now);
    expect(recorded().paused).toBe(true);
    job.resume();
    await cluster.time.until(running);
    expect([job.progress.state, job.progress.slotsMoved]).toEqual(['done', 5461]);
  });

  it('and told to go on before it has stopped: it never does', async () => {
    const job = createJob(cluster);
    onceMoved(cluster, job, 500, () => {
      job.pause();
      job.resume();
      expect(job.progress.state).toBe('running');
    });
    await run(job);
    expect(job.progress.report().events.map(({ text }) => text)).not.toContain('paused');
    expect(job.progress.state).toBe('done');
  });

  it('by the record: nothing is moved, what was half-way is ended all the same', async () => {
    cluster.mark(5, 7001, 7003);
    cluster.put(7003, 5, 'k5');
    const job = createJob(cluster, {}, recordOf({ paused: true, window: [5] }));
    const running = job.run();
    await cluster.time.until(running, () => job.progress.state === 'paused');
    expect([cluster.ownerOf(5), cluster.openSlots, slotsOf(cluster, 7003)]).toEqual([7003, [], 1]);
    job.cancel();
    await cluster.time.until(running);
    expect([job.progress.state, cluster.lease.holder]).toEqual(['cancelled', '']);
  });
});

describe('cancelled', () => {
  it('it ends what it has in hand; what has moved stays where it is', async () => {
    const job = createJob(cluster);
    onceMoved(cluster, job, 500, () => {
      job.cancel();
      expect(job.progress.state).toBe('cancelling');
    });
    await run(job);
    expect(job.progress.state).toBe('cancelled');
    const { slotsMoved } = job.progress;
    expect(slotsMoved).toBeGreaterThanOrEqual(500);
    expect(slotsMoved).toBeLessThan(5461);
    expect([slotsOf(cluster, 7003), cluster.openSlots, cluster.lease.job]).toEqual([
      slotsMoved,
      [],
      '',
    ]);
  });

  it('it cannot be paused any more', async () => {
    const job = createJob(cluster);
    onceMoved(cluster, job, 500, () => {
      job.cancel();
      job.pause();
    });
    await run(job);
    expect(job.progress.state).toBe('cancelled');
  });

  it('by the record of one that had failed: what was half-way is ended, and no more', async () => {
    cluster.mark(5, 7001, 7003);
    cluster.put(7001, 5, 'k5');
    cluster.put(7003, 5, 'l5');
    const job = createJob(cluster, {}, recordOf({ failed: true, window: [5] }));
    await run(job);
    expect([job.progress.state, job.progress.slotsMoved]).toEqual(['cancelled', 1]);
    expect([slotsOf(cluster, 7003), cluster.openSlots, cluster.lease.job]).toEqual([1, [], '']);
    expect(cluster.values(7003, 5)).toEqual({ k5: '7001', l5: '7003' });
  });
});
