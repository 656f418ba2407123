/** What scaling is made of, over a fake cluster. */
import type { ControlLog } from '../../../../src/control/control-log.ts';
import { SpareNodes } from '../../../../src/control/failover/spare-nodes.ts';
import { JobLease } from '../../../../src/control/scaling/job-lease.ts';
import { JobProgress } from '../../../../src/control/scaling/job-progress.ts';
import type { JobRecord } from '../../../../src/control/scaling/job-record.ts';
import type { ScaleWish } from '../../../../src/control/scaling/job-report.ts';
import { ScaleJob, type ScaleJobOptions } from '../../../../src/control/scaling/scale-job.ts';
import { Scaling, type ScalingOptions } from '../../../../src/control/scaling/scaling.ts';
import type { FakeCluster } from './fake-cluster.ts';

/** Log lines, the newest last. */
export const lines: string[] = [];

/** scaling.* */
export const SETTINGS = {
  batchMs: 5,
  windowMs: 100,
  dutyPercent: 50,
  parallel: 2,
  bigKeyBytes: 1_000_000,
};

const log: ControlLog = {
  debug: () => undefined,
  info: (fields, message) => void lines.push(`info ${message} ${JSON.stringify(fields)}`),
  warn: (fields, message) => void lines.push(`warn ${message} ${JSON.stringify(fields)}`),
  error: (_, message) => void lines.push(`error ${message}`),
};

export function scalingOptions(cluster: FakeCluster): ScalingOptions {
  lines.length = 0;
  const { time } = cluster;
  return {
    nodes: cluster,
    spares: new SpareNodes({
      members: cluster,
      spares: cluster,
      now: () => time.now,
      pause: time.pause,
    }),
    spareAddresses: [],
    workers: cluster.workers,
    login: () => ({ username: '', password: '' }),
    settings: () => SETTINGS,
    log,
    now: () => time.now,
    clock: () => 1_000_000 + time.now,
    pause: time.pause,
    onJob: (isUnderWay) => void lines.push(`job ${isUnderWay}`),
  };
}

export function createScaling(cluster: FakeCluster, more: Partial<ScalingOptions> = {}): Scaling {
  return new Scaling({ ...scalingOptions(cluster), ...more });
}

export function recordOf(more: Partial<JobRecord> = {}): JobRecord {
  return {
    id: 'job-1',
    kind: 'scale',
    wish: {
      shards: 3,
      replicas: 0,
      leavesReplicas: false,
      by: 'slots',
      nodes: [],
      movesBigKeys: false,
    },
    startedAt: 77,
    paused: false,
    failed: false,
    window: [],
    runIds: {},
    leaving: [],
    ...more,
  };
}

/** `more`: the wish, where it is not three shards without replicas. */
export function createJob(
  cluster: FakeCluster,
  more: Partial<ScaleWish> = {},
  record: JobRecord | null = null,
  options: Partial<ScaleJobOptions> = {},
): ScaleJob {
  const all = scalingOptions(cluster);
  const lease = new JobLease({ ...all, holder: 'me' });
  const wish = { ...recordOf().wish, ...more };
  const progress = new JobProgress('job-1', 'scale', wish, 77, all.clock);
  return new ScaleJob({ ...all, lease, onMoved: () => undefined, ...options }, progress, record);
}

export function slotsOf(cluster: FakeCluster, port: number): number {
  const { owners } = cluster.member(7001);
  return owners.reduce((sum, owner) => sum + (owner === port ? 1 : 0), 0);
}

/** Once so many slots have moved, with the next word to workers. */
export function onceMoved(
  cluster: FakeCluster,
  job: ScaleJob,
  slots: number,
  act: () => void,
): void {
  let isOver = false;
  cluster.onBroadcast = () => {
    if (isOver || job.progress.slotsMoved < slots) return;
    isOver = true;
    act();
  };
}
