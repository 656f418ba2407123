/**
 * Builds one reply of the proxy's own in RESP2 or RESP3, in the exact form Redis gives it. Values
 * of RESP3 that RESP2 does not know become what Redis makes of them there: a map is an array of
 * keys and values, a set an array, a boolean an integer, a verbatim text a bulk string.
 *
 * Aggregates are written head first: `map(2)`, then key, value, key, value.
 */

import { createSlab, LARGE_SLAB, type Slab } from '../lib/slab.ts';

/** A finished reply: slab[start, end). Valid until the writer is reset. */
export interface WrittenReply {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

const FIRST_SIZE = 1024;
/** Longest head of a value: type byte, a signed 64-bit number, CRLF. */
const HEAD_MAX = 24;
const CR = 13;
const LF = 10;
const SPACE = 32;

export class ReplyWriter {
  #protocol: 2 | 3;
  #slab: Slab;
  #length = 0;

  constructor(protocol: 2 | 3) {
    this.#protocol = protocol;
    this.#slab = createSlab(FIRST_SIZE);
  }

  get protocol(): 2 | 3 {
    return this.#protocol;
  }

  /** Bytes written so far; 0 means that the client gets no reply at all. */
  get length(): number {
    return this.#length;
  }

  /** Begins anew. A buffer that one huge reply needed is given up. */
  reset(protocol: 2 | 3): void {
    this.#protocol = protocol;
    this.#length = 0;
    if (this.#slab.length > LARGE_SLAB) this.#slab = createSlab(FIRST_SIZE);
  }

  finish(): WrittenReply {
    return { slab: this.#slab, start: 0, end: this.#length };
  }

  /** A status such as OK. One character is one byte (latin1); line ends become spaces. */
  simple(text: string): void {
    this.#line('+', text);
  }

  /** An error, its word first. One character is one byte (latin1); line ends become spaces. */
  error(text: string): void {
    this.#line('-', text);
  }

  integer(value: number | bigint): void {
    this.#head(':', value);
  }

  /** A text is written as UTF-8. */
  bulk(value: string | Buffer): void {
    const size = byteLength(value);
    this.#head('$', size);
    this.#body(value, size);
  }

  nullBulk(): void {
    this.#ascii(this.#protocol === 3 ? '_\r\n' : '$-1\r\n');
  }

  nullArray(): void {
    this.#ascii(this.#protocol === 3 ? '_\r\n' : '*-1\r\n');
  }

  array(count: number): void {
    this.#head('*', count);
  }

  /** `pairs` keys with their values follow. */
  map(pairs: number): void {
    if (this.#protocol === 3) this.#head('%', pairs);
    else this.#head('*', pairs * 2);
  }

  set(count: number): void {
    this.#head(this.#protocol === 3 ? '~' : '*', count);
  }

  double(value: number): void {
    const text = doubleText(value);
    if (this.#protocol === 3) this.#ascii(`,${text}\r\n`);
    else this.bulk(text);
  }

  boolean(value: boolean): void {
    if (this.#protocol === 3) this.#ascii(value ? '#t\r\n' : '#f\r\n');
    else this.integer(value ? 1 : 0);
  }

  /** A text for people's eyes, shown by redis-cli as it is. */
  verbatim(text: string): void {
    if (this.#protocol === 2) {
      this.bulk(text);
      return;
    }
    const size = byteLength(text);
    this.#head('=', size + 4);
    this.#ascii('txt:');
    this.#body(text, size);
  }

  #line(type: string, text: string): void {
    this.#reserve(text.length + 3);
    const slab = this.#slab;
    const start = this.#length;
    const end = start + slab.write(`${type}${text}`, start, 'latin1');
    // On the bytes, not the text: a character above U+00FF could turn into a line end.
    for (let i = start; i < end; i++) if (slab[i] === CR || slab[i] === LF) slab[i] = SPACE;
    slab[end] = CR;
    slab[end + 1] = LF;
    this.#length = end + 2;
  }

  #head(type: string, value: number | bigint): void {
    this.#ascii(`${type}${value}\r\n`);
  }

  #ascii(text: string): void {
    this.#reserve(Math.max(text.length, HEAD_MAX));
    this.#length += this.#slab.write(text, this.#length, 'latin1');
  }

  #body(value: string | Buffer, size: number): void {
    this.#reserve(size + 2);
    const slab = this.#slab;
    const at = this.#length;
    if (typeof value === 'string') slab.write(value, at, 'utf8');
    else value.copy(slab, at);
    slab[at + size] = CR;
    slab[at + size + 1] = LF;
    this.#length = at + size + 2;
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#slab.length) return;
    const grown = createSlab(Math.max(needed, 2 * this.#slab.length));
    this.#slab.copy(grown, 0, 0, this.#length);
    this.#slab = grown;
  }
}

function byteLength(value: string | Buffer): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}
