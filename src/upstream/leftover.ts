/** The bytes of a reply that was cut: kept in a slab that is lent only while there are any. */

import { copyBytes, type Slab, type SlabPool } from '../lib/slab.ts';

export class Leftover {
  #slab: Slab | null = null;
  #length = 0;
  readonly #pool: SlabPool;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Copies buf[start, end), which may be nothing. There must be nothing kept yet. */
  keep(buf: Slab, start: number, end: number): void {
    if (start === end) return;
    this.#slab = this.#pool.take(end - start);
    this.#length = copyBytes(this.#slab, 0, buf, start, end);
  }

  /** Puts what was kept right before `at`, where there is room for it; returns where it begins. */
  putBefore(buf: Slab, at: number): number {
    if (this.#slab === null) return at;
    const start = at - this.#length;
    copyBytes(buf, start, this.#slab, 0, this.#length);
    this.drop();
    return start;
  }

  drop(): void {
    if (this.#slab !== null) this.#pool.give(this.#slab);
    this.#slab = null;
    this.#length = 0;
  }
}
