import { describe, expect, test } from 'vitest';
import { BUILTIN } from '../../../src/commands/builtin.ts';
import {
  type CommandInfo,
  CommandReplyError,
  type CommandRow,
  infoFromRow,
  parseCommandReply,
  rowFromInfo,
} from '../../../src/commands/command-info.ts';
import { KEY_RULE } from '../../../src/commands/key-rules.ts';
import { COMMANDS_MAX } from '../../../src/commands/name-index.ts';
import { CommandTable, FLAG } from '../../../src/commands/table.ts';
import { IN_MULTI, KIND } from '../../../src/commands/verdicts.ts';
import { idOf, keysOf, request, words } from './requests.ts';

const table = CommandTable.builtin();

function idOfLine(line: string): number {
  return idOf(table, request(words(line)));
}

function hasFlag(line: string, flag: number): boolean {
  return ((table.flags[idOfLine(line)] as number) & flag) !== 0;
}

function mixedCase(text: string): string {
  return [...text].map((c, i) => (i % 2 === 0 ? c.toUpperCase() : c)).join('');
}

describe('lookup', () => {
  test.each([...table.names.entries()].slice(1))('finds id %i, %s, in any case', (id, name) => {
    for (const spelt of [name, name.toUpperCase(), mixedCase(name)]) {
      const [own, sub] = spelt.split('|');
      const req = request(sub === undefined ? [own as string] : [own as string, sub]);
      const found = table.lookup(req.buf, 0, req.argOffsets[1] as number);
      if (sub === undefined) expect(found).toBe(id);
      else expect(idOf(table, req)).toBe(id);
    }
    expect(table.byName(name)).toBe(id);
  });

  test.each([
    '',
    'g',
    'ge',
    'gett',
    'list',
    'client|list',
    'no-such-command',
    'restore\rasking',
    'x'.repeat(64),
    'x'.repeat(1000),
  ])('does not know "%s"', (name) => {
    const buf = Buffer.from(name);
    expect(table.lookup(buf, 0, buf.length)).toBe(0);
    expect(table.lookupSub(table.byName('client'), buf, 0, buf.length)).toBe(
      table.byName(`client|${name}`),
    );
  });

  test('knows a subcommand only within its own container', () => {
    const buf = Buffer.from('setslot');
    expect(table.lookupSub(table.byName('cluster'), buf, 0, 7)).toBe(
      table.byName('cluster|setslot'),
    );
    expect(table.lookupSub(table.byName('client'), buf, 0, 7)).toBe(0);
    expect(table.lookupSub(table.byName('get'), buf, 0, 7)).toBe(0);
  });

  test('reads only the range it was given', () => {
    const buf = Buffer.from('xxGETRANGExx');
    expect(table.names[table.lookup(buf, 2, 3)]).toBe('get');
    expect(table.names[table.lookup(buf, 2, 8)]).toBe('getrange');
  });

  test('one changed byte is another name', () => {
    for (let id = 1; id < table.size; id++) {
      const name = table.names[id] as string;
      if (name.includes('|')) continue;
      for (let i = 0; i < name.length; i++) {
        const buf = Buffer.from(name);
        buf[i] = (buf[i] as number) ^ 0x80;
        expect(table.lookup(buf, 0, buf.length)).toBe(0);
      }
    }
  });
});

