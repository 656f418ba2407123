/** Arguments of local commands as values, read as strictly as Redis reads them. */

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;
const INT_MIN = -2147483648;
const INT_MAX = 2147483647;
/** Sign and digits of the longest 64-bit number. */
const LONG_DIGITS_MAX = 20;

export const SYNTAX_ERROR = 'ERR syntax error';
export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range';
export const OUT_OF_INT_RANGE = `ERR value is out of range, value must between ${INT_MIN} and ${INT_MAX}`;

/** One character per byte, so that an error can give the client's own bytes back. */
export function text(args: readonly Buffer[], index: number): string {
  return args[index]?.toString('latin1') ?? '';
}

/** Lower case, for words that are compared. */
export function word(args: readonly Buffer[], index: number): string {
  return text(args, index).toLowerCase();
}

/**
 * A 64-bit integer written the one way Redis accepts: no plus sign, no spaces, no leading zeros.
 * Null for anything else. What is above 2^53 loses its last digits, which no caller looks at.
 */
export function parseLong(args: readonly Buffer[], index: number): number | null {
  const given = text(args, index);
  if (given.length > LONG_DIGITS_MAX || !/^(?:0|-?[1-9]\d*)$/.test(given)) return null;
  const value = BigInt(given);
  return value < LONG_MIN || value > LONG_MAX ? null : Number(value);
}

export function isInt(value: number): boolean {
  return value >= INT_MIN && value <= INT_MAX;
}
