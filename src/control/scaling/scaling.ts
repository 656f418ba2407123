/**
 * Scaling as control offers it: one job at a time, plans that only look, and the job that a process
 * before this one has left.
 */

import { randomUUID } from 'node:crypto';
import { withDeadline } from '../../lib/deadline.ts';
import { errorText } from '../../lib/errors.ts';
import type { Snapshot } from '../../topology/snapshot.ts';
import { NodeCallError } from '../node-client.ts';
import { parseSpec } from './catalogue.ts';
import { JobLease, LEASE_MS, LeaseTaken } from './job-lease.ts';
import { JobProgress } from './job-progress.ts';
import type { JobRecord } from './job-record.ts';
import type { JobKind, JobReport, PlanReport, ScaleWish } from './job-report.ts';
import { ScaleJob, type ScaleJobOptions } from './scale-job.ts';
import { planReport } from './scale-plan.ts';
import type { ScaleRequest } from './scale-request.ts';
import { ScalingMetrics } from './scaling-metrics.ts';

export type ScalingRefusalReason =
  | 'no-cluster'
  | 'busy' // another job is under way, here or elsewhere
  | 'unknown-job'
  | 'not-now'; // nodes are missing, or the cluster is not whole

export class ScalingRefused extends Error {
  readonly reason: ScalingRefusalReason;

  constructor(reason: ScalingRefusalReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'ScalingRefused';
    this.reason = reason;
  }
}

export interface ScalingOptions extends Omit<ScaleJobOptions, 'lease' | 'onMoved'> {
  /** Told while replicas come and go by a job's will. */
  readonly onJob: (isUnderWay: boolean) => void;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

const STOP_MS = 2000;
/** Of jobs that have ended. */
const KEPT_MAX = 20;

export class Scaling {
  readonly #options: ScalingOptions;
  readonly #holder = randomUUID();
  /** The newest last. */
  readonly #jobs: ScaleJob[] = [];
  readonly #metrics = new ScalingMetrics(() => this.#running()[0]?.progress.report() ?? null);
  readonly #runs = new Set<Promise<void>>();
  #isKnown = false;
  #stopped = false;

  constructor(options: ScalingOptions) {
    this.#options = options;
  }

  /** With the first picture of the cluster, whatever an earlier process has begun is gone on with. */
  onSnapshot({ mode }: Snapshot): void {
    if (this.#isKnown || mode !== 'cluster') return;
    this.#isKnown = true;
    void this.#goOn();
  }

  /** Resolves when nothing is half-way any more, or after two seconds. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const job of this.#running()) job.stop();
    await withDeadline(Promise.all(this.#runs), STOP_MS, () => undefined);
  }

  /** For Exposition.add. */
  get metrics(): ScalingMetrics['all'] {
    return this.#metrics.all;
  }

  get jobs(): readonly JobReport[] {
    return this.#jobs.map(({ progress }) => progress.report());
  }

  /** The one under way, else the last. */
  get latest(): JobReport | null {
    return this.jobs.at(-1) ?? null;
  }

  job(id: string): JobReport | null {
    return this.jobs.find((job) => job.id === id) ?? null;
  }

  /** @throws ScalingRefused */
  async plan(request: ScaleRequest): Promise<PlanReport> {
    const wish = this.#wish(request);
    try {
      return await planReport(this.#options, wish);
    } catch (error) {
      throw new ScalingRefused('not-now', errorText(error), error);
    }
  }

  /** @throws ScalingRefused */
  async start(kind: JobKind, request: ScaleRequest): Promise<JobReport> {
    const wish = this.#wish(request);
    this.#requireIdle();
    await this.plan(request);
    const lease = this.#lease();
    const left = await this.#take(lease);
    this.#requireIdle();
    const id = randomUUID().slice(0, 8);
    const { clock } = this.#options;
    // What another wish let go may be wanted now.
    const record = left === null ? null : { ...left, paused: false, failed: false, leaving: [] };
    const progress = new JobProgress(id, kind, wish, clock(), clock);
    return this.#run(new ScaleJob(this.#jobOptions(lease), progress, record));
  }

  /** @throws ScalingRefused */
  steer(id: string, order: 'pause' | 'resume' | 'cancel'): JobReport {
    const job = this.#jobs.find(({ progress }) => progress.id === id);
    if (job === undefined) {
      throw new ScalingRefused('unknown-job', `there is no job ${id}: see slotgate jobs list`);
    }
    if (job.progress.hasEnded) {
      throw new ScalingRefused('busy', `job ${id} has ended: it is ${job.progress.state}`);
    }
    job[order]();
    return job.progress.report();
  }

  #requireIdle(): void {
    const [running] = this.#running();
    if (running === undefined) return;
    const { id } = running.progress;
    throw new ScalingRefused('busy', `job ${id} is under way: slotgate jobs show ${id}`);
  }

  #running(): ScaleJob[] {
    return this.#jobs.filter(({ progress }) => !progress.hasEnded);
  }

