/** What is kept of a job in the cluster while it is under way, and its lease. */

import type { LeavingNode } from './fleet.ts';
import type { JobLease } from './job-lease.ts';
import type { JobKind, ScaleWish } from './job-report.ts';

export interface JobRecord {
  readonly id: string;
  readonly kind: JobKind;
  readonly wish: ScaleWish;
  readonly startedAt: number;
  readonly paused: boolean;
  /** It was given up: only what it left half-way is to be ended. */
  readonly failed: boolean;
  /** Slots that may be half-way. */
  readonly window: readonly number[];
  /** Of the primaries' processes, by node id. */
  readonly runIds: Readonly<Record<string, string>>;
  readonly leaving: readonly LeavingNode[];
}

/** One write at a time: one that is late must not bring back what a later one has replaced. */
export class RecordKeeper {
  readonly #lease: JobLease;
  readonly #record: () => JobRecord;
  #turn: Promise<void> = Promise.resolve();
  #isHeld = false;
  #isReleased = false;

  /** `record`: as it is when its turn comes. */
  constructor(lease: JobLease, record: () => JobRecord) {
    this.#lease = lease;
    this.#record = record;
  }

  /** From the first write on. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Takes or renews the lease and writes the record. @throws LeaseTaken, NodeCallError */
  keep(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isReleased) return;
      await this.#lease.take(JSON.stringify(this.#record()));
      this.#isHeld = true;
    });
  }

  /** The job is over: lease and record go. */
  release(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isReleased = true;
      await this.#lease.release();
    });
  }

  /** The record stays, for whoever comes next. */
  handOver(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isReleased = true;
      if (this.#isHeld) await this.#lease.leave();
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
