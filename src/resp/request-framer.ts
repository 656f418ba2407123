/**
 * Finds whole commands in a client's bytes by jumping over declared lengths.
 *
 * One shared {@link RequestFrame} receives the argument ranges of the frame found last; payload
 * bytes are never visited. Rules and error texts follow Redis' processMultibulkBuffer and
 * processInlineBuffer (networking.c), with one difference on purpose: the CRLF behind a bulk
 * and behind a length is checked.
 */

import { copyBytes, createSlab, type Slab } from '../lib/slab.ts';

export const FRAME = {
  /** `frame.args`, `frame.argc` and `frame.end` are set. */
  complete: 0,
  /** At least `frame.need` bytes from the frame's start are wanted. */
  incomplete: 1,
  /** Nothing to do up to `frame.end` (empty line, `*0`, `*-1`). */
  ignored: 2,
  /** An inline command: the line is [start, frame.lineEnd), the next frame starts at `frame.end`. */
  inline: 3,
  /** `frame.error` holds the text; the connection cannot go on. */
  error: 4,
} as const;

export interface FrameLimits {
  /** Arguments of one command, the name included. */
  readonly maxArguments: number;
  /** Bytes of one argument. */
  readonly maxBulkBytes: number;
  /** Bytes of a line: an inline command or a length. */
  readonly maxInlineBytes: number;
  /** True before AUTH: the errors then say so. */
  readonly unauthenticated: boolean;
}

export class RequestFrame {
  /** Pairs: args[2 i] = first byte of argument i, args[2 i + 1] = its length. */
  args = new Int32Array(128);
  argc = 0;
  end = 0;
  lineEnd = 0;
  need = 0;
  error = '';

  grow(argc: number): void {
    // Doubling while arguments really arrive: a declared count alone never allocates.
    const bigger = new Int32Array(Math.max(argc * 2, this.args.length * 2));
    bigger.set(this.args);
    this.args = bigger;
  }
}

const STAR = 42;
const DOLLAR = 36;
const CR = 13;
const LF = 10;
const MINUS = 45;
/** Shortest possible argument, `$0\r\n\r\n`; bounds what an unfinished command still wants. */
const SHORTEST_ARGUMENT = 6;
/** Longest length, 2147483647; Redis waits for up to 64 KB of digits before it refuses them. */
const MAX_LENGTH_DIGITS = 10;
/** Digits that are below 2^63 whatever they are. */
const MAX_NEGATIVE_DIGITS = 18;
/** Above these Redis does not look whether the client is authenticated (INT_MAX, 512 MB). */
const MAX_COUNT = 2 ** 31 - 1;
const MAX_BULK_BYTES = 512 * 1024 * 1024;
const INVALID_COUNT = 'Protocol error: invalid multibulk length';
const UNAUTHENTICATED_COUNT = 'Protocol error: unauthenticated multibulk length';

