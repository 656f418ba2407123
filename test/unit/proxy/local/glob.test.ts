import { describe, expect, it } from 'vitest';
import { globMatches, hasGlobCharacters } from '../../../../src/proxy/local/glob.ts';

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

it('hasGlobCharacters tells a pattern from a name', () => {
  expect(['a*', 'a?', '[a]', 'save', 'a-b'].map(hasGlobCharacters)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});
