/** What a reply is, as its first bytes tell. */

const MINUS = 45;
const BULK = 36;
const ARRAY = 42;
const NULL = 95;
const BUSY = '-BUSY ';

export function isError(reply: Buffer): boolean {
  return reply[0] === MINUS;
}

/** The same for one that begins at `at`. */
export function isErrorAt(buf: Buffer, at: number): boolean {
  return buf[at] === MINUS;
}

/** An error line that says that a script keeps its node. */
export function isBusyAt(buf: Buffer, at: number): boolean {
  return buf.toString('latin1', at, at + BUSY.length) === BUSY;
}

/** `*-1`, `$-1` or RESP3's `_`. */
export function isNil(reply: Buffer): boolean {
  return isNilAt(reply, 0);
}

/** The same for one that begins at `at`. */
export function isNilAt(buf: Buffer, at: number): boolean {
  const type = buf[at];
  return type === NULL || ((type === BULK || type === ARRAY) && buf[at + 1] === MINUS);
}
