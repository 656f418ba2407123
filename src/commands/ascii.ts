/** Comparing bytes of a request with known words, in any letter case, without decoding them. */

/**
 * True when `length` bytes from `start` spell `word`, which must be lower case. Only letters may
 * differ in case: `| 0x20` alone would also take '\r' for '-' and 0x7f for '_'.
 */
export function equalsWord(
  buf: Uint8Array,
  start: number,
  length: number,
  word: Uint8Array,
): boolean {
  if (length !== word.length) return false;
  for (let i = 0; i < length; i++) {
    const expected = word[i] as number;
    const difference = (buf[start + i] as number) ^ expected;
    if (difference === 0) continue;
    if (difference !== 0x20 || expected < 0x61 || expected > 0x7a) return false;
  }
  return true;
}

/**
 * The same as C's strcasecmp sees it, by which servers compare options and some names: what follows a
 * NUL does not count.
 */
export function equalsWordInC(
  buf: Uint8Array,
  start: number,
  length: number,
  word: Uint8Array,
): boolean {
  if (length > word.length && buf[start + word.length] !== 0) return false;
  return length >= word.length && equalsWord(buf, start, word.length, word);
}

/** Decimal digits only, as Redis reads a count; -1 for anything else or for more than 7 digits. */
export function parseCount(buf: Uint8Array, start: number, length: number): number {
  if (length === 0 || length > 7) return -1;
  let value = 0;
  for (let i = start; i < start + length; i++) {
    const digit = (buf[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return length > 1 && buf[start] === 0x30 ? -1 : value;
}

/** As C's atoi reads a count: what begins as a number is one, all else is 0; wraps at 32 bits. */
export function parseLikeAtoi(buf: Uint8Array, start: number, length: number): number {
  const end = start + length;
  let at = start;
  while (at < end && isSpace(buf[at] as number)) at++;
  const isNegative = buf[at] === 0x2d && at < end;
  if (at < end && (isNegative || buf[at] === 0x2b)) at++;
  let value = 0;
  let size = 0;
  for (; at < end; at++) {
    const digit = (buf[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    // From 2^63 on strtol gives the largest or least long, of which atoi keeps the lower half.
    size = size * 10 + digit;
    if (size >= 2 ** 63) return isNegative ? 0 : -1;
    value = (Math.imul(value, 10) + digit) | 0;
  }
  return isNegative ? -value | 0 : value;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
