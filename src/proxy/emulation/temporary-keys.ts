/**
 * Names of keys that are needed for the length of one command, in a slot of our choice: a hash tag
 * that hashes to it, a mark that tells people whose they are, and enough chance to be nobody else's.
 */

import { slotOf } from '../../commands/slot.ts';
import { SLOT_COUNT } from '../../topology/snapshot.ts';

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789');
const TAG_BYTES = 4;
const TAGS_MAX = ALPHABET.length ** TAG_BYTES;

const tags: (string | undefined)[] = new Array(SLOT_COUNT);
const candidate = Buffer.alloc(TAG_BYTES);
let tried = 0;

/** Text that hashes to `slot`. Candidates are hashed once, as far as somebody has asked. */
export function tagOf(slot: number): string {
  for (; tags[slot] === undefined && tried < TAGS_MAX; tried++) {
    let rest = tried;
    for (let i = 0; i < TAG_BYTES; i++) {
      candidate[i] = ALPHABET[rest % ALPHABET.length] as number;
      rest = Math.floor(rest / ALPHABET.length);
    }
    tags[slotOf(candidate, 0, TAG_BYTES)] ??= candidate.toString('latin1');
  }
  return tags[slot] as string;
}

/** A maker of names in `slot`; `random` is uniform in [0, 1). */
export function temporaryKeys(slot: number, random: () => number): () => Buffer {
  const nonce = [0, 1, 2].map(() => Math.floor(random() * 2 ** 32).toString(16)).join('');
  const prefix = `{${tagOf(slot)}}slotgate:tmp:${nonce}:`;
  let count = 0;
  return () => Buffer.from(`${prefix}${count++}`);
}
