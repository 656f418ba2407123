/** Lists, sets and hashes. */
import type { Maker, Makers } from './maker.ts';

const oneList: Maker = (c) => [c.key('list')];
const pushes: Maker = (c) => [c.key('list'), ...c.times(1, 6, () => c.value())];
const pops: Maker = (c) => [
  c.key('list'),
  ...c.maybe(0.5, () => [c.pick([0, 1, 2, 5, 100, -1, 'x'])]),
];

const LISTS: Makers = {
  lindex: (c) => [c.key('list'), c.index()],
  linsert: (c) => [c.key('list'), c.word('BEFORE', 'AFTER', 'NEAR'), c.value(), c.value()],
  llen: oneList,
  lmove: (c) => {
    const group = c.group();
    const side = (): string => c.word('LEFT', 'RIGHT');
    return [group.key('list'), group.key('list'), side(), side()];
  },
  lmpop: (c) => {
    const keys = c.group().keys('list', 1, 3);
    const count = c.maybe(0.5, () => [c.word('COUNT'), c.pick([1, 2, 10, 0])]);
    return [keys.length, ...keys, c.word('LEFT', 'RIGHT'), ...count];
  },
  lpop: pops,
  lpos: (c) => [
    c.key('list'),
    c.value(),
    ...c.maybe(0.3, () => [c.word('RANK'), c.pick([1, 2, -1, 0])]),
    ...c.maybe(0.3, () => [c.word('COUNT'), c.pick([0, 1, 2, -1])]),
    ...c.maybe(0.3, () => [c.word('MAXLEN'), c.pick([0, 3, 100, -1])]),
  ],
  lpush: pushes,
  lpushx: pushes,
  lrange: (c) => [c.key('list'), c.index(), c.int()],
  lrem: (c) => [c.key('list'), c.index(), c.value()],
  lset: (c) => [c.key('list'), c.index(), c.value()],
  ltrim: (c) => [c.key('list'), c.index(), c.prng.between(-12, 60)],
  rpop: pops,
  rpoplpush: (c) => c.group().keys('list', 2, 2),
  rpush: pushes,
  rpushx: pushes,
};

const oneSet: Maker = (c) => [c.key('set')];
const someSets: Maker = (c) => c.group().keys('set', 1, 4);
const setsAndTarget: Maker = (c) => c.group().keys('set', 2, 4);

const SETS: Makers = {
  sadd: (c) => [c.key('set'), ...c.times(1, 8, () => c.setMember())],
  scard: oneSet,
  sdiff: someSets,
  sdiffstore: setsAndTarget,
  sinter: someSets,
  sintercard: (c) => {
    const keys = c.group().keys('set', 1, 3);
    return [keys.length, ...keys, ...c.maybe(0.4, () => [c.word('LIMIT'), c.pick([0, 1, 5, -1])])];
  },
  sinterstore: setsAndTarget,
  sismember: (c) => [c.key('set'), c.setMember()],
  smembers: oneSet,
  smismember: (c) => [c.key('set'), ...c.times(1, 6, () => c.setMember())],
  smove: (c) => [...c.group().keys('set', 2, 2), c.setMember()],
  spop: (c) => [c.key('set'), ...c.maybe(0.6, () => [c.pick([0, 1, 3, 1000, -1])])],
  srandmember: (c) => [c.key('set'), ...c.maybe(0.6, () => [c.pick([0, 1, 3, 1000, -3, 'x'])])],
  srem: (c) => [c.key('set'), ...c.times(1, 3, () => c.setMember())],
  sscan: (c) => [
    c.key('set'),
    0,
    'COUNT',
    1_000_000,
    ...c.maybe(0.3, () => ['MATCH', c.pick(['m*', '[0-9]*', '*'])]),
  ],
  sunion: someSets,
  sunionstore: setsAndTarget,
};

const oneHash: Maker = (c) => [c.key('hash')];
const oneField: Maker = (c) => [c.key('hash'), c.member()];
const someFields: Maker = (c) => [c.key('hash'), ...c.times(1, 5, () => c.member())];
const fieldValues: Maker = (c) => [
  c.key('hash'),
  ...c.times(1, 4, () => [c.member(), c.value()]).flat(),
];

const HASHES: Makers = {
  hdel: someFields,
  hexists: oneField,
  hget: oneField,
  hgetall: oneHash,
  hincrby: (c) => [c.key('hash'), c.pick(['n1', 'n2', c.member()]), c.int()],
  hincrbyfloat: (c) => [c.key('hash'), c.pick(['n1', 'n3', c.member()]), c.float()],
  hkeys: oneHash,
  hlen: oneHash,
  hmget: someFields,
  hmset: fieldValues,
  hrandfield: (c) => [
    c.key('hash'),
    ...c.maybe(0.6, () => [c.pick([0, 1, 3, 1000, -3]), ...c.maybe(0.4, () => ['WITHVALUES'])]),
  ],
  hscan: (c) => [
    c.key('hash'),
    0,
    'COUNT',
    1_000_000,
    ...c.maybe(0.3, () => ['MATCH', c.pick(['m*', 'n?', '*'])]),
  ],
  hset: fieldValues,
  hsetnx: (c) => [c.key('hash'), c.member(), c.value()],
  hstrlen: oneField,
  hvals: oneHash,
};

export const COLLECTION_MAKERS: Makers = { ...LISTS, ...SETS, ...HASHES };
