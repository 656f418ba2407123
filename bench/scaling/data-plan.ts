/**
 * The data set that is moved: keys of all types whose sizes run from 10 B to 1 MB. With sizes evenly
 * spread over their logarithms a key has 87 KB on average, 50,000 keys more than 4 GB; so the spread
 * is bent towards small ones until the sum is what was asked for. Pure: the same plan each time.
 */

export type DataType = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream';

export interface DataKey {
  readonly name: string;
  readonly type: DataType;
  readonly bytes: number;
  /** Fields, elements, members or entries; 1 for a string. */
  readonly elements: number;
  readonly hasExpiry: boolean;
}

export const EXPIRY_SECONDS = 6 * 3600;
export const GROUP = 'readers';
/** Entries of each stream that its group has read and not acknowledged. */
export const PENDING = 2;

const TYPES: readonly DataType[] = ['string', 'hash', 'list', 'set', 'zset', 'stream'];
const SMALLEST = 10;
const LARGEST = 1_000_000;
const ELEMENT_BYTES = 100;
/** XADD is a command for each entry. */
const STREAM_ENTRIES_MAX = 200;
const KEYS_PER_EXPIRY = 10;
const STRIDE = 7919;
const TEXT_BYTES = 1 << 20;

export function planData(keys: number, totalBytes: number): DataKey[] {
  const bend = bendFor(keys, totalBytes);
  return Array.from({ length: keys }, (_, i) => {
    // Sizes are dealt over the types by a stride, not in ascending order.
    const bytes = sizeAt((((i * STRIDE) % keys) + 0.5) / keys, bend);
    const type = TYPES[i % TYPES.length] as DataType;
    return {
      name: `data:${i}`,
      type,
      bytes,
      elements: elementsOf(type, bytes),
      hasExpiry: Math.floor(i / TYPES.length) % KEYS_PER_EXPIRY === 0,
    };
  });
}

/** Commands that make the key, to be sent in this order. */
export function fillCommands(key: DataKey): string[][] {
  const { name, type } = key;
  const pieces = piecesOf(key);
  const commands: string[][] = [];
  if (type === 'string') commands.push(['SET', name, ...pieces]);
  if (type === 'hash')
    commands.push(['HSET', name, ...pieces.flatMap((text, i) => [`${i}`, text])]);
  if (type === 'list') commands.push(['RPUSH', name, ...pieces]);
  if (type === 'set') commands.push(['SADD', name, ...pieces]);
  if (type === 'zset')
    commands.push(['ZADD', name, ...pieces.flatMap((text, i) => [`${i}`, text])]);
  if (type === 'stream') {
    commands.push(...pieces.map((text) => ['XADD', name, '*', 'text', text]));
    commands.push(['XGROUP', 'CREATE', name, GROUP, '0']);
    const count = `${PENDING}`;
    commands.push(['XREADGROUP', 'GROUP', GROUP, 'one', 'COUNT', count, 'STREAMS', name, '>']);
  }
  if (key.hasExpiry) commands.push(['EXPIRE', name, `${EXPIRY_SECONDS}`]);
  return commands;
}

/** A cheap read of the key, and its reply. */
export function lengthQuestion(key: DataKey): {
  readonly command: string[];
  readonly reply: number;
} {
  const { name, type, elements, bytes } = key;
  const asks = {
    string: 'STRLEN',
    hash: 'HLEN',
    list: 'LLEN',
    set: 'SCARD',
    zset: 'ZCARD',
    stream: 'XLEN',
  };
  return { command: [asks[type], name], reply: type === 'string' ? bytes : elements };
}

/** What a string key holds. */
export function textOf(key: DataKey): string {
  return piecesOf(key)[0] as string;
}

function piecesOf({ name, bytes, elements }: DataKey): string[] {
  if (elements === 1) return [slice(name, 0, bytes)];
  const each = Math.floor(bytes / elements);
  return Array.from({ length: elements }, (_, i) => slice(name, i, each));
}

/** Begins with the number, so that no two members of a set are the same. */
function slice(name: string, number: number, bytes: number): string {
  const head = `${number}:`;
  const from = (Number(name.slice(name.indexOf(':') + 1)) * 977 + number * 131) % TEXT_BYTES;
  const text = source();
  let out = (head + text.slice(from, from + bytes)).slice(0, bytes);
  while (out.length < bytes) out += text.slice(0, bytes - out.length);
  return out;
}

let made = '';

/** Letters and digits without a pattern: nodes compress what they dump, and would send less of others. */
function source(): string {
  if (made !== '') return made;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let state = 1;
  const parts: string[] = [];
  for (let i = 0; i < TEXT_BYTES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    parts.push(alphabet[state >>> 26] as string);
  }
  made = parts.join('');
  return made;
}

function elementsOf(type: DataType, bytes: number): number {
  if (type === 'string') return 1;
  const elements = Math.max(1, Math.round(bytes / ELEMENT_BYTES));
  return type === 'stream' ? Math.min(elements, STREAM_ENTRIES_MAX) : elements;
}

function sizeAt(fraction: number, bend: number): number {
  return Math.round(SMALLEST * (LARGEST / SMALLEST) ** (fraction ** bend));
}

/** 1: even over the logarithms; the greater, the more small ones. */
function bendFor(keys: number, totalBytes: number): number {
  let [low, high] = [0.05, 200];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    let total = 0;
    for (let i = 0; i < keys; i++) total += sizeAt((i + 0.5) / keys, middle);
    if (total > totalBytes) low = middle;
    else high = middle;
  }
  return high;
}
