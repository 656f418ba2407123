/**
 * Chooses keys and values for one connection of the differential run. Each connection has a key space
 * of its own, so that the order of the commands on a key is defined whatever the others do. Keys come
 * in groups that share a tag (for commands with several keys) and loose (any slot, odd names).
 *
 * Numbers keep to what both servers treat alike at any moment: deadlines are years away or long past,
 * and no count or offset asks a server for gigabytes.
 */
import { Prng } from '../sim/prng.ts';

export type Arg = string | number | Buffer;

/** What a key is meant to hold. Names carry it, so that commands mostly meet their own type. */
export const KEY_TYPES = [
  'string',
  'number',
  'bitmap',
  'hll',
  'list',
  'set',
  'hash',
  'zset',
  'geo',
  'stream',
] as const;
export type KeyType = (typeof KEY_TYPES)[number];

const NAMES_PER_TYPE = 3;
const TAGS = 6;
const WRONG_TYPE = 0.06;
const MB = 1024 * 1024;
export const BIG_BYTES_MAX = 8 * MB;
/** Random bytes that big values are cut from; made once, the same for every seed. */
const QUARRY = quarry(BIG_BYTES_MAX + MB);

function quarry(bytes: number): Buffer {
  const out = Buffer.allocUnsafe(bytes);
  const prng = new Prng(0x51a7e);
  for (let i = 0; i < bytes; i += 4) out.writeUInt32LE(prng.int(0x1_0000_0000), i);
  return out;
}

const BINARY_TAGS = ['', '\r\n', '\0', '\xff\xfe', '{', ' '];
const LOOSE_SHAPES: readonly ((own: string, name: string) => string)[] = [
  (own, name) => `${own}:${name}`,
  (own, name) => `${own}:${name}`,
  (own, name) => `${own}:{}${name}`,
  (own, name) => `${own}:{}{${name}}`,
  (own, name) => `${own}:{${name}`,
  (own, name) => `${own}:}${name}{`,
  (own, name) => `${own}:{{${name}}}`,
  (own, name) => `${own}:\r\n$3\r\n${name}\r\n`,
  (own, name) => `${own}:\0${name}\xff\x80`,
  (own, name) => `{${own}:${name}}{other}`,
  (own, name) => `{}${own}:${name}`,
  (own, name) => `{${own}:a}{b}${name}`,
];
const WORDS = ['a', 'b', 'foo', 'bar', 'hello world', '', '0', '1', '-1', '10', '3.5', 'OK', 'nil'];
const ODD_VALUES = [
  '\r\n',
  '$-1\r\n',
  '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n',
  '-ERR no error\r\n',
  'MOVED 1 127.0.0.1:1',
  '{}',
  '{tag}',
  '\0',
  'a\0b',
  '\xff\xfe\x80',
  '"quoted" \'text\'',
].map((text) => Buffer.from(text, 'latin1'));
const SET_MEMBERS = ['\r\n', '{}', '\xff\x80', ' ', 'a b', '$3'].map((t) =>
  Buffer.from(t, 'latin1'),
);

/** Keys that share a tag. */
export interface Group {
  readonly tag: string;
  key(type: KeyType): Buffer;
  /** From `low` to `high` keys, with repetitions. */
  keys(type: KeyType, low: number, high: number): Buffer[];
}

export class Chooser {
  readonly prng: Prng;
  /** Prefix of all keys of this connection. */
  readonly own: string;
  readonly #tags: readonly string[];
  #streamMs = 1000;
  /** While set, all keys are of this tag: a transaction's keys share their slot. */
  #pinned: string | null = null;

  constructor(prng: Prng, connection: number) {
    this.prng = prng;
    this.own = `c${connection}`;
    this.#tags = Array.from({ length: TAGS }, (_, i) => `${this.own}:${i}${BINARY_TAGS[i] ?? ''}`);
  }

  // ------------------------------------------------------------------ keys

  /** All keys are of one tag from now on, until {@link unpin}. */
  pin(): void {
    this.#pinned = this.prng.pick(this.#tags);
  }

  unpin(): void {
    this.#pinned = null;
  }

