/** Nodes that come and go by a job. */
import { expect, it } from 'vitest';
import type { JobRecord } from '../../../../src/control/scaling/job-record.ts';
import type { ScaleJob } from '../../../../src/control/scaling/scale-job.ts';
import { FakeCluster } from './fake-cluster.ts';
import { idOf } from './fake-member.ts';
import { createJob, recordOf, slotsOf } from './scaling-rig.ts';

/** Two shards. */
const pair = (replicas: Readonly<Record<number, number>> = {}): FakeCluster =>
  new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]] }, replicas);
const run = (cluster: FakeCluster, job: ScaleJob): Promise<unknown> =>
  cluster.time.until(job.run());

it('a shard that goes is drained; its nodes are forgotten by all and emptied', async () => {
  const cluster = pair({ 7102: 7002 });
  cluster.put(7002, 9000, 'k9000');
  const job = createJob(cluster, { shards: 1 });
  await run(cluster, job);
  expect([job.progress.state, slotsOf(cluster, 7001)]).toEqual(['done', 16384]);
  expect(cluster.known).toEqual([7001]);
  expect(cluster.values(7001, 9000)).toEqual({ k9000: '7002' });
  const left = cluster.log.filter((line) => /FORGET|RESET/.test(line));
  // Nobody is emptied before the others have forgotten it.
  expect(left).toEqual([
    '7001 CLUSTER FORGET 7102',
    '7002 CLUSTER FORGET 7102',
    '7102 CLUSTER RESET HARD',
    '7001 CLUSTER FORGET 7002',
    '7102 CLUSTER FORGET 7002',
    '7002 CLUSTER RESET HARD',
  ]);
});

it('a source that followed its last slot is a surplus replica, and leaves as one', async () => {
  const cluster = pair();
  cluster.onBroadcast = (method) => {
    if (method === 'move.end' && slotsOf(cluster, 7002) === 0) cluster.member(7002).primary = 7001;
  };
  const job = createJob(cluster, { shards: 1 });
  await run(cluster, job);
  expect([job.progress.state, slotsOf(cluster, 7001), cluster.known]).toEqual([
    'done',
    16384,
    [7001],
  ]);
  expect(cluster.log.filter((line) => line.includes('RESET'))).toEqual(['7002 CLUSTER RESET HARD']);
});

it('nodes that are no members yet are met, and become primaries and replicas', async () => {
  const cluster = new FakeCluster({ 7001: [[0, 16383]], 7002: [], 7003: [], 7004: [] });
  for (const port of [7002, 7003, 7004]) cluster.leave(port);
  const job = createJob(cluster, { shards: 2, replicas: 1, nodes: ['h:7002', 'h:7003', 'h:7004'] });
  await run(cluster, job);
  expect([job.progress.state, slotsOf(cluster, 7001)]).toEqual(['done', 8192]);
  const members = [7002, 7003, 7004].map((port) => cluster.member(port));
  const primary = members.find((member) => member.primary === 0);
  expect(slotsOf(cluster, primary?.port ?? 0)).toBe(8192);
  expect(members.map((member) => member.primary).sort()).toEqual([0, 7001, primary?.port].sort());
  const texts = job.progress.report().events.map(({ text }) => text);
  expect(texts).toEqual(['1 nodes join', '2 replicas are added', 'slots move', 'done']);
});

it('a primary that goes leaves, whether or not it has replicas or follows the taker', async () => {
  const cluster = pair();
  const job = createJob(cluster, { shards: 1 });
  await cluster.time.until(job.run());
  expect([job.progress.state, cluster.known]).toEqual(['done', [7001]]);
});

it('a replica that is given back becomes a primary after it has left, not before', async () => {
  const cluster = pair({ 7101: 7001, 7102: 7002 });
  const job = createJob(cluster, { shards: 3, replicas: 0 });
  await cluster.time.until(job.run(), () => job.progress.problem !== '');
  expect(job.progress.problem).toBe('');
  expect(job.progress.state).toBe('done');
});

it('the nodes of a shard that goes follow nobody until they are reset, and may again after it', async () => {
  const cluster = pair({ 7102: 7002 });
  await run(cluster, createJob(cluster, { shards: 1 }));
  const setting = 'CONFIG SET cluster-allow-replica-migration';
  const told = cluster.log.filter((line) => /CONFIG|RESET| NODE 7001/.test(line));
  expect(told.slice(0, 2)).toEqual([`7002 ${setting} no`, `7102 ${setting} no`]);
  expect(told.filter((line) => /CONFIG.*yes|RESET/.test(line))).toEqual([
    '7102 CLUSTER RESET HARD',
    `7102 ${setting} yes`,
    '7002 CLUSTER RESET HARD',
    `7002 ${setting} yes`,
  ]);
  expect(told.findIndex((line) => line.includes(' NODE '))).toBe(2);
});

