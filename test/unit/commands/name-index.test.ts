import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMMANDS_MAX, NAME_LENGTH_MAX, NameIndex } from '../../../src/commands/name-index.ts';

/** Looks a name up in the midst of other bytes, which look like more of it. */
function find(index: NameIndex, container: number, name: string): number {
  const buf = Buffer.from(`a${name}a`, 'latin1');
  return index.find(container, buf, 1, buf.length - 2);
}

function indexOf(...names: readonly (readonly [container: number, name: string])[]): NameIndex {
  const index = new NameIndex();
  names.forEach(([container, name], i) => {
    index.add(i + 1, container, Buffer.from(name, 'latin1'));
  });
  return index;
}

const letters = 'az.|-_19';
const name = fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 4 });

describe('the index of names', () => {
  test('finds each name in any case, and only within its container', () => {
    const entry = fc.tuple(
      fc.nat(2),
      name.map((parts) => parts.join('')),
    );
    const entries = fc.uniqueArray(entry, { minLength: 1, selector: (each) => each.join(' ') });
    fc.assert(
      fc.property(entries, entry, (present, other) => {
        const index = indexOf(...present);
        const found = [...present, other].map(([container, own]) => [
          find(index, container, own),
          find(index, container, own.toUpperCase()),
        ]);
        const ids = [...present, other].map(
          ([container, own]) => 1 + present.findIndex(([c, n]) => c === container && n === own),
        );
        expect(found).toEqual(ids.map((id) => [id, id]));
      }),
    );
  });

  test('ignores the case of letters alone', () => {
    const index = indexOf([0, 'a-z'], [0, 'a{'], [0, 'a@'], [0, '`'], [0, 'a1']);
    expect(['A-Z', 'a-z', 'a{', 'a@', '`', 'a1'].map((each) => find(index, 0, each))).toEqual([
      1, 1, 2, 3, 4, 5,
    ]);
    // The same bytes but for the bit that tells the cases of a letter apart.
    for (const near of ['a\rz', 'a[', 'a`', '@', 'a\x11', 'A\r\x1a']) {
      expect(find(index, 0, near), near).toBe(0);
    }
  });

  test('takes names of 1 to 63 bytes', () => {
    const longest = 'x'.repeat(NAME_LENGTH_MAX);
    const index = indexOf([0, 'x'], [0, longest]);
    expect([find(index, 0, 'x'), find(index, 0, longest)]).toEqual([1, 2]);
    expect([find(index, 0, ''), find(index, 0, `${longest}x`)]).toEqual([0, 0]);
    // Its length alone must not be taken for a container's bit.
    expect(find(index, 1, '')).toBe(0);
  });

  test('tells as many names apart as there may be', () => {
    const names = Array.from({ length: COMMANDS_MAX - 1 }, (_, i) => `mod${i * 7}.get`);
    const index = indexOf(...names.map((each) => [0, each] as const));
    expect(names.map((each) => find(index, 0, each))).toEqual(names.map((_, i) => i + 1));
    expect(find(index, 0, 'mod1.get')).toBe(0);
  });

  test('tells names apart that hash alike', () => {
    // First, second, middle and last byte and the length are the same for all: one chain.
    const names = Array.from({ length: 50 }, (_, i) => `mm${i + 10}m${i + 10}m`);
    const index = indexOf(...names.map((each) => [0, each] as const));
    expect(names.map((each) => find(index, 0, each))).toEqual(names.map((_, i) => i + 1));
    expect(find(index, 0, 'mm99m99m')).toBe(0);
  });
});
