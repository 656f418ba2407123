/** Strings, counters, bitmaps, HyperLogLogs, and the commands that are split over slots. */
import type { Arg, Chooser } from '../chooser.ts';
import type { Maker, Makers } from './maker.ts';

const oneString: Maker = (c) => [c.key('string')];
const oneNumber: Maker = (c) => [c.key('number')];
const BIT_MAX = 4000;

function expiry(c: Chooser): readonly Arg[] {
  const option = c.word('EX', 'PX', 'EXAT', 'PXAT');
  const isSeconds = option.toUpperCase() === 'EXAT';
  if (isSeconds) return [option, c.farSeconds()];
  if (option.toUpperCase() === 'PXAT') return [option, c.farSeconds() * 1000];
  if (c.prng.chance(0.04)) return [option, c.pick([0, -1, 'x', '9223372036854775807'])];
  return [option, c.farFromNow()];
}

function setOptions(c: Chooser): readonly Arg[] {
  return [
    ...c.maybe(0.15, () => [c.word('NX', 'XX')]),
    ...c.maybe(0.15, () => [c.word('GET')]),
    ...c.maybe(0.2, () => (c.prng.chance(0.2) ? [c.word('KEEPTTL')] : expiry(c))),
  ];
}

const STRINGS: Makers = {
  append: (c) => [c.key('string'), c.value()],
  decr: oneNumber,
  decrby: (c) => [c.key('number'), c.int()],
  get: oneString,
  getdel: oneString,
  getex: (c) => [
    c.key('string'),
    ...c.maybe(0.7, () => (c.prng.chance(0.3) ? ['PERSIST'] : expiry(c))),
  ],
  getrange: (c) => [c.key('string'), c.index(), c.int()],
  getset: (c) => [c.key('string'), c.value()],
  incr: oneNumber,
  incrby: (c) => [c.key('number'), c.int()],
  incrbyfloat: (c) => [c.key('number'), c.float()],
  lcs: (c) => {
    const group = c.group();
    const options = c.pick([
      [],
      ['LEN'],
      ['IDX'],
      ['IDX', 'WITHMATCHLEN'],
      ['IDX', 'MINMATCHLEN', 2],
    ]);
    return [group.key('number'), group.key('number'), ...options];
  },
  msetnx: (c) => {
    const group = c.group();
    return c.times(1, 4, () => [group.key('string'), c.value()]).flat();
  },
  psetex: (c) => [c.key('string'), c.farFromNow(), c.value()],
  set: (c) => [c.key('string'), c.value(), ...setOptions(c)],
  setex: (c) => [c.key('string'), c.pick([c.farFromNow(), c.farFromNow(), 0, 'x']), c.value()],
  setnx: (c) => [c.key('string'), c.value()],
  setrange: (c) => [c.key('string'), c.prng.between(-1, 300), c.value()],
  strlen: oneString,
  substr: (c) => [c.key('string'), c.index(), c.index()],
};

function bitType(c: Chooser): string {
  return c.pick(['u8', 'i5', 'u63', 'i64', 'u1', 'i16', 'u64', 'x']);
}

function bitOffset(c: Chooser): Arg {
  return c.prng.chance(0.3) ? `#${c.prng.int(20)}` : c.prng.int(200);
}

function bitfieldStep(c: Chooser): readonly Arg[] {
  const kind = c.word('GET', 'SET', 'INCRBY', 'OVERFLOW');
  if (kind.toUpperCase() === 'OVERFLOW') return [kind, c.word('WRAP', 'SAT', 'FAIL')];
  const place = [kind, bitType(c), bitOffset(c)];
  return kind.toUpperCase() === 'GET' ? place : [...place, c.int()];
}

function bitRange(c: Chooser): readonly Arg[] {
  return [c.index(), c.int(), ...c.maybe(0.4, () => [c.word('BIT', 'BYTE')])];
}

