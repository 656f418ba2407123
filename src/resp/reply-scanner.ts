/**
 * Finds whole replies in a node's bytes: RESP2 and every RESP3 type, without decoding them.
 *
 * Nesting needs no recursion: `need` counts the values still owed. An aggregate of n adds n and is
 * itself one of them; an attribute adds its pairs and is none. A reply that does not end inside
 * the bytes at hand can be scanned again from its start (small ones, see Lane) or resumed where
 * the scanner stopped (big ones): `need`, `skip`, `inLine` and `wantCrlf` are
 * the whole state.
 */

export const SCAN = {
  /** One reply ended at the returned position. */
  complete: 0,
  /** All bytes before the returned position belong to the unfinished reply; the rest is kept. */
  partial: 1,
  /** Not RESP; the connection cannot be trusted any more. */
  error: 2,
} as const;

const CR = 13;
const LF = 10;
const MINUS = 45;
const DOLLAR = 36;
const STAR = 42;
/**
 * A cut line of a simple string or error that is longer than this is passed over in pieces. Redis puts
 * names that it was given into errors (XPENDING's group), so that they may be as long as an argument.
 */
const LONG_LINE = 16 * 1024;
const MAX_LENGTH_DIGITS = 10;
const NULL_LENGTH = Buffer.from('-1\r\n');

/** How a value of each type byte goes on behind that byte; 0 is no type. */
const FORM = { line: 1, blob: 2, list: 3, map: 4, attribute: 5 } as const;
const FORMS = new Uint8Array(256);
for (const byte of Buffer.from('+-:_,#(')) FORMS[byte] = FORM.line;
for (const byte of Buffer.from('$=!')) FORMS[byte] = FORM.blob;
for (const byte of Buffer.from('*~>')) FORMS[byte] = FORM.list;
for (const byte of Buffer.from('%')) FORMS[byte] = FORM.map;
for (const byte of Buffer.from('|')) FORMS[byte] = FORM.attribute;

export class ReplyScanner {
  /** Result of the last `scan`, a {@link SCAN} code. */
  status: number = SCAN.partial;
  /** Type byte of the reply being scanned, past its attributes; 0 while that is not known. */
  type = 0;
  /** Position of the type byte of the value itself, valid while the reply is in one piece. */
  typeAt = 0;
  /** Longest payload that a header of this unfinished reply announced and that is not all here. */
  announced = 0;
  #need = 0;
  #skip = 0;
  #wantCrlf = false;
  /** In a line that is too long to be kept whole. */
  #inLine = false;
  #started = false;

  reset(): void {
    this.#need = 0;
    this.#skip = 0;
    this.#wantCrlf = false;
    this.#inLine = false;
    this.#started = false;
    this.announced = 0;
  }

  /** Scans one reply in buf[pos, end), pos < end; returns the position up to which it consumed. */
  scan(buf: Buffer, pos: number, end: number): number {
    if (this.#started) return this.#resume(buf, pos, end);
    // The replies that make up nearly all traffic, without touching the state.
    const type = buf[pos] as number;
    let p = pos + 1;
    if (type === DOLLAR) {
      let length = 0;
      for (; p < end && p - pos < 9; p++) {
        const digit = (buf[p] as number) - 48;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
      }
      const last = p + length + 4;
      if (
        last <= end &&
        p > pos + 1 &&
        buf[p] === CR &&
        buf[p + 1] === LF &&
        buf[last - 2] === CR &&
        buf[last - 1] === LF
      ) {
        this.type = type;
        this.typeAt = pos;
        this.status = SCAN.complete;
        return last;
      }
      if (buf[p] === MINUS && end - pos >= 5 && isNull(buf, p)) {
        this.type = type;
        this.typeAt = pos;
        this.status = SCAN.complete;
        return pos + 5;
      }
    } else if (type === 43 || type === 58 || type === MINUS) {
      while (p < end && buf[p] !== CR) p++;
      if (p + 1 < end && buf[p + 1] === LF) {
        this.type = type;
        this.typeAt = pos;
        this.status = SCAN.complete;
        return p + 2;
      }
    }
    this.type = 0;
    this.announced = 0;
    return this.#walk(buf, pos, end, 1);
  }

  /** Goes on with a reply that an earlier piece has begun. */
  #resume(buf: Buffer, pos: number, end: number): number {
    let p = pos;
    if (this.#skip > 0) {
      const left = end - p;
      if (left < this.#skip) {
        this.#skip -= left;
        return this.#stop(SCAN.partial, end);
      }
      p += this.#skip;
      this.#skip = 0;
      this.#wantCrlf = true;
    }
    if (this.#inLine) {
      while (p < end && buf[p] !== CR) p++;
      if (p + 1 >= end) return this.#stop(SCAN.partial, p);
      if (buf[p + 1] !== LF) return this.#stop(SCAN.error, p);
      p += 2;
      this.#inLine = false;
      this.#need--;
    }
    if (this.#wantCrlf) {
      if (end - p < 2) return this.#stop(SCAN.partial, p);
      if (buf[p] !== CR || buf[p + 1] !== LF) return this.#stop(SCAN.error, p);
      p += 2;
      this.#wantCrlf = false;
      this.#need--;
    }
    return this.#walk(buf, p, end, this.#need);
  }

