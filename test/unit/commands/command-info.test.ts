import { describe, expect, test } from 'vitest';
import { BUILTIN } from '../../../src/commands/builtin.ts';
import {
  type CommandInfo,
  CommandReplyError,
  infoFromRow,
  parseCommandReply,
  rowFromInfo,
} from '../../../src/commands/command-info.ts';
import { NEWER } from '../../../src/commands/newer.ts';

/** An entry of Redis 7 with one key spec, as RESP3 clients hold it. */
function entryWith(spec: unknown): unknown[] {
  return ['mod.x', 3, ['write'], 1, 2, 1, ['@write'], ['tip'], [spec], []];
}

function specOf(spec: unknown): CommandInfo['keySpecs'][number] | undefined {
  return parseCommandReply([entryWith(spec)])[0]?.keySpecs[0];
}

const INDEX = { type: 'index', spec: { index: 4 } };
const RANGE = { type: 'range', spec: { lastkey: -1, keystep: 2, limit: 3 } };

describe('rows', () => {
  test.each([...BUILTIN, ...NEWER])('%s become infos and rows again', (...row) => {
    expect(rowFromInfo(infoFromRow(row as unknown as (typeof BUILTIN)[number]))).toEqual(row);
  });

  test('hold words in one text, and categories without their @', () => {
    const info = infoFromRow([
      ...['x', -2, 'write denyoom', 1, -1, 2, 'write slow', 'tip:a tip:b'],
      [
        ['RW update', ['index', 1], ['range', -1, 2, 0]],
        ['', ['unknown'], ['unknown'], 'a note'],
      ],
      [['x|y', 2, '', 0, 0, 0, '', '', [], []]],
    ] as unknown as (typeof BUILTIN)[number]);
    expect(info).toEqual({
      ...{ name: 'x', arity: -2, firstKey: 1, lastKey: -1, keyStep: 2 },
      flags: ['write', 'denyoom'],
      categories: ['@write', '@slow'],
      tips: ['tip:a', 'tip:b'],
      keySpecs: [
        { flags: ['RW', 'update'], begin: ['index', 1], find: ['range', -1, 2, 0], notes: '' },
        { flags: [], begin: ['unknown'], find: ['unknown'], notes: 'a note' },
      ],
      subcommands: [
        {
          ...{ name: 'x|y', arity: 2, firstKey: 0, lastKey: 0, keyStep: 0 },
          ...{ flags: [], categories: [], tips: [], keySpecs: [], subcommands: [] },
        },
      ],
    });
  });
});

describe('a reply of COMMAND', () => {
  test('may have six fields, seven or ten; missing ones are empty', () => {
    const six = ['GET', 2, ['readonly'], 1, 1, 1];
    const plain = {
      ...{ name: 'get', arity: 2, flags: ['readonly'], firstKey: 1, lastKey: 1, keyStep: 1 },
      ...{ categories: [], tips: [], keySpecs: [], subcommands: [] },
    };
    expect(parseCommandReply([six])).toEqual([plain]);
    expect(parseCommandReply([[...six, ['@read']]])).toEqual([{ ...plain, categories: ['@read'] }]);
    const sub = ['get|sub', 3, [], 2, 2, 1];
    expect(parseCommandReply([[...six, ['@read'], ['tip'], [], [sub, null]]])).toMatchObject([
      { ...plain, categories: ['@read'], tips: ['tip'], subcommands: [{ name: 'get|sub' }] },
    ]);
  });

  test('may leave commands out', () => {
    expect(parseCommandReply([null, null])).toEqual([]);
    expect(parseCommandReply(new Set())).toEqual([]);
  });

  test('may hold numbers as texts and texts as bytes', () => {
    const entry = [Buffer.from('GET'), '2', [Buffer.from('readonly')], ...['1', '-1', '1']];
    expect(parseCommandReply([entry])).toMatchObject([
      { name: 'get', arity: 2, flags: ['readonly'], lastKey: -1 },
    ]);
  });
});

