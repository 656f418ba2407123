/**
 * When to poll next. No clock and no timer of its own: times are monotonic milliseconds given by
 * the caller, so that every rule here is tested without waiting.
 *
 * - every `refreshIntervalMs`, with jitter so that many proxies do not ask in step;
 * - at once on a hint, then at most every {@link HINT_GAP_MS} while hints keep coming. A hint that
 *   arrives while a poll runs causes another one: that poll may have asked too early;
 * - at once on demand, when somebody waits for it, at most every {@link DEMAND_GAP_MS};
 * - faster while a slot has no answering primary; with a growing pause while nobody answers;
 * - in a large cluster for no more than a fifth of this process' time, but once a second.
 */

export const HINT_GAP_MS = 100;
const DEMAND_GAP_MS = 10;
const INCOMPLETE_GAP_MS = 200;
/** A shard that stays dead this long is not a failover in progress: it is polled less often. */
const INCOMPLETE_FAST_MS = 30_000;
const INCOMPLETE_SLOW_GAP_MS = 1000;
const SILENT_GAP_MAX_MS = 1000;
const BUSY_GAP_FACTOR = 5;
const BUSY_GAP_MAX_MS = 1000;

export interface PollResult {
  /** At least one node answered. */
  readonly answered: boolean;
  /** Every slot has a primary that answered. */
  readonly complete: boolean;
  /** Processor time that reading and merging the answers took from this process. */
  readonly busyMs: number;
}

export class PollSchedule {
  readonly #refreshIntervalMs: number;
  readonly #random: () => number;
  #startedAt = Number.NEGATIVE_INFINITY;
  #endedAt = Number.NEGATIVE_INFINITY;
  #result: PollResult = { answered: false, complete: false, busyMs: 0 };
  #silentPolls = 0;
  #incompleteSince: number | null = null;
  #intervalMs = 0;
  #hinted = false;
  #demanded = false;

  constructor(refreshIntervalMs: number, random: () => number) {
    this.#refreshIntervalMs = refreshIntervalMs;
    this.#random = random;
  }

  onHint(): void {
    this.#hinted = true;
  }

  onDemand(): void {
    this.#demanded = true;
  }

  onPollStarted(now: number): void {
    this.#startedAt = now;
    this.#hinted = false;
    this.#demanded = false;
    this.#intervalMs = this.#refreshIntervalMs * (0.9 + 0.2 * this.#random());
  }

  onPollEnded(now: number, result: PollResult): void {
    this.#endedAt = now;
    this.#result = result;
    this.#silentPolls = result.answered ? 0 : this.#silentPolls + 1;
    if (result.complete) this.#incompleteSince = null;
    else this.#incompleteSince ??= now;
  }

  /** When the next poll is due; it may lie in the past. Meaningful while no poll runs. */
  nextAt(): number {
    const earliest = this.#startedAt + this.#leastGapMs(HINT_GAP_MS);
    if (this.#demanded) return this.#startedAt + this.#leastGapMs(DEMAND_GAP_MS);
    if (this.#hinted) return earliest;
    return Math.max(earliest, this.#regularAt());
  }

  #leastGapMs(gapMs: number): number {
    const busyGapMs = this.#result.busyMs * BUSY_GAP_FACTOR;
    return Math.max(gapMs, Math.min(busyGapMs, BUSY_GAP_MAX_MS));
  }

  #regularAt(): number {
    if (!this.#result.answered) {
      const pause = HINT_GAP_MS * 2 ** Math.min(this.#silentPolls - 1, 10);
      return this.#endedAt + Math.min(pause, SILENT_GAP_MAX_MS);
    }
    if (this.#incompleteSince === null) return this.#startedAt + this.#intervalMs;
    const fast = this.#endedAt - this.#incompleteSince < INCOMPLETE_FAST_MS;
    const gap = fast ? INCOMPLETE_GAP_MS : INCOMPLETE_SLOW_GAP_MS;
    return this.#startedAt + Math.min(gap, this.#intervalMs);
  }
}
