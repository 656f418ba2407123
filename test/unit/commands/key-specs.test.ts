/** Keys of commands that only a server knows, found by the key specs that it tells. */
import { describe, expect, test } from 'vitest';
import type { BeginSearch, CommandInfo, FindKeys } from '../../../src/commands/command-info.ts';
import { KEYS_MALFORMED, KEYS_UNPAIRED } from '../../../src/commands/key-positions.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import { keysOf, words } from './requests.ts';

type Spec = readonly [begin: BeginSearch, find: FindKeys, flags?: readonly string[]];

function tableOf(specs: readonly Spec[], more: Partial<CommandInfo> = {}): CommandTable {
  return CommandTable.fromInfos([
    {
      ...{ name: 'mod', arity: -1, flags: ['movablekeys'], firstKey: 0, lastKey: 0, keyStep: 0 },
      ...{ categories: [], tips: [], subcommands: [] },
      keySpecs: specs.map(([begin, find, flags = []]) => ({ begin, find, flags, notes: '' })),
      ...more,
    },
  ]);
}

function keys(specs: readonly Spec[], line: string): string[] | number {
  return keysOf(tableOf(specs), words(line));
}

const ONE: FindKeys = ['range', 0, 1, 0];
const REST: FindKeys = ['range', -1, 1, 0];
const OPTIONAL = ['incomplete'];

describe('a range of keys', () => {
  test.each<[FindKeys, string, string[] | number]>([
    [ONE, 'mod a', ['a']],
    [ONE, 'mod a b', ['a']],
    [ONE, 'mod', KEYS_MALFORMED],
    [['range', 1, 1, 0], 'mod a b c', ['a', 'b']],
    [['range', 1, 1, 0], 'mod a', KEYS_MALFORMED],
    [['range', 2, 2, 0], 'mod a x b', ['a', 'b']],
    [['range', 3, 2, 0], 'mod a x b y', ['a', 'b']],
    [REST, 'mod a b c', ['a', 'b', 'c']],
    [REST, 'mod', KEYS_MALFORMED],
    [['range', -2, 1, 0], 'mod a b x', ['a', 'b']],
    [['range', -2, 1, 0], 'mod x', KEYS_MALFORMED],
    [['range', -1, 2, 0], 'mod a x b y', ['a', 'b']],
    // Of what is left only the first half, or third.
    [['range', -1, 1, 2], 'mod a b x y', ['a', 'b']],
    [['range', -1, 1, 3], 'mod a x y', ['a']],
    [['range', -1, 1, 1], 'mod a b', ['a', 'b']],
    [['range', -2, 1, 2], 'mod a b x y', ['a']],
  ])('%j: %s', (find, line, found) => {
    expect(keys([[['index', 1], find]], line)).toEqual(found);
  });

  test('may begin anywhere', () => {
    expect(keys([[['index', 3], REST]], 'mod x y a b')).toEqual(['a', 'b']);
    expect(keys([[['index', 3], ONE]], 'mod x y')).toBe(KEYS_MALFORMED);
    expect(
      keys(
        [
          [
            ['index', 3],
            ['range', -1, 1, 2],
          ],
        ],
        'mod x y a b z z',
      ),
    ).toEqual(['a', 'b']);
  });
});

describe('as many keys as an argument says', () => {
  test.each<[FindKeys, string, string[] | number]>([
    [['keynum', 0, 1, 1], 'mod 2 a b x', ['a', 'b']],
    [['keynum', 0, 1, 2], 'mod 2 a x b y', ['a', 'b']],
    [['keynum', 1, 3, 1], 'mod x 2 y a b', ['a', 'b']],
    [['keynum', 0, 1, 1], 'mod 1 a', ['a']],
    [['keynum', 0, 1, 1], 'mod 2 a', KEYS_MALFORMED],
    [['keynum', 0, 1, 2], 'mod 2 a x', KEYS_MALFORMED],
    [['keynum', 0, 1, 1], 'mod 0 a', KEYS_MALFORMED],
    [['keynum', 0, 1, 1], 'mod x a', KEYS_MALFORMED],
    [['keynum', 0, 1, 1], 'mod', KEYS_MALFORMED],
    [['keynum', 1, 2, 1], 'mod x', KEYS_MALFORMED],
  ])('%j: %s', (find, line, found) => {
    expect(keys([[['index', 1], find]], line)).toEqual(found);
  });

  test('may be none where the server says so', () => {
    const find: FindKeys = ['keynum', 0, 1, 1];
    const flags = ['movablekeys', 'no_mandatory_keys'];
    const table = tableOf([[['index', 1], find]], { flags });
    expect(keysOf(table, words('mod 0 x'))).toEqual([]);
    expect(keysOf(table, words('mod 1 a'))).toEqual(['a']);
  });
});

describe('keys behind a word', () => {
  const behind = (startFrom: number, flags: readonly string[] = []): Spec[] => [
    [['keyword', 'KEYS', startFrom], ONE, flags],
  ];

  test.each<[number, string, string[] | number]>([
    [1, 'mod KEYS a', ['a']],
    [1, 'mod x keys a b', ['a']],
    // The first one counts, from where the search begins.
    [1, 'mod keys a keys b', ['a']],
    [2, 'mod keys a keys b', ['b']],
    [1, 'mod x', KEYS_MALFORMED],
    [1, 'mod keys', KEYS_MALFORMED],
    // From the end backwards: the last one counts.
    [-1, 'mod keys a keys b', ['b']],
    [-2, 'mod keys a keys b', ['b']],
    [-3, 'mod keys a keys b', ['a']],
    [-2, 'mod x keys a', ['a']],
    [-9, 'mod keys a', KEYS_MALFORMED],
  ])('searched from %i: %s', (startFrom, line, found) => {
    expect(keys(behind(startFrom), line)).toEqual(found);
  });

  test('may be missing where the server says so', () => {
    const specs: Spec[] = [[['index', 1], ONE], ...behind(1, OPTIONAL)];
    expect(keys(specs, 'mod a keys b')).toEqual(['a', 'b']);
    expect(keys(specs, 'mod a x y')).toEqual(['a']);
    expect(keys(specs, 'mod a keys')).toEqual(['a']);
    expect(keys([[['index', 1], ONE], ...behind(1)], 'mod a x y')).toBe(KEYS_MALFORMED);
    // But some key there must be.
    expect(keys(behind(1, OPTIONAL), 'mod x')).toBe(KEYS_MALFORMED);
  });
});

describe('ranges without key specs', () => {
  const range = (firstKey: number, lastKey: number, keyStep: number, line: string) =>
    keysOf(tableOf([], { flags: [], firstKey, lastKey, keyStep }), words(line));

  test.each<[number, number, number, string, string[] | number]>([
    [1, 1, 1, 'mod a b', ['a']],
    [2, 2, 1, 'mod x a', ['a']],
    [2, 2, 1, 'mod x', KEYS_MALFORMED],
    [1, -1, 1, 'mod a b', ['a', 'b']],
    [1, -2, 1, 'mod a b x', ['a', 'b']],
    [1, -2, 1, 'mod x', KEYS_MALFORMED],
    [1, -1, 1, 'mod', KEYS_MALFORMED],
    [1, 3, 2, 'mod a x', KEYS_MALFORMED],
    [1, -1, 2, 'mod a x b y', ['a', 'b']],
    [1, -1, 2, 'mod a x b', KEYS_UNPAIRED],
  ])('%i to %i by %i: %s', (first, last, step, line, found) => {
    expect(range(first, last, step, line)).toEqual(found);
  });
});
