/** Longest time without a success, over all clients of one kind, since the last mark. Pure. */

export interface Gap {
  /** Milliseconds from the last success before to the first one after. */
  readonly ms: number;
  /** Monotonic moment of the first success after it. */
  readonly endedAt: number;
}

export class GapMeter {
  #lastAt: number;
  #longest: Gap = { ms: 0, endedAt: 0 };
  #successes = 0;

  constructor(now: number) {
    this.#lastAt = now;
  }

  /** Since the mark. */
  get successes(): number {
    return this.#successes;
  }

  get lastAt(): number {
    return this.#lastAt;
  }

  get longest(): Gap {
    return this.#longest;
  }

  onSuccess(now: number): void {
    this.#successes++;
    const ms = now - this.#lastAt;
    if (ms > this.#longest.ms) this.#longest = { ms, endedAt: now };
    this.#lastAt = now;
  }

  /** Forgets the longest gap; the next one is counted from the last success, before or after. */
  mark(): void {
    this.#longest = { ms: 0, endedAt: 0 };
    this.#successes = 0;
  }
}
