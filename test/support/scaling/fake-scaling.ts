/** What scales nothing and says what it is told to: for tests of the HTTP API and the command line. */
import type {
  JobOrder,
  ScaleRequest,
  ScalingApi,
  ScalingKind,
} from '../../../src/admin/scaling-api.ts';
import type {
  ClusterReport,
  JobReport,
  PlanReport,
} from '../../../src/control/scaling/job-report.ts';

export const JOB: JobReport = {
  id: 'job-1',
  kind: 'scale',
  wish: {
    shards: 5,
    replicas: 1,
    leavesReplicas: false,
    by: 'slots',
    nodes: [],
    movesBigKeys: false,
  },
  state: 'running',
  problem: '',
  step: 'moving slots',
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  endedAt: 0,
  slots: { moved: 0, total: 200 },
  keysMoved: 0,
  bytesMoved: 0,
  etaSeconds: null,
  shards: [
    { address: 'a:1', gives: 200, given: 0, takes: 0, taken: 0 },
    { address: 'b:22', gives: 0, given: 0, takes: 200, taken: 0 },
  ],
  events: [],
};

/** `JOB` when `moved` of its slots are where they should be. */
export function jobAt(moved: number, others: Partial<JobReport> = {}): JobReport {
  const [giver, taker] = JOB.shards;
  return {
    ...JOB,
    slots: { moved, total: 200 },
    keysMoved: moved * 10,
    bytesMoved: moved * 1024 * 1024,
    etaSeconds: 200 - moved,
    shards: [
      { ...giver, given: moved },
      { ...taker, taken: moved },
    ] as JobReport['shards'],
    ...others,
  };
}

export const DONE = jobAt(200, { state: 'done', step: '', endedAt: JOB.startedAt + 65_000 });

export const PLAN: PlanReport = {
  wish: JOB.wish,
  shardsNow: 3,
  slotsToMove: 200,
  keysToMove: 12_345,
  bytesToMove: 3 * 1024 * 1024,
  shards: [
    { address: 'a:1', slotsBefore: 16_384, slotsAfter: 16_184 },
    { address: '', slotsBefore: 0, slotsAfter: 200 },
  ],
  nodes: ['b:22 joins as a primary'],
};

export const STATUS: ClusterReport = {
  shards: [
    {
      shard: 0,
      primary: 'a:1',
      slots: 16_184,
      keys: 12_345,
      usedBytes: 3 * 1024 ** 3,
      maxBytes: 4 * 1024 ** 3,
      state: 'up',
      replicas: [
        { address: 'c:3', state: 'up', stalenessMs: 12.4, lagBytes: 0 },
        { address: 'd:4', state: 'down', stalenessMs: null, lagBytes: null },
      ],
    },
    {
      shard: 1,
      primary: 'b:22',
      slots: 200,
      keys: null,
      usedBytes: null,
      maxBytes: null,
      state: 'suspect',
      replicas: [],
    },
  ],
  free: ['e:5'],
  skew: { slots: 1.975, bytes: 1, keys: 1.5 },
  slotsInMotion: 1,
  slotsUnowned: 0,
  job: jobAt(50),
};

export class FakeScaling implements ScalingApi {
  readonly asked: (readonly unknown[])[] = [];
  /** What a job's report is, each time that it is asked for; the last one stays. */
  reports: readonly (JobReport | null | Error)[] = [DONE];
  /** Thrown in place of any answer. */
  refusal: Error | null = null;
  statusNow: ClusterReport | null = STATUS;

  async status(): Promise<object | null> {
    return this.#answer(['status'], this.statusNow);
  }

  async plan(kind: ScalingKind, request: ScaleRequest): Promise<object> {
    return this.#answer(['plan', kind, request], PLAN);
  }

  async start(kind: ScalingKind, request: ScaleRequest): Promise<object> {
    return this.#answer(['start', kind, request], { ...JOB, kind });
  }

  async jobs(): Promise<readonly object[]> {
    return this.#answer(['jobs'], [JOB, DONE]);
  }

  async job(id: string): Promise<object | null> {
    const [next = null, ...rest] = this.reports;
    if (rest.length > 0) this.reports = rest;
    if (next instanceof Error) throw next;
    return this.#answer(['job', id], id === JOB.id ? next : null);
  }

  async steer(id: string, order: JobOrder): Promise<object> {
    return this.#answer(['steer', id, order], { ...JOB, state: 'pausing' });
  }

  #answer<T>(asked: readonly unknown[], answer: T): T {
    if (this.refusal !== null) throw this.refusal;
    this.asked.push(asked);
    return answer;
  }
}