describe('the built-in table', () => {
  test('fits, with room for modules', () => {
    expect(table.size).toBeLessThan(COMMANDS_MAX / 2);
    expect(table.names).toHaveLength(table.size);
    expect(table.skipped).toEqual([]);
  });

  test('has all 240 commands of the server it was generated from', () => {
    expect(BUILTIN).toHaveLength(240);
  });

  test('treats an unknown command as a write keyed by its first argument', () => {
    expect(table.names[0]).toBe('other');
    expect(table.kind[0]).toBe(KIND.route);
    expect(table.keyRule[0]).toBe(KEY_RULE.first);
    expect(table.flags[0]).toBe(FLAG.write);
    expect(table.arity[0]).toBe(0);
    expect(table.info(0)).toBeUndefined();
    expect(keysOf(table, ['no.such', 'k', 'v'])).toEqual(['k']);
  });

  test('flags', () => {
    expect(hasFlag('get', FLAG.readonly)).toBe(true);
    expect(hasFlag('get', FLAG.write)).toBe(false);
    for (const write of ['set', 'xadd', 'getset', 'getex', 'getdel', 'hgetex', 'xreadgroup']) {
      expect(hasFlag(write, FLAG.write), write).toBe(true);
      expect(hasFlag(write, FLAG.readonly), write).toBe(false);
    }
    // Neither flag: never for a replica.
    for (const name of ['publish', 'eval', 'evalsha', 'fcall', 'spublish']) {
      expect(hasFlag(name, FLAG.readonly | FLAG.write), name).toBe(false);
    }
    expect(hasFlag('blpop', FLAG.blocking)).toBe(true);
    expect(hasFlag('xread', FLAG.blocking)).toBe(false);
    expect(hasFlag('xread', FLAG.mayBlock)).toBe(true);
    expect(hasFlag('eval', FLAG.movableKeys)).toBe(true);
    expect(hasFlag('eval', FLAG.noMandatoryKeys)).toBe(true);
    expect(hasFlag('subscribe', FLAG.pubsub)).toBe(true);
    expect(hasFlag('set', FLAG.denyoom)).toBe(true);
    expect(hasFlag('save', FLAG.noMulti)).toBe(true);
    for (const name of ['hscan', 'sscan', 'zscan', 'scan', 'touch', 'object freq']) {
      expect(hasFlag(name, FLAG.primaryOnly), name).toBe(true);
      expect(hasFlag(name, FLAG.readonly), name).toBe(true);
    }
  });

  test('only four commands are allowed before AUTH', () => {
    const allowed = table.names.filter((_, id) => (table.flags[id] as number) & FLAG.noAuth);
    expect(allowed).toEqual(['auth', 'hello', 'quit', 'reset']);
  });

  test('arity is the widest of the known versions', () => {
    expect(table.arity[table.byName('get')]).toBe(2);
    expect(table.arity[table.byName('zrank')]).toBe(-3);
    expect(table.arity[table.byName('client|setinfo')]).toBe(4);
  });

  test('knows commands of newer servers', () => {
    for (const name of ['waitaof', 'hexpire', 'hgetex', 'xackdel', 'cluster|myshardid']) {
      expect(table.byName(name), name).toBeGreaterThan(0);
    }
  });

  test('lists what clients may use, without what is refused', () => {
    const names = table
      .available()
      .flatMap((info) => [info, ...info.subcommands].map((i) => i.name));
    expect(names).toContain('get');
    expect(names).toContain('client');
    expect(names).toContain('client|setinfo');
    expect(names).not.toContain('shutdown');
    expect(names).not.toContain('cluster|setslot');
    expect(names).not.toContain('backup');
    expect(table.commands.map((info) => info.name)).toContain('shutdown');
  });

  test('keeps what COMMAND tells', () => {
    expect(table.info(table.byName('sintercard'))).toEqual({
      name: 'sintercard',
      arity: -3,
      flags: ['readonly', 'movablekeys'],
      firstKey: 0,
      lastKey: 0,
      keyStep: 0,
      categories: ['@read', '@set', '@slow'],
      tips: [],
      keySpecs: [
        { flags: ['RO', 'access'], begin: ['index', 1], find: ['keynum', 0, 1, 1], notes: '' },
      ],
      subcommands: [],
    });
    expect(table.info(table.byName('spop'))?.tips).toEqual(['nondeterministic_output']);
    expect(table.info(table.byName('dbsize'))?.tips).toEqual([
      'request_policy:all_shards',
      'response_policy:agg_sum',
    ]);
  });

  test('rows and plain data say the same', () => {
    for (const row of BUILTIN) expect(rowFromInfo(infoFromRow(row))).toEqual(row);
  });
});

