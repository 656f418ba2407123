/**
 * Recognises an error reply's first word in the reply's own bytes: counting an error must not make
 * a string, since a client in a loop can earn a million of them per second.
 */
import { ERROR_WORDS } from './definitions.ts';

const SPACE = 0x20;
const CR = 0x0d;
const LONGEST = Math.max(...ERROR_WORDS.map((word) => word.length));

const WORD_BYTES = ERROR_WORDS.map((word) => Buffer.from(word, 'latin1'));
/** First letter and length -> candidate words. Length and first letter leave at most three. */
const CANDIDATES = new Map<number, number[]>();

ERROR_WORDS.forEach((word, index) => {
  if (index === 0) return;
  const key = candidateKey(word.charCodeAt(0), word.length);
  CANDIDATES.set(key, [...(CANDIDATES.get(key) ?? []), index]);
});

function candidateKey(firstByte: number, length: number): number {
  return (firstByte << 8) | length;
}

function matches(word: Uint8Array, buf: Uint8Array, start: number): boolean {
  for (let i = 1; i < word.length; i++) {
    if (buf[start + i] !== word[i]) return false;
  }
  return true;
}

/** Index in {@link ERROR_WORDS} of the word that begins at `start` (after the '-'), 0 if unknown. */
export function errorWordAt(buf: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + LONGEST + 1);
  let stop = start;
  while (stop < limit && buf[stop] !== SPACE && buf[stop] !== CR) stop++;
  if (stop === start) return 0;
  const candidates = CANDIDATES.get(candidateKey(buf[start] as number, stop - start));
  if (candidates === undefined) return 0;
  for (let i = 0; i < candidates.length; i++) {
    const index = candidates[i] as number;
    if (matches(WORD_BYTES[index] as Buffer, buf, start)) return index;
  }
  return 0;
}