/** Looks for one command in buf[pos, end). Needs pos < end. Returns a {@link FRAME} code. */
export function frameRequest(
  frame: RequestFrame,
  buf: Buffer,
  pos: number,
  end: number,
  limits: FrameLimits,
): number {
  if (buf[pos] !== STAR) return frameInline(frame, buf, pos, end, limits);
  let p = pos + 1;
  let argc = 0;
  for (; p < end; p++) {
    const digit = (buf[p] as number) - 48;
    if (digit < 0 || digit > 9) break;
    argc = argc * 10 + digit;
  }
  if (
    p + 1 >= end ||
    argc > limits.maxArguments ||
    buf[p] !== CR ||
    buf[p + 1] !== LF ||
    !isPlainNumber(buf, pos + 1, p)
  ) {
    return oddCount(frame, buf, pos, p, end, limits);
  }
  p += 2;
  if (argc === 0) {
    frame.end = p;
    return FRAME.ignored;
  }
  const maxBulk = limits.maxBulkBytes;
  let args = frame.args;
  for (let i = 0; i < argc; i++) {
    if (p >= end) return wantMore(frame, p - pos + (argc - i) * SHORTEST_ARGUMENT);
    if (buf[p] !== DOLLAR) return fail(frame, expectedDollar(buf[p] as number));
    const lengthStart = ++p;
    let length = 0;
    for (; p < end; p++) {
      const digit = (buf[p] as number) - 48;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    if (
      p + 1 >= end ||
      length > maxBulk ||
      buf[p] !== CR ||
      buf[p + 1] !== LF ||
      !isPlainNumber(buf, lengthStart, p)
    ) {
      if (!isCutNumber(buf, lengthStart, p, end)) {
        return fail(frame, badBulk(limits, buf, lengthStart, p, end));
      }
      return wantMore(frame, p - pos + (argc - i - 1) * SHORTEST_ARGUMENT + 2);
    }
    const start = p + 2;
    p = start + length + 2;
    if (p > end) return wantMore(frame, p - pos + (argc - i - 1) * SHORTEST_ARGUMENT);
    if (buf[p - 2] !== CR || buf[p - 1] !== LF) {
      return fail(frame, 'Protocol error: expected CRLF after bulk');
    }
    const at = i << 1;
    if (at >= args.length) {
      frame.grow(i);
      args = frame.args;
    }
    args[at] = start;
    args[at + 1] = length;
  }
  frame.argc = argc;
  frame.end = p;
  return FRAME.complete;
}

function wantMore(frame: RequestFrame, need: number): number {
  frame.need = need;
  return FRAME.incomplete;
}

function fail(frame: RequestFrame, text: string): number {
  frame.error = text;
  return FRAME.error;
}

/** Digits as string2ll takes them: at least one, and no zero in front of another. */
function isPlainNumber(buf: Buffer, start: number, end: number): boolean {
  const digits = end - start;
  return digits > 0 && digits <= MAX_LENGTH_DIGITS && (digits === 1 || buf[start] !== 48);
}

/** The digits [start, p) may still become a valid line, which does not end before `end`. */
function isCutNumber(buf: Buffer, start: number, p: number, end: number): boolean {
  if (p >= end) return p === start || isPlainNumber(buf, start, p);
  return p + 1 >= end && buf[p] === CR && isPlainNumber(buf, start, p);
}

/** Why the length line with digits [start, p) is refused; only a sound one is told about AUTH. */
function badBulk(limits: FrameLimits, buf: Buffer, start: number, p: number, end: number): string {
  const isNumber = isPlainNumber(buf, start, p) && endsLine(buf, p, end);
  const isTooBig = !isNumber || Number(buf.toString('latin1', start, p)) > MAX_BULK_BYTES;
  return limits.unauthenticated && !isTooBig
    ? 'Protocol error: unauthenticated bulk length'
    : 'Protocol error: invalid bulk length';
}

function endsLine(buf: Buffer, p: number, end: number): boolean {
  return p + 1 < end && buf[p] === CR && buf[p + 1] === LF;
}

function expectedDollar(byte: number): string {
  const shown = byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ' ';
  return `Protocol error: expected '$', got '${shown}'`;
}

/** A count line with digits (pos, p) that is cut, too large or no plain number. */
function oddCount(
  frame: RequestFrame,
  buf: Buffer,
  pos: number,
  p: number,
  end: number,
  limits: FrameLimits,
): number {
  if (isCutNumber(buf, pos + 1, p, end)) return wantMore(frame, p + 2 - pos);
  if (p === pos + 1 && buf[p] === MINUS) return negativeCount(frame, buf, pos, end);
  const isNumber = isPlainNumber(buf, pos + 1, p) && endsLine(buf, p, end);
  const isTooBig = !isNumber || Number(buf.toString('latin1', pos + 1, p)) > MAX_COUNT;
  return fail(frame, limits.unauthenticated && !isTooBig ? UNAUTHENTICATED_COUNT : INVALID_COUNT);
}

/** `*-5\r\n` is ignored, as Redis does. */
function negativeCount(frame: RequestFrame, buf: Buffer, pos: number, end: number): number {
  const start = pos + 2;
  let p = start;
  while (p < end && isDigit(buf[p] as number)) p++;
  const digits = p - start;
  if (digits > MAX_NEGATIVE_DIGITS || (digits > 0 && buf[start] === 48)) {
    return fail(frame, INVALID_COUNT);
  }
  if (p >= end || (digits > 0 && p + 1 >= end && buf[p] === CR)) {
    return wantMore(frame, p + (digits > 0 ? 2 : 3) - pos);
  }
  if (digits === 0 || !endsLine(buf, p, end)) return fail(frame, INVALID_COUNT);
  frame.end = p + 2;
  return FRAME.ignored;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

function frameInline(
  frame: RequestFrame,
  buf: Buffer,
  pos: number,
  end: number,
  limits: FrameLimits,
): number {
  // Not past `end`: the rest of the buffer may be long, and is searched again with every piece.
  const found = buf.subarray(pos, Math.min(end, pos + limits.maxInlineBytes + 1)).indexOf(LF);
  if (found < 0) {
    if (end - pos > limits.maxInlineBytes) {
      return fail(frame, 'Protocol error: too big inline request');
    }
    return wantMore(frame, end - pos + 1);
  }
  const lf = pos + found;
  frame.end = lf + 1;
  frame.lineEnd = lf > pos && buf[lf - 1] === CR ? lf - 1 : lf;
  for (let i = pos; i < frame.lineEnd; i++) {
    const byte = buf[i] as number;
    if (byte !== 32 && byte !== 9) return FRAME.inline;
  }
  return FRAME.ignored;
}

/** Encodes arguments as the multibulk request that a client library would send. */
export function encodeRequest(args: readonly (Buffer | string)[]): Slab {
  let size = 16;
  for (const arg of args) size += Buffer.byteLength(arg) + 24;
  const slab = createSlab(size);
  let at = slab.write(`*${args.length}\r\n`, 0, 'latin1');
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg) : arg;
    at += slab.write(`$${bytes.length}\r\n`, at, 'latin1');
    at = copyBytes(slab, at, bytes, 0, bytes.length);
    slab[at++] = CR;
    slab[at++] = LF;
  }
  const exact: Slab = slab.subarray(0, at);
  exact.view = new DataView(exact.buffer, exact.byteOffset, at);
  return exact;
}