/** A reply entry in RESP2 form with Buffers, as redis-parser returns it. */
function entry(row: CommandRow): unknown[] {
  const [name, arity, flags, first, last, step, categories, tips, specs, subs] = row;
  const split = (text: string): Buffer[] =>
    text === '' ? [] : text.split(' ').map((word) => Buffer.from(word));
  return [
    Buffer.from(name),
    arity,
    split(flags),
    first,
    last,
    step,
    split(categories),
    split(tips),
    specs.map(([specFlags, begin, find]) => [
      Buffer.from('flags'),
      split(specFlags),
      Buffer.from('begin_search'),
      searchReply(begin),
      Buffer.from('find_keys'),
      searchReply(find),
    ]),
    subs.map(entry),
  ];
}

const FIELDS: Record<string, string[]> = {
  index: ['index'],
  keyword: ['keyword', 'startfrom'],
  range: ['lastkey', 'keystep', 'limit'],
  keynum: ['keynumidx', 'firstkey', 'keystep'],
};

function searchReply([type, ...values]: readonly (string | number)[]): unknown[] {
  const fields = FIELDS[type as string] ?? [];
  const spec = fields.flatMap((field, i) => [Buffer.from(field), values[i]]);
  return [Buffer.from('type'), Buffer.from(type as string), Buffer.from('spec'), spec];
}

const MODULE: readonly CommandRow[] = [
  ['JSON.GET', -2, 'readonly module', 1, 1, 1, '', '', [], []],
  ['json.mset', -4, 'write denyoom module', 1, -1, 3, '', '', [], []],
  ['ft.search', -3, 'readonly module', 0, 0, 0, '', '', [], []],
  ['ft._config', -2, 'admin module', 0, 0, 0, '', '', [], []],
  ['mod.wait', -2, 'write blocking module', 1, 1, 1, '', '', [], []],
  ['mod.stats', 1, 'readonly module', 0, 0, 0, '', 'request_policy:all_shards', [], []],
  ['mod.api', -2, 'write module movablekeys', 0, 0, 0, '', '', [], []],
  [
    'mod.sum',
    -4,
    'readonly module movablekeys',
    0,
    0,
    0,
    '',
    '',
    [
      ['OW', ['keyword', 'INTO', 1], ['range', 0, 1, 0]],
      ['RO', ['keyword', 'FROM', 1], ['keynum', 0, 1, 1]],
    ],
    [],
  ],
  ['mod.box', -2, '', 0, 0, 0, '', '', [], [['mod.box|put', 4, 'write', 2, 2, 1, '', '', [], []]]],
  ['client', -2, '', 0, 0, 0, '', '', [], [['client|brand-new', 3, '', 0, 0, 0, '', '', [], []]]],
];

