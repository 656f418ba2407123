import { expect, test } from 'vitest';
import { ERROR_WORDS } from '../../../src/metrics/definitions.ts';
import { errorWordAt } from '../../../src/metrics/error-words.ts';

function wordOf(line: string): string {
  const buf = Buffer.from(`xx${line}`, 'latin1');
  return ERROR_WORDS[errorWordAt(buf, 3, buf.length)] as string;
}

test('each listed word is recognised before a space, before CR and at the end', () => {
  for (const word of ERROR_WORDS.slice(1)) {
    expect(wordOf(`-${word} some text\r\n`)).toBe(word);
    expect(wordOf(`-${word}\r\n`)).toBe(word);
    expect(wordOf(`-${word}`)).toBe(word);
  }
});

test.each([
  '-',
  '-\r\n',
  '- ERR\r\n',
  '-err lower case\r\n',
  '-ERRX\r\n',
  '-ER\r\n',
  '-other\r\n',
  '-NOAUTG x\r\n',
  `-${'A'.repeat(1000)}\r\n`,
  '-\xff\xff\xff x\r\n',
])('%j counts as other', (line) => {
  expect(wordOf(line)).toBe('other');
});

test('bytes after the end of the reply are not looked at', () => {
  const buf = Buffer.from('-BUSYGROUP\r\n');
  expect(ERROR_WORDS[errorWordAt(buf, 1, 5)]).toBe('BUSY');
});
