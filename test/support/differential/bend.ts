/**
 * Bends the arguments that a maker made: to the borders of what a command takes, or to what it does
 * not take. What both servers could not be asked to do alike is left out here and nowhere else:
 * deadlines that pass while the run goes on, random members by the billion, half a gigabyte of zeros.
 */
import { BUILTIN } from '../../../src/commands/builtin.ts';
import type { Arg, Chooser } from './chooser.ts';
import type { ArgumentClass } from './request.ts';

const ROWS = BUILTIN.flatMap((row) => [row, ...row[9]]);

/** Commands whose one key is their first argument: all behind it may be bent. */
const ONE_KEY_FIRST: ReadonlySet<string> = new Set(
  ROWS.filter(
    ([, , flags, first, last]) => first === 1 && last === 1 && !flags.includes('movable'),
  ).map(([name]) => name),
);
/** Two keys, or a row of them, and nothing else. */
const ALL_KEYS: ReadonlySet<string> = new Set(
  ROWS.filter(([, , , first, last, step]) => first === 1 && last < 0 && step === 1).map(
    ([name]) => name,
  ),
);
/** Numbers in the middle of their arguments are counts, times or ids that chance must not shift. */
const ENDS_ONLY: ReadonlySet<string> = new Set(
  `srandmember hrandfield zrandmember spop scan sscan hscan zscan keys dbsize randomkey
   xclaim xautoclaim xpending setex psetex expire pexpire expireat pexpireat getex set restore
   lcs xadd function|load function|restore`
    .trim()
    .split(/\s+/),
);
/** Behind a time in these any number is as good as another, so long as it is far away. */
const TIMED: ReadonlySet<string> = new Set(
  'setex psetex expire pexpire expireat pexpireat getex set restore'.split(' '),
);
const FAR: readonly Arg[] = ['', 'x', -1, 0, '9223372036854775807', '-9223372036854775808', '1.5'];

/** At the borders of numbers, and words where numbers stand. No small positive number: a deadline. */
const BORDERS: readonly Arg[] = [
  ...['', ' ', '0', '-1', '-0', '00', '+1', ' 1', '0x10', '1.0', '1e2', 'nan', 'NaN', '-nan'],
  ...['inf', '-inf', '+INF', 'infinity', '9223372036854775807', '-9223372036854775808'],
  ...['9223372036854775808', '18446744073709551615', '-9223372036854775809', '1e17', '-1e17'],
  ...['4294967296', '99999999999999999999999999999999', '0.1e-5', '3.0000000000000001'],
  Buffer.from('\r\n'),
  Buffer.from('\0\xff', 'latin1'),
];
const OPTIONS: readonly Arg[] = [
  ...['NX', 'xx', 'Gt', 'LT', 'CH', 'INCR', 'GET', 'keepttl', 'COUNT', 'LIMIT', 'WITHSCORES'],
  ...['withvalues', 'REV', 'BYSCORE', 'MATCH', 'STORE', 'ALPHA', 'DESC', 'REPLACE', 'ANY'],
  ...['WITHCOORD', 'AGGREGATE', 'WEIGHTS', 'SUM', 'LEFT', 'before', 'JUSTID', 'FORCE', 'NOACK'],
  ...['OVERFLOW', 'RANK', 'MAXLEN', '~', '=', 'SAMPLES', 'BIT', 'PERSIST', 'FULL', 'LEN', 'IDX'],
];
const WRONG: readonly string[] = [
  'NOSUCHOPTION',
  'x',
  '',
  '(',
  '[',
  '--',
  '{}',
  '$',
  '-',
  '1e',
  '\t',
];

export interface Bent {
  readonly kind: ArgumentClass;
  readonly args: readonly Arg[];
}

