/** Error lines of our own: what a client said can never end one early. */
import { expect, it } from 'vitest';
import { asLine } from '../../../src/proxy/error-replies.ts';

it.each([
  ['a\r\nb', '-a  b\r\n'],
  ['a\nb\rc', '-a b c\r\n'],
  // U+010D and U+010A would be line ends once cut to a byte.
  ['a\u010d\u010ab', '-a??b\r\n'],
  ['caf\u00e9', '-caf\xe9\r\n'],
])('%j is one line', (text, line) => {
  expect(asLine(text).toString('latin1')).toBe(line);
});
