/**
 * Bytes of a client that were read and not yet turned into commands: the tail of an unfinished
 * command, or commands kept back while the session waits (barrier, hold, slow reader).
 */

import { copyBytes, type Slab, type SlabPool } from '../lib/slab.ts';

export class Backlog {
  slab: Slab | null = null;
  start = 0;
  end = 0;
  readonly #pool: SlabPool;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  get size(): number {
    return this.end - this.start;
  }

  append(src: Slab, from: number, to: number): void {
    const size = to - from;
    if (size === 0) return;
    if (this.slab === null || this.end + size > this.slab.length) this.#makeRoom(size);
    this.end = copyBytes(this.slab as Slab, this.end, src, from, to);
  }

  #makeRoom(extra: number): void {
    const old = this.slab;
    const size = this.size;
    if (old !== null && size + extra <= old.length / 2) {
      old.copyWithin(0, this.start, this.end);
    } else {
      // Doubling by what has really arrived, so a declared length costs nothing.
      const bigger = this.#pool.take((size + extra) * 2);
      if (old !== null) {
        old.copy(bigger, 0, this.start, this.end);
        this.#pool.give(old);
      }
      this.slab = bigger;
    }
    this.start = 0;
    this.end = size;
  }

  /** Everything before `position` has been dealt with. */
  consumeTo(position: number): void {
    if (this.slab === null) return; // Cleared by the command that was being dealt with.
    this.start = position;
    if (this.start === this.end) this.clear();
  }

  clear(): void {
    if (this.slab !== null) this.#pool.give(this.slab);
    this.slab = null;
    this.start = 0;
    this.end = 0;
  }
}
