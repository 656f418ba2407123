/** A set of slots as an immutable 16384-bit map, shared by all scan states in which it is the same. */

import { SLOT_COUNT } from '../../topology/snapshot.ts';

export class SlotSet {
  readonly size: number;
  readonly #bits: Uint8Array;

  constructor(bits: Uint8Array, size: number) {
    this.#bits = bits;
    this.size = size;
  }

  static of(slots: Iterable<number>): SlotSet {
    const bits = new Uint8Array(SLOT_COUNT >> 3);
    for (const slot of slots) bits[slot >> 3] = (bits[slot >> 3] as number) | (1 << (slot & 7));
    return new SlotSet(bits, countOf(bits));
  }

  has(slot: number): boolean {
    return ((this.#bits[slot >> 3] as number) & (1 << (slot & 7))) !== 0;
  }

  /** The same object where nothing changes, so that states share it. */
  and(other: SlotSet): SlotSet {
    const joined = this.#combine(other, (mine, theirs) => mine & theirs);
    return joined.size === this.size ? this : joined;
  }

  or(other: SlotSet): SlotSet {
    const joined = this.#combine(other, (mine, theirs) => mine | theirs);
    return joined.size === this.size ? this : joined;
  }

  without(other: SlotSet): SlotSet {
    const joined = this.#combine(other, (mine, theirs) => mine & ~theirs);
    return joined.size === this.size ? this : joined;
  }

  #combine(other: SlotSet, by: (mine: number, theirs: number) => number): SlotSet {
    const bits = this.#bits.map((byte, at) => by(byte, other.#bits[at] as number) & 0xff);
    return new SlotSet(bits, countOf(bits));
  }

  *[Symbol.iterator](): Generator<number> {
    for (let at = 0; at < this.#bits.length; at++) {
      const byte = this.#bits[at] as number;
      for (let bit = 0; byte >> bit !== 0; bit++) if ((byte >> bit) & 1) yield at * 8 + bit;
    }
  }
}

function countOf(bits: Uint8Array): number {
  let size = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) size++;
  return size;
}

export const NO_SLOTS = new SlotSet(new Uint8Array(SLOT_COUNT >> 3), 0);
export const ALL_SLOTS = new SlotSet(new Uint8Array(SLOT_COUNT >> 3).fill(0xff), SLOT_COUNT);
