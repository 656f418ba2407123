/**
 * Splits an inline command (telnet, health checks, `redis-cli --pipe` by hand) as Redis'
 * sdssplitargs does: blanks separate, "double quotes" know \n \r \t \b \a \xHH, 'single' know \'.
 */

const QUOTE = 34;
const APOSTROPHE = 39;
const BACKSLASH = 92;
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, a: 7 };

/** Arguments of the line buf[start, end), or null for unbalanced quotes. */
export function splitInline(buf: Buffer, start: number, end: number): Buffer[] | null {
  const args: Buffer[] = [];
  let p = start;
  for (;;) {
    while (p < end && isBlank(buf[p] as number)) p++;
    if (p >= end) return args;
    const parsed = readArgument(buf, p, end);
    if (parsed === null) return null;
    args.push(parsed.bytes);
    p = parsed.next;
  }
}

function readArgument(
  buf: Buffer,
  start: number,
  end: number,
): { bytes: Buffer; next: number } | null {
  const bytes: number[] = [];
  let p = start;
  while (p < end) {
    const byte = buf[p] as number;
    if (isSeparator(byte)) break;
    if (byte === QUOTE || byte === APOSTROPHE) {
      const next = readQuoted(buf, p, end, bytes);
      if (next < 0) return null;
      return { bytes: Buffer.from(bytes), next };
    }
    bytes.push(byte);
    p++;
  }
  return { bytes: Buffer.from(bytes), next: p };
}

/** Appends the quoted text to `bytes`; returns the position behind the closing quote or -1. */
function readQuoted(buf: Buffer, open: number, end: number, bytes: number[]): number {
  const quote = buf[open] as number;
  let p = open + 1;
  while (p < end) {
    const byte = buf[p] as number;
    if (byte === quote) {
      // A closing quote must be followed by a blank or the end, as in Redis.
      return p + 1 === end || isBlank(buf[p + 1] as number) ? p + 1 : -1;
    }
    if (byte === BACKSLASH && p + 1 < end) p = readEscape(buf, p, end, quote, bytes);
    else {
      bytes.push(byte);
      p++;
    }
  }
  return -1;
}

function readEscape(buf: Buffer, at: number, end: number, quote: number, bytes: number[]): number {
  const next = buf[at + 1] as number;
  if (quote === APOSTROPHE) {
    bytes.push(next === APOSTROPHE ? APOSTROPHE : BACKSLASH);
    return next === APOSTROPHE ? at + 2 : at + 1;
  }
  if (next === 120 && at + 3 < end) {
    const hex = buf.toString('latin1', at + 2, at + 4);
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      return at + 4;
    }
  }
  bytes.push(ESCAPES[String.fromCharCode(next)] ?? next);
  return at + 2;
}

/** Ends an unquoted word; \v and \f are blanks only between words (sdssplitargs, isspace). */
function isSeparator(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === 10 || byte === 13;
}

function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}
