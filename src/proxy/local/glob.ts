/**
 * Redis' glob patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` before a character that stands for
 * itself. Patterns come from clients, so matching must not explode on `a*a*a*…`.
 */

/** True when all of `name` matches. `ignoreCase` folds ASCII letters. */
export function globMatches(
  pattern: string,
  name: string,
  options: { readonly ignoreCase: boolean },
): boolean {
  const wanted = options.ignoreCase ? pattern.toLowerCase() : pattern;
  const given = options.ignoreCase ? name.toLowerCase() : name;
  return matches(wanted, given);
}

export function hasGlobCharacters(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/**
 * Goes back no further than to the last `*`: whatever an earlier one could take, the later one can
 * take too, so the work stays within length × length.
 */
function matches(pattern: string, name: string): boolean {
  let at = 0;
  let from = 0;
  let afterStar = -1;
  let starFrom = 0;
  while (from < name.length) {
    if (pattern[at] === '*') {
      at++;
      afterStar = at;
      starFrom = from;
      continue;
    }
    const next = at < pattern.length ? matchOne(pattern, at, name[from] as string) : -1;
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
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** The position behind the pattern's element at `at` if it takes `char`, else -1. */
function matchOne(pattern: string, at: number, char: string): number {
  const element = pattern[at] as string;
  if (element === '?') return at + 1;
  if (element === '[') return matchSet(pattern, at + 1, char);
  const isEscape = element === '\\' && at + 1 < pattern.length;
  const literal = isEscape ? (pattern[at + 1] as string) : element;
  if (literal !== char) return -1;
  return at + (isEscape ? 2 : 1);
}

/** A set without its closing bracket ends with the pattern, as in Redis. */
function matchSet(pattern: string, from: number, char: string): number {
  const isNegated = pattern[from] === '^';
  let at = isNegated ? from + 1 : from;
  let found = false;
  while (at < pattern.length && pattern[at] !== ']') {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      at++;
      if (pattern[at] === char) found = true;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      if (isBetween(char, pattern[at] as string, pattern[at + 2] as string)) found = true;
      at += 2;
    } else if (pattern[at] === char) {
      found = true;
    }
    at++;
  }
  if (found === isNegated) return -1;
  return Math.min(at + 1, pattern.length);
}

/** Ranges may be written either way round. */
function isBetween(char: string, one: string, other: string): boolean {
  return one <= other ? char >= one && char <= other : char >= other && char <= one;
}