  #tag(): string {
    return this.#pinned ?? this.prng.pick(this.#tags);
  }

  /** Keys that nothing but waiting commands and those that wake them use; of several slots if far. */
  waitKeys(type: 'list' | 'zset' | 'stream', low: number, high: number, isFar: boolean): Buffer[] {
    const { own, prng } = this;
    return this.times(low, high, () => {
      const index = prng.int(4);
      return Buffer.from(
        isFar ? `${own}:far:${type}${index}` : `wait:{${own}:wait}${type}${index}`,
      );
    });
  }

  /** For commands with one key: a group's or a loose one. */
  key(type: KeyType): Buffer {
    return this.prng.chance(0.6) ? this.group().key(type) : this.loose(type);
  }

  group(): Group {
    const tag = this.#tag();
    const key = (type: KeyType): Buffer => this.#grouped(tag, this.#maybeOther(type));
    const keys = (type: KeyType, low: number, high: number): Buffer[] =>
      this.times(low, high, () => key(type));
    return { tag, key, keys };
  }

  /** Hashed by its whole name or by an odd tag. */
  loose(type: KeyType): Buffer {
    if (this.#pinned !== null) return this.#grouped(this.#pinned, type);
    const shape = this.prng.pick(LOOSE_SHAPES);
    const name = `${this.#maybeOther(type)}${this.prng.int(NAMES_PER_TYPE)}`;
    return Buffer.from(shape(this.own, name), 'latin1');
  }

  /** A key of any type, tagged or not: for commands that are split over slots. */
  anyKey(): Buffer {
    if (this.#pinned === null && this.prng.chance(0.02) && this.own === 'c0')
      return Buffer.alloc(0);
    if (this.prng.chance(0.02)) return this.lexKeys(1)[0] as Buffer;
    const type = this.anyType();
    return this.prng.chance(0.5) ? this.group().key(type) : this.loose(type);
  }

  anyType(): KeyType {
    return this.prng.pick(KEY_TYPES);
  }

  /**
   * Sorted sets whose scores are all 0: commands by lexicographic range are defined for such alone.
   * No other type's commands write to them. Both or all share a tag.
   */
  lexKeys(count: number): Buffer[] {
    const tag = this.#tag();
    return Array.from({ length: count }, () =>
      Buffer.from(`lex${this.prng.int(NAMES_PER_TYPE)}{${tag}}`, 'latin1'),
    );
  }

  /** The only names that hold values of megabytes. */
  bigKey(): Buffer {
    if (this.#pinned !== null) return Buffer.from(`{${this.#pinned}}big`, 'latin1');
    return Buffer.from(`${this.own}:big:${this.prng.int(2)}`);
  }

  #maybeOther(type: KeyType): KeyType {
    return this.prng.chance(WRONG_TYPE) ? this.anyType() : type;
  }

  #grouped(tag: string, type: KeyType): Buffer {
    const index = this.prng.int(NAMES_PER_TYPE);
    const name =
      index === 0 ? `{${tag}}${type}` : index === 1 ? `${type}{${tag}}\r\n` : `{${tag}}{${type}}\0`;
    return Buffer.from(name, 'latin1');
  }

  // ------------------------------------------------------------------ values

  /** Any bytes, mostly few. */
  value(): Arg {
    const { prng } = this;
    const kind = prng.int(100);
    if (kind < 40) return prng.pick(WORDS);
    if (kind < 60) return prng.between(-100, 1000);
    if (kind < 75) return prng.pick(ODD_VALUES);
    if (kind < 92) return this.bytes(prng.int(64));
    if (kind < 99) return this.bytes(prng.between(64, 2000));
    return this.bytes(prng.between(2000, 40_000));
  }

  /** From few different ones, so that they are met again: fields, members of sorted sets. */
  member(): Arg {
    const { prng } = this;
    const kind = prng.int(10);
    if (kind < 6) return `m${prng.int(24)}`;
    if (kind < 8) return prng.between(-3, 12);
    return kind === 8 ? prng.pick(ODD_VALUES) : this.bytes(prng.pick([1, 65, 70]));
  }

  /** As {@link member}, without NUL: SORT ALPHA compares only up to one, and sets have no order. */
  setMember(): Arg {
    const { prng } = this;
    const kind = prng.int(10);
    if (kind < 4) return `m${prng.int(30)}`;
    if (kind < 9) return prng.between(-10, 40);
    return prng.pick(SET_MEMBERS);
  }

  /** Bytes from a random place, so that equal ones are rare. */
  bytes(length: number): Buffer {
    const from = this.prng.int(QUARRY.length - length);
    return QUARRY.subarray(from, from + length);
  }

  /** 200 KB to 8 MB, often right at a limit. */
  big(): Buffer {
    const { prng } = this;
    const kind = prng.int(10);
    if (kind === 0) return this.bytes(BIG_BYTES_MAX);
    if (kind < 3) return this.bytes(MB + prng.between(-2, 2));
    return this.bytes(Math.floor(prng.range(0.45, 2.83) ** 2 * MB));
  }

  /** An integer that commands may take as count, index or amount. */
  int(): Arg {
    const { prng } = this;
    const kind = prng.int(40);
    if (kind === 0)
      return prng.pick(['9223372036854775807', '-9223372036854775808', '+1', '01', '']);
    if (kind === 1) return prng.pick(['x', '1.5', '1e3', ' 1', '9223372036854775808']);
    return kind < 30 ? prng.between(-5, 20) : prng.between(-300, 3000);
  }

  index(): number {
    return this.prng.between(-12, 12);
  }

  count(): number {
    return this.prng.between(1, 8);
  }

  float(): Arg {
    const { prng } = this;
    const kind = prng.int(20);
    if (kind === 0) return prng.pick(['inf', '-inf', '+inf', 'nan', 'abc', '', '1e', '0x10']);
    if (kind < 10) return prng.between(-20, 50);
    if (kind < 18) return prng.range(-100, 100).toFixed(prng.int(6));
    return prng.pick(['1e10', '-1.5e-7', '3.0', '17179869184.25', '.5', '-0']);
  }

  scoreBound(): Arg {
    const { prng } = this;
    if (prng.chance(0.2)) return prng.pick(['-inf', '+inf', 'inf', '(abc', '(-inf']);
    const score = prng.between(-30, 60);
    return prng.chance(0.3) ? `(${score}` : score;
  }

  lexBound(): Arg {
    const { prng } = this;
    if (prng.chance(0.3)) return prng.pick(['-', '+', 'm1', '(', '[']);
    return `${prng.pick(['[', '('])}m${prng.int(24)}`;
  }

  /** Seconds or milliseconds from now, 30 years or 11 days at least. Practically never twice the same. */
  farFromNow(): number {
    return Math.floor(this.prng.range(1e9, 9e9));
  }

  /** An absolute time in seconds: a century ahead, or long past. */
  farSeconds(): number {
    return this.prng.chance(0.2)
      ? this.prng.between(0, 1e9)
      : Math.floor(this.prng.range(4e9, 9e9));
  }

  /** Never met again, and greater than all before. */
  nextStreamId(): string {
    this.#streamMs += this.prng.between(0, 2) + 1;
    return `${this.#streamMs}-${this.prng.int(4)}`;
  }

  /** Some id around those handed out. */
  streamId(): Arg {
    const { prng } = this;
    if (prng.chance(0.3)) return prng.pick(['-', '+', '0', '0-0', '1-1', '$', '(5', 'x', '']);
    const ms = Math.max(0, this.#streamMs - prng.int(400));
    return prng.chance(0.5) ? ms : `${ms}-${prng.int(4)}`;
  }

  // ------------------------------------------------------------------ structure

  times<T>(low: number, high: number, make: () => T): T[] {
    return Array.from({ length: this.prng.between(low, high) }, make);
  }

  /** `args` with the given probability, else none: for options. */
  maybe(probability: number, args: () => readonly Arg[]): readonly Arg[] {
    return this.prng.chance(probability) ? args() : [];
  }

  pick<T>(values: readonly T[]): T {
    return this.prng.pick(values);
  }

  /** Words in any letter case. */
  word(...words: readonly string[]): string {
    const word = this.prng.pick(words);
    return this.prng.chance(0.8) ? word : word.toLowerCase();
  }
}
