/** Commands for keys of any type. */
import type { Arg, Chooser } from '../chooser.ts';
import type { Payload } from '../payloads.ts';
import type { Maker, Makers } from './maker.ts';

const anyOne: Maker = (c) => [c.key(c.anyType())];

/** Two keys of one tag, meant for the same type. */
function twoKeys(c: Chooser): Buffer[] {
  return c.group().keys(c.anyType(), 2, 2);
}

function expireOption(c: Chooser): readonly Arg[] {
  return c.maybe(0.3, () => [c.word('NX', 'XX', 'GT', 'LT', 'ZZ')]);
}

function deadline(c: Chooser, far: number): Arg {
  return c.prng.chance(0.1) ? c.pick([0, -1, 'x', '', '9223372036854775807']) : far;
}

function expiring(far: (c: Chooser) => number): Maker {
  return (c) => [c.key(c.anyType()), deadline(c, far(c)), ...expireOption(c)];
}

/** On lists and sorted sets the order "BY nosort" is defined, on sets it is not. */
function sortArgs(c: Chooser): readonly Arg[] {
  const type = c.pick(['list', 'list', 'set', 'zset'] as const);
  if (c.prng.chance(0.15))
    return [c.key(type), c.word('BY'), 'nosort', ...c.maybe(0.3, () => ['DESC'])];
  return [
    c.key(type),
    ...c.maybe(0.3, () => [c.word('LIMIT'), c.index(), c.index()]),
    ...c.maybe(0.4, () => [c.word('ASC', 'DESC')]),
    ...c.maybe(0.6, () => [c.word('ALPHA')]),
  ];
}

/** Patterns, which cluster nodes refuse. */
function byPattern(c: Chooser): readonly Arg[] {
  const key = c.key(c.pick(['list', 'set', 'zset']));
  return c.pick<readonly Arg[]>([
    [key, c.word('BY'), 'weight_*'],
    [key, c.word('GET'), '#'],
    [key, c.word('GET'), 'object_*->field', 'ALPHA'],
  ]);
}

function sorting(c: Chooser): readonly Arg[] {
  if (c.prng.chance(0.04)) return byPattern(c);
  if (c.prng.chance(0.6)) return sortArgs(c);
  const group = c.group();
  const source = group.key(c.pick(['list', 'set', 'zset']));
  return [source, ...sortArgs(c).slice(1), c.word('STORE'), group.key('list')];
}

const GENERIC: Makers = {
  copy: (c) => [
    ...twoKeys(c),
    ...c.maybe(0.05, () => [c.word('DB'), c.pick([0, 1, -1, 'x'])]),
    ...c.maybe(0.5, () => [c.word('REPLACE')]),
  ],
  dump: anyOne,
  expire: expiring((c) => c.farFromNow()),
  expireat: expiring((c) => c.farSeconds()),
  expiretime: anyOne,
  'memory|usage': (c) => [c.key(c.anyType()), ...c.maybe(0.3, () => ['SAMPLES', c.prng.int(5)])],
  'object|encoding': anyOne,
  'object|freq': anyOne,
  'object|idletime': anyOne,
  'object|refcount': anyOne,
  move: (c) => [c.key(c.anyType()), c.pick([0, 1, 1, -1, 'x'])],
  persist: anyOne,
  pexpire: expiring((c) => c.farFromNow()),
  pexpireat: expiring((c) => c.farSeconds() * 1000),
  pexpiretime: anyOne,
  pttl: anyOne,
  rename: twoKeys,
  renamenx: twoKeys,
  sort: sorting,
  sort_ro: (c) => (c.prng.chance(0.04) ? byPattern(c) : sortArgs(c)),
  ttl: anyOne,
  type: anyOne,
};

/** RESTORE takes what a server's DUMP gave, at times broken. */
export function restoreMaker(payloads: readonly Payload[]): Maker {
  return (c) => {
    const { type, bytes } = c.pick(payloads);
    const isBroken = c.prng.chance(0.1);
    const isAbsolute = c.prng.chance(0.2);
    const ttl = c.prng.chance(0.6) ? 0 : isAbsolute ? c.farSeconds() * 1000 : c.farFromNow();
    return [
      c.key(type),
      ttl,
      isBroken ? c.bytes(30) : bytes,
      ...c.maybe(0.8, () => [c.word('REPLACE')]),
      ...(isAbsolute ? [c.word('ABSTTL')] : []),
      ...c.maybe(0.1, () => [c.word('IDLETIME'), c.prng.between(-1, 1000)]),
      ...c.maybe(0.1, () => [c.word('FREQ'), c.prng.between(-1, 300)]),
    ];
  };
}

/** Of one tag or of the whole connection; never another connection's keys. */
function pattern(c: Chooser): string {
  const { own, prng } = c;
  if (prng.chance(0.5)) return `{${c.group().tag.replace(/[*?[\]\\]/g, '?')}}*`;
  return prng.pick([
    `${own}:*`,
    `*${own}:*string*`,
    `${own}:{*`,
    `[c]${own.slice(1)}:*`,
    `${own}:nothing`,
  ]);
}

export const KEYSPACE_MAKERS: Makers = {
  dbsize: () => [],
  keys: (c) => [Buffer.from(pattern(c), 'latin1')],
  randomkey: () => [],
  // With a tag and a huge COUNT the whole answer comes at once.
  scan: (c) => {
    const match = Buffer.from(`{${c.group().tag}}*`, 'latin1');
    return c.prng.chance(0.8)
      ? [
          0,
          'MATCH',
          match,
          'COUNT',
          1_000_000,
          ...c.maybe(0.3, () => ['TYPE', c.pick(['string', 'zset', 'none'])]),
        ]
      : [c.pick([0, 0, 'x']), 'COUNT', c.count()];
  },
};

export const GENERIC_MAKERS: Makers = GENERIC;
