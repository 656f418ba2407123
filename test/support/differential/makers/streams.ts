/** Streams and consumer groups. Minimum idle times are 0 or never reached, so that claims are sure. */
import type { Arg, Chooser } from '../chooser.ts';
import type { Maker, Makers } from './maker.ts';

const NEVER_IDLE_MS = 4_000_000_000;

function fields(c: Chooser): readonly Arg[] {
  return c.times(1, 3, () => [c.member(), c.value()]).flat();
}

function group(c: Chooser): string {
  return c.pick(['g1', 'g1', 'g1', 'g2', 'STREAMS']);
}

function consumer(c: Chooser): string {
  return c.pick(['alice', 'bob', 'block']);
}

function trimming(c: Chooser): readonly Arg[] {
  const count = c.maybe(0.2, () => ['LIMIT', c.pick([0, 1, 100])]);
  return c.prng.chance(0.6)
    ? [
        c.word('MAXLEN'),
        ...c.maybe(0.6, () => [c.pick(['~', '='])]),
        c.pick([0, 5, 20, 60, -1]),
        ...count,
      ]
    : [c.word('MINID'), ...c.maybe(0.6, () => [c.pick(['~', '='])]), c.streamId(), ...count];
}

function newId(c: Chooser): Arg {
  const kind = c.prng.int(20);
  if (kind === 0) return '*';
  if (kind < 4) return c.streamId();
  const id = c.nextStreamId();
  return kind < 7 ? `${id.slice(0, id.indexOf('-'))}-*` : id;
}

function readCount(c: Chooser): readonly Arg[] {
  return c.maybe(0.5, () => [c.word('COUNT'), c.prng.between(0, 8)]);
}

function idleLimit(c: Chooser): number {
  return c.prng.chance(0.85) ? 0 : NEVER_IDLE_MS;
}

const range: Maker = (c) => [c.key('stream'), c.streamId(), c.streamId(), ...readCount(c)];
const oneStream: Maker = (c) => [c.key('stream')];

export const STREAM_MAKERS: Makers = {
  xack: (c) => [c.key('stream'), group(c), ...c.times(1, 4, () => c.streamId())],
  xadd: (c) => [
    c.key('stream'),
    ...c.maybe(0.1, () => ['NOMKSTREAM']),
    ...c.maybe(0.2, () => trimming(c)),
    newId(c),
    ...fields(c),
  ],
  xautoclaim: (c) => [
    c.key('stream'),
    group(c),
    consumer(c),
    idleLimit(c),
    c.pick(['0', '0-0', c.streamId()]),
    ...c.maybe(0.5, () => [c.word('COUNT'), c.prng.between(1, 5)]),
    ...c.maybe(0.3, () => [c.word('JUSTID')]),
  ],
  xclaim: (c) => [
    c.key('stream'),
    group(c),
    consumer(c),
    idleLimit(c),
    ...c.times(1, 3, () => c.streamId()),
    ...c.maybe(0.2, () => [c.word('IDLE'), 5_000_000]),
    ...c.maybe(0.2, () => [c.word('RETRYCOUNT'), c.prng.int(9)]),
    ...c.maybe(0.2, () => [c.word('FORCE')]),
    ...c.maybe(0.2, () => [c.word('JUSTID')]),
  ],
  xdel: (c) => [c.key('stream'), ...c.times(1, 4, () => c.streamId())],
  'xgroup|create': (c) => [
    c.key('stream'),
    group(c),
    c.pick(['0', '$', '$', c.streamId()]),
    ...c.maybe(0.5, () => [c.word('MKSTREAM')]),
    ...c.maybe(0.2, () => ['ENTRIESREAD', c.prng.between(-2, 5)]),
  ],
  'xgroup|createconsumer': (c) => [c.key('stream'), group(c), consumer(c)],
  'xgroup|delconsumer': (c) => [c.key('stream'), group(c), consumer(c)],
  'xgroup|destroy': (c) => [c.key('stream'), group(c)],
  'xgroup|setid': (c) => [c.key('stream'), group(c), c.pick(['0', '$', c.streamId()])],
  'xinfo|consumers': (c) => [c.key('stream'), group(c)],
  'xinfo|groups': oneStream,
  'xinfo|stream': (c) => [
    c.key('stream'),
    ...c.maybe(0.4, () => ['FULL', ...c.maybe(0.5, () => ['COUNT', c.prng.int(5)])]),
  ],
  xlen: oneStream,
  xpending: (c) => [
    c.key('stream'),
    group(c),
    ...c.maybe(0.6, () => [
      ...c.maybe(0.2, () => [c.word('IDLE'), idleLimit(c)]),
      ...c.pick([
        ['-', '+'],
        [c.streamId(), c.streamId()],
      ]),
      c.prng.between(0, 9),
      ...c.maybe(0.4, () => [consumer(c)]),
    ]),
  ],
  xrange: range,
  xread: (c) => {
    const keys = c.group().keys('stream', 1, 3);
    return [
      ...readCount(c),
      c.word('STREAMS'),
      ...keys,
      ...keys.map(() => c.pick(['0', '$', c.streamId()])),
    ];
  },
  xreadgroup: (c) => {
    const keys = c.group().keys('stream', 1, 2);
    return [
      'GROUP',
      group(c),
      consumer(c),
      ...readCount(c),
      ...c.maybe(0.2, () => [c.word('NOACK')]),
      c.word('STREAMS'),
      ...keys,
      ...keys.map(() => c.pick(['>', '>', '>', '0', c.streamId()])),
    ];
  },
  xrevrange: range,
  xsetid: (c) => [
    c.key('stream'),
    c.pick([c.nextStreamId(), c.streamId()]),
    ...c.maybe(0.3, () => ['ENTRIESADDED', c.prng.int(500), 'MAXDELETEDID', c.streamId()]),
  ],
  xtrim: (c) => [c.key('stream'), ...trimming(c)],
};
