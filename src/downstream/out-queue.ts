/**
 * Bytes on their way to one client: copied into slabs that are lent from the pool only while they
 * hold bytes, written once per turn. A bare session owns no buffer.
 */

import { copyBytes, LARGE_SLAB, type Slab, type SlabPool, SMALL_SLAB } from '../lib/slab.ts';
import type { ByteStream } from '../transport/transport.ts';

interface Filled {
  readonly slab: Slab;
  readonly length: number;
}

export class OutQueue {
  /** Bytes queued and not yet taken by the kernel. */
  size = 0;
  #slab: Slab | null = null;
  #length = 0;
  /** Full slabs before the present one, oldest first; rarely used. */
  #filled: Filled[] | null = null;
  #writing: Slab | null = null;
  #writingLength = 0;
  readonly #pool: SlabPool;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  append(src: Slab, start: number, end: number): void {
    const slab = this.#slab;
    const length = this.#length;
    if (slab !== null && length + end - start <= slab.length) {
      this.#length = copyBytes(slab, length, src, start, end);
      this.size += end - start;
      return;
    }
    this.#appendAcross(src, start, end);
  }

  /** Fills the present slab to its end, then goes on in a new one. */
  #appendAcross(src: Slab, start: number, end: number): void {
    this.size += end - start;
    let at = start;
    while (at < end) {
      let slab = this.#slab;
      if (slab === null || this.#length === slab.length) slab = this.#nextSlab(end - at);
      const part = Math.min(end - at, slab.length - this.#length);
      this.#length = copyBytes(slab, this.#length, src, at, at + part);
      at += part;
    }
  }

  #nextSlab(size: number): Slab {
    if (this.#slab !== null) {
      this.#filled ??= [];
      this.#filled.push({ slab: this.#slab, length: this.#length });
    }
    const wanted = this.#slab === null && size <= SMALL_SLAB ? SMALL_SLAB : LARGE_SLAB;
    const slab = this.#pool.take(wanted);
    this.#slab = slab;
    this.#length = 0;
    return slab;
  }

  /** Hands everything to the stream; false while the kernel has not taken all of it. */
  flush(stream: ByteStream): boolean {
    if (this.#writing !== null) return false;
    for (;;) {
      const filled = this.#filled?.shift();
      const slab = filled?.slab ?? this.#slab;
      if (slab === null) return true;
      const length = filled?.length ?? this.#length;
      if (filled === undefined) {
        this.#slab = null;
        this.#length = 0;
        this.#filled = null;
      }
      if (!stream.write(slab, 0, length)) {
        this.#writing = slab;
        this.#writingLength = length;
        return false;
      }
      this.size -= length;
      this.#pool.give(slab);
      if (filled === undefined) return true;
    }
  }

  /** The write that was under way is done; the caller flushes on. */
  onDrain(): void {
    if (this.#writing === null) return;
    this.size -= this.#writingLength;
    this.#pool.give(this.#writing);
    this.#writing = null;
  }

  get isWriting(): boolean {
    return this.#writing !== null;
  }

  /** The stream is gone: what is left is dropped. A slab under way is left to the collector. */
  clear(): void {
    if (this.#slab !== null) this.#pool.give(this.#slab);
    for (const { slab } of this.#filled ?? []) this.#pool.give(slab);
    this.#slab = null;
    this.#length = 0;
    this.#filled = null;
    this.#writing = null;
    this.size = 0;
  }
}