/** @param key an own key of another type, or one whose deadline has passed */
export function bend(
  c: Chooser,
  name: string,
  args: readonly Arg[],
  wanted: ArgumentClass,
  key: () => Buffer,
): Bent {
  if (wanted === 'valid') return { kind: 'valid', args };
  if (name === 'command|getkeys') {
    return { kind: 'wrong', args: c.pick([[], ['NOSUCH', 'x'], ['PING', 'x'], ['GET', 'a', 'b']]) };
  }
  // Of sorted sets by name scores must stay 0.
  if (isLexical(args[0]) && name !== 'zrange') return { kind: 'valid', args };
  return wanted === 'wrong' ? wrong(c, name, args) : borderline(c, name, args, key);
}

function isLexical(arg: Arg | undefined): boolean {
  return Buffer.isBuffer(arg) && arg.toString('latin1', 0, 3) === 'lex';
}

/** Missing and superfluous arguments, unknown options, words for numbers. */
function wrong(c: Chooser, name: string, args: readonly Arg[]): Bent {
  const { prng } = c;
  const bent = [...args];
  const kind = prng.int(8);
  const mayMiss = name !== 'function|list';
  if (kind === 0 && mayMiss) return { kind: 'wrong', args: [] };
  if (kind < 3 && mayMiss) return { kind: 'wrong', args: bent.slice(0, prng.int(bent.length)) };
  if (kind < 5 || !ONE_KEY_FIRST.has(name) || ENDS_ONLY.has(name)) {
    // Where keys stand in a row this may be one more: no other connection's, of whatever slot.
    const prefix = ALL_KEYS.has(name) || name.startsWith('mset') ? `${c.own}:` : '';
    return { kind: 'wrong', args: [...bent, ...c.times(1, 3, () => prefix + prng.pick(WRONG))] };
  }
  const at = prng.between(1, Math.max(1, bent.length - 1));
  bent.splice(at, kind < 7 ? 1 : 0, prng.pick(isByScore(bent) ? ['x', '', '--'] : WRONG));
  return { kind: 'wrong', args: bent };
}

/** '(' and '[' are bounds of names there, which are not defined for members of other scores. */
function isByScore(args: readonly Arg[]): boolean {
  return args.some((arg) => typeof arg === 'string' && /^(bylex|rev)$/i.test(arg));
}

function borderline(c: Chooser, name: string, args: readonly Arg[], key: () => Buffer): Bent {
  const { prng } = c;
  const bent = [...args];
  const kind = prng.int(10);
  if (ALL_KEYS.has(name)) {
    // The same key again: as source and destination, or counted twice.
    const at = prng.int(bent.length);
    if (bent.length > 0) bent[at] = bent[prng.int(bent.length)] as Arg;
    return { kind: 'borderline', args: bent };
  }
  if (!ONE_KEY_FIRST.has(name)) {
    const last = bent.at(-1);
    if (kind < 4 && last !== undefined) bent.push(last);
    else sameKeys(c, bent);
    return { kind: 'borderline', args: bent };
  }
  if (kind < 3 && name !== 'lcs') bent[0] = key();
  else if (TIMED.has(name)) timed(c, bent);
  else if (ENDS_ONLY.has(name)) bent.push(bent.at(-1) ?? '');
  else {
    const at = prng.between(1, Math.max(1, bent.length - 1));
    if (kind < 7) bent.splice(at, 1, prng.pick(BORDERS));
    else if (kind < 9) bent.splice(at, 0, prng.pick(OPTIONS));
    else bent.splice(at, 0, bent[at] ?? bent[0] ?? '');
  }
  return { kind: 'borderline', args: bent };
}

/** The number behind the key, or behind the option that says so. */
function timed(c: Chooser, args: Arg[]): void {
  const at = args.findIndex((arg, i) => i > 0 && typeof arg === 'number' && arg > 1e6);
  if (at > 0) args[at] = c.pick(FAR);
  else args.push(c.pick(OPTIONS));
}

/** The first two keys become one. */
function sameKeys(c: Chooser, args: Arg[]): void {
  const keys = args.flatMap((arg, i) => (Buffer.isBuffer(arg) && arg.includes('{') ? [i] : []));
  const [one, two] = c.prng.chance(0.5) ? keys : keys.reverse();
  if (one !== undefined && two !== undefined) args[two] = args[one] as Arg;
}
