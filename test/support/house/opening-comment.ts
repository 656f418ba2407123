/** The comment with which a source begins, in any of the languages of this repository. */

const BLOCK = /^\/\*\*?([\s\S]*?)\*\//;
const PYTHON = /^"""([\s\S]*?)"""/;
const LINES = /^((?:(?:\/\/|#).*\n)+)/;

/** Its lines without what marks them as a comment; none where the file begins with code. */
export function openingComment(source: string): string[] {
  const text = source.replace(/^#!.*\n/, '').trimStart();
  const body = BLOCK.exec(text)?.[1] ?? PYTHON.exec(text)?.[1] ?? LINES.exec(text)?.[1] ?? '';
  return body.split('\n').map((line) => line.replace(/^\s*(\*|\/\/|#)?\s?/, '').trimEnd());
}
