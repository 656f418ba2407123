/** What a server's COMMAND adds to the table that is known without it. */
import { describe, expect, test } from 'vitest';
import type { CommandInfo, KeySpec } from '../../../src/commands/command-info.ts';
import { KEY_RULE, MOVABLE } from '../../../src/commands/key-rules.ts';
import { NAME_LENGTH_MAX } from '../../../src/commands/name-index.ts';
import { CommandTable, FLAG } from '../../../src/commands/table.ts';
import { IN_MULTI, KIND } from '../../../src/commands/verdicts.ts';

function told(name: string, more: Partial<CommandInfo> = {}): CommandInfo {
  return {
    ...{ name, arity: -2, flags: [], firstKey: 0, lastKey: 0, keyStep: 0 },
    ...{ categories: [], tips: [], keySpecs: [], subcommands: [] },
    ...more,
  };
}

function tableWith(...infos: CommandInfo[]): CommandTable {
  return CommandTable.fromInfos(infos);
}

const builtin = CommandTable.builtin();

describe('the arity of a command that both know', () => {
  test.each([
    ['get', 2, 2],
    ['get', 3, -2],
    ['get', -2, -2],
    ['get', -1, -1],
    ['set', -2, -2],
    ['set', -4, -3],
    ['set', 3, -3],
    // Unchecked by one of them: unchecked here.
    ['get', 0, 0],
  ])('%s: where the server says %i it is %i', (name, arity, wider) => {
    const table = tableWith(told(name, { arity }));
    expect(table.arity[table.byName(name)]).toBe(wider);
  });
});

describe('a server', () => {
  test('that says the same changes nothing', () => {
    const same = tableWith(...builtin.commands);
    expect(same.names).toEqual(builtin.names);
    expect(same.flags).toEqual(builtin.flags);
    expect(same.arity).toEqual(builtin.arity);
    expect(same.kind).toEqual(builtin.kind);
    expect(same.commands).toEqual(builtin.commands);
  });

  test('adds subcommands to a container behind all that is known', () => {
    const more = [told('object|age', { firstKey: 2, lastKey: 2, keyStep: 1, flags: ['readonly'] })];
    const table = tableWith(told('mod.a'), told('object', { subcommands: more }), told('mod.b'));
    expect(table.names.slice(0, builtin.size)).toEqual(builtin.names);
    expect([...table.names.slice(builtin.size)].sort()).toEqual(['mod.a', 'mod.b', 'object|age']);
    const id = table.byName('OBJECT|AGE');
    const buf = Buffer.from('Age');
    expect(table.lookupSub(table.byName('object'), buf, 0, 3)).toBe(id);
    expect(table.lookup(buf, 0, 3)).toBe(0);
    expect([table.kind[id], table.forReplicas[id]]).toEqual([KIND.route, 1]);
    expect(table.lookupSub(table.byName('object'), Buffer.from('freq'), 0, 4)).toBe(
      table.byName('object|freq'),
    );
  });

  test('has its commands listed by name, subcommands within theirs', () => {
    const table = tableWith(told('zz.last'), told('aa.first'));
    const names = table.commands.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect([names[0], names.at(-1)]).toEqual(['aa.first', 'zz.last']);
    expect(table.info(table.byName('zz.last'))).toEqual(told('zz.last'));
  });

  test('that does not call a command a read keeps it from replicas, and only that', () => {
    const table = tableWith(
      told('get', { flags: ['fast'] }),
      told('strlen', { flags: ['readonly'] }),
    );
    const of = (name: string) => [
      (table.flags[table.byName(name)] as number) & FLAG.readonly,
      table.forReplicas[table.byName(name)],
    ];
    expect([of('get'), of('strlen'), of('mget')]).toEqual([
      [0, 0],
      [FLAG.readonly, 1],
      [FLAG.readonly, 1],
    ]);
    expect(table.info(table.byName('get'))?.flags).toEqual(
      builtin.info(builtin.byName('get'))?.flags.filter((flag) => flag !== 'readonly'),
    );
  });
});

