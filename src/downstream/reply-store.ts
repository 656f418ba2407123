/**
 * Keeps replies that arrived before their turn. Small ones share chunks that are recycled when the
 * last of them is delivered; a big one has a slab of its own, so that a stuck reply never pins much.
 */

import { copyBytes, SharedChunk, type Slab, type SlabPool, SMALL_SLAB } from '../lib/slab.ts';

const OWN_SLAB_FROM = SMALL_SLAB / 4;

/** A request's place in its session's reply order. */
export interface ReplySlot {
  nextInSession: ReplySlot | null;
  /** Its reply is complete: stored, or nothing to send (`stored` null). */
  done: boolean;
  /** CLIENT REPLY OFF or SKIP: answered upstream, not sent to the client. */
  silent: boolean;
  stored: SharedChunk | null;
  storedStart: number;
  storedEnd: number;
}

export class ReplyStore {
  #current: SharedChunk | null = null;
  readonly #pool: SlabPool;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  store(slot: ReplySlot, buf: Slab, start: number, end: number): void {
    const size = end - start;
    const chunk = size > OWN_SLAB_FROM ? this.#ownChunk(size) : this.#sharedChunk(size);
    slot.stored = chunk;
    slot.storedStart = chunk.length;
    chunk.length = copyBytes(chunk.slab, chunk.length, buf, start, end);
    slot.storedEnd = chunk.length;
    chunk.holders++;
  }

  /** Adds to a reply that comes in parts; doubling keeps the copying linear. */
  extend(slot: ReplySlot, buf: Slab, start: number, end: number): void {
    const old = slot.stored;
    const size = end - start;
    if (old === null) {
      const chunk = this.#ownChunk(size * 2);
      slot.stored = chunk;
      slot.storedStart = 0;
      chunk.holders = 1;
    } else if (!this.#hasRoomBehind(slot, old, size)) {
      const kept = slot.storedEnd - slot.storedStart;
      const chunk = this.#ownChunk((kept + size) * 2);
      chunk.length = copyBytes(chunk.slab, 0, old.slab, slot.storedStart, slot.storedEnd);
      chunk.holders = 1;
      this.release(slot);
      slot.stored = chunk;
      slot.storedStart = 0;
    }
    const chunk = slot.stored as SharedChunk;
    chunk.length = copyBytes(chunk.slab, chunk.length, buf, start, end);
    slot.storedEnd = chunk.length;
  }

  /** True when the slot's bytes are the last of a chunk that nobody else adds to. */
  #hasRoomBehind(slot: ReplySlot, chunk: SharedChunk, size: number): boolean {
    return (
      chunk.sealed && slot.storedEnd === chunk.length && chunk.length + size <= chunk.slab.length
    );
  }

  release(slot: ReplySlot): void {
    const chunk = slot.stored;
    if (chunk === null) return;
    slot.stored = null;
    this.releaseChunk(chunk);
  }

  /** For a reply that was taken out of its slot. */
  releaseChunk(chunk: SharedChunk): void {
    if (--chunk.holders > 0) return;
    if (chunk.sealed) this.#pool.give(chunk.slab);
    else chunk.length = 0;
  }

  #ownChunk(size: number): SharedChunk {
    const chunk = new SharedChunk(this.#pool.take(size));
    chunk.sealed = true;
    return chunk;
  }

  #sharedChunk(size: number): SharedChunk {
    let chunk = this.#current;
    if (chunk !== null && chunk.length + size <= chunk.slab.length) return chunk;
    if (chunk !== null) {
      chunk.sealed = true;
      if (chunk.holders === 0) this.#pool.give(chunk.slab);
    }
    chunk = new SharedChunk(this.#pool.take(SMALL_SLAB));
    this.#current = chunk;
    return chunk;
  }
}
