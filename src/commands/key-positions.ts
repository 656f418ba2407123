/**
 * Which arguments of a request are keys, for commands where that is not simply the first one.
 * Movable keys are found the way the servers find them for their own routing, so that proxy and
 * node agree on the slot; where they differ by version, the wider reading is taken.
 *
 * Arguments are given as pairs in an Int32Array: `argOffsets[2 * i]` is the first byte of argument
 * i's payload in `buf`, `argOffsets[2 * i + 1]` its length. Argument 0 is the command's name. There
 * may be 1,048,576 of them: everything here is linear and iterative.
 */
import { equalsWordInC, parseCount, parseLikeAtoi } from './ascii.ts';
import { type CompiledSpec, KEY_RULE, MOVABLE } from './key-rules.ts';
import { type CommandTable, FLAG } from './table.ts';

/** The arguments make no sense: any primary may answer the error. */
export const KEYS_MALFORMED = -1;
/** Keys and values do not pair up (MSET k v k): a wrong number of arguments. */
export const KEYS_UNPAIRED = -2;

/** Receives argument indexes; grows, never shrinks, and is meant to be reused. */
export class KeyPositions {
  at: Int32Array = new Int32Array(64);

  /** Makes room for `count` entries; what was in `at` stays. */
  reserve(count: number): Int32Array {
    if (count > this.at.length) {
      const grown = new Int32Array(Math.max(count, 2 * this.at.length));
      grown.set(this.at);
      this.at = grown;
    }
    return this.at;
  }
}

const STREAMS = Buffer.from('streams');
const BLOCK = Buffer.from('block');
const COUNT = Buffer.from('count');
const GROUP = Buffer.from('group');
const CLAIM = Buffer.from('claim');
const STORE = Buffer.from('store');
const STOREDIST = Buffer.from('storedist');
const LIMIT = Buffer.from('limit');
const GET = Buffer.from('get');
const BY = Buffer.from('by');
const KEYS = Buffer.from('keys');
const AUTH = Buffer.from('auth');
const AUTH2 = Buffer.from('auth2');

/**
 * Puts the indexes of the arguments that are keys into `out.at` and returns how many there are, or
 * KEYS_MALFORMED, or KEYS_UNPAIRED.
 */
export function keyPositions(
  table: CommandTable,
  id: number,
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  switch (table.keyRule[id]) {
    case KEY_RULE.none:
      return 0;
    case KEY_RULE.first:
      if (argc < 2) return KEYS_MALFORMED;
      out.at[0] = 1;
      return 1;
    case KEY_RULE.range:
      return rangeKeys(
        table.firstKey[id] as number,
        table.lastKey[id] as number,
        table.keyStep[id] as number,
        argc,
        out,
      );
    default:
      return movableKeys(table, id, buf, argOffsets, argc, out);
  }
}

/** {@link keyPositions} for arguments that lie apart, off the data path. */
export function keyPositionsOfArgs(
  table: CommandTable,
  id: number,
  args: readonly Buffer[],
  out: KeyPositions,
): number {
  const offsets = new Int32Array(2 * args.length);
  let at = 0;
  args.forEach((arg, i) => {
    offsets[2 * i] = at;
    offsets[2 * i + 1] = arg.length;
    at += arg.length;
  });
  return keyPositions(table, id, Buffer.concat(args), offsets, args.length, out);
}

/** True when XREAD or XREADGROUP is given BLOCK, also where the node will refuse the rest. */
export function hasBlockOption(buf: Uint8Array, argOffsets: Int32Array, argc: number): boolean {
  for (let i = 1; i < argc; i += 1 + streamOptionArgs(buf, argOffsets, i)) {
    if (isWord(buf, argOffsets, i, BLOCK)) return true;
    if (isWord(buf, argOffsets, i, STREAMS)) return false;
  }
  return false;
}

function rangeKeys(
  first: number,
  lastKey: number,
  step: number,
  argc: number,
  out: KeyPositions,
): number {
  const last = lastKey < 0 ? argc + lastKey : lastKey;
  if (last >= argc || last < first) return KEYS_MALFORMED;
  const span = last - first + 1;
  if (span % step !== 0) return KEYS_UNPAIRED;
  return fill(out, 0, first, step, span / step);
}

function movableKeys(
  table: CommandTable,
  id: number,
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  switch (table.movable[id]) {
    case MOVABLE.streams:
      return streamKeys(buf, argOffsets, argc, out);
    case MOVABLE.sort:
      return sortKeys(buf, argOffsets, argc, out);
    case MOVABLE.georadius:
      return georadiusKeys(buf, argOffsets, argc, out);
    case MOVABLE.migrate:
      return migrateKeys(buf, argOffsets, argc, out);
    default: {
      const mayHaveNone = ((table.flags[id] as number) & FLAG.noMandatoryKeys) !== 0;
      const specs = table.keySpecs[id] as readonly CompiledSpec[];
      return specKeys(specs, mayHaveNone, buf, argOffsets, argc, out);
    }
  }
}

/** Writes `count` positions from `first` on behind the `filled` ones there are; the new total. */
function fill(
  out: KeyPositions,
  filled: number,
  first: number,
  step: number,
  count: number,
): number {
  const total = filled + count;
  const at = out.reserve(total);
  for (let i = filled, position = first; i < total; i++, position += step) at[i] = position;
  return total;
}

function isWord(buf: Uint8Array, argOffsets: Int32Array, index: number, word: Uint8Array): boolean {
  const start = argOffsets[2 * index] as number;
  return equalsWordInC(buf, start, argOffsets[2 * index + 1] as number, word);
}