  #lease(): JobLease {
    return new JobLease({ ...this.#options, holder: this.#holder });
  }

  #jobOptions(lease: JobLease): ScaleJobOptions {
    const onMoved = (slots: number, keys: number, bytes: number): void =>
      this.#metrics.moved(slots, keys, bytes);
    return { ...this.#options, lease, onMoved };
  }

  async #take(lease: JobLease): Promise<JobRecord | null> {
    try {
      const record = await lease.take('');
      return record === '' ? null : (JSON.parse(record) as JobRecord);
    } catch (error) {
      const reason = error instanceof LeaseTaken ? 'busy' : 'not-now';
      throw new ScalingRefused(reason, errorText(error), error);
    }
  }

  #run(job: ScaleJob): JobReport {
    const { log, onJob } = this.#options;
    const { id, kind, wish } = job.progress;
    this.#jobs.push(job);
    while (this.#jobs.length > KEPT_MAX) this.#jobs.shift();
    log.info({ job: id, ...wish }, `${kind} begins`);
    onJob(true);
    const run = job.run().finally(() => {
      this.#runs.delete(run);
      onJob(false);
      const { state } = job.progress;
      if (state === 'done' || state === 'failed' || state === 'cancelled') {
        this.#metrics.ended(state);
      }
    });
    this.#runs.add(run);
    return job.progress.report();
  }

  /** The lease of a process that died runs out within seconds; that of another slotgate does not. */
  async #goOn(): Promise<void> {
    const { clock, log, now, pause } = this.#options;
    const lease = this.#lease();
    const until = now() + 3 * LEASE_MS;
    while (!this.#stopped) {
      try {
        if ((await lease.read()) === '') return;
        const record = await this.#take(lease);
        if (record === null || this.#running().length > 0) return;
        const { id, kind, wish, startedAt } = record;
        const progress = new JobProgress(id, kind, wish, startedAt, clock);
        progress.event('goes on: the slotgate that began it has ended');
        this.#run(new ScaleJob(this.#jobOptions(lease), progress, record));
        return;
      } catch (error) {
        const isTaken = error instanceof ScalingRefused && error.reason === 'busy';
        if (isTaken && now() > until) {
          log.info({ reason: errorText(error) }, 'a scaling job is left to whoever holds it');
          return;
        }
        if (error instanceof NodeCallError && error.failure.code === 'auth') {
          log.info({ reason: error.message }, 'no scaling job can be looked for, nor begun');
          return;
        }
        await pause(LEASE_MS / 4);
      }
    }
  }

  #wish(request: ScaleRequest): ScaleWish {
    const snapshot = this.#options.nodes.snapshot();
    if (snapshot === null) {
      throw new ScalingRefused('not-now', 'nothing is known of the cluster yet: see /readyz');
    }
    if (snapshot.mode !== 'cluster') {
      throw new ScalingRefused('no-cluster', 'the upstream is no Redis Cluster: it has no slots');
    }
    return wishOf(request, snapshot);
  }
}

/** The request has been checked; what it does not say stays as it is. */
function wishOf(request: ScaleRequest, { shards, slots }: Snapshot): ScaleWish {
  const spec = request.spec === undefined ? undefined : parseSpec(request.spec, request.any);
  const owning = shards.filter((_, shard) => slots.includes(shard));
  const most = Math.max(...owning.map((shard) => shard.replicas.length));
  const replicas = spec?.replicas ?? request.replicas;
  return {
    shards: spec?.shards ?? request.shards ?? owning.length,
    replicas: replicas ?? most,
    leavesReplicas: replicas === undefined,
    by: request.by ?? 'slots',
    nodes: request.nodes ?? [],
    movesBigKeys: request.bigKeys === 'move',
  };
}
