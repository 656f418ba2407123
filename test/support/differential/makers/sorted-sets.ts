/** Sorted sets and geo indexes. */
import type { Arg, Chooser, KeyType } from '../chooser.ts';
import type { Maker, Makers } from './maker.ts';

const oneZset: Maker = (c) => [c.key('zset')];
const oneMember: Maker = (c) => [c.key('zset'), c.member()];
const rankOf = oneMember;
const pops: Maker = (c) => [c.key('zset'), ...c.maybe(0.5, () => [c.pick([0, 1, 2, 50, -1])])];

function withScores(c: Chooser): readonly Arg[] {
  return c.maybe(0.5, () => [c.word('WITHSCORES')]);
}

function limit(c: Chooser): readonly Arg[] {
  return c.maybe(0.3, () => [c.word('LIMIT'), c.index(), c.index()]);
}

function aggregation(c: Chooser, keys: number): readonly Arg[] {
  return [
    ...c.maybe(0.4, () => [c.word('WEIGHTS'), ...Array.from({ length: keys }, () => c.float())]),
    ...c.maybe(0.4, () => [c.word('AGGREGATE'), c.word('SUM', 'MIN', 'MAX', 'AVG')]),
  ];
}

/** Sources are sets now and then. */
function sources(c: Chooser): { tagged: (type: KeyType) => Buffer; args: Buffer[] } {
  const group = c.group();
  const args = c.times(1, 3, () => group.key(c.prng.chance(0.2) ? 'set' : 'zset'));
  return { tagged: (type) => group.key(type), args };
}

function combine(c: Chooser, options: { stores: boolean; weighs: boolean }): readonly Arg[] {
  const { tagged, args } = sources(c);
  return [
    ...(options.stores ? [tagged('zset')] : []),
    args.length,
    ...args,
    ...(options.weighs ? aggregation(c, args.length) : []),
    ...(options.stores ? [] : withScores(c)),
  ];
}

/** Start and stop with the options of ZRANGE that go with them; by lex only on keys for that. */
function rangeBy(c: Chooser, isLex: boolean): readonly Arg[] {
  const reverse = c.maybe(0.3, () => [c.word('REV')]);
  if (isLex) return [c.lexBound(), c.lexBound(), c.word('BYLEX'), ...reverse, ...limit(c)];
  if (c.prng.chance(0.4)) return [c.index(), c.int(), ...reverse];
  return [c.scoreBound(), c.scoreBound(), c.word('BYSCORE'), ...reverse, ...limit(c)];
}

const byScore: Maker = (c) => [
  c.key('zset'),
  c.scoreBound(),
  c.scoreBound(),
  ...withScores(c),
  ...limit(c),
];
const byLex: Maker = (c) => [...c.lexKeys(1), c.lexBound(), c.lexBound(), ...limit(c)];

function zadd(c: Chooser): readonly Arg[] {
  if (c.prng.chance(0.3)) return [...c.lexKeys(1), ...c.times(1, 6, () => [0, c.member()]).flat()];
  const pairs = (): readonly Arg[] => c.times(1, 5, () => [c.float(), c.member()]).flat();
  return [
    c.key('zset'),
    ...c.maybe(0.2, () => [c.word('NX', 'XX')]),
    ...c.maybe(0.2, () => [c.word('GT', 'LT')]),
    ...c.maybe(0.2, () => [c.word('CH')]),
    ...(c.prng.chance(0.1) ? [c.word('INCR'), c.float(), c.member()] : pairs()),
  ];
}

const ZSETS: Makers = {
  zadd,
  zcard: oneZset,
  zcount: (c) => [c.key('zset'), c.scoreBound(), c.scoreBound()],
  zdiff: (c) => combine(c, { stores: false, weighs: false }),
  zdiffstore: (c) => combine(c, { stores: true, weighs: false }),
  zincrby: (c) => [c.key('zset'), c.float(), c.member()],
  zinter: (c) => combine(c, { stores: false, weighs: true }),
  zintercard: (c) => {
    const { args } = sources(c);
    return [args.length, ...args, ...c.maybe(0.4, () => [c.word('LIMIT'), c.pick([0, 1, 5, -1])])];
  },
  zinterstore: (c) => combine(c, { stores: true, weighs: true }),
  zlexcount: (c) => [...c.lexKeys(1), c.lexBound(), c.lexBound()],
  zmpop: (c) => {
    const keys = c.group().keys('zset', 1, 3);
    const count = c.maybe(0.5, () => [c.word('COUNT'), c.pick([1, 2, 10, 0])]);
    return [keys.length, ...keys, c.word('MIN', 'MAX'), ...count];
  },
  zmscore: (c) => [c.key('zset'), ...c.times(1, 5, () => c.member())],
  zpopmax: pops,
  zpopmin: pops,
  zrandmember: (c) => [
    c.key('zset'),
    ...c.maybe(0.6, () => [c.pick([0, 1, 3, 1000, -3]), ...withScores(c)]),
  ],
  zrange: (c) =>
    c.prng.chance(0.25)
      ? [...c.lexKeys(1), ...rangeBy(c, true), ...withScores(c)]
      : [c.key('zset'), ...rangeBy(c, false), ...withScores(c)],
  zrangebylex: byLex,
  zrangebyscore: byScore,
  zrangestore: (c) =>
    c.prng.chance(0.25)
      ? [...c.lexKeys(2), ...rangeBy(c, true)]
      : [...c.group().keys('zset', 2, 2), ...rangeBy(c, false)],
  zrank: rankOf,
  zrem: (c) => [c.key('zset'), ...c.times(1, 3, () => c.member())],
  zremrangebylex: (c) => [...c.lexKeys(1), c.lexBound(), c.lexBound()],
  zremrangebyrank: (c) => [c.key('zset'), c.index(), c.index()],
  zremrangebyscore: (c) => [c.key('zset'), c.scoreBound(), c.scoreBound()],
  zrevrange: (c) => [c.key('zset'), c.index(), c.int(), ...withScores(c)],
  zrevrangebylex: byLex,
  zrevrangebyscore: byScore,
  zrevrank: rankOf,
  zscan: (c) => [
    c.key('zset'),
    0,
    'COUNT',
    1_000_000,
    ...c.maybe(0.3, () => ['MATCH', c.pick(['m*', '[0-9]*', '*'])]),
  ],
  zscore: oneMember,
  zunion: (c) => combine(c, { stores: false, weighs: true }),
  zunionstore: (c) => combine(c, { stores: true, weighs: true }),
};

