/** Latencies in buckets 2 % wide, from a microsecond up: as many as there are, in fixed memory. */

const GROWTH = 1.02;
const LOWEST_MS = 0.001;
/** Up to some 7 minutes; what takes longer is counted as that, and `maxMs` tells it exactly. */
const BUCKETS = 1000;

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  add(ms: number): void {
    const bucket = Math.floor(Math.log(Math.max(ms, LOWEST_MS) / LOWEST_MS) / Math.log(GROWTH));
    const index = Math.min(bucket, BUCKETS - 1);
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.#count++;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Nearest rank, `fraction` in (0, 1]; NaN while empty. */
  percentile(fraction: number): number {
    if (this.#count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index] as number;
      // The middle of the bucket, but never more than was ever seen.
      if (seen >= rank) return Math.min(LOWEST_MS * GROWTH ** (index + 0.5), this.#maxMs);
    }
    return this.#maxMs;
  }
}