describe('a key spec', () => {
  const notes = { notes: 'a note', flags: ['RW', 'update'] };
  const wanted = {
    ...{ flags: ['RW', 'update'], notes: 'a note' },
    ...{ begin: ['index', 4], find: ['range', -1, 2, 3] },
  };

  test('may be an object, a map or a list of names and values', () => {
    const spec = { ...notes, begin_search: INDEX, find_keys: RANGE };
    expect(specOf(spec)).toEqual(wanted);
    expect(specOf(new Map<string, unknown>(Object.entries(spec)))).toEqual(wanted);
    expect(specOf(new Map(Object.entries(spec).map(([k, v]) => [Buffer.from(k), v])))).toEqual(
      wanted,
    );
    expect(specOf(Object.entries(spec).flat())).toEqual(wanted);
    // A name without a value at the end says nothing.
    expect(specOf([...Object.entries(spec).flat(), 'odd'])).toEqual(wanted);
  });

  test('need not have flags or notes', () => {
    expect(specOf({ begin_search: INDEX, find_keys: RANGE })).toMatchObject({
      ...{ flags: [], notes: '' },
    });
  });

  test('says by keyword where to begin, and by number how many there are', () => {
    const spec = {
      begin_search: { type: 'keyword', spec: { keyword: 'KEYS', startfrom: -2 } },
      find_keys: { type: 'keynum', spec: { keynumidx: 1, firstkey: 2, keystep: 3 } },
    };
    expect(specOf(spec)).toMatchObject({
      begin: ['keyword', 'KEYS', -2],
      find: ['keynum', 1, 2, 3],
    });
  });

  test('of unknown kinds is kept as unknown', () => {
    const spec = {
      begin_search: { type: 'unknown', spec: {} },
      find_keys: { type: 'of-the-future' },
    };
    expect(specOf(spec)).toMatchObject({ begin: ['unknown'], find: ['unknown'] });
  });
});

describe('what no server says is refused, with the place where it was', () => {
  const inX = (value: unknown, at: number): unknown =>
    entryWith({ begin_search: INDEX, find_keys: RANGE }).with(at, value);

  test.each<[unknown, string]>([
    ['OK', 'expected an array in the reply'],
    [undefined, 'expected an array in the reply'],
    [['get'], 'expected an array in an entry'],
    [[[7]], 'expected a string in a name'],
    [[inX('many', 1)], 'expected an integer in mod.x'],
    [[inX(1.5, 3)], 'expected an integer in mod.x'],
    [[inX(null, 4)], 'expected a string in mod.x'],
    [[inX('write', 2)], 'expected an array in mod.x'],
    [[inX([1], 2)], 'expected a string in mod.x'],
    [[inX('@write', 6)], 'expected an array in mod.x'],
    [[inX([{}], 7)], 'expected a string in mod.x'],
    [[inX({}, 8)], 'expected an array in mod.x'],
    [[inX(['?'], 8)], 'expected a map in mod.x'],
    [[inX([null], 8)], 'expected a map in mod.x'],
    [[inX([{ find_keys: RANGE }], 8)], 'expected a map in mod.x'],
    [[inX([{ begin_search: INDEX }], 8)], 'expected a map in mod.x'],
    [[inX([{ begin_search: { spec: {} }, find_keys: RANGE }], 8)], 'expected a string in mod.x'],
    [[inX([{ begin_search: { type: 'index' }, find_keys: RANGE }], 8)], 'expected a map in mod.x'],
    [
      [inX([{ begin_search: INDEX, find_keys: { type: 'range', spec: {} } }], 8)],
      'expected a string in mod.x',
    ],
    [[inX([[7, 1]], 8)], 'expected a string in mod.x'],
    [[inX('sub', 9)], 'expected an array in the reply'],
  ])('%j: %s', (reply, message) => {
    const error = (() => {
      try {
        return parseCommandReply(reply);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(CommandReplyError);
    expect(error).toMatchObject({
      name: 'CommandReplyError',
      message: `COMMAND reply: ${message}`,
    });
  });
});