const BITMAPS: Makers = {
  bitcount: (c) => [c.key('bitmap'), ...c.maybe(0.7, () => bitRange(c))],
  bitfield: (c) => [c.key('bitmap'), ...c.times(1, 4, () => bitfieldStep(c)).flat()],
  bitfield_ro: (c) => [
    c.key('bitmap'),
    ...c.times(1, 4, () => ['GET', bitType(c), bitOffset(c)]).flat(),
  ],
  bitop: (c) => {
    const group = c.group();
    const operation = c.word('AND', 'OR', 'XOR', 'NOT');
    const sources = operation.toUpperCase() === 'NOT' ? 1 : 3;
    return [operation, group.key('bitmap'), ...group.keys('bitmap', 1, sources)];
  },
  bitpos: (c) => [c.key('bitmap'), c.pick([0, 1, 1, 2]), ...c.maybe(0.6, () => bitRange(c))],
  getbit: (c) => [c.key('bitmap'), c.prng.int(BIT_MAX)],
  setbit: (c) => [c.key('bitmap'), c.prng.between(-1, BIT_MAX), c.pick([0, 1, 1, 2])],
};

const HYPERLOGLOGS: Makers = {
  pfadd: (c) => [c.key('hll'), ...c.times(0, 12, () => c.prng.int(100_000))],
  pfcount: (c) => c.group().keys('hll', 1, 3),
  pfmerge: (c) => c.group().keys('hll', 1, 4),
};

/** Over any number of slots. */
function splitKeys(c: Chooser, high: number): Buffer[] {
  const many = c.prng.chance(0.01) ? 400 : high;
  return c.times(1, many, () => c.anyKey());
}

const SPLIT: Makers = {
  del: (c) => splitKeys(c, 3),
  exists: (c) => splitKeys(c, 12),
  mget: (c) => [...splitKeys(c, 16), ...c.maybe(0.01, () => c.times(1, 3, () => c.bigKey()))],
  mset: (c) =>
    c
      .times(1, c.prng.chance(0.01) ? 200 : 8, () => {
        const type = c.pick(['string', 'number', 'bitmap'] as const);
        const key = c.prng.chance(0.5) ? c.group().key(type) : c.loose(type);
        return [key, c.value()];
      })
      .flat(),
  touch: (c) => splitKeys(c, 12),
  unlink: (c) => splitKeys(c, 3),
};

/** Values of megabytes; rare, see the workload's weights. */
export const BIG_MAKERS: Makers = {
  append: (c) => [c.bigKey(), c.bytes(c.prng.int(40_000))],
  get: (c) => [c.bigKey()],
  getset: (c) => [c.bigKey(), c.big()],
  getrange: (c) => [c.bigKey(), c.prng.int(2_000_000), c.prng.between(1_000_000, 9_000_000)],
  mget: (c) => [c.bigKey(), c.anyKey(), c.bigKey(), c.anyKey()],
  mset: (c) => [c.bigKey(), c.big(), c.loose('string'), c.value(), c.bigKey(), c.big()],
  set: (c) => [c.bigKey(), c.big()],
  setrange: (c) => [c.bigKey(), c.prng.int(8_000_000), c.value()],
  strlen: (c) => [c.bigKey()],
  echo: (c) => [c.big()],
  eval: (c) => ["return redis.call('GET', KEYS[1])", 1, c.bigKey()],
  hset: (c) => [Buffer.from(`${c.own}:bighash`), `f${c.prng.int(2)}`, c.big()],
  hgetall: (c) => [Buffer.from(`${c.own}:bighash`)],
  rpush: (c) => [Buffer.from(`${c.own}:biglist`), c.big()],
  lpop: (c) => [Buffer.from(`${c.own}:biglist`), 10],
};

export const STRING_MAKERS: Makers = { ...STRINGS, ...BITMAPS, ...HYPERLOGLOGS, ...SPLIT };
