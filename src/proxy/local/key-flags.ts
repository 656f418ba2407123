/** What a command does with each of its keys, as COMMAND GETKEYSANDFLAGS tells it. */

import type { CommandInfo, KeySpec } from '../../commands/command-info.ts';

/** Words about the spec itself, not about a key. */
const ABOUT_SPEC: ReadonlySet<string> = new Set(['incomplete', 'variable_flags']);

/** Flags of the key at `position` (an index into `words`, the whole command in lower case). */
export function keyFlags(
  info: CommandInfo,
  position: number,
  words: readonly string[],
): readonly string[] {
  const variable = variableFlags(info.name, words);
  if (variable !== null) return variable;
  const spec = specOf(info.keySpecs, position);
  return spec === undefined ? [] : spec.flags.filter((flag) => !ABOUT_SPEC.has(flag));
}

/**
 * The spec that names this very position; else the last one, which is the open-ended one (several
 * keys, or a destination behind a keyword) of every command that has more than one.
 */
function specOf(specs: readonly KeySpec[], position: number): KeySpec | undefined {
  const fixed = specs.find(
    ({ begin, find }) =>
      begin[0] === 'index' && begin[1] === position && find[0] === 'range' && find[1] === 0,
  );
  return fixed ?? specs.at(-1);
}

/** Commands that only read, or also read, when certain words are given. */
function variableFlags(name: string, words: readonly string[]): readonly string[] | null {
  if (name === 'set') {
    return words.slice(3).includes('get') ? ['RW', 'access', 'update'] : ['OW', 'update'];
  }
  if (name === 'bitfield') {
    return isReadOnlyBitfield(words) ? ['RO', 'access'] : ['RW', 'access', 'update'];
  }
  return null;
}

function isReadOnlyBitfield(words: readonly string[]): boolean {
  for (let i = 2; i < words.length; ) {
    if (words[i] !== 'get' || i + 2 >= words.length) return false;
    i += 3;
  }
  return true;
}
