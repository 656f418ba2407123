/**
 * One change of the cluster's layout, from whatever it is to what is wished:
 *
 *     lease ─ open slots ended ─ nodes join ─ replicas join ─ slots move ─ drained nodes leave ─ again
 *
 * A pass looks at the cluster, plans, and does; what it finds done it need not do. So a pass that broke
 * off is simply begun again, by this process or by the next one: there is no other state than the wish,
 * the window that is under way and the processes of the nodes, and these are in the cluster (JobLease).
 * The job is over when a pass finds nothing to do.
 */

import { errorText } from '../../lib/errors.ts';
import { nodeAddress } from '../../topology/snapshot.ts';
import type { ControlLog } from '../control-log.ts';
import { askServer } from '../failover/node-questions.ts';
import { ReplaceFailed } from '../failover/spare-nodes.ts';
import { NodeCallError } from '../node-client.ts';
import type { NodeLogin } from '../node-login.ts';
import { alone } from './cluster-layout.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { type JobLease, LEASE_MS, LeaseTaken } from './job-lease.ts';
import type { JobProgress } from './job-progress.ts';
import { type JobRecord, RecordKeeper } from './job-record.ts';
import { NodesMissing } from './layout.ts';
import {
  type DrainedWindow,
  MoveFailed,
  type MoverWorkers,
  type MoveWindow,
  type SlotLeft,
} from './move-parties.ts';
import { Pace, type PaceSettings } from './pace.ts';
import { plannedPairs } from './planned-pairs.ts';
import { SlotMover, shownKey } from './slot-mover.ts';
import { SlotRepair } from './slot-repair.ts';
import { type PlannedPair, transferSlots } from './slot-transfer.ts';

/** scaling.*; they may change while a job runs. */
export interface ScalingSettings extends PaceSettings {
  readonly parallel: number;
  readonly bigKeyBytes: number;
}

export interface ScaleJobOptions extends FleetOptions {
  readonly workers: MoverWorkers;
  readonly lease: JobLease;
  readonly login: () => NodeLogin;
  readonly settings: () => ScalingSettings;
  readonly onMoved: (slots: number, keys: number, bytes: number) => void;
  readonly log: ControlLog;
}

const WORKERS_MS = 1000;
/** A pass that failed is begun again after so long, and given up when nothing came of it for so long. */
const AGAIN_MS = 1000;
const GIVE_UP_MS = 5 * 60_000;

export class ScaleJob {
  readonly progress: JobProgress;
  readonly #options: ScaleJobOptions;
  readonly #keeper: RecordKeeper;
  readonly #mover: SlotMover;
  readonly #repair: SlotRepair;
  readonly #pace: Pace;
  /** Slots of the windows under way. */
  readonly #open = new Set<number>();
  #runIds: Readonly<Record<string, string>>;
  #leftOpen: readonly number[];
  /** What is half-way was begun by this very object. */
  #isWitness: boolean;
  readonly #fleet: Fleet;
  #left: readonly SlotLeft[] = [];
  #order: 'go' | 'pause' | 'cancel' | 'stop' = 'go';
  #lost: LeaseTaken | null = null;
  #hasFailed = false;
  #wake: () => void = () => {};