it('a node that was forgotten and not reset is reset by the next pass', async () => {
  const cluster = pair();
  let refusals = 0;
  cluster.refuse = (_, command) =>
    command.includes('RESET') && refusals++ === 0 ? 'ERR not now' : undefined;
  const job = createJob(cluster, { shards: 1 });
  const running = job.run();
  await cluster.time.until(running, () => job.progress.problem !== '');
  // Nobody shows it any more.
  expect(cluster.snapshot().nodes.map(({ port }) => port)).toEqual([7001]);
  expect(cluster.known).toEqual([7001, 7002]);
  const { leaving } = JSON.parse(cluster.lease.job) as JobRecord;
  expect(leaving).toEqual([{ id: idOf(7002), host: 'h', port: 7002 }]);
  await cluster.time.until(running);
  expect([job.progress.state, job.progress.problem, cluster.known]).toEqual(['done', '', [7001]]);
  expect(cluster.log.filter((line) => line.includes('RESET'))).toEqual([
    '7002 CLUSTER RESET HARD refused',
    '7002 CLUSTER RESET HARD',
  ]);
});

it('and by the process after the one that died in between', async () => {
  const cluster = new FakeCluster({ 7001: [[0, 16383]], 7002: [] });
  cluster.member(7001).forgets.add(7002);
  const leaving = [{ id: idOf(7002), host: 'h', port: 7002 }];
  const job = createJob(cluster, { shards: 1 }, recordOf({ leaving }));
  await run(cluster, job);
  expect([job.progress.state, cluster.known]).toEqual(['done', [7001]]);
});

it('a node that is to leave and holds keys is not reset', async () => {
  const cluster = new FakeCluster({ 7001: [[0, 16383]], 7002: [] });
  cluster.put(7002, 5, 'k5');
  const leaving = [{ id: idOf(7002), host: 'h', port: 7002 }];
  const job = createJob(cluster, { shards: 1 }, recordOf({ leaving }));
  const running = job.run();
  await cluster.time.until(running, () => job.progress.problem !== '');
  expect(job.progress.problem).toBe('h:7002 still serves slots or holds keys');
  job.cancel();
  await cluster.time.until(running);
  expect([cluster.known, cluster.values(7002, 5)]).toEqual([[7001, 7002], { k5: '7002' }]);
});

it('a node that is to leave and is dead is forgotten, and it is said what is to be done with it', async () => {
  const cluster = pair({ 7102: 7002 });
  const job = createJob(cluster, { shards: 1 });
  cluster.onBroadcast = () => {
    if (slotsOf(cluster, 7002) === 0) cluster.member(7102).isDown = true;
  };
  await run(cluster, job);
  expect(job.progress.state).toBe('done');
  expect(job.progress.report().events.map(({ text }) => text)).toContain(
    'h:7102 is dead and is not reset: empty it before it is started again',
  );
  expect(cluster.log.filter((line) => line.includes('FORGET 7102'))).toEqual([
    '7001 CLUSTER FORGET 7102',
    '7002 CLUSTER FORGET 7102',
  ]);
  expect([cluster.member(7002).isLone, cluster.snapshot().nodes.length]).toEqual([true, 1]);
});

it('who names no replicas leaves uneven shards as they are, while others come and go', async () => {
  const cluster = new FakeCluster(
    { 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] },
    { 7101: 7001, 7201: 7001 },
  );
  // A new shard has what most of the others have; there is no node for it.
  const job = createJob(cluster, { shards: 3, replicas: 0, leavesReplicas: true });
  await run(cluster, job);
  expect([job.progress.state, slotsOf(cluster, 7003)]).toEqual(['done', 5461]);
  expect([7101, 7201].map((port) => cluster.member(port).primary)).toEqual([7001, 7001]);
  expect(cluster.log.filter((line) => /FORGET|REPLICATE/.test(line))).toEqual([]);
});

it('fewer nodes than were planned with end it as failed, with their number, and all else done', async () => {
  const cluster = new FakeCluster({ 7001: [[0, 8191]], 7002: [[8192, 16383]], 7003: [] });
  const job = createJob(cluster, { shards: 3, replicas: 1 });
  await run(cluster, job);
  expect([job.progress.state, slotsOf(cluster, 7003)]).toEqual(['failed', 5461]);
  expect(job.progress.problem).toMatch(/^3 replicas are missing: .*--nodes/);
  expect(cluster.lease.job).toBe('');
});

it('a shard that was to go and holds most by now stays: another goes', async () => {
  const cluster = new FakeCluster({
    7001: [[0, 5460]],
    7002: [[5461, 10922]],
    7003: [[10923, 16383]],
  });
  const job = createJob(cluster, { shards: 2 });
  cluster.put(7003, 11_000, 'k11000');
  let isRefused = false;
  cluster.refuse = (_, command) => {
    if (isRefused || !command.includes('IMPORTING')) return undefined;
    // Somebody moves most of the others' slots to it meanwhile.
    for (let slot = 100; slot < 5461; slot++) cluster.setOwner(slot, 7003);
    isRefused = true;
    return 'ERR once';
  };
  await run(cluster, job);
  expect([job.progress.state, isRefused]).toEqual(['done', true]);
  expect(cluster.known).toEqual([7002, 7003]);
  const yes = 'CONFIG SET cluster-allow-replica-migration yes';
  expect(cluster.log.filter((line) => line.includes(yes))).toEqual([`7003 ${yes}`, `7001 ${yes}`]);
});
