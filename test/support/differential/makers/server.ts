/** Commands that name no key of their own: they stand between others in the pipelines. */
import type { Maker, Makers } from './maker.ts';

const nothing: Maker = () => [];

const HELP: Makers = Object.fromEntries(
  [
    'acl',
    'client',
    'command',
    'config',
    'function',
    'latency',
    'memory',
    'module',
    'object',
    'pubsub',
    'script',
    'slowlog',
    'xgroup',
    'xinfo',
  ].map((name) => [`${name}|help`, nothing]),
);

export const SERVER_MAKERS: Makers = {
  ...HELP,
  'command|getkeys': (c) =>
    c.pick([
      ['GET', c.value()],
      ['MSET', 'a', 'b', 'c', 'd'],
      ['EVAL', 'return 1', 2, 'a', 'b', 'c'],
      ['ZUNIONSTORE', 'd', 2, 'a', 'b', 'WEIGHTS', 1, 2],
      ['XREAD', 'COUNT', 1, 'STREAMS', 'a', 'b', '0', '0'],
      ['SORT', 'a', 'STORE', 'b'],
      ['NOSUCH', 'a'],
    ]),
  echo: (c) => [c.value()],
  ping: (c) => [...c.maybe(0.5, () => [c.value()])],
};
