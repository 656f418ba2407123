import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Glob, globMatches, hasGlobCharacters } from '../../../../src/proxy/local/glob.ts';

describe('globMatches', () => {
  it.each([
    ['*', ''],
    ['*', 'anything'],
    ['s*e', 'save'],
    ['s*e', 'se'],
    ['s?ve', 'save'],
    ['[a-c]x', 'bx'],
    ['[c-a]x', 'bx'],
    ['[^a]x', 'bx'],
    ['[abc]', 'c'],
    ['[\\]]', ']'],
    ['a\\*b', 'a*b'],
    ['a**b', 'ab'],
    ['*max*pol*', 'maxmemory-policy'],
    ['[ab', 'a'],
    ['a\\', 'a\\'],
    ['\\**b', '*ab'],
    ['[!-**-c]', 'b'],
    ['[^]', 'a'],
    ['a***', 'a'],
  ])('%j takes %j', (pattern, name) => {
    expect(globMatches(pattern, name, { ignoreCase: false })).toBe(true);
  });

  it.each([
    ['', 'a'],
    ['a', ''],
    ['s?ve', 'sve'],
    ['[a-c]x', 'dx'],
    ['[^a]x', 'ax'],
    ['a\\*b', 'axb'],
    ['save', 'saved'],
    ['*x', 'xy'],
    ['SAVE', 'save'],
    ['[', 'a'],
    ['[]', 'a'],
    ['\\**b', 'aab'],
  ])('%j does not take %j', (pattern, name) => {
    expect(globMatches(pattern, name, { ignoreCase: false })).toBe(false);
  });

  it('ignores case when asked', () => {
    expect(globMatches('SA*[V-W]E', 'save', { ignoreCase: true })).toBe(true);
  });

  it('does not explode on many stars', () => {
    expect(globMatches('*a'.repeat(40), 'a'.repeat(5000), { ignoreCase: false })).toBe(true);
    expect(globMatches(`${'*a'.repeat(40)}b`, 'a'.repeat(5000), { ignoreCase: false })).toBe(false);
  });
});

/** As Redis defines it, without a thought for time: `*` is tried with every length. */
function takes(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  if (pattern[0] === '*') {
    return takes(pattern.slice(1), name) || (name !== '' && takes(pattern, name.slice(1)));
  }
  if (name === '') return false;
  if (pattern[0] === '?') return takes(pattern.slice(1), name.slice(1));
  if (pattern[0] === '[') {
    const [isIn, rest] = inSet(pattern.slice(1), name[0] as string);
    return isIn && takes(rest, name.slice(1));
  }
  const literal = pattern[0] === '\\' && pattern.length > 1 ? pattern.slice(1) : pattern;
  return literal[0] === name[0] && takes(literal.slice(1), name.slice(1));
}

function inSet(set: string, char: string): [isIn: boolean, rest: string] {
  if (set[0] === '^') {
    const [isIn, rest] = among(set.slice(1), char);
    return [!isIn, rest];
  }
  return among(set, char);
}

function among(set: string, char: string): [isIn: boolean, rest: string] {
  if (set === '') return [false, ''];
  if (set[0] === ']') return [false, set.slice(1)];
  const [first = '', second, third] = set;
  let isIn = first === char;
  let length = 1;
  if (first === '\\' && set.length > 1) {
    isIn = second === char;
    length = 2;
  } else if (second === '-' && third !== undefined) {
    isIn = (first <= char && char <= third) || (third <= char && char <= first);
    length = 3;
  }
  const [isLater, rest] = among(set.slice(length), char);
  return [isIn || isLater, rest];
}

describe('a pattern for many names', () => {
  const letters = (all: string, maxLength: number) =>
    fc.array(fc.constantFrom(...all), { maxLength }).map((chars) => chars.join(''));

  it('takes what the plain rules take, name after name', () => {
    const names = fc.array(letters('abc*]-^\\', 7), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(letters('ab*?[]^-\\', 9), names, (pattern, all) => {
        const glob = new Glob(pattern, { ignoreCase: false });
        for (const name of all)
          expect([name, glob.matches(name)]).toEqual([name, takes(pattern, name)]);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is looked through once, however many names there are', () => {
    const pattern = `${'*'.repeat(60_000)}[${'b'.repeat(60_000)}]x`;
    const read = vi.spyOn(String.prototype, 'charCodeAt');
    const glob = new Glob(pattern, { ignoreCase: true });
    glob.matches('first');
    const once = read.mock.calls.length;
    for (let i = 0; i < 50; i++) glob.matches('other names');
    const more = read.mock.calls.length - once;
    read.mockRestore();
    expect(once).toBeGreaterThanOrEqual(120_000);
    expect(more).toBeLessThan(60_000);
  });
});

it('hasGlobCharacters tells a pattern from a name', () => {
  expect(['a*', 'a?', '[a]', 'save', 'a-b'].map(hasGlobCharacters)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});
