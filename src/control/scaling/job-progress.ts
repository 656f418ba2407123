/** How far a job has come: counted here, shown as a JobReport. */

import type { JobEvent, JobKind, JobReport, JobState, ScaleWish } from './job-report.ts';

const EVENTS_MAX = 50;
/** A rate is taken over so many seconds at least. */
const ETA_AFTER_MS = 2000;

interface ShardCount {
  gives: number;
  given: number;
  takes: number;
  taken: number;
}

export class JobProgress {
  readonly id: string;
  readonly kind: JobKind;
  readonly wish: ScaleWish;
  state: JobState = 'running';
  problem = '';
  keysMoved = 0;
  bytesMoved = 0;
  readonly startedAt: number;
  endedAt = 0;
  #step = '';
  /** Slots at rest at their new owners; and those that were to move, by the plans so far. */
  #moved = 0;
  #total = 0;
  #movingSince = 0;
  #movedBefore = 0;
  readonly #shards = new Map<string, ShardCount>();
  readonly #events: JobEvent[] = [];
  /** Unix milliseconds. */
  readonly #clock: () => number;

  constructor(id: string, kind: JobKind, wish: ScaleWish, startedAt: number, clock: () => number) {
    this.id = id;
    this.kind = kind;
    this.wish = wish;
    this.startedAt = startedAt;
    this.#clock = clock;
  }

  get hasEnded(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'cancelled';
  }

  get slotsMoved(): number {
    return this.#moved;
  }

  event(text: string): void {
    this.#events.push({ at: this.#clock(), text });
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
  }

  step(text: string): void {
    if (this.#step === text) return;
    this.#step = text;
    this.event(text);
  }

  /** What is still to be moved, by address of the primaries: of this plan. */
  plan(
    moves: readonly { readonly from: string; readonly to: string; readonly slots: number }[],
  ): void {
    this.#total = this.#moved;
    for (const count of this.#shards.values()) {
      count.gives = count.given;
      count.takes = count.taken;
    }
    for (const { from, to, slots } of moves) {
      this.#total += slots;
      this.#count(from).gives += slots;
      this.#count(to).takes += slots;
    }
    this.#movingSince = this.#clock();
    this.#movedBefore = this.#moved;
  }

  #count(address: string): ShardCount {
    const count = this.#shards.get(address) ?? { gives: 0, given: 0, takes: 0, taken: 0 };
    this.#shards.set(address, count);
    return count;
  }

  onSlots(from: string, to: string, slots: number): void {
    this.#moved += slots;
    // Those of a move that somebody else began were in no plan.
    this.#total = Math.max(this.#total, this.#moved);
    const [giver, taker] = [this.#count(from), this.#count(to)];
    giver.given += slots;
    taker.taken += slots;
    giver.gives = Math.max(giver.gives, giver.given);
    taker.takes = Math.max(taker.takes, taker.taken);
  }

  end(state: 'done' | 'failed' | 'cancelled', problem = ''): void {
    this.state = state;
    this.problem = problem;
    this.endedAt = this.#clock();
    this.step(problem === '' ? state : `${state}: ${problem}`);
  }

  report(): JobReport {
    const { id, kind, wish, state, problem, startedAt, endedAt, keysMoved, bytesMoved } = this;
    return {
      id,
      kind,
      wish,
      state,
      problem,
      step: this.#step,
      startedAt,
      endedAt,
      slots: { moved: this.#moved, total: this.#total },
      keysMoved,
      bytesMoved,
      etaSeconds: this.#eta(),
      shards: [...this.#shards].map(([address, count]) => ({ address, ...count })),
      events: [...this.#events],
    };
  }

  #eta(): number | null {
    const [moved, rest] = [this.#moved - this.#movedBefore, this.#total - this.#moved];
    const ms = this.#clock() - this.#movingSince;
    if (this.state !== 'running' || rest === 0 || moved === 0 || ms < ETA_AFTER_MS) return null;
    return Math.ceil((rest * ms) / moved / 1000);
  }
}
