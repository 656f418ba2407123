/**
 * The way out of one lane: commands are copied into chunks and written once per turn.
 *
 *     chunk:   [ answered | unanswered, sent … | unsent … )
 *                                       ^sent          ^length
 *
 * A cork keeps back what is behind one entry: [ … unsent … WAIT | corked … )
 *
 * An entry holds its chunk until it is answered: a redirect sends the same bytes elsewhere.
 */

import { copyBytes, LARGE_SLAB, SharedChunk, type Slab, type SlabPool } from '../lib/slab.ts';
import type { ByteStream } from '../transport/transport.ts';

/** A command's bytes, chunk.slab[offset, offset + length). */
export interface Placed {
  chunk: SharedChunk | null;
  offset: number;
  length: number;
}

export class LaneOut {
  /** Bytes appended and not yet handed to the kernel. */
  unsentBytes = 0;
  /** The chunk that is filled. */
  #current: SharedChunk | null = null;
  /** The first that is not wholly sent. */
  #sendHead: SharedChunk | null = null;
  /** The kernel has not taken all of it. */
  #writing: SharedChunk | null = null;
  /** Where the cork sits, or null: nothing behind `#corkAt` of this chunk is written. */
  #corked: SharedChunk | null = null;
  #corkAt = 0;
  readonly #pool: SlabPool;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Copies src[start, end) behind `prefix`, which goes with it in one chunk. */
  append(entry: Placed, prefix: Slab | null, src: Slab, start: number, end: number): void {
    const size = end - start;
    const extra = prefix === null ? 0 : prefix.length;
    let chunk = this.#current;
    if (chunk === null || chunk.length + size + extra > chunk.slab.length) {
      chunk = this.#nextChunk(size + extra);
    }
    if (prefix !== null) chunk.length = copyBytes(chunk.slab, chunk.length, prefix, 0, extra);
    entry.chunk = chunk;
    entry.offset = chunk.length;
    entry.length = size;
    chunk.length = copyBytes(chunk.slab, chunk.length, src, start, end);
    chunk.holders++;
    this.unsentBytes += size + extra;
  }

  #nextChunk(size: number): SharedChunk {
    const current = this.#current;
    if (current !== null) {
      current.sealed = true;
      if (current.holders === 0 && this.#isSent(current)) this.#recycle(current);
    }
    const chunk = new SharedChunk(this.#pool.take(Math.max(size, LARGE_SLAB)));
    if (this.#sendHead === null) this.#sendHead = chunk;
    else if (current !== null) current.next = chunk;
    this.#current = chunk;
    return chunk;
  }

  #isSent(chunk: SharedChunk): boolean {
    return chunk.sent === chunk.length && chunk !== this.#writing;
  }

  #recycle(chunk: SharedChunk): void {
    if (chunk === this.#sendHead) this.#sendHead = chunk.next;
    this.#pool.give(chunk.slab);
  }

  /** One holder less; the chunk is recycled or rewound when nobody else needs it. */
  release(chunk: SharedChunk): void {
    if (--chunk.holders > 0 || !this.#isSent(chunk)) return;
    if (chunk.sealed) this.#recycle(chunk);
    else this.#rewind(chunk);
  }

  /** Starts the current chunk anew; one made to measure for a big command is let go. */
  #rewind(chunk: SharedChunk): void {
    chunk.length = 0;
    chunk.sent = 0;
    if (chunk.slab.length <= LARGE_SLAB) return;
    this.#current = null;
    this.#sendHead = null;
  }

  /** Writes what was appended, unless an earlier write is still under way. */
  flush(stream: ByteStream): void {
    if (this.#writing !== null) return;
    let chunk = this.#sendHead;
    while (chunk !== null) {
      const end = chunk === this.#corked ? this.#corkAt : chunk.length;
      if (chunk.sent < end) {
        const from = chunk.sent;
        this.unsentBytes -= end - from;
        // Counted as sent before the call: whatever happens inside, the node may have it.
        chunk.sent = end;
        if (!stream.write(chunk.slab, from, end)) {
          this.#writing = chunk;
          return;
        }
      }
      if (chunk === this.#corked) return;
      if (chunk === this.#current) {
        if (chunk.holders === 0) this.#rewind(chunk);
        return;
      }
      const next: SharedChunk | null = chunk.next;
      this.#sendHead = next;
      if (chunk.sealed && chunk.holders === 0) this.#pool.give(chunk.slab);
      chunk = next;
    }
  }

  /** Nothing that is appended behind `entry`, the last one, is written until that is null. */
  cork(entry: Placed | null): void {
    this.#corked = entry === null ? null : entry.chunk;
    this.#corkAt = entry === null ? 0 : entry.offset + entry.length;
  }

  /** The write that was under way is done; true when there was one. */
  onDrain(): boolean {
    if (this.#writing === null) return false;
    this.#writing = null;
    return true;
  }

  /** Nothing is appended or written any more; chunks still held live on with their holders. */
  close(): void {
    for (let chunk = this.#sendHead; chunk !== null; chunk = chunk.next) chunk.sealed = true;
    if (this.#current !== null) this.#current.sealed = true;
    this.#sendHead = null;
    this.#current = null;
    this.#writing = null;
  }
}