  constructor(options: ScaleJobOptions, progress: JobProgress, record: JobRecord | null) {
    this.#options = options;
    this.progress = progress;
    this.#runIds = record?.runIds ?? {};
    this.#leftOpen = record?.window ?? [];
    this.#isWitness = record === null;
    if (record?.paused === true) this.#order = 'pause';
    // Only what it left half-way is ended.
    if (record?.failed === true) this.#order = 'cancel';
    this.#pace = new Pace(options.settings);
    this.#keeper = new RecordKeeper(options.lease, () => this.#record());
    this.#fleet = new Fleet(options, record?.leaving);
    const { movesBigKeys } = progress.wish;
    this.#mover = new SlotMover({
      ...options,
      pace: this.#pace,
      bigKeyBytes: () => (movesBigKeys ? Number.POSITIVE_INFINITY : options.settings().bigKeyBytes),
      onProgress: ({ keys, bytes }) => {
        progress.keysMoved += keys;
        progress.bytesMoved += bytes;
        options.onMoved(0, keys, bytes);
      },
      onWindow: (times) => options.log.debug({ job: progress.id, ...times }, 'slots were moved'),
      onBigKey: ({ key, bytes, slot }) => {
        const text = `key ${shownKey(key)} of slot ${slot} (${bytes} bytes) moves alone: its nodes pause for it`;
        progress.event(text);
      },
    });
    this.#repair = new SlotRepair({
      nodes: options.nodes,
      finish: async (window) => (await this.#move(window)).finished,
      hasLeft: (slot, key) => this.#mover.hasLeft(slot, key),
    });
  }

  pause(): void {
    if (this.#order === 'go') this.#order = 'pause';
    if (this.progress.state === 'running') this.progress.state = 'pausing';
  }

  resume(): void {
    if (this.#order === 'pause') this.#order = 'go';
    if (this.progress.state === 'pausing') this.progress.state = 'running';
    this.#wake();
  }

  cancel(): void {
    this.#order = 'cancel';
    if (!this.progress.hasEnded) this.progress.state = 'cancelling';
    this.#wake();
  }

  /** This process ends: the windows under way are finished, the rest is for whoever comes next. */
  stop(): void {
    this.#order = 'stop';
    this.#wake();
  }

  /** Never rejects: what went wrong is in the progress. */
  async run(): Promise<void> {
    await Promise.all([this.#runPasses(), this.#renew()]);
  }

  /** Steps may take longer than the lease lasts. */
  async #renew(): Promise<void> {
    for (;;) {
      await this.#options.pause(LEASE_MS / 4);
      if (this.progress.hasEnded || this.#order === 'stop') return;
      if (this.#lost !== null || !this.#keeper.isHeld) continue;
      await this.#keeper.keep().catch((error: unknown) => {
        // What cannot be reached now is tried again, here and by the pass.
        if (error instanceof LeaseTaken) this.#lost = error;
      });
    }
  }

  async #runPasses(): Promise<void> {
    const { log, now, pause } = this.#options;
    let provenAt = now();
    let moved = -1;
    for (;;) {
      try {
        if (this.#order === 'stop') return await this.#keeper.handOver();
        if (await this.#pass()) return;
        this.progress.problem = '';
        provenAt = now();
      } catch (error) {
        // What was done since the last look counts as well: a pass may have lasted for hours.
        if (this.progress.keysMoved + this.progress.slotsMoved !== moved) {
          moved = this.progress.keysMoved + this.progress.slotsMoved;
          provenAt = now();
        }
        const text = errorText(error);
        if (!isExpected(error) || now() - provenAt > GIVE_UP_MS) {
          log.error(
            { err: error, job: this.progress.id },
            'scaling ended before its end: slots that were begun stay open until the next job or slotgate start ends them',
          );
          return await this.#giveUp(error, text);
        }
        this.progress.problem = text;
        this.progress.event(text);
        log.warn(
          { job: this.progress.id, reason: text },
          'scaling met an obstacle and tries again',
        );
        await pause(AGAIN_MS);
      }
    }
  }

  /** What is half-way stays so, and is ended by the next job or the next start of a slotgate. */
  async #giveUp(error: unknown, problem: string): Promise<void> {
    this.#hasFailed = true;
    const { log, workers } = this.#options;
    const tried = (work: Promise<unknown>, failure: string): Promise<unknown> =>
      work.catch((err: unknown) => log.warn({ err, job: this.progress.id }, failure));
    // Whoever has taken the lease has written what it is at, and may have ended since.
    if (!(error instanceof LeaseTaken) && this.#lost === null) {
      await tried(this.#keeper.keep(), 'the record of a failed job is as it was');
    }
    const ended = workers.broadcast('move.end', { slots: null, owner: '' }, WORKERS_MS);
    await tried(ended, 'the workers were not told of the end of a failed job');
    this.progress.end('failed', problem);
  }

  /** True when the job is over. */
  async #pass(): Promise<boolean> {
    const tell = (step: string): void => this.progress.step(step);
    if (this.#order === 'go') this.progress.state = 'running';
    await this.#keeper.keep();
    await this.#endOpenSlots();
    if (this.#order === 'stop') return false;
    if (this.#order !== 'go') return this.#stopHere();
    if (this.progress.wish.by !== 'slots') tell(`weighing slots by ${this.progress.wish.by}`);
    const situation = await this.#fleet.look(this.progress.wish, true);
    await this.#fleet.announceLeaving(situation);
    await this.#keeper.keep();
    if (await this.#fleet.dismiss(situation, tell)) return false;
    if (await this.#fleet.join(situation, tell)) return false;
    const { plan, layout, weights, snapshot } = situation;
    const fresh = this.#fleet.newPrimaries(plan);
    const stays = new Set(this.#left.map(({ slot }) => slot));
    const pairs = plannedPairs(plan, layout, weights, fresh, stays);
    if (pairs.length > 0) return this.#moveAll(pairs);
    if (await this.#fleet.leave(situation, tell)) return false;
    await this.#fleet.agree(snapshot);
    return this.#finish(plan.missing);
  }

  async #finish(missing: number): Promise<true> {
    const { log } = this.#options;
    await this.#keeper.release();
    const [left] = this.#left;
    const problems: string[] = [];
    if (left !== undefined) {
      problems.push(
        `${this.#left.length} slots stay where they are, the first is ${left.slot}: ${left.why} (--big-keys move)`,
      );
    }
    if (missing > 0) {
      problems.push(`${missing} replicas are missing: nodes have died, name others with --nodes`);
    }
    if (problems.length === 0) this.progress.end('done');
    else this.progress.end('failed', problems.join('; '));
    const { id, slotsMoved, keysMoved, bytesMoved } = this.progress;
    const counts = { job: id, slots: slotsMoved, keys: keysMoved, bytes: bytesMoved };
    log.info(counts, `scaling ${this.progress.state}`);
    return true;
  }

  async #stopHere(): Promise<boolean> {
    if (this.#order === 'cancel') {
      await this.#keeper.release();
      this.progress.end('cancelled');
      return true;
    }
    this.progress.state = 'paused';
    this.progress.step('paused');
    const resumed = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    while (this.#order === 'pause') {
      await this.#keeper.keep();
      await Promise.race([resumed, this.#options.pause(LEASE_MS / 3)]);
    }
    if (this.#order === 'go') this.progress.state = 'running';
    return false;
  }

  #record(): JobRecord {
    const { id, kind, wish, startedAt } = this.progress;
    return {
      id,
      kind,
      wish,
      startedAt,
      paused: this.#order === 'pause',
      failed: this.#hasFailed,
      window: [...new Set([...this.#leftOpen, ...this.#open])],
      runIds: this.#runIds,
      leaving: this.#fleet.leaving,
    };
  }

  async #endOpenSlots(): Promise<void> {
    const { nodes } = this.#options;
    const snapshot = await this.#fleet.picture();
    const layout = await this.#fleet.layout(snapshot);
    const placed = [...layout.shards, ...layout.free.map(alone)];
    // Those that are to leave are in neither list once they own nothing.
    const others = snapshot.nodes.filter(
      ({ id, role, failed }) =>
        role === 'primary' && !failed && !placed.some(({ primary }) => primary.id === id),
    );
    const shards = [...placed, ...others.map(alone)];
    const primaries = shards.map(({ primary }) => primary);
    const ended = await this.#repair.run({
      primaries,
      replicasOf: (node) => shards.find(({ primary }) => primary.id === node.id)?.replicas ?? [],
      ownerOf: (slot) => layout.owners[slot] ?? -1,
      window: this.#leftOpen,
      runIds: this.#runIds,
      isWitness: this.#isWitness,
    });
    this.#isWitness = true;
    await this.#options.workers.broadcast('move.end', { slots: null, owner: '' }, WORKERS_MS);
    if (ended > 0) this.progress.event(`${ended} slots that were half-way are at rest`);
    this.#leftOpen = [];
    this.#open.clear();
    const servers = await Promise.all(primaries.map((node) => askServer(nodes, node)));
    this.#runIds = Object.fromEntries(
      primaries.map(({ id }, at) => [id, servers[at]?.runId ?? '']),
    );
  }

  async #moveAll(pairs: readonly PlannedPair[]): Promise<boolean> {
    this.progress.plan(
      pairs.map(({ from, to, slots }) => ({
        from: nodeAddress(from),
        to: nodeAddress(to),
        slots: slots.length,
      })),
    );
    this.progress.step('slots move');
    const left = await transferSlots(pairs, {
      move: async (window) => {
        for (const slot of window.slots) this.#open.add(slot);
        await this.#keeper.keep();
        const drained = await this.#move(window);
        const finished = drained.finished.then(() => {
          for (const slot of window.slots) this.#open.delete(slot);
        });
        return { ...drained, finished };
      },
      pace: this.#pace,
      parallel: this.#options.settings().parallel,
      mayGoOn: () => this.#order === 'go' && this.#lost === null,
    }).catch((error: unknown) => {
      this.#leftOpen = [...this.#open];
      throw error;
    });
    this.#left = [...this.#left, ...left];
    if (this.#lost !== null) throw this.#lost;
    return false;
  }

  async #move(window: MoveWindow): Promise<DrainedWindow> {
    const { left, finished } = await this.#mover.move(window);
    const moved = window.slots.length - left.length;
    return {
      left,
      finished: finished.then(() => {
        this.progress.onSlots(nodeAddress(window.from), nodeAddress(window.to), moved);
        // What kept it from moving is over; it stays among the events.
        this.progress.problem = '';
        this.#options.onMoved(moved, 0, 0);
      }),
    };
  }
}

function isExpected(error: unknown): boolean {
  return (
    error instanceof MoveFailed ||
    error instanceof NodeCallError ||
    error instanceof ReplaceFailed ||
    error instanceof NodesMissing
  );
}
