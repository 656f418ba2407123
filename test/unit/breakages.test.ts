/** The table of breakages fits the program: `npm run breakages` itself takes minutes. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Breakage, broken } from '../breakages/row.ts';
import { BREAKAGES } from '../breakages/table.ts';

describe('the table of breakages', () => {
  it.each(BREAKAGES)('$rule: $breakage', (row) => {
    const text = readFileSync(row.file, 'utf8');
    expect(broken(row, text)).not.toBe(text);
    const { file, written } = row.test;
    expect(existsSync(file)).toBe(true);
    expect(readFileSync(file, 'utf8')).toContain(written);
  });

  it('names each breakage once', () => {
    const names = BREAKAGES.map(({ breakage }) => breakage);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('is told of when its text is gone or ambiguous', () => {
    const [row] = BREAKAGES as readonly [Breakage];
    expect(() => broken(row, '')).toThrow(`${row.file}, not once`);
    expect(() => broken(row, row.find + row.find)).toThrow('2 times');
  });
});
