/**
 * What one session has written lately, so that it never reads from a replica that may miss it.
 *
 * Kept per bucket of 256 slots, which no change of the cluster can renumber: a bucket is dirty from
 * the moment a write for it is sent, and its replicas are good again once they are known to have
 * everything that was acknowledged before the client had its answer.
 */

const BUCKET_SHIFT = 8;
const BUCKETS = 64;
/** Writes whose keys are not known: scripts, several slots, the whole keyspace. */
const ANY = BUCKETS;

export class WriteMarks {
  /** Monotonic ms of the last answer to a write. */
  readonly #answeredAt = new Float64Array(BUCKETS + 1);
  readonly #inFlight = new Uint32Array(BUCKETS + 1);

  /** A write is on its way; `slot` below 0: it may concern any key. */
  onSent(slot: number): void {
    const bucket = bucketOf(slot);
    this.#inFlight[bucket] = (this.#inFlight[bucket] as number) + 1;
  }

  /** Its client has the answer, or never will. */
  onAnswered(slot: number, now: number): void {
    const bucket = bucketOf(slot);
    this.#inFlight[bucket] = (this.#inFlight[bucket] as number) - 1;
    this.#answeredAt[bucket] = now;
  }

  /** What a replica must have to serve this slot: all writes before this moment; Infinity: none may. */
  dirtySince(slot: number): number {
    const bucket = slot >> BUCKET_SHIFT;
    if (this.#inFlight[bucket] !== 0 || this.#inFlight[ANY] !== 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.#answeredAt[bucket] as number, this.#answeredAt[ANY] as number);
  }
}

function bucketOf(slot: number): number {
  return slot < 0 ? ANY : slot >> BUCKET_SHIFT;
}

/** Which buckets reads from replicas are under way for, as bits of two integers. */
export class ReadMarks {
  /** Commands with such reads whose client has no answer yet. */
  count = 0;
  #low = 0;
  #high = 0;

  add(slot: number): void {
    this.count++;
    if (slot < 0) {
      this.#low = -1;
      this.#high = -1;
      return;
    }
    const bucket = slot >> BUCKET_SHIFT;
    // A shift takes its count modulo 32.
    if (bucket < 32) this.#low |= 1 << bucket;
    else this.#high |= 1 << bucket;
  }

  remove(): void {
    if (--this.count > 0) return;
    this.#low = 0;
    this.#high = 0;
  }

  has(slot: number): boolean {
    if (slot < 0) return this.count > 0;
    const bucket = slot >> BUCKET_SHIFT;
    return ((bucket < 32 ? this.#low : this.#high) & (1 << bucket)) !== 0;
  }
}
