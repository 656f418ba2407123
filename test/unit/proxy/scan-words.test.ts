/** SCAN's words, judged as Redis 7.0 judges them. */
import { expect, it } from 'vitest';
import { parseScan } from '../../../src/proxy/flows/scan.ts';

function parse(...words: string[]): ReturnType<typeof parseScan> {
  return parseScan(['SCAN', ...words].map((word) => Buffer.from(word, 'latin1')));
}

it.each([
  ['0', '0'],
  ['', '0'],
  ['007', '7'],
  ['+5', '5'],
  ['-1', '18446744073709551615'],
  ['18446744073709551615', '18446744073709551615'],
])('cursor %j is %s', (given, cursor) => {
  expect(parse(given)).toMatchObject({ cursor, count: 10, match: null, slot: -1, type: null });
});

it.each(['x', ' 1', '1 ', '1x', '-', '+', '18446744073709551616', '-18446744073709551616', '1.0'])(
  'cursor %j is invalid',
  (given) => {
    expect(parse(given, 'COUNT', 'x')).toBe('ERR invalid cursor');
  },
);

it('the options are read in order, the last of each counts', () => {
  expect(parse('0', 'count', '5', 'MATCH', 'a*', 'Type', 'zset', 'COUNT', '7')).toMatchObject({
    count: 7,
    match: Buffer.from('a*'),
    type: Buffer.from('zset'),
  });
  expect(parse('0', 'COUNT', 'x', 'FOO')).toBe('ERR value is not an integer or out of range');
  expect(parse('0', 'COUNT', '0')).toBe('ERR syntax error');
  expect(parse('0', 'COUNT', '-1')).toBe('ERR syntax error');
  expect(parse('0', 'COUNT')).toBe('ERR syntax error');
  expect(parse('0', 'FOO', '1')).toBe('ERR syntax error');
});

it('a literal hash tag confines it to one slot', () => {
  expect(parse('0', 'MATCH', '{user1000}*')).toMatchObject({ slot: 3443 });
  for (const pattern of ['*{a}', '{a*}b', '{}x', 'a*', '[{]a}', '\\{a}']) {
    expect(parse('0', 'MATCH', pattern)).toMatchObject({ slot: -1 });
  }
});
