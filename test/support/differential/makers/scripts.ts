/** EVAL and its kin. Every body is loaded on all servers before the run, see {@link SCRIPTS}. */
import { createHash } from 'node:crypto';
import type { Arg, Chooser, KeyType } from '../chooser.ts';
import type { Makers } from './maker.ts';

interface Script {
  readonly body: string;
  readonly keys: readonly KeyType[];
  readonly args?: (c: Chooser) => readonly Arg[];
}

const oneArg = (c: Chooser): readonly Arg[] => [c.value()];

export const SCRIPTS: readonly Script[] = [
  { body: "return redis.call('GET', KEYS[1])", keys: ['string'] },
  {
    body: "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('STRLEN', KEYS[1])",
    keys: ['string'],
    args: oneArg,
  },
  {
    body: "return {KEYS[1], ARGV[1], 1, 2.9, true, {1, {2, 'x'}}}",
    keys: ['string'],
    args: oneArg,
  },
  { body: 'return {1, false, 3}', keys: [] },
  { body: 'return nil', keys: ['string'] },
  { body: "return redis.pcall('INCR', KEYS[1])", keys: ['number'] },
  { body: "return redis.call('INCR', KEYS[1])", keys: ['string'] },
  { body: "return redis.error_reply('MYERR failed on purpose')", keys: [] },
  { body: "return redis.error_reply('ERR MOVED in the middle')", keys: ['string'] },
  { body: "return redis.status_reply('FINE')", keys: ['list'] },
  { body: 'return {ok = ARGV[1]}', keys: [], args: () => ['yes'] },
  { body: "redis.setresp(3); return redis.call('HGET', KEYS[1], 'm1')", keys: ['hash'] },
  { body: "redis.setresp(3); return redis.call('ZSCORE', KEYS[1], 'm1')", keys: ['zset'] },
  { body: 'return {double = 1.25}', keys: ['zset'] },
  { body: "redis.setresp(3); return {map = {a = 'b'}}", keys: [] },
  { body: 'return {set = {one = true}}', keys: [] },
  { body: "return redis.call('LRANGE', KEYS[1], 0, -1)", keys: ['list'] },
  { body: "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')", keys: ['zset'] },
  { body: "return redis.call('RPOPLPUSH', KEYS[1], KEYS[2])", keys: ['list', 'list'] },
  {
    body: "for i = 1, #KEYS do redis.call('RPUSH', KEYS[i], ARGV[1], i) end return #KEYS",
    keys: ['list', 'list', 'list'],
    args: oneArg,
  },
  { body: "return redis.call('RENAME', KEYS[1], KEYS[2])", keys: ['set', 'set'] },
  { body: "return redis.call('NOSUCHCOMMAND', KEYS[1])", keys: ['string'] },
  { body: "return redis.call('GET')", keys: ['string'] },
  { body: 'return nothing + 1', keys: ['string'] },
  { body: 'return undefined_global', keys: [] },
  { body: 'return (', keys: ['string'] },
  { body: 'return cjson.encode({1, 2, ARGV[1]})', keys: [], args: () => ['{"a":[1]}'] },
  { body: "return cmsgpack.pack({KEYS[1], 1, 'x'})", keys: ['string'] },
  { body: 'return {bit.band(255, 15), redis.sha1hex(ARGV[1])}', keys: [], args: oneArg },
  { body: 'return string.rep(ARGV[1], 80)', keys: ['string'], args: oneArg },
  { body: '#!lua flags=no-writes\nreturn redis.call("TYPE", KEYS[1])', keys: ['zset'] },
  { body: '#!lua flags=no-writes\nreturn redis.call("DEL", KEYS[1])', keys: ['zset'] },
  { body: '#!ruby\nreturn 1', keys: [] },
];

/** Bodies that a server accepts. */
export const LOADABLE: readonly string[] = SCRIPTS.map(({ body }) => body).filter(
  (body) => body !== 'return (' && !body.startsWith('#!ruby'),
);

export function sha1(body: string): string {
  return createHash('sha1').update(body).digest('hex');
}

/** Loaded by the harness on every node: FUNCTION LOAD is none of the commands compared here. */
export const FUNCTION_LIBRARY = `#!lua name=differential
redis.register_function('store', function(keys, args)
  redis.call('SET', keys[1], args[1]) return redis.call('GET', keys[1])
end)
redis.register_function{function_name='look', flags={'no-writes'}, callback=function(keys, args)
  return {redis.call('TYPE', keys[1]), #keys, #args}
end}
`;

/** numkeys, keys and arguments; at times the count is wrong. */
function inputs(c: Chooser, keys: readonly KeyType[], args: readonly Arg[]): readonly Arg[] {
  const kind = c.prng.int(40);
  // Everything behind a count that is no count may stand: none of it is a key then.
  if (kind === 0) return [c.pick(['x', -1, '', '1.5', 1000]), ...keys.map((type) => c.key(type))];
  const group = c.group();
  return [keys.length, ...keys.map((type) => group.key(type)), ...args];
}

function run(c: Chooser, first: (body: string) => Arg): readonly Arg[] {
  const script = c.pick(SCRIPTS);
  return [first(script.body), ...inputs(c, script.keys, script.args?.(c) ?? [])];
}

const whole = (body: string): Arg => body;

function runLoaded(c: Chooser): readonly Arg[] {
  if (c.prng.chance(0.1))
    return [c.pick(['f'.repeat(40), 'nosha', '']), ...inputs(c, ['string'], [])];
  const script = c.pick(SCRIPTS.filter(({ body }) => LOADABLE.includes(body)));
  const sha = sha1(script.body);
  const shown = c.prng.chance(0.2) ? sha.toUpperCase() : sha;
  return [shown, ...inputs(c, script.keys, script.args?.(c) ?? [])];
}

function callFunction(c: Chooser): readonly Arg[] {
  const own = c.pick(['a', 'b', 'r'].map((letter) => `f_${c.own}_${letter}`));
  return [
    c.pick(['store', 'look', 'look', own, own, 'missing']),
    ...inputs(c, ['string'], [c.value()]),
  ];
}

export const SCRIPT_MAKERS: Makers = {
  eval: (c) => run(c, whole),
  eval_ro: (c) => run(c, whole),
  evalsha: runLoaded,
  evalsha_ro: runLoaded,
  fcall: callFunction,
  fcall_ro: callFunction,
  'script|exists': (c) =>
    c.times(1, 4, () => c.pick([sha1(c.pick(LOADABLE)), 'f'.repeat(40), 'x'])),
  'script|load': (c) => [c.pick(LOADABLE)],
};
