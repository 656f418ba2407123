import { describe, expect, test } from 'vitest';
import { equalsWord, parseCount, parseLikeAtoi } from '../../../src/commands/ascii.ts';

function equals(text: string, word: string): boolean {
  const buf = Buffer.from(`>${text}<`, 'latin1');
  return equalsWord(buf, 1, buf.length - 2, Buffer.from(word, 'latin1'));
}

function count(text: string): number {
  const buf = Buffer.from(`9${text}9`);
  return parseCount(buf, 1, text.length);
}

describe('equalsWord', () => {
  test('ignores the case of letters', () => {
    expect(equals('StReAmS', 'streams')).toBe(true);
  });

  test('ignores nothing else', () => {
    expect(equals('restore\rasking', 'restore-asking')).toBe(false);
    expect(equals('maint\x7fx', 'maint_x')).toBe(false);
    expect(equals('\x11', '1')).toBe(false);
  });

  test('needs the whole word', () => {
    expect(equals('stream', 'streams')).toBe(false);
    expect(equals('streamss', 'streams')).toBe(false);
  });
});

describe('parseCount', () => {
  test('reads digits', () => {
    expect(count('0')).toBe(0);
    expect(count('17')).toBe(17);
    expect(count('1048576')).toBe(1_048_576);
  });

  test.each(['', '-1', '+1', '1a', ' 1', '01', '1.0', '10000000', '99999999999999999999'])(
    'answers -1 to "%s"',
    (text) => {
      expect(count(text)).toBe(-1);
    },
  );
});

describe('parseLikeAtoi', () => {
  test.each([
    ['12', 12],
    ['1.5', 1],
    ['007', 7],
    [' \t+2x', 2],
    ['-3', -3],
    ['', 0],
    ['x', 0],
    ['- 1', 0],
    ['4294967297', 1],
    ['2147483648', -2147483648],
    ['99999999999999999999', -1],
    ['-99999999999999999999', 0],
  ])('%j is %d', (text, value) => {
    expect(parseLikeAtoi(Buffer.from(`9${text}9`), 1, text.length)).toBe(value);
  });
});
