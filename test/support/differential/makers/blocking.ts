/**
 * Commands that wait. Either what they wait for is there or they wait for milliseconds; or they wait
 * for as long as it takes and come with what another connection does to wake them.
 */
import type { Arg, Chooser } from '../chooser.ts';
import type { ArgumentClass } from '../request.ts';

export interface Command {
  readonly name: string;
  readonly args: readonly Arg[];
  readonly kind: ArgumentClass;
}

export interface Waiting {
  /** By the waiting connection: with something there, it would matter who comes first. */
  readonly before: readonly Command[];
  readonly waiter: Command;
  /** By another connection, once the waiter is on its way. */
  readonly wakers: readonly Command[];
}

const SHORT = ['0.001', '0.005', '0.01', '1e-3', '.002'];
const WRONG_TIMEOUTS = ['-1', '-0.1', 'x', '', 'nan', 'inf', '-inf', '1e400', '0,1', ' 1'];
const LONG = ['0', '0', '30', '20.5', '9999', '00', '+25'];

type Timeouts = (c: Chooser) => { readonly timeout: Arg; readonly kind: ArgumentClass };

const short: Timeouts = (c) =>
  c.prng.chance(0.15)
    ? { timeout: c.pick(WRONG_TIMEOUTS), kind: 'wrong' }
    : { timeout: c.pick(SHORT), kind: 'valid' };
const long: Timeouts = (c) => {
  const timeout = c.pick(LONG);
  return { timeout, kind: /^(0|30)$/.test(timeout) ? 'valid' : 'borderline' };
};

type Keys = (type: 'list' | 'zset' | 'stream', low: number, high: number) => readonly Buffer[];

function command(
  c: Chooser,
  name: string,
  keys: Keys,
  timeouts: Timeouts,
): Command & { readonly keys: readonly Buffer[] } {
  const { timeout, kind } = timeouts(c);
  const isZset = name.startsWith('bz');
  const type = isZset ? 'zset' : 'list';
  const some = keys(type, 1, 3);
  const first = some[0] as Buffer;
  const side = (): string => c.word('LEFT', 'RIGHT');
  const count = c.maybe(0.5, () => [c.word('COUNT'), c.pick([1, 2, 10])]);
  const make = (): readonly Arg[] => {
    switch (name) {
      case 'blmove':
        return [first, keys('list', 1, 1)[0] as Buffer, side(), side(), timeout];
      case 'brpoplpush':
        return [first, keys('list', 1, 1)[0] as Buffer, timeout];
      case 'blmpop':
        return [timeout, some.length, ...some, side(), ...count];
      case 'bzmpop':
        return [timeout, some.length, ...some, c.word('MIN', 'MAX'), ...count];
      default:
        return [...some, timeout];
    }
  };
  const isOne = name === 'blmove' || name === 'brpoplpush';
  return { name, args: make(), kind, keys: isOne ? [first] : some };
}

const POPS = ['blpop', 'brpop', 'blmove', 'brpoplpush', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop'];

/** On any keys; answered within milliseconds. */
export function shortWait(c: Chooser): Command {
  if (c.prng.chance(0.2)) return shortRead(c);
  const group = c.group();
  const made = command(c, c.pick(POPS), (type, low, high) => group.keys(type, low, high), short);
  const kind = c.prng.int(12);
  if (kind === 0) return { ...made, args: made.args.slice(0, -1), kind: 'wrong' };
  if (kind === 1) return { ...made, args: [...made.args, 'x'], kind: 'wrong' };
  if (kind === 2) return { ...made, args: [], kind: 'wrong' };
  return made;
}

/** Milliseconds, or what is none. */
function shortRead(c: Chooser): Command {
  const group = c.group();
  const keys = group.keys('stream', 1, 2);
  const isWrong = c.prng.chance(0.2);
  const block = ['BLOCK', isWrong ? c.pick(['-1', 'x', '', '1.5']) : c.pick([1, 3, 10])];
  const kind = isWrong ? 'wrong' : 'valid';
  if (c.prng.chance(0.5)) {
    const ids = keys.map(() => c.pick(['0', '$', c.streamId()]));
    return { name: 'xread', args: [...block, 'STREAMS', ...keys, ...ids], kind };
  }
  const ids = keys.map(() => c.pick(['>', '>', '0']));
  const args = ['GROUP', 'g1', 'alice', ...block, 'STREAMS', ...keys, ...ids];
  return { name: 'xreadgroup', args, kind };
}

/** With what ends it. */
export function longWait(c: Chooser): Waiting {
  if (c.prng.chance(0.2)) return longRead(c);
  const name = c.pick(POPS);
  // Lists and sorted sets of several slots are waited for, too, but nothing is moved between slots.
  const isFar = c.prng.chance(0.2) && name !== 'blmove' && name !== 'brpoplpush';
  const keys: Keys = (type, low, high) => c.waitKeys(type, low, high, isFar);
  const made = command(c, name, keys, long);
  const key = c.pick(made.keys);
  const wakers = name.startsWith('bz') ? wakeZset(c, key) : wakeList(c, key);
  return { before: [valid('del', made.keys)], waiter: made, wakers };
}

function longRead(c: Chooser): Waiting {
  const [key = Buffer.alloc(0)] = c.waitKeys('stream', 1, 1, false);
  const id = c.nextStreamId();
  const wakers = [valid('xadd', [key, id, c.member(), c.value()])];
  const block = [c.word('BLOCK'), c.pick(['0', '0', '30000'])];
  const args = [...block, c.word('STREAMS'), key, '0-0'];
  return { before: [valid('del', [key])], waiter: valid('xread', args), wakers };
}

function wakeList(c: Chooser, key: Buffer): Command[] {
  const value = c.value();
  return c.pick<() => Command[]>([
    () => [valid('rpush', [key, value])],
    () => [valid('lpush', [key, value, c.value(), c.value()])],
    () => [valid('eval', ["return redis.call('RPUSH', KEYS[1], ARGV[1])", 1, key, value])],
    () => inTransaction(valid('rpush', [key, value, value])),
    () => [valid('linsert', [key, 'BEFORE', 'x', 'y']), valid('rpush', [key, value])],
  ])();
}

function wakeZset(c: Chooser, key: Buffer): Command[] {
  const add = valid('zadd', [key, c.prng.between(-5, 20), c.member()]);
  return c.pick<() => Command[]>([
    () => [add],
    () => [valid('zincrby', [key, c.prng.between(1, 9), c.member()])],
    () => [valid('eval', ["return redis.call('ZADD', KEYS[1], 1, ARGV[1])", 1, key, c.member()])],
    () => inTransaction(add),
  ])();
}

/** What was watched, and may be of another shard, is let go of. */
function inTransaction(command: Command): Command[] {
  return [valid('unwatch', []), valid('multi', []), command, valid('exec', [])];
}

function valid(name: string, args: readonly Arg[]): Command {
  return { name, args, kind: 'valid' };
}