  /** Passes over `owed` values and those inside them: one loop, its cursor in locals. */
  #walk(buf: Buffer, pos: number, end: number, owed: number): number {
    let p = pos;
    let need = owed;
    while (need > 0) {
      if (p >= end) return this.#pause(p, need);
      const type = buf[p] as number;
      const form = FORMS[type] as number;
      // One value owed: not inside an aggregate or an attribute, so this is the reply itself.
      if (need === 1 && this.type === 0 && form !== FORM.attribute) {
        this.type = type;
        this.typeAt = p;
      }
      let q = p + 1;
      if (form === FORM.line) {
        while (q < end && buf[q] !== CR) q++;
        if (q + 1 >= end) return this.#pauseInLine(p, q, need);
        if (buf[q + 1] !== LF) return this.#stop(SCAN.error, p);
        p = q + 2;
        need--;
        continue;
      }
      if (form === 0) return this.#stop(SCAN.error, p);
      let n = 0;
      for (; q < end; q++) {
        const digit = (buf[q] as number) - 48;
        if (digit < 0 || digit > 9) break;
        n = n * 10 + digit;
      }
      const digits = q - p - 1;
      if (q + 1 >= end || digits === 0 || digits > MAX_LENGTH_DIGITS || buf[q] !== CR) {
        const next = this.#oddLength(buf, p, end, digits);
        if (next < 0) return this.#stop(SCAN.error, p);
        if (next === 0) return this.#pause(p, need);
        p = next;
        need--;
        continue;
      }
      if (buf[q + 1] !== LF) return this.#stop(SCAN.error, p);
      p = q + 2;
      if (form === FORM.blob) {
        const last = p + n + 2;
        if (last > end) return this.#pauseInBlob(p, end, n, need);
        if (buf[last - 2] !== CR || buf[last - 1] !== LF) return this.#stop(SCAN.error, p);
        p = last;
        need--;
      } else if (form === FORM.list) need += n - 1;
      else if (form === FORM.map) need += 2 * n - 1;
      else need += 2 * n;
    }
    this.#started = false;
    return this.#stop(SCAN.complete, p);
  }

  #stop(status: number, at: number): number {
    this.status = status;
    return at;
  }

  /** The bytes end before or in the header at p. */
  #pause(p: number, need: number): number {
    this.#started = true;
    this.#need = need;
    return this.#stop(SCAN.partial, p);
  }

  /** The bytes end in the line that begins at p, whose CR is not before q. */
  #pauseInLine(p: number, q: number, need: number): number {
    this.#inLine = q - p > LONG_LINE;
    return this.#pause(this.#inLine ? q : p, need);
  }

  /** The bytes end in a payload of n bytes that begins at p, or in the CRLF behind it. */
  #pauseInBlob(p: number, end: number, n: number, need: number): number {
    if (n > this.announced) this.announced = n;
    const left = end - p;
    this.#skip = left < n ? n - left : 0;
    this.#wantCrlf = left >= n;
    return this.#pause(left < n ? end : p + n, need);
  }

  /** A header that is cut or no plain length: position behind it, 0 for "cut", -1 for "not RESP". */
  #oddLength(buf: Buffer, p: number, end: number, digits: number): number {
    const q = p + 1 + digits;
    if (digits > MAX_LENGTH_DIGITS) return -1;
    if (digits > 0 || q >= end) return q >= end || (buf[q] === CR && q + 1 >= end) ? 0 : -1;
    // RESP2's nulls `$-1` and `*-1`; no other negative length exists, nor `$?` and `*?`.
    const type = buf[p] as number;
    if (type !== DOLLAR && type !== STAR) return -1;
    if (end - q >= 4) return isNull(buf, q) ? q + 4 : -1;
    for (let i = q; i < end; i++) if (buf[i] !== NULL_LENGTH[i - q]) return -1;
    return 0;
  }
}

function isNull(buf: Buffer, at: number): boolean {
  return buf[at] === MINUS && buf[at + 1] === 49 && buf[at + 2] === CR && buf[at + 3] === LF;
}
