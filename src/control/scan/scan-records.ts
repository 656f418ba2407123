/**
 * The scan states behind the cursors that clients hold. A state is never changed: each call makes a
 * new one with a cursor of its own, and the last few of each scan are kept, so that a client whose
 * reply was lost asks again with the cursor that it has and gets the same keys again.
 *
 * Bounded: the scans unused for longest are forgotten, those that were never gone on with before
 * others, and any after {@link EXPIRY_MS}. A cursor that is not known starts from the beginning.
 */

import type { ScanState } from './scan-state.ts';

/** Scans gone on with, and as many that were only begun; a state has 2 to 8 KB. */
export const SCANS_MAX = 2048;
/** States kept of one scan. */
export const STATES_PER_SCAN = 8;
export const EXPIRY_MS = 6 * 3600 * 1000;

interface Scan {
  readonly cursors: bigint[];
  usedAt: number;
}

interface Kept {
  readonly scan: Scan;
  readonly state: ScanState;
}

export class ScanRecords {
  readonly #now: () => number;
  readonly #states = new Map<bigint, Kept>();
  /** In the order of their last use. */
  readonly #begun = new Set<Scan>();
  readonly #going = new Set<Scan>();
  /** Begins anywhere, so that cursors of a control process that ended mean nothing to the next. */
  #lastCursor: bigint;

  /** `random`: uniform in [0, 1). */
  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#lastCursor = BigInt(Math.floor(random() * 2 ** 52));
  }

  get size(): number {
    return this.#states.size;
  }

  /** Null when the cursor is 0 or not known. */
  find(cursor: bigint): ScanState | null {
    this.#expire();
    return this.#states.get(cursor)?.state ?? null;
  }

  /** The cursor of a new state that came from the one of `previous`; below 2^53, as JSON and Lua keep it. */
  keep(previous: bigint, state: ScanState): bigint {
    const scan = this.#states.get(previous)?.scan ?? { cursors: [], usedAt: 0 };
    const cursor = ++this.#lastCursor;
    this.#use(scan);
    scan.cursors.push(cursor);
    this.#states.set(cursor, { scan, state });
    if (scan.cursors.length > STATES_PER_SCAN) this.#states.delete(scan.cursors.shift() as bigint);
    return cursor;
  }

  #use(scan: Scan): void {
    scan.usedAt = this.#now();
    this.#begun.delete(scan);
    this.#going.delete(scan);
    const scans = scan.cursors.length === 0 ? this.#begun : this.#going;
    scans.add(scan);
    const [oldest] = scans;
    if (scans.size > SCANS_MAX && oldest !== undefined) this.#forget(oldest);
  }

  #expire(): void {
    const before = this.#now() - EXPIRY_MS;
    for (const scans of [this.#begun, this.#going]) {
      for (const scan of scans) {
        if (scan.usedAt >= before) break;
        this.#forget(scan);
      }
    }
  }

  #forget(scan: Scan): void {
    this.#begun.delete(scan);
    this.#going.delete(scan);
    for (const cursor of scan.cursors) this.#states.delete(cursor);
  }
}
