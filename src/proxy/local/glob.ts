/**
 * Redis' glob patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` before a character that stands for
 * itself. One character is one byte. Patterns come from clients and may be long: whatever depends
 * on the pattern's length is done once per pattern, and matching a name takes its length squared at
 * the most.
 */

const STAR = 42;

interface Options {
  /** Folds ASCII letters. */
  readonly ignoreCase: boolean;
}

/** `[…]` in a pattern. */
interface CharacterSet {
  /** The pattern's position behind it. */
  readonly end: number;
  /** 1 for each character that it takes. */
  readonly takes: Uint8Array;
}

/** A pattern that many names are held against. */
export class Glob {
  readonly #pattern: string;
  readonly #ignoreCase: boolean;
  /** Those that a name has come to, by where their characters begin. */
  #sets: Map<number, CharacterSet> | null = null;
  /** Where runs of stars end that a name has come to. */
  #runs: Map<number, number> | null = null;

  constructor(pattern: string, { ignoreCase }: Options) {
    this.#pattern = ignoreCase ? pattern.toLowerCase() : pattern;
    this.#ignoreCase = ignoreCase;
  }

  /**
   * True when all of `name` matches. Goes back no further than to the last `*`: whatever an earlier
   * one could take, the later one can take too.
   */
  matches(name: string): boolean {
    const pattern = this.#pattern;
    const given = this.#ignoreCase ? name.toLowerCase() : name;
    let at = 0;
    let from = 0;
    let afterStar = -1;
    let starFrom = 0;
    while (from < given.length) {
      if (pattern[at] === '*') {
        at = this.#runEnd(at);
        if (at === pattern.length) return true;
        afterStar = at;
        starFrom = from;
        continue;
      }
      const next = at < pattern.length ? this.#matchOne(at, given[from] as string) : -1;
      if (next >= 0) {
        at = next;
        from++;
      } else if (afterStar >= 0) {
        at = afterStar;
        from = ++starFrom;
      } else {
        return false;
      }
    }
    if (pattern[at] === '*') at = this.#runEnd(at);
    return at === pattern.length;
  }

  /** The position behind the pattern's element at `at` if it takes `char`, else -1. */
  #matchOne(at: number, char: string): number {
    const pattern = this.#pattern;
    const element = pattern[at] as string;
    if (element === '?') return at + 1;
    if (element === '[') {
      const { end, takes } = this.#setAt(at + 1);
      return takes[char.charCodeAt(0)] === 1 ? end : -1;
    }
    const isEscape = element === '\\' && at + 1 < pattern.length;
    const literal = isEscape ? (pattern[at + 1] as string) : element;
    if (literal !== char) return -1;
    return at + (isEscape ? 2 : 1);
  }

  /** Several stars in a row are one. */
  #runEnd(at: number): number {
    const pattern = this.#pattern;
    if (pattern.charCodeAt(at + 1) !== STAR) return at + 1;
    this.#runs ??= new Map();
    let end = this.#runs.get(at);
    if (end === undefined) {
      end = at + 2;
      while (pattern.charCodeAt(end) === STAR) end++;
      this.#runs.set(at, end);
    }
    return end;
  }

  #setAt(from: number): CharacterSet {
    this.#sets ??= new Map();
    let set = this.#sets.get(from);
    if (set === undefined) {
      set = characterSet(this.#pattern, from);
      this.#sets.set(from, set);
    }
    return set;
  }
}

/** True when all of `name` matches; for patterns that are asked about once. */
export function globMatches(pattern: string, name: string, options: Options): boolean {
  return new Glob(pattern, options).matches(name);
}

export function hasGlobCharacters(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/** A set without its closing bracket ends with the pattern, as in Redis. */
function characterSet(pattern: string, from: number): CharacterSet {
  const isNegated = pattern[from] === '^';
  const takes = new Uint8Array(256).fill(isNegated ? 1 : 0);
  const found = isNegated ? 0 : 1;
  let at = isNegated ? from + 1 : from;
  while (at < pattern.length && pattern[at] !== ']') {
    const first = pattern.charCodeAt(at);
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      at++;
      takes[pattern.charCodeAt(at)] = found;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const last = pattern.charCodeAt(at + 2);
      // Ranges may be written either way round.
      takes.fill(found, Math.min(first, last), Math.max(first, last) + 1);
      at += 2;
    } else {
      takes[first] = found;
    }
    at++;
  }
  return { end: Math.min(at + 1, pattern.length), takes };
}