describe('a table made from a server', () => {
  const server = CommandTable.fromServer([null, ...MODULE.map(entry)]);
  const kindOf = (name: string): number | undefined => server.kind[server.byName(name)];

  test('keeps the ids of the built-in table', () => {
    expect(server.names.slice(0, table.size)).toEqual(table.names);
    expect(server.size).toBe(table.size + MODULE.length + 1);
  });

  test('reads and writes of modules come from their flags', () => {
    expect(kindOf('json.get')).toBe(KIND.route);
    expect(server.flags[server.byName('json.get')]).toBe(FLAG.readonly);
    expect(server.flags[server.byName('json.mset')]).toBe(FLAG.write | FLAG.denyoom);
  });

  test('keys of modules come from their ranges and key specs', () => {
    expect(keysOf(server, words('JSON.MSET a . 1 b . 2'))).toEqual(['a', 'b']);
    expect(keysOf(server, words('mod.sum FROM 2 a b'))).toBe(-1);
    expect(keysOf(server, words('mod.sum FROM 2 a b INTO c'))).toEqual(['c', 'a', 'b']);
    expect(keysOf(server, words('mod.sum INTO c FROM 2 a b'))).toEqual(['c', 'a', 'b']);
    expect(keysOf(server, words('mod.api k other'))).toEqual(['k']);
    expect(keysOf(server, words('mod.box put k v'))).toEqual(['k']);
  });

  test('no command is let through that could do harm', () => {
    expect(kindOf('ft.search')).toBe(KIND.anyPrimary);
    expect(kindOf('ft._config')).toBe(KIND.refused);
    expect(kindOf('mod.wait')).toBe(KIND.later);
    expect(kindOf('mod.stats')).toBe(KIND.later);
    expect(kindOf('mod.box')).toBe(KIND.container);
    expect(kindOf('client|brand-new')).toBe(KIND.refused);
    expect(server.inMulti[server.byName('client|brand-new')]).toBe(IN_MULTI.refuse);
  });

  test('a known command stays ours, but for arity and a word against replicas', () => {
    const changed = CommandTable.fromServer([
      entry(['get', -2, 'write', 3, 3, 1, '', '', [], []]),
      entry(['set', -3, 'readonly', 1, 1, 1, '', '', [], []]),
    ]);
    const get = changed.byName('get');
    expect(changed.arity[get]).toBe(-2);
    expect((changed.flags[get] as number) & FLAG.readonly).toBe(0);
    expect(changed.keyRule[get]).toBe(KEY_RULE.first);
    expect((changed.flags[changed.byName('set')] as number) & FLAG.readonly).toBe(0);
  });

  test('reads the whole reply it was generated from, in RESP2 and RESP3', () => {
    const plain = BUILTIN.map(infoFromRow).map(withoutNotes);
    expect(parseCommandReply(BUILTIN.map(entry)).map(withoutNotes)).toEqual(plain);
    const resp3 = [
      [
        'mod.sum',
        -4,
        new Set(['readonly']),
        0,
        0,
        0,
        new Set(['@read']),
        new Set(),
        [
          new Map<string, unknown>([
            ['flags', new Set(['RO'])],
            ['begin_search', { type: 'index', spec: { index: 1 } }],
            [
              'find_keys',
              new Map<string, unknown>([
                ['type', 'unknown'],
                ['spec', {}],
              ]),
            ],
          ]),
        ],
        [],
      ],
    ];
    expect(parseCommandReply(resp3)).toEqual([
      {
        name: 'mod.sum',
        arity: -4,
        flags: ['readonly'],
        firstKey: 0,
        lastKey: 0,
        keyStep: 0,
        categories: ['@read'],
        tips: [],
        keySpecs: [{ flags: ['RO'], begin: ['index', 1], find: ['unknown'], notes: '' }],
        subcommands: [],
      },
    ]);
  });

  test('reads the six fields of servers before 6.0', () => {
    const old = CommandTable.fromServer([['get', 2, ['readonly', 'fast'], 1, 1, 1]]);
    expect((old.flags[old.byName('get')] as number) & FLAG.readonly).toBe(FLAG.readonly);
  });

  test.each([
    ['not a list', 'OK'],
    ['an entry that is none', ['get']],
    ['no name', [[]]],
    ['an arity that is no number', [['get', 'many', [], 1, 1, 1]]],
    ['a flag that is no string', [['get', 2, [7], 1, 1, 1]]],
    ['a key spec that is no map', [['get', 2, [], 1, 1, 1, [], [], ['?'], []]]],
  ])('refuses %s', (_, reply) => {
    expect(() => CommandTable.fromServer(reply)).toThrow(CommandReplyError);
  });

  test('what does not fit is named and stays unknown', () => {
    const many: CommandRow[] = Array.from({ length: COMMANDS_MAX }, (_, i) => [
      `mod.c${i}`,
      1,
      'readonly',
      0,
      0,
      0,
      '',
      '',
      [],
      [],
    ]);
    const full = CommandTable.fromInfos(many.map(infoFromRow));
    expect(full.size).toBe(COMMANDS_MAX);
    expect(full.skipped).toHaveLength(table.size);
    expect(full.byName(full.skipped[0] as string)).toBe(0);
    expect(full.byName('get')).toBeGreaterThan(0);
    const long = CommandTable.fromServer([[`m.${'x'.repeat(80)}`, 1, [], 0, 0, 0]]);
    expect(long.skipped).toHaveLength(1);
  });
});

function withoutNotes(info: CommandInfo): CommandInfo {
  return {
    ...info,
    // The test's own replies carry categories bare.
    categories: [...info.categories].map((category) => category.replace('@', '')),
    keySpecs: info.keySpecs.map((spec) => ({ ...spec, notes: '' })),
    subcommands: info.subcommands.map(withoutNotes),
  };
}
