import { describe, expect, test } from 'vitest';
import {
  equalsWord,
  equalsWordInC,
  parseCount,
  parseLikeAtoi,
} from '../../../src/commands/ascii.ts';

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
    expect(equals('[', '{')).toBe(false);
    expect(equals('@', '`')).toBe(false);
    expect(equals('AZ', 'az')).toBe(true);
  });

  test('needs the whole word', () => {
    expect(equals('stream', 'streams')).toBe(false);
    expect(equals('streamss', 'streams')).toBe(false);
  });
});

describe('equalsWordInC', () => {
  const equalsInC = (text: string): boolean => {
    const buf = Buffer.from(`>${text}store`, 'latin1');
    return equalsWordInC(buf, 1, text.length, Buffer.from('store'));
  };

  test.each(['store', 'STORE', 'store\0', 'sToRe\0x'])('sees the word in %j', (text) => {
    expect(equalsInC(text)).toBe(true);
  });

  test.each(['', 'stor', 'storex', 'store ', 'storf', 'storf\0', 'stor\0e', '\0store'])(
    'does not in %j',
    (text) => {
      expect(equalsInC(text)).toBe(false);
    },
  );
});

describe('parseCount', () => {
  test('reads digits', () => {
    expect(count('0')).toBe(0);
    expect(count('17')).toBe(17);
    expect(count('90')).toBe(90);
    expect(count('1048576')).toBe(1_048_576);
  });

  test.each([
    '',
    '-1',
    '+1',
    '1a',
    '1:',
    '1/',
    ' 1',
    '01',
    '1.0',
    '10000000',
    '99999999999999999999',
  ])('answers -1 to "%s"', (text) => {
    expect(count(text)).toBe(-1);
  });
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
    ['9', 9],
    ['1:', 1],
    ['\r\v\f\n7', 7],
    ['\b7', 0],
    ['\x0e7', 0],
    ['-', 0],
    ['+', 0],
    [' ', 0],
    // Zeros in front are no size, and 19 digits may still be below 2^63.
    ['0000000000000000000002', 2],
    ['4611686018427387905', 1],
    ['-4611686018427387905', -1],
    ['9223372036854775808', -1],
    ['-9223372036854775808', 0],
    ['999999999999999999', -1486618625],
    ['-999999999999999999', 1486618625],
    ['4294967297', 1],
    ['2147483648', -2147483648],
    ['99999999999999999999', -1],
    ['-99999999999999999999', 0],
  ])('%j is %d', (text, value) => {
    expect(parseLikeAtoi(Buffer.from(`9${text}9`), 1, text.length)).toBe(value);
  });
});