function place(c: Chooser): string {
  return `p${c.prng.int(30)}`;
}

/** Within some hundred kilometres of each other, or anywhere, or nowhere. */
function position(c: Chooser): readonly Arg[] {
  const { prng } = c;
  const kind = prng.int(20);
  if (kind === 0) return [prng.range(-200, 200).toFixed(3), prng.range(-95, 95).toFixed(3)];
  if (kind < 3) return [prng.range(-180, 180).toFixed(6), prng.range(-85, 85).toFixed(6)];
  return [prng.range(10, 15).toFixed(6), prng.range(36, 40).toFixed(6)];
}

function unit(c: Chooser): string {
  return c.pick(['m', 'km', 'ft', 'mi', 'KM', 'parsec']);
}

function geoOptions(c: Chooser): readonly Arg[] {
  return [
    ...c.maybe(0.3, () => [c.word('WITHCOORD')]),
    ...c.maybe(0.3, () => [c.word('WITHDIST')]),
    ...c.maybe(0.3, () => [c.word('WITHHASH')]),
    ...geoOrder(c),
  ];
}

function geoOrder(c: Chooser): readonly Arg[] {
  return [
    ...c.maybe(0.3, () => [c.word('COUNT'), c.pick([1, 3, 10, 0]), ...c.maybe(0.2, () => ['ANY'])]),
    ...c.maybe(0.4, () => [c.word('ASC', 'DESC')]),
  ];
}

function area(c: Chooser): readonly Arg[] {
  const from = c.prng.chance(0.5)
    ? [c.word('FROMMEMBER'), place(c)]
    : [c.word('FROMLONLAT'), ...position(c)];
  const by = c.prng.chance(0.5)
    ? [c.word('BYRADIUS'), c.prng.int(500), unit(c)]
    : [c.word('BYBOX'), c.prng.int(700), c.prng.int(700), unit(c)];
  return [...from, ...by];
}

const radius = (c: Chooser, from: readonly Arg[]): readonly Arg[] => [
  c.key('geo'),
  ...from,
  c.prng.int(600),
  unit(c),
  ...geoOptions(c),
];

function radiusStoring(c: Chooser, from: readonly Arg[]): readonly Arg[] {
  if (c.prng.chance(0.7)) return radius(c, from);
  const group = c.group();
  const store = [c.word('STORE', 'STOREDIST'), group.key('geo')];
  return [group.key('geo'), ...from, c.prng.int(600), unit(c), ...geoOrder(c), ...store];
}

const GEO: Makers = {
  geoadd: (c) => [
    c.key('geo'),
    ...c.maybe(0.2, () => [c.word('NX', 'XX', 'CH')]),
    ...c.times(1, 5, () => [...position(c), place(c)]).flat(),
  ],
  geodist: (c) => [c.key('geo'), place(c), place(c), ...c.maybe(0.5, () => [unit(c)])],
  geohash: (c) => [c.key('geo'), ...c.times(0, 4, () => place(c))],
  geopos: (c) => [c.key('geo'), ...c.times(0, 4, () => place(c))],
  georadius: (c) => radiusStoring(c, position(c)),
  georadius_ro: (c) => radius(c, position(c)),
  georadiusbymember: (c) => radiusStoring(c, [place(c)]),
  georadiusbymember_ro: (c) => radius(c, [place(c)]),
  geosearch: (c) => [c.key('geo'), ...area(c), ...geoOptions(c)],
  geosearchstore: (c) => [
    ...c.group().keys('geo', 2, 2),
    ...area(c),
    ...geoOrder(c),
    ...c.maybe(0.3, () => [c.word('STOREDIST')]),
  ],
};

export const SORTED_SET_MAKERS: Makers = { ...ZSETS, ...GEO };