/** How many arguments belong to the XREAD or XREADGROUP option at `index`; 0 for an unknown one. */
function streamOptionArgs(buf: Uint8Array, argOffsets: Int32Array, index: number): number {
  if (isWord(buf, argOffsets, index, GROUP)) return 2;
  const one =
    isWord(buf, argOffsets, index, COUNT) ||
    isWord(buf, argOffsets, index, BLOCK) ||
    isWord(buf, argOffsets, index, CLAIM);
  return one ? 1 : 0;
}

/** XREAD … STREAMS key … id …: half of what follows STREAMS. */
function streamKeys(
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  let i = 1;
  while (i < argc && !isWord(buf, argOffsets, i, STREAMS)) {
    i += 1 + streamOptionArgs(buf, argOffsets, i);
  }
  const rest = argc - i - 1;
  if (rest <= 0 || rest % 2 !== 0) return KEYS_MALFORMED;
  return fill(out, 0, i + 1, 1, rest / 2);
}

/**
 * SORT key … STORE destination; the last STORE counts. BY and GET patterns name keys too, but only
 * the node can tell which: a cluster node refuses patterns outside the key's own slot.
 */
function sortKeys(
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  if (argc < 2) return KEYS_MALFORMED;
  let store = 0;
  for (let i = 2; i < argc; i++) {
    if (isWord(buf, argOffsets, i, LIMIT)) i += 2;
    else if (isWord(buf, argOffsets, i, GET) || isWord(buf, argOffsets, i, BY)) i += 1;
    else if (isWord(buf, argOffsets, i, STORE) && i + 1 < argc) store = i + 1;
  }
  return keyAndStore(store, out);
}

/** GEORADIUS key … STORE|STOREDIST destination; the last one counts. */
function georadiusKeys(
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  if (argc < 2) return KEYS_MALFORMED;
  let store = 0;
  for (let i = 5; i + 1 < argc; i++) {
    if (isWord(buf, argOffsets, i, STORE) || isWord(buf, argOffsets, i, STOREDIST)) {
      i += 1;
      store = i;
    }
  }
  return keyAndStore(store, out);
}

function keyAndStore(store: number, out: KeyPositions): number {
  out.at[0] = 1;
  if (store === 0) return 1;
  out.at[1] = store;
  return 2;
}

/** MIGRATE host port key …, or with an empty key: MIGRATE host port "" … KEYS key …. */
function migrateKeys(
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  if (argc < 4) return KEYS_MALFORMED;
  for (let i = 6; i < argc; i++) {
    if (isWord(buf, argOffsets, i, AUTH)) i += 1;
    else if (isWord(buf, argOffsets, i, AUTH2)) i += 2;
    else if (isWord(buf, argOffsets, i, KEYS)) {
      const hasSingleKey = argOffsets[2 * 3 + 1] !== 0;
      if (hasSingleKey || i + 1 === argc) return KEYS_MALFORMED;
      return fill(out, 0, i + 1, 1, argc - i - 1);
    }
  }
  return fill(out, 0, 3, 1, 1);
}

/** The generic way: the key specs of the command, as its server described them. */
function specKeys(
  specs: readonly CompiledSpec[],
  mayHaveNone: boolean,
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  let total = 0;
  for (let s = 0; s < specs.length; s++) {
    const spec = specs[s] as CompiledSpec;
    const begin = specBegin(spec, buf, argOffsets, argc);
    const filled = begin === 0 ? -1 : specFill(spec, begin, total, buf, argOffsets, argc, out);
    if (filled >= 0) total = filled;
    else if (!spec.optional) return KEYS_MALFORMED;
  }
  return total > 0 || mayHaveNone ? total : KEYS_MALFORMED;
}

/** The argument where a spec's keys begin, or 0 when its keyword is not there. */
function specBegin(
  spec: CompiledSpec,
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
): number {
  if (spec.keyword === null) return spec.index < argc ? spec.index : 0;
  // A negative start counts from the end and searches backwards; no key follows the last argument.
  const step = spec.startFrom > 0 ? 1 : -1;
  let i = spec.startFrom > 0 ? spec.startFrom : argc + Math.min(spec.startFrom, -2);
  for (; i > 0 && i + 1 < argc; i += step) {
    if (isWord(buf, argOffsets, i, spec.keyword)) return i + 1;
  }
  return 0;
}

/** Adds one spec's keys behind `total`; the new total, or -1 when they do not fit. */
function specFill(
  spec: CompiledSpec,
  begin: number,
  total: number,
  buf: Uint8Array,
  argOffsets: Int32Array,
  argc: number,
  out: KeyPositions,
): number {
  if (spec.keynum) {
    const at = begin + spec.a;
    if (at >= argc) return -1;
    const start = argOffsets[2 * at] as number;
    const length = argOffsets[2 * at + 1] as number;
    const first = begin + spec.c;
    let count = parseCount(buf, start, length);
    if (count < 0 || first + (count - 1) * spec.keyStep >= argc) {
      // Servers then read it leniently: `EVAL script 1.5 key` is for key's slot, though an error.
      count = parseLikeAtoi(buf, start, length);
      if (count < 1 || first + (count - 1) * spec.keyStep >= argc) return -1;
    }
    return fill(out, total, first, spec.keyStep, count);
  }
  let last = begin + spec.a;
  if (spec.a < 0) {
    // A limit of n: only the first nth of what is left are keys.
    last = spec.c > 1 ? begin + Math.floor((argc - begin) / spec.c) + spec.a : argc + spec.a;
  }
  if (last < begin || last >= argc) return -1;
  return fill(out, total, begin, spec.keyStep, Math.floor((last - begin) / spec.keyStep) + 1);
}
