/** Function libraries: each connection has names of its own, since all share one server. */
import type { Arg, Chooser } from '../chooser.ts';
import type { Maker, Makers } from './maker.ts';

const LETTERS = ['a', 'b'] as const;

/** A library whose one function stores and tells its arguments. */
export function libraryOf(own: string, letter: string, variant = 0): string {
  const body = [
    "redis.call('SET', keys[1], args[1]) return redis.call('GET', keys[1])",
    'return {#keys, #args}',
    "return redis.call('TYPE', keys[1])",
  ][variant];
  return `#!lua name=lib_${own}_${letter}\nredis.register_function('f_${own}_${letter}', function(keys, args) ${body} end)`;
}

function code(c: Chooser): Arg {
  const { own, prng } = c;
  if (prng.chance(0.8)) return libraryOf(own, prng.pick(LETTERS), prng.int(3));
  return prng.pick([
    '',
    'return 1',
    '#!lua',
    `#!lua name=lib ${own}`,
    `#!lua name=lib_${own}_a`,
    `#!lua name=lib_${own}_a nosuch=1\nreturn 1`,
    `#!ruby name=lib_${own}_a\nx`,
    `#!lua name=lib_${own}_a\nnothing here`,
    `#!lua name=lib_${own}_a\nredis.register_function('f_${own}_b', function() return 1 end)`,
    `#!lua name=lib_${own}_a\nredis.register_function('a b', function() return 1 end)`,
  ]);
}

const replacing = (c: Chooser): readonly Arg[] => c.maybe(0.7, () => [c.word('REPLACE')]);

/** @param payloads what FUNCTION DUMP gave for a library of each connection, by its prefix */
export function libraryMakers(payloads: ReadonlyMap<string, Buffer>): Makers {
  const restore: Maker = (c) => [
    c.prng.chance(0.1) ? c.bytes(30) : (payloads.get(c.own) ?? ''),
    ...c.maybe(0.7, () => [c.word('REPLACE', 'APPEND')]),
  ];
  return {
    'function|delete': (c) => [`lib_${c.own}_${c.pick(['a', 'b', 'r', 'none'])}`],
    'function|dump': () => [],
    'function|list': (c) => [
      ...[c.word('LIBRARYNAME'), `lib_${c.own}_${c.pick(['*', 'a', 'none', '?'])}`],
      ...c.maybe(0.5, () => [c.word('WITHCODE')]),
    ],
    'function|load': (c) => [...replacing(c), code(c)],
    'function|restore': restore,
  };
}
