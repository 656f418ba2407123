/**
 * A slab pool that does not forgive: a slab given back is filled with poison, so that reading it
 * shows, and is looked at when it is lent again, so that writing it shows too.
 */

import { LARGE_SLAB, type Slab, SlabPool, SMALL_SLAB, TINY_SLAB } from '../../../src/lib/slab.ts';

const POISON = 0xdb;
const POISONED = {
  [TINY_SLAB]: Buffer.alloc(TINY_SLAB, POISON),
  [SMALL_SLAB]: Buffer.alloc(SMALL_SLAB, POISON),
  [LARGE_SLAB]: Buffer.alloc(LARGE_SLAB, POISON),
} as Readonly<Record<number, Buffer>>;

export class PoisonPool extends SlabPool {
  /** Slabs that are in use. */
  readonly lent = new Set<Slab>();
  readonly #given = new Set<Slab>();

  override take(size: number): Slab {
    const slab = super.take(size);
    if (this.lent.has(slab)) throw new Error('A slab in use was lent a second time.');
    if (slab.length < size) throw new Error(`${slab.length} bytes were lent for ${size}.`);
    if (this.#given.delete(slab) && !slab.equals(POISONED[slab.length] as Buffer)) {
      throw new Error('A slab was written to after it had been given back.');
    }
    this.lent.add(slab);
    return slab;
  }

  override give(slab: Slab): void {
    if (!this.lent.delete(slab)) throw new Error('A slab was given back that was not lent.');
    slab.fill(POISON);
    if (slab.length in POISONED) this.#given.add(slab);
    super.give(slab);
  }
}

/** Bytes that tell their place in a stream, so that an order mixed up shows. */
export function numberedBytes(from: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  for (let i = 0; i < count; i++) {
    // A hash of the position: slabs that are swapped differ too.
    const n = Math.imul(from + i, 0x9e3779b1);
    bytes[i] = (n >>> 24) ^ (n >>> 13);
  }
  return bytes;
}
