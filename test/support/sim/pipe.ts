/**
 * One direction of a connection: bytes go in by `push` and come out later, in order, in slices whose
 * sizes chance decides. What is inside stands for both kernels' buffers and the wire.
 */

import type { EventQueue } from './event-queue.ts';
import type { Prng } from './prng.ts';

export interface LinkTraits {
  /** One way, ms, low and high. */
  readonly delayMs: readonly [number, number];
  readonly slicing: 'whole' | 'random' | 'bytes';
  /** Chance that a write is taken only in part at first. */
  readonly partialWrites: number;
  /** Bytes in flight per direction before the proxy's writes must wait. */
  readonly capacity: number;
  /** Until the kernel looks again at a write that it took in part, at most, ms. */
  readonly drainMs: number;
}

export interface PipeEnd {
  onBytes(bytes: Buffer): void;
  /** All bytes before the sender's FIN have been delivered. */
  onFin(): void;
  /** Bytes have left the pipe: there is room. */
  onRoom(): void;
}

/** Bytes that one read brings at most. */
const READ_MAX = 128 * 1024;
/** Above this many waiting bytes, slicing by single bytes would only cost time. */
const BYTEWISE_MAX = 1500;
const SLICE_GAP_MS = 0.08;

interface Segment {
  readonly bytes: Buffer;
  readonly at: number;
}

export class Pipe {
  /** Bytes inside. */
  size = 0;
  #segments: Segment[] = [];
  #offset = 0;
  #lastAt = 0;
  #scheduled = false;
  #paused = false;
  #fin = false;
  #closed = false;
  readonly #clock: EventQueue;
  readonly #random: Prng;
  readonly #traits: LinkTraits;
  readonly #end: PipeEnd;

  constructor(clock: EventQueue, random: Prng, traits: LinkTraits, end: PipeEnd) {
    this.#clock = clock;
    this.#random = random;
    this.#traits = traits;
    this.#end = end;
  }

  /** The bytes become the pipe's. */
  push(bytes: Buffer): void {
    if (this.#closed || this.#fin || bytes.length === 0) return;
    const [low, high] = this.#traits.delayMs;
    this.#lastAt = Math.max(this.#lastAt, this.#clock.now + this.#random.range(low, high));
    this.#segments.push({ bytes, at: this.#lastAt });
    this.size += bytes.length;
    this.#schedule(this.#lastAt);
  }

  fin(): void {
    if (this.#closed || this.#fin) return;
    this.#fin = true;
    this.#schedule(this.#clock.now + this.#traits.delayMs[0]);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#schedule(this.#clock.now);
  }

  /** Nothing more comes out. */
  close(): void {
    this.#closed = true;
    this.#segments = [];
    this.size = 0;
  }

  /** Drops all but the first `keep` bytes that are inside, as a reset on the way does. */
  truncate(keep: number): void {
    const bytes = this.#take(Math.min(keep, this.size));
    this.#segments = bytes.length > 0 ? [{ bytes, at: this.#clock.now }] : [];
    this.#offset = 0;
    this.size = bytes.length;
  }

  #schedule(at: number): void {
    if (this.#scheduled || this.#paused || this.#closed) return;
    this.#scheduled = true;
    this.#clock.at(at, () => this.#pump());
  }

  #pump(): void {
    this.#scheduled = false;
    if (this.#closed || this.#paused) return;
    const arrived = this.#arrived();
    if (arrived > 0) {
      this.#end.onBytes(this.#take(this.#sliceOf(arrived)));
      if (this.#closed) return;
      this.#end.onRoom();
      if (this.#closed) return;
    }
    const next = this.#segments[0];
    if (next !== undefined) {
      const gap = next.at > this.#clock.now ? 0 : this.#random.range(0, SLICE_GAP_MS);
      this.#schedule(Math.max(next.at, this.#clock.now + gap));
    } else if (this.#fin && !this.#paused) {
      this.#closed = true;
      this.#end.onFin();
    }
  }

  #arrived(): number {
    let bytes = -this.#offset;
    for (const segment of this.#segments) {
      if (segment.at > this.#clock.now) break;
      bytes += segment.bytes.length;
    }
    return Math.min(Math.max(bytes, 0), READ_MAX);
  }

  #sliceOf(arrived: number): number {
    const random = this.#random;
    if (this.#traits.slicing === 'whole') return arrived;
    if (this.#traits.slicing === 'bytes' && arrived < BYTEWISE_MAX) {
      return Math.min(arrived, random.between(1, 3));
    }
    return random.chance(0.3) ? arrived : 1 + random.int(arrived);
  }

  #take(count: number): Buffer {
    const parts: Buffer[] = [];
    let left = count;
    while (left > 0) {
      const { bytes } = this.#segments[0] as Segment;
      const part = bytes.subarray(this.#offset, this.#offset + left);
      parts.push(part);
      left -= part.length;
      this.#offset += part.length;
      if (this.#offset === bytes.length) {
        this.#segments.shift();
        this.#offset = 0;
      }
    }
    this.size -= count;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}
