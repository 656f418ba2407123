/** Random calls of the commands that can be emulated over several slots, on keys of all types. */
import type { RespArgument } from '../../../src/lib/resp-client.ts';
import type { Prng } from '../sim/prng.ts';

export type Call = readonly [string, ...RespArgument[]];
export type ValueType = 'set' | 'zset' | 'list' | 'string' | 'hll';

const TYPES: readonly ValueType[] = ['set', 'zset', 'list', 'string', 'hll'];
const MEMBERS: readonly RespArgument[] = [
  ...Array.from({ length: 12 }, (_, i) => String(i * 3 - 9)),
  ...Array.from({ length: 12 }, (_, i) => `member-${i}`),
  Buffer.from([0, 13, 10, 255, 36]),
  Buffer.from('ä€'),
  '',
];
/** Multiples of a quarter, so that sums are the same in any order. */
const SCORES = ['0', '1', '-2.25', '3.5', '1e6', '0.25', '+inf', '-inf'];
const WEIGHTS = ['1', '2', '-0.5', '0', '1e3'];

/** Per type, so that most calls meet values they can work with; and some of one slot. */
export const KEYS: Readonly<Record<ValueType, readonly RespArgument[]>> = {
  set: ['s1', 's2', 's3', 's4', '{one}s5', '{one}s6', Buffer.from([115, 0, 13, 10, 200])],
  zset: ['z1', 'z2', 'z3', 'z4', '{one}z5', '{}z6', Buffer.from([122, 0, 123, 10, 200])],
  list: ['l1', 'l2', 'l3', 'l4', '{one}l5', Buffer.from([108, 0, 125, 10, 200])],
  string: ['x1', 'x2', 'x3', '{one}x4', Buffer.from([120, 0, 10, 200])],
  hll: ['h1', 'h2', 'h3', 'h4', '{one}h5'],
};
export const ALL_KEYS = Object.values(KEYS).flat();

/** Commands that give a key a new value, sometimes of another type, a TTL, or none at all. */
export function fillCalls(random: Prng): Call[] {
  const type = random.pick(TYPES);
  const key = random.pick(KEYS[type]);
  const actual = random.chance(0.06) ? random.pick(TYPES) : type;
  const calls: Call[] = [['DEL', key]];
  if (random.chance(0.15)) return calls;
  calls.push(valueCall(random, actual, key));
  if (random.chance(0.3)) calls.push(['PEXPIRE', key, random.between(500_000, 9_000_000)]);
  return calls;
}

function valueCall(random: Prng, type: ValueType, key: RespArgument): Call {
  const isBig = random.chance(0.04);
  const count = isBig ? random.between(400, 1500) : random.between(1, 12);
  const one = (): RespArgument => {
    return isBig ? `big-${random.int(4000)}-${'x'.repeat(80)}` : random.pick(MEMBERS);
  };
  const members = Array.from({ length: count }, one);
  switch (type) {
    case 'set':
      return ['SADD', key, ...members];
    case 'zset':
      return ['ZADD', key, ...members.flatMap((member) => [random.pick(SCORES), member])];
    case 'list':
      return ['RPUSH', key, ...members];
    case 'hll':
      return ['PFADD', key, ...members];
    default:
      return ['SET', key, isBig ? 'y'.repeat(40_000) : members.join('-').slice(0, 300)];
  }
}

function key(random: Prng, type: ValueType): RespArgument {
  return random.chance(0.04) ? random.pick(ALL_KEYS) : random.pick(KEYS[type]);
}

function keys(random: Prng, type: ValueType, least = 1): RespArgument[] {
  return Array.from({ length: random.between(least, 4) }, () => key(random, type));
}

const SIDES = ['LEFT', 'RIGHT', 'left', 'Right'];

