import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/commands/slot.ts';
import { slotOfPattern } from '../../../src/route/pattern-slot.ts';

const slotOf = (pattern: string): number => slotOfPattern(Buffer.from(pattern));

describe('a pattern', () => {
  it.each([
    ['{tag}*', 'tag'],
    ['a{tag}?', 'tag'],
    ['{tag}', 'tag'],
    ['{t}[ab]\\c', 't'],
    ['}{tag}*', 'tag'],
    ['{tag}{*}', 'tag'],
    ['{{tag}}*', '{tag'],
    ['{schlüssel}*', 'schlüssel'],
  ])('%s fixes the slot of its tag', (pattern, tag) => {
    expect(slotOf(pattern)).toBe(keySlot(tag));
  });

  it.each([
    '*',
    'tag*',
    'tag',
    '{tag*',
    'tag}*',
    '}tag{',
    // The keys that match have an empty tag first, or none: all of them is hashed.
    '{}*',
    '{}{tag}*',
    // What a wildcard stands for may hold a '{' of its own.
    '*{tag}',
    '?{tag}',
    '[{]{tag}',
    'a]{tag}',
    '\\{tag}',
    '{t*g}',
    '{t?g}',
    '{t[a]g}',
    '{t\\ag}',
    '{tag*}',
  ])('%s fixes none', (pattern) => {
    expect(slotOf(pattern)).toBe(-1);
  });

  it('fixes the slot of every key that it matches', () => {
    const letters = fc.array(fc.constantFrom('a', 'é', ':', '}'), { maxLength: 4 });
    const tag = fc.array(fc.constantFrom('a', 'é', '{'), { minLength: 1, maxLength: 4 });
    const rest = fc.array(fc.constantFrom('a', '{', '}', '{b}'), { maxLength: 6 });
    fc.assert(
      fc.property(letters, tag, rest, (before, name, behind) => {
        const head = `${before.join('')}{${name.join('')}}`;
        expect(slotOf(`${head}*`)).toBe(keySlot(head + behind.join('')));
      }),
    );
  });
});
