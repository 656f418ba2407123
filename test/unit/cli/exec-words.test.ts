import { describe, expect, test } from 'vitest';
import { fillWords, splitCommand } from '../../../src/cli/exec-words.ts';

const NODE = { address: '10.0.0.1:7000', id: 'a'.repeat(40), shard: 2 };

describe('a command line becomes words', () => {
  test.each([
    [
      'ssh {host} systemctl restart redis@{port}',
      ['ssh', '{host}', 'systemctl', 'restart', 'redis@{port}'],
    ],
    ['  a\t b\n', ['a', 'b']],
    [`sh -c 'echo "$HOME"; ls *'`, ['sh', '-c', 'echo "$HOME"; ls *']],
    ['a "b c"d\\ e', ['a', 'b cd e']],
    ['a "" \'\'', ['a', '', '']],
    ['"a\\"b\\\\c\\d"', ['a"b\\c\\d']],
    [
      'echo $(id) `id` | tee > x; y && z',
      ['echo', '$(id)', '`id`', '|', 'tee', '>', 'x;', 'y', '&&', 'z'],
    ],
  ])('%s', (line, words) => {
    expect(splitCommand(line)).toEqual(words);
  });

  test.each([
    ['', 'a command'],
    ['   ', 'a command'],
    ['a "b', 'a quote (") that is closed again'],
    ["a 'b", "a quote (') that is closed again"],
    ['ssh {hots}', 'the placeholders {host}, {port}, {address}, {id}, {shard}'],
  ])('%j is refused', (line, allowed) => {
    expect(() => splitCommand(line)).toThrow(`restart-nodes: --exec needs ${allowed}`);
  });
});

describe('the node is filled in', () => {
  test('word by word', () => {
    const words = splitCommand('x {host} {port} {address} {id} {shard} {host}{port}');
    expect(fillWords(words, NODE)).toEqual([
      'x',
      '10.0.0.1',
      '7000',
      '10.0.0.1:7000',
      'a'.repeat(40),
      '2',
      '10.0.0.17000',
    ]);
  });

  test('an IPv6 host without its brackets', () => {
    const words = fillWords(splitCommand('x {host}'), { ...NODE, address: '[fe80::1]:7000' });
    expect(words).toEqual(['x', 'fe80::1']);
  });

  test.each(['-oProxyCommand=id:22', 'a b:1', '$(id):1', 'a;b:1', ':7000', 'host'])(
    'a node that calls itself %s is not given to a command',
    (address) => {
      expect(() => fillWords(splitCommand('ssh {host}'), { ...NODE, address })).toThrow(
        'has no address that a command could be given',
      );
    },
  );

  test('nor one with a strange id', () => {
    expect(() => fillWords(splitCommand('x {id}'), { ...NODE, id: '-rf' })).toThrow('no address');
  });
});
