import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../../src/commands/table.ts';
import { keyArguments } from '../../../../src/proxy/emulation/key-arguments.ts';
import { busiestSlot } from '../../../../src/proxy/emulation/on-one-node.ts';

const table = CommandTable.builtin();

function indexes(command: string): number[] {
  const args = command.split(' ').map((arg) => Buffer.from(arg));
  return keyArguments(table, table.byName((args[0] as Buffer).toString()), args);
}

describe('which arguments are replaced', () => {
  it.each([
    ['sunion a b c', [1, 2, 3]],
    ['sintercard 2 a b LIMIT 3', [2, 3]],
    ['zunionstore to 2 a b WEIGHTS 1 2', [1, 3, 4]],
    ['zunion 2 a 2 WEIGHTS 2 2', [2, 3]],
    ['bitop AND to a b', [2, 3, 4]],
    ['lcs a b IDX', [1, 2]],
    ['pfmerge to a', [1, 2]],
  ])('%s', (command, wanted) => {
    expect(indexes(command)).toEqual(wanted);
  });
});

describe('where a reading command runs', () => {
  const slotOfTag = (text: string): number => busiestSlot([Buffer.from(text)]);

  it('is the slot of the most keys', () => {
    const keys = ['{a}1', '{b}1', '{b}2', '{c}1'].map((key) => Buffer.from(key));
    expect(busiestSlot(keys)).toBe(slotOfTag('{b}'));
  });

  it('is that of the first key where there are as many of each', () => {
    expect(busiestSlot([Buffer.from('{c}1'), Buffer.from('{b}1')])).toBe(slotOfTag('{c}'));
  });
});
