/**
 * Memory of the data path: fixed-size buffers lent from a pool, and the one copy routine.
 *
 * A slab is a Buffer that carries a DataView of itself. On Node 20 a native copy costs about
 * 60–100 ns however short it is; unaligned 32-bit loads through a DataView beat it below some
 * 130 bytes, which is what commands and most replies measure.
 */

export type Slab = Buffer & { view?: DataView };

/** Below this many bytes the word loop is faster than the native copy (measured, Node 20). */
const WORD_COPY_MAX = 128;

export function createSlab(size: number): Slab {
  const slab: Slab = Buffer.allocUnsafeSlow(size);
  slab.view = new DataView(slab.buffer, slab.byteOffset, size);
  return slab;
}

/** A fixed text as bytes, one per character. */
export function asciiSlab(text: string): Slab {
  const slab = createSlab(text.length);
  slab.write(text, 'latin1');
  return slab;
}

/** Copies src[start, end) to dst at `at`, which must not overlap; returns the position behind. */
export function copyBytes(dst: Slab, at: number, src: Slab, start: number, end: number): number {
  const length = end - start;
  const to = dst.view;
  const from = src.view;
  if (length > WORD_COPY_MAX || to === undefined || from === undefined) {
    src.copy(dst, at, start, end);
    return at + length;
  }
  if (length < 4) {
    let d = at;
    for (let s = start; s < end; s++) dst[d++] = src[s] as number;
    return d;
  }
  // The last word may overlap the one before: cheaper than single bytes.
  const last = end - 4;
  let d = at;
  let s = start;
  for (const last8 = end - 8; s < last8; s += 8) {
    to.setInt32(d, from.getInt32(s, true), true);
    to.setInt32(d + 4, from.getInt32(s + 4, true), true);
    d += 8;
  }
  if (s < last) to.setInt32(d, from.getInt32(s, true), true);
  to.setInt32(at + length - 4, from.getInt32(last, true), true);
  return at + length;
}

/**
 * Tiny slabs hold a cut command, which thousands of clients may leave lying about; small ones one
 * turn's replies or requests; large ones keep a busy stream in few writes.
 */
export const TINY_SLAB = 512;
export const SMALL_SLAB = 16 * 1024;
export const LARGE_SLAB = 64 * 1024;

/** Lends slabs of three sizes, larger ones are made to measure and left to the collector. */
export class SlabPool {
  readonly #tiny: Slab[] = [];
  readonly #small: Slab[] = [];
  readonly #large: Slab[] = [];
  readonly #keepSmall: number;
  readonly #keepLarge: number;

  constructor(keepBytes = 16 * 1024 * 1024) {
    this.#keepSmall = Math.max(4, Math.floor(keepBytes / 2 / SMALL_SLAB));
    this.#keepLarge = Math.max(4, Math.floor(keepBytes / 2 / LARGE_SLAB));
  }

  take(size: number): Slab {
    if (size <= TINY_SLAB) return this.#tiny.pop() ?? createSlab(TINY_SLAB);
    if (size <= SMALL_SLAB) return this.#small.pop() ?? createSlab(SMALL_SLAB);
    if (size <= LARGE_SLAB) return this.#large.pop() ?? createSlab(LARGE_SLAB);
    return createSlab(size);
  }

  /** Leaves what is not lent to the collector. */
  trim(): void {
    this.#tiny.length = 0;
    this.#small.length = 0;
    this.#large.length = 0;
  }

  give(slab: Slab): void {
    if (slab.length === SMALL_SLAB) {
      if (this.#small.length < this.#keepSmall) this.#small.push(slab);
    } else if (slab.length === LARGE_SLAB) {
      if (this.#large.length < this.#keepLarge) this.#large.push(slab);
    } else if (slab.length === TINY_SLAB) {
      // As many as of the small ones: a thirtieth of their bytes.
      if (this.#tiny.length < this.#keepSmall) this.#tiny.push(slab);
    }
  }
}

/**
 * A slab filled front to back by several holders and recycled when the last lets go.
 * Requests keep their bytes in one until they are answered, so that a redirect can send them again.
 */
export class SharedChunk {
  slab: Slab;
  /** Bytes filled. */
  length = 0;
  /** Bytes handed to the kernel; only meaningful for a chunk that is being sent. */
  sent = 0;
  holders = 0;
  /** Nothing more will be added. */
  sealed = false;
  next: SharedChunk | null = null;

  constructor(slab: Slab) {
    this.slab = slab;
  }
}
