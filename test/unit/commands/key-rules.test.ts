import { describe, expect, test } from 'vitest';
import type { CommandInfo, KeySpec } from '../../../src/commands/command-info.ts';
import {
  compileSpecs,
  KEY_RULE,
  keyRuleOf,
  MOVABLE,
  movableOf,
} from '../../../src/commands/key-rules.ts';

function info(more: Partial<CommandInfo>): CommandInfo {
  return {
    ...{ name: 'mod.x', arity: -2, flags: [], firstKey: 0, lastKey: 0, keyStep: 0 },
    ...{ categories: [], tips: [], keySpecs: [], subcommands: [] },
    ...more,
  };
}

function spec(more: Partial<KeySpec> = {}): KeySpec {
  return { flags: [], begin: ['index', 1], find: ['range', 0, 1, 0], notes: '', ...more };
}

const MOVABLEKEYS = { flags: ['movablekeys'] };

describe('where the keys are', () => {
  test.each<[string, Partial<CommandInfo>, keyof typeof KEY_RULE]>([
    ['nowhere without a first key', {}, 'none'],
    ['at 1, and only there', { firstKey: 1, lastKey: 1, keyStep: 1 }, 'first'],
    ['from 1 to the end', { firstKey: 1, lastKey: -1, keyStep: 1 }, 'range'],
    ['from 1 to 2', { firstKey: 1, lastKey: 2, keyStep: 1 }, 'range'],
    ['at 2', { firstKey: 2, lastKey: 2, keyStep: 1 }, 'range'],
    ['from 2 back to 1: no single key', { firstKey: 2, lastKey: 1, keyStep: 1 }, 'range'],
    ['as the key specs say', { ...MOVABLEKEYS, keySpecs: [spec()] }, 'movable'],
    [
      'as the key specs say, whatever the range',
      { ...MOVABLEKEYS, firstKey: 1, lastKey: 1, keySpecs: [spec()] },
      'movable',
    ],
    ['as its name says', { ...MOVABLEKEYS, name: 'migrate' }, 'movable'],
    [
      'in the range where specs cannot be evaluated',
      { ...MOVABLEKEYS, firstKey: 1, lastKey: -1, keySpecs: [spec({ find: ['unknown'] })] },
      'range',
    ],
    [
      'at 1 where nobody can tell',
      { ...MOVABLEKEYS, keySpecs: [spec({ begin: ['unknown'] })] },
      'first',
    ],
    [
      'in the range where specs only say the same',
      { firstKey: 1, lastKey: -1, keySpecs: [spec()] },
      'range',
    ],
    [
      'in the range of a name whose server has no options yet',
      { name: 'sort', firstKey: 1, lastKey: 1 },
      'first',
    ],
  ])('%s', (_what, more, rule) => {
    expect(keyRuleOf(info(more))).toBe(KEY_RULE[rule]);
  });

  test('is walked as the server walks where options may look like keywords', () => {
    const walkers = [
      'xread',
      'xreadgroup',
      'sort',
      'georadius',
      'georadiusbymember',
      'migrate',
    ].map((name) => movableOf(info({ name })));
    const { streams, sort, georadius, migrate, specs } = MOVABLE;
    expect(walkers).toEqual([streams, streams, sort, georadius, georadius, migrate]);
    expect(movableOf(info({ name: 'eval' }))).toBe(specs);
  });
});

describe('key specs', () => {
  const compiled = (more: Partial<KeySpec>) => compileSpecs(info({ keySpecs: [spec(more)] }));

  test('begin at an argument or behind a word', () => {
    const range = { keynum: false, a: 0, keyStep: 1, c: 0, optional: false };
    expect(compiled({ begin: ['index', 3] })).toEqual([
      { index: 3, keyword: null, startFrom: 0, ...range },
    ]);
    expect(compiled({ begin: ['keyword', 'KEYS', -2] })).toEqual([
      { index: 0, keyword: Buffer.from('keys'), startFrom: -2, ...range },
    ]);
  });

  test('are a range or as many as an argument says', () => {
    expect(compiled({ find: ['range', -2, 3, 4] })).toMatchObject([
      { keynum: false, a: -2, keyStep: 3, c: 4 },
    ]);
    expect(compiled({ find: ['keynum', 1, 2, 3] })).toMatchObject([
      { keynum: true, a: 1, c: 2, keyStep: 3 },
    ]);
  });

  test('always step forward', () => {
    expect(compiled({ find: ['range', 0, 0, 0] })).toMatchObject([{ keyStep: 1 }]);
    expect(compiled({ find: ['keynum', 0, 1, -1] })).toMatchObject([{ keyStep: 1 }]);
  });

  test('may be missing where the server flags them incomplete', () => {
    expect(compiled({ flags: ['RW', 'incomplete'] })).toMatchObject([{ optional: true }]);
  });

  test('that cannot be evaluated are left out', () => {
    const keySpecs = [
      spec({ begin: ['unknown'] }),
      spec({ begin: ['index', 7] }),
      spec({ find: ['unknown'] }),
    ];
    expect(compileSpecs(info({ keySpecs }))).toMatchObject([{ index: 7 }]);
  });
});
