/** A file stays small enough to be read at once, or says at its top why it cannot. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openingComment } from '../support/house/opening-comment.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LINES_MAX = 400;
/** The line of the opening comment that gives the reason. */
const REASON = /^Over 400 lines: \S.{20,}/;
const SOURCE = /\.(ts|mjs|js|go|py|java|rb|php|rs|c|sh)$/;
/** What package managers and the program itself leave in the checkout. */
const LEFT_BY_TOOLS = /(^|\/)(node_modules|vendor|target|dist)\//;

/** Path → lines of the sources in src/, test/ and bench/. */
function sources(): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of ['src', 'test', 'bench']) {
    for (const name of readdirSync(posix.join(ROOT, part), { recursive: true, encoding: 'utf8' })) {
      const file = posix.join(part, name);
      if (SOURCE.test(file) && !LEFT_BY_TOOLS.test(file)) {
        found.set(file, readFileSync(posix.join(ROOT, file), 'utf8'));
      }
    }
  }
  return found;
}

function isTooLong(source: string): boolean {
  if (source.trimEnd().split('\n').length <= LINES_MAX) return false;
  return !openingComment(source).some((line) => REASON.test(line));
}

describe('files', () => {
  it(`have at most ${LINES_MAX} lines, or the reason at their top`, () => {
    const all = sources();
    expect(all.size).toBeGreaterThan(600);
    expect([...all].filter(([, source]) => isTooLong(source)).map(([file]) => file)).toEqual([]);
  });

  const long = (head: string): string => `${head}\n${'x();\n'.repeat(LINES_MAX)}`;

  it('may be long for a reason', () => {
    const reason = 'Over 400 lines: one table, of which a part would say nothing.';
    for (const head of [
      `/** ${reason} */`,
      `/**\n * A table.\n *\n * ${reason}\n */`,
      `// A table.\n// ${reason}\n`,
      `#!/usr/bin/env python\n# ${reason}\n`,
      `"""A client.\n\n${reason}\n"""`,
    ]) {
      expect(isTooLong(long(head)), head).toBe(false);
    }
  });

  it('may not be long without one, nor with one that stands elsewhere or says nothing', () => {
    expect(isTooLong('x();\n'.repeat(LINES_MAX))).toBe(false);
    expect(isTooLong('x();\n'.repeat(LINES_MAX + 1))).toBe(true);
    expect(isTooLong(long('/** A table. */'))).toBe(true);
    expect(isTooLong(long('/** Over 400 lines: yes. */'))).toBe(true);
    const late = '/** A table. */\nx();\n// Over 400 lines: one table, a part would say nothing.';
    expect(isTooLong(long(late))).toBe(true);
  });
});
