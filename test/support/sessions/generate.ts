/**
 * Random scripts of several sessions for fast-check: transactions, watches, scripts, blocking
 * commands, subscriptions, protocol switches and plain commands, mixed as they come. Every key and
 * channel of a script has its own tag, so that scripts can run beside each other.
 *
 * Left out, because slotgate differs on purpose (README, "Limits"): commands inside MULTI that
 * Redis would run there but that change the connection or concern several shards; keys of several
 * slots inside MULTI; two clients waiting for one key (who came first is not lock-step's to say),
 * waiting for what comes after "now" (when a command reached its node neither), and RESET of a
 * subscriber, whom PUBLISH may still count for a moment.
 */
import fc from 'fast-check';
import type { RespArgument } from '../../../src/lib/resp-client.ts';
import type { Step } from './script.ts';

export const CLIENTS = 3;
const STEPS_MAX = 25;

type Args = readonly RespArgument[];

/** Stands for the script's tag until it is known. */
const TAG = '@';

const VALUES = ['', 'x', 'value', '1', '41', '-7', '3.5', 'a b', '\r\n', '\u00ff\u0000'];

function pick<T>(...choices: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...choices);
}

const value = pick(...VALUES);
const string = pick(`${TAG}s1`, `${TAG}s2`);
const list = pick(`${TAG}l0`, `${TAG}l1`, `${TAG}l2`);
const zset = pick(`${TAG}z0`, `${TAG}z1`, `${TAG}z2`);
const anyKey = fc.oneof(string, list, zset, pick(`${TAG}h`, `${TAG}x`, `${TAG}none`));
/** What several slots are waited for; nothing else becomes of them. */
const farList = pick(...[0, 1, 2].flatMap((i) => [`farlist${i}${TAG}a`, `farlist${i}${TAG}b`]));
const channel = pick(`${TAG}c1`, `${TAG}c2`, `${TAG}d1`);
const shardChannel = pick(`${TAG}e1`, `${TAG}e2`);
const pattern = pick(`${TAG}c*`, `${TAG}?1`, `${TAG}*`);

function command(
  ...parts: readonly (RespArgument | fc.Arbitrary<RespArgument>)[]
): fc.Arbitrary<Args> {
  return fc.tuple(
    ...parts.map((part) => (part instanceof fc.Arbitrary ? part : fc.constant(part))),
  );
}

const SCRIPTS = [
  `return redis.call('INCR', KEYS[1]) -- ${TAG}`,
  `return {KEYS[1] == nil, ARGV[1], redis.call('GET', KEYS[1])} -- ${TAG}`,
  `return redis.error_reply('MY own error') -- ${TAG}`,
  `redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LLEN', KEYS[1]) -- ${TAG}`,
];
const script = pick(...SCRIPTS);

/** Anywhere, also inside MULTI. */
const plain: fc.Arbitrary<Args> = fc.oneof(
  command('SET', string, value),
  command('GET', anyKey),
  command('INCR', string),
  command('APPEND', string, value),
  command('DEL', anyKey),
  command('EXISTS', anyKey, anyKey),
  command('TYPE', anyKey),
  command('RPUSH', list, value),
  command('LPUSH', list, value, value),
  command('LPOP', list),
  command('RPOP', list, '2'),
  command('LRANGE', list, '0', '-1'),
  command('LMOVE', list, list, 'LEFT', 'RIGHT'),
  command('ZADD', zset, pick('1', '2.5', 'x'), value),
  command('ZRANGE', zset, '0', '-1', 'WITHSCORES'),
  command('ZPOPMIN', zset),
  command('HSET', `${TAG}h`, pick('f', 'g'), value),
  command('HGET', `${TAG}h`, pick('f', 'g')),
  command('XADD', `${TAG}x`, pick('1-1', '2-1', '3-1', '0-0'), 'f', value),
  command('XRANGE', `${TAG}x`, '-', '+'),
  command('MSET', string, value, string, value),
  command('MGET', string, anyKey),
  command('PING'),
  command('PING', value),
  command('ECHO', value),
  command('SELECT', '0'),
  command('EVAL', script, '1', anyKey, value),
  command('EVAL', script, '0', value),
  command('EVAL', script, pick('-1', '9', 'x'), anyKey),
  command('EVAL_RO', script, '1', anyKey, value),
  command('CLIENT', 'SETNAME', pick('one', 'two')),
  command('CLIENT', 'GETNAME'),
  command('UNWATCH'),
  command('NOSUCHCOMMAND', value),
  command('GET'),
  command('CLIENT', 'NOSUCH'),
);

const transactional: fc.Arbitrary<Args> = fc.oneof(
  { weight: 3, arbitrary: command('MULTI') },
  { weight: 3, arbitrary: command('EXEC') },
  { weight: 1, arbitrary: command('DISCARD') },
  { weight: 1, arbitrary: command(pick('EXEC', 'DISCARD', 'MULTI'), 'superfluous') },
  { weight: 2, arbitrary: command('WATCH', anyKey) },
  { weight: 1, arbitrary: command('WATCH', string, list) },
);