function zsetOptions(random: Prng, count: number): RespArgument[] {
  const options: RespArgument[] = [];
  if (random.chance(0.4)) {
    const wrong = random.chance(0.05) ? 1 : 0;
    const weights = Array.from({ length: count + wrong }, () => random.pick(WEIGHTS));
    options.push('WEIGHTS', ...weights);
    if (random.chance(0.05)) options.push('abc');
  }
  if (random.chance(0.4)) options.push('AGGREGATE', random.pick(['SUM', 'min', 'MAX', 'nope']));
  return options;
}

function zsetInputs(random: Prng, options = true): RespArgument[] {
  const inputs = keys(random, random.chance(0.1) ? 'set' : 'zset');
  return [inputs.length, ...inputs, ...(options ? zsetOptions(random, inputs.length) : [])];
}

function limit(random: Prng): RespArgument[] {
  return random.chance(0.5) ? ['LIMIT', random.pick(['0', '1', '3', '100', '-1', 'x'])] : [];
}

type Maker = (random: Prng) => RespArgument[];

const withScores = (random: Prng): RespArgument[] => (random.chance(0.5) ? ['WITHSCORES'] : []);
const setStore: Maker = (random) => [key(random, 'set'), ...keys(random, 'set')];
const sets: Maker = (random) => keys(random, 'set', 2);
const counted: Maker = (random) => {
  const inputs = keys(random, 'set');
  return [inputs.length, ...inputs, ...limit(random)];
};

/** Replies of these are in no order. */
export const UNORDERED = new Set(['SUNION', 'SINTER', 'SDIFF']);

export const MAKERS: Readonly<Record<string, Maker>> = {
  SUNION: sets,
  SINTER: sets,
  SDIFF: sets,
  SINTERCARD: counted,
  ZUNION: (random) => [...zsetInputs(random), ...withScores(random)],
  ZINTER: (random) => [...zsetInputs(random), ...withScores(random)],
  ZDIFF: (random) => [...zsetInputs(random, false), ...withScores(random)],
  ZINTERCARD: (random) => [...zsetInputs(random, false), ...limit(random)],
  PFCOUNT: (random) => keys(random, 'hll'),
  LCS: (random) => [
    key(random, 'string'),
    key(random, 'string'),
    ...random.pick([[], ['LEN'], ['IDX'], ['IDX', 'MINMATCHLEN', '2', 'WITHMATCHLEN'], ['NO']]),
  ],
  SUNIONSTORE: setStore,
  SINTERSTORE: setStore,
  SDIFFSTORE: setStore,
  ZUNIONSTORE: (random) => [key(random, 'zset'), ...zsetInputs(random)],
  ZINTERSTORE: (random) => [key(random, 'zset'), ...zsetInputs(random)],
  ZDIFFSTORE: (random) => [key(random, 'zset'), ...zsetInputs(random, false)],
  PFMERGE: (random) => [key(random, 'hll'), ...keys(random, 'hll')],
  BITOP: (random) => [
    random.pick(['AND', 'or', 'XOR', 'NOT', 'nope']),
    key(random, 'string'),
    ...keys(random, 'string'),
  ],
  RENAME: (random) => pair(random),
  RENAMENX: (random) => pair(random),
  COPY: (random) => [
    ...pair(random),
    ...random.pick([[], ['REPLACE'], ['DB', '0', 'replace'], ['DB', 'x'], ['nope']]),
  ],
  SMOVE: (random) => [key(random, 'set'), key(random, 'set'), random.pick(MEMBERS)],
  RPOPLPUSH: (random) => [key(random, 'list'), key(random, 'list')],
  LMOVE: (random) => [
    key(random, 'list'),
    key(random, 'list'),
    random.pick([...SIDES, 'left', 'up']),
    random.pick(SIDES),
  ],
};

/** Of one type, mostly, so that values stay where their commands look for them. */
function pair(random: Prng): RespArgument[] {
  const type = random.pick(TYPES);
  return [key(random, type), key(random, type)];
}

export function randomCall(random: Prng): Call {
  const name = random.pick(Object.keys(MAKERS));
  return [name, ...(MAKERS[name] as Maker)(random)];
}