describe('of a command of a module', () => {
  const flagged = (...flags: string[]): number => {
    const table = tableWith(told('mod.x', { flags }));
    return table.flags[table.byName('mod.x')] as number;
  };

  test.each<[string, number]>([
    ['readonly', FLAG.readonly],
    ['write', FLAG.write],
    ['no_auth', FLAG.noAuth],
    ['pubsub', FLAG.pubsub],
    ['noscript', FLAG.noscript],
    ['admin', FLAG.admin],
    ['movablekeys', FLAG.movableKeys],
    ['denyoom', FLAG.denyoom],
    ['no_multi', FLAG.noMulti],
    ['no_mandatory_keys', FLAG.noMandatoryKeys],
    ['blocking', FLAG.blocking],
    ['shiny', 0],
  ])('the flag %s is kept', (flag, bit) => {
    expect(flagged(flag)).toBe(bit);
    expect(flagged('fast', flag, 'stale')).toBe(bit);
  });

  test('each flag has a bit of its own', () => {
    const bits = Object.values(FLAG);
    expect(bits.reduce((sum, bit) => sum | bit, 0)).toBe(bits.reduce((sum, bit) => sum + bit, 0));
  });

  test('the keys are where it says, and always step forward', () => {
    const spec: KeySpec = { flags: [], begin: ['index', 1], find: ['range', 0, 1, 0], notes: '' };
    const table = tableWith(
      told('mod.range', { firstKey: 2, lastKey: -1, keyStep: 3 }),
      told('mod.still', { firstKey: 1, lastKey: 1, keyStep: 0 }),
      told('mod.none'),
      told('mod.own', { flags: ['movablekeys', 'readonly'] }),
      told('mod.spec', { keySpecs: [spec] }),
    );
    const of = (name: string) => {
      const id = table.byName(name);
      const { firstKey, lastKey, keyStep, keyRule, movable } = table;
      return [firstKey, lastKey, keyStep, keyRule, movable].map((column) => column[id]);
    };
    expect(of('mod.range')).toEqual([2, -1, 3, KEY_RULE.range, MOVABLE.specs]);
    expect(of('mod.still')).toEqual([1, 1, 1, KEY_RULE.first, MOVABLE.specs]);
    expect(of('mod.none')).toEqual([0, 0, 1, KEY_RULE.none, MOVABLE.specs]);
    // Routed, and nobody says by what: as an unknown command, by its first argument.
    expect(of('mod.own')).toEqual([0, 0, 1, KEY_RULE.first, MOVABLE.specs]);
    expect(of('mod.spec')).toEqual([0, 0, 1, KEY_RULE.first, MOVABLE.specs]);
    expect(table.kind[table.byName('mod.own')]).toBe(KIND.route);
    expect(table.forReplicas[table.byName('mod.own')]).toBe(1);
    expect(table.forReplicas[table.byName('mod.range')]).toBe(0);
  });

  test('a read without keys is not for replicas: whose data would it be', () => {
    const table = tableWith(told('mod.keyless', { flags: ['readonly'] }));
    expect(table.forReplicas[table.byName('mod.keyless')]).toBe(0);
  });

  test('a subcommand is refused where we know its container, else routed by its own words', () => {
    const table = tableWith(
      told('client', { subcommands: [told('client|new')] }),
      told('mod.box', { subcommands: [told('mod.box|new')] }),
    );
    const [ours, theirs] = ['client|new', 'mod.box|new'].map((name) => table.byName(name));
    expect(table.kind[ours as number]).toBe(KIND.refused);
    expect(table.kind[theirs as number]).toBe(KIND.anyPrimary);
    expect(table.inMulti[theirs as number]).toBe(IN_MULTI.node);
  });
});

describe('what cannot be looked up is named and left out', () => {
  test.each([
    ['no name at all', ''],
    ['a name of 64 bytes', 'x'.repeat(NAME_LENGTH_MAX + 1)],
  ])('%s', (_what, name) => {
    const table = tableWith(told(name), told('x'.repeat(NAME_LENGTH_MAX)));
    expect(table.skipped).toEqual([name]);
    expect(table.size).toBe(builtin.size + 1);
  });

  test('subcommands of what is left out, too', () => {
    const long = 'x'.repeat(NAME_LENGTH_MAX + 1);
    const table = tableWith(told(long, { subcommands: [told(`${long}|y`)] }));
    expect(table.skipped).toEqual([long, `${long}|y`]);
    expect(table.byName(`${long}|y`)).toBe(0);
  });
});

describe('what clients are shown', () => {
  test('has no container of which nothing is left', () => {
    const table = tableWith(
      told('mod.dark', { subcommands: [told('mod.dark|a', { flags: ['admin'] })] }),
      told('mod.grey', {
        subcommands: [told('mod.grey|a', { flags: ['admin'] }), told('mod.grey|b')],
      }),
    );
    const shown = table.available();
    expect(shown.find(({ name }) => name === 'mod.dark')).toBeUndefined();
    const grey = shown.find(({ name }) => name === 'mod.grey');
    expect(grey?.subcommands.map(({ name }) => name)).toEqual(['mod.grey|b']);
    expect(shown.find(({ name }) => name === 'blmove')).toBeDefined();
  });
});
