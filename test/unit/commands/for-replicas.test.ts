/** Rule 8: which commands replicas may serve, walked through the whole table. */
import { describe, expect, it } from 'vitest';
import type { CommandInfo } from '../../../src/commands/command-info.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import { PRIMARY_ONLY } from '../../../src/commands/verdicts.ts';

const table = CommandTable.builtin();
const known: readonly CommandInfo[] = table.commands.flatMap((info) => [info, ...info.subcommands]);
const mayUse = (name: string): boolean => table.forReplicas[table.names.indexOf(name)] === 1;

describe('replicas', () => {
  it('serve nothing that is not flagged readonly: no write, no unknown command', () => {
    const wrong = known.filter(({ name, flags }) => mayUse(name) && !flags.includes('readonly'));
    expect(wrong.map(({ name }) => name)).toEqual([]);
    expect(known.filter(({ name, flags }) => mayUse(name) && flags.includes('write'))).toEqual([]);
    expect(table.forReplicas[0]).toBe(0);
  });

  it.each([...PRIMARY_ONLY])('do not serve %s, though it is flagged so', (name) => {
    expect(known.find((info) => info.name === name)?.flags).toContain('readonly');
    expect(mayUse(name)).toBe(false);
  });

  it.each([
    'eval',
    'evalsha',
    'fcall',
    'publish',
    'spublish',
    'keys',
    'dbsize',
    'randomkey',
    'wait',
    'blpop',
    'getex',
    'set',
  ])('do not serve %s', (name) => {
    expect(mayUse(name)).toBe(false);
  });

  it.each([
    'get',
    'mget',
    'exists',
    'lrange',
    'eval_ro',
    'evalsha_ro',
    'fcall_ro',
    'sort_ro',
    'georadius_ro',
    'bitfield_ro',
    'memory|usage',
    'object|encoding',
    'xread',
    'sinter',
  ])('serve %s', (name) => {
    expect(mayUse(name)).toBe(true);
  });

  it('serve what modules read, by what their servers say', () => {
    const module = (name: string, flags: string[]): CommandInfo => ({
      name,
      arity: -2,
      flags,
      firstKey: 1,
      lastKey: 1,
      keyStep: 1,
      keySpecs: [],
      categories: [],
      tips: [],
      subcommands: [],
    });
    const own = CommandTable.fromInfos([
      module('json.get', ['readonly']),
      module('json.set', ['write']),
      module('json.odd', []),
    ]);
    const served = ['json.get', 'json.set', 'json.odd'].map(
      (name) => own.forReplicas[own.names.indexOf(name)],
    );
    expect(served).toEqual([1, 0, 0]);
  });
});