/** Not inside MULTI. */
const outside: fc.Arbitrary<Args> = fc.oneof(
  { weight: 2, arbitrary: command('SUBSCRIBE', channel) },
  { weight: 1, arbitrary: command('SUBSCRIBE', channel, channel) },
  { weight: 1, arbitrary: command('UNSUBSCRIBE', channel) },
  { weight: 1, arbitrary: command('UNSUBSCRIBE') },
  { weight: 2, arbitrary: command('PSUBSCRIBE', pattern) },
  { weight: 1, arbitrary: command('PUNSUBSCRIBE', pattern) },
  { weight: 1, arbitrary: command('PUNSUBSCRIBE') },
  { weight: 1, arbitrary: command('SSUBSCRIBE', shardChannel) },
  { weight: 1, arbitrary: command('SUNSUBSCRIBE') },
  { weight: 1, arbitrary: command('SUNSUBSCRIBE', shardChannel) },
  { weight: 2, arbitrary: command('SPUBLISH', shardChannel, value) },
  { weight: 4, arbitrary: command('PUBLISH', channel, value) },
  { weight: 1, arbitrary: command('PUBSUB', 'NUMSUB', channel) },
  { weight: 1, arbitrary: command('HELLO', pick('2', '3')) },
  { weight: 1, arbitrary: command('HELLO', pick('4', 'x')) },
  { weight: 1, arbitrary: command('RESET') },
  { weight: 1, arbitrary: command('MGET', `far1${TAG}`, string, `far2${TAG}`) },
  { weight: 1, arbitrary: command('MSET', `far1${TAG}`, value, `far2${TAG}`, value) },
  { weight: 1, arbitrary: command('DEL', `far1${TAG}`, string, `far2${TAG}`) },
  { weight: 2, arbitrary: command('RPUSH', farList, value) },
);

/** By the waiting client, which is alone on its keys. */
function blocking(client: number): fc.Arbitrary<Args> {
  const own = `${TAG}l${client}`;
  const far = `farlist${client}${TAG}`;
  const timeout = pick('0', '0', '0.01', 'x', '-1');
  return fc.oneof(
    command('BLPOP', own, timeout),
    command('BRPOP', `${TAG}none${client}`, own, timeout),
    command('BLPOP', `${far}a`, `${far}b`, timeout),
    command('BLMPOP', timeout, '2', `${far}b`, `${far}a`, 'LEFT', 'COUNT', '2'),
    command('BLMPOP', timeout, '2', `${TAG}none${client}`, own, pick('LEFT', 'RIGHT')),
    command('BLMOVE', own, `${TAG}moved`, 'LEFT', 'RIGHT', timeout),
    command('BRPOPLPUSH', own, `${TAG}moved`, timeout),
    command('BZPOPMIN', `${TAG}z${client}`, timeout),
    command('BZPOPMAX', `${TAG}none${client}`, `${TAG}z${client}`, timeout),
    command('BZMPOP', timeout, '1', `${TAG}z${client}`, pick('MIN', 'MAX', 'x')),
    command('XREAD', 'BLOCK', pick('0', '10', 'x'), 'STREAMS', `${TAG}x`, '0-0'),
  );
}

interface Choice {
  readonly client: number;
  readonly plain: Args;
  readonly transactional: Args;
  readonly outside: Args;
  readonly blocking: Args;
  /** Below 100: which of them. */
  readonly kind: number;
}

const choice: fc.Arbitrary<Choice> = fc.integer({ min: 0, max: CLIENTS - 1 }).chain((client) =>
  fc.record({
    client: fc.constant(client),
    plain,
    transactional,
    outside,
    blocking: blocking(client),
    kind: fc.integer({ min: 0, max: 99 }),
  }),
);

/** What each client is inside of decides which of the drawn commands it sends. */
function asSteps(choices: readonly Choice[]): Step[] {
  const inMulti = new Set<number>();
  const mayWait = new Set<number>();
  const subscribed = new Set<number>();
  return choices.map((drawn) => {
    const { client, kind } = drawn;
    let args = drawn.plain;
    if (kind < 30) args = drawn.transactional;
    else if (kind < 50 && !inMulti.has(client)) args = drawn.outside;
    else if (kind < 60) args = drawn.blocking;
    if (args === drawn.blocking) {
      if (args.includes('0')) mayWait.add(client);
      // Behind a command that waits for ever nobody could tell when its time is over.
      else if (mayWait.has(client)) args = drawn.plain;
    }
    // Keys of two slots are refused inside MULTI, where one Redis takes them.
    const isFar = args.some((arg) => String(arg).startsWith('far'));
    if (isFar && inMulti.has(client)) args = drawn.plain;
    if (String(args[0]).endsWith('SUBSCRIBE')) subscribed.add(client);
    else if (args[0] === 'RESET' && subscribed.has(client)) args = drawn.plain;
    const hasArity = args.length === 1;
    if (args[0] === 'MULTI' && hasArity) inMulti.add(client);
    // EXEC ends it also where it is rejected.
    else if (args[0] === 'EXEC' || args[0] === 'RESET' || (args[0] === 'DISCARD' && hasArity)) {
      inMulti.delete(client);
    }
    return { client, args };
  });
}

export const scripts: fc.Arbitrary<Step[]> = fc
  .array(choice, { minLength: 2, maxLength: STEPS_MAX, size: 'max' })
  .map(asSteps);

/** The script with `tag` as its own; all of its tagged keys share one slot. */
export function tagged(steps: readonly Step[], tag: string): Step[] {
  const fill = (arg: RespArgument): RespArgument => {
    const text = String(arg);
    if (text.startsWith('far')) return text.replace(TAG, `:${tag}`);
    return text.replaceAll(TAG, `{${tag}}`);
  };
  return steps.map(({ client, args }) => ({ client, args: args.map(fill) }));
}
