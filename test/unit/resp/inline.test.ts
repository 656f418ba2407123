import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitInline } from '../../../src/resp/inline.ts';

function split(line: string): string[] | null {
  // The line lies inside a larger buffer whose surroundings must not be looked at.
  const buf = Buffer.from(`"'\\x${line}41"' "`, 'latin1');
  const args = splitInline(buf, 4, 4 + line.length);
  return args === null ? null : args.map((arg) => arg.toString('latin1'));
}

describe('an inline command', () => {
  // The right-hand sides are what redis-server 7.0.15 made of these lines.
  it.each<[string, string[]]>([
    ['', []],
    [' \t\v\f\r', []],
    ['PING', ['PING']],
    ['  SET\tkey  value ', ['SET', 'key', 'value']],
    ['SET k\rv', ['SET', 'k', 'v']],
    ['a\nb', ['a', 'b']],
    // What comes before the tab in ASCII is no blank.
    ['a \0 \b', ['a', '\0', '\b']],
    // Vertical tab and form feed are blanks between words, and letters inside them.
    ['a\vb\fc \v d', ['a\vb\fc', 'd']],
    ['"hello world"', ['hello world']],
    ['""', ['']],
    ["''", ['']],
    ['"" a ""', ['', 'a', '']],
    ['"\\n\\r\\t\\b\\a"', ['\n\r\t\b\x07']],
    ['"\\"\\\\\\q"', ['"\\q']],
    ['"\\x41\\x00\\xfF"', ['A\0\xff']],
    ['"\\x4" "\\xg1"', ['x4', 'xg1']],
    ["'a\\'b'", ["a'b"]],
    ["'a\\nb\\\\c'", ['a\\nb\\\\c']],
    ['\'say "hi"\'', ['say "hi"']],
    ['"it\'s"', ["it's"]],
    ['ab"cd ef"', ['abcd ef']],
    ["ab'c'", ['abc']],
    ['"a"\v"b"', ['a', 'b']],
    ['a\\x41', ['a\\x41']],
    ['caf\xe9', ['caf\xe9']],
    ['a\\ b', ['a\\', 'b']],
  ])('%j', (line, args) => {
    expect(split(line)).toEqual(args);
  });

  it.each([
    '"',
    "'",
    '"a',
    "'a",
    '"a\\"',
    '"a\\',
    "'a\\'",
    '"a"b',
    "'a'b",
    '"a"\'b\'',
    'a"b"c',
    'a "b',
    'a \\"',
  ])('with unbalanced quotes is refused: %j', (line) => {
    expect(split(line)).toBeNull();
  });

  it('gives back any bytes that are written as \\xHH', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 }), (args) => {
        const words = args.map(
          (arg) => `"${Buffer.from(arg).toString('hex').replace(/../g, '\\x$&')}"`,
        );
        const expected = args.map((arg) => Buffer.from(arg).toString('latin1'));
        expect(split(words.join(' '))).toEqual(expected);
      }),
    );
  });

  it('never throws and never makes more of a line than is in it', () => {
    const bits = ['"', "'", '\\', 'x', '4', 'n', ' ', '\t', '\v', '\0', 'a', '\xff'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...bits), { maxLength: 20 }), (parts) => {
        const line = parts.join('');
        const args = split(line) ?? [];
        expect(args.join('').length).toBeLessThanOrEqual(line.length);
      }),
      { numRuns: 1000 },
    );
  });
});
