/** Reads a YAML configuration file and remembers where each key and value stands in it. */
import { isUtf8 } from 'node:buffer';
import { readFileSync, type Stats, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { errorText, proxyErrorFrom } from '../lib/errors.ts';
import { formatSize } from '../lib/units.ts';
import { sectionAt } from './fields.ts';
import { ConfigError, type Problem, showValue } from './problems.ts';
import { CONFIG_FIELDS } from './schema.ts';
import type { Source } from './source.ts';

const FILE_BYTES_MAX = 1024 * 1024;
const NEWLINE = 0x0a;

/** @throws ConfigError when the file cannot be read or is no single YAML map. */
export function readFileSource(file: string): Source {
  return parseFileSource(file, readText(file));
}

/** The same for text at hand; `file` is only the name that messages show. */
function parseFileSource(file: string, text: string): Source {
  if (text.trim() === '') refuse(file, 'the file is empty');
  const lines = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const complaints = [...document.errors, ...document.warnings];
  const problems = complaints.map(
    ({ code, message, pos }): Problem => ({
      from: 'file',
      where: place(pos[0]),
      message: COMPLAINTS[code] ?? invalidText(message, lineAt(text, pos[0])),
    }),
  );
  // With a key set twice, and no more than that, the rest can be read and is checked as well.
  if (complaints.some(({ code }) => code !== 'DUPLICATE_KEY')) throw new ConfigError(problems);
  refuseUnknownAliases(document, place);
  return {
    from: 'file',
    tree: treeOf(document, file, place),
    problems,
    warnings: [],
    locate: (path, part) => place(offsetOf(document, path, part)),
  };
}

/** In place of what the parser says, where that speaks to a programmer. */
const COMPLAINTS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY:
    'a second ": " is on this line; put a value that holds one in quotes, as in password: "a: b"',
  DUPLICATE_KEY: 'this key is set a second time; each key may be set once',
  MULTIPLE_DOCS: 'a second YAML document begins here; allowed: one document per file',
  TAB_AS_INDENT: 'a tab is used to indent; allowed: spaces',
};

/** What the parser says of the rest, in its place; with the line, which is often all that is needed. */
function invalidText(message: string, line: string): string {
  const missing = UNCLOSED.exec(message)?.[1];
  const said =
    missing === undefined ? message : `a ${missing} is missing up to here, or not indented enough`;
  return `this is no valid YAML: ${said}${line === '' ? '' : `; the line is ${line}`}`;
}

const UNCLOSED = /(?:must be sufficiently indented and end with a |Missing closing )(\S)/;

/** '' where it may hold a secret, or the rest of one. */
function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const line = text.slice(start).split('\n', 1)[0]?.trim() ?? '';
  return /^(- )?[\w.-]+ *:/.test(line) && !/pass|secret|auth/i.test(line) ? showValue(line) : '';
}

function refuseUnknownAliases(document: Document.Parsed, place: (offset: number) => string): void {
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return;
      refuse(place(alias.range?.[0] ?? 0), `*${alias.source} has no &${alias.source} before it`);
    },
  });
}

function treeOf(
  document: Document.Parsed,
  file: string,
  place: (offset: number) => string,
): Readonly<Record<string, unknown>> {
  const root = document.contents;
  // A file of nothing but comments: everything by default.
  if (root === null || (isScalar(root) && root.value === null)) return {};
  if (!isMap(root)) {
    refuse(
      place(root.range[0]),
      `${showValue(toPlain(document, file))} is not allowed here; allowed: a map of keys and values`,
    );
  }
  return withoutEmptySections(toPlain(document, file) as Record<string, unknown>);
}

function toPlain(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases that multiply beyond reason.
    if (error instanceof ReferenceError) refuse(file, error.message);
    throw error;
  }
}

/** `cluster:` whose keys are all commented out reads as null, and means no setting at all. */
function withoutEmptySections(tree: Record<string, unknown>): Record<string, unknown> {
  const isSection = (key: string) => sectionAt(CONFIG_FIELDS, [key]) !== undefined;
  const kept = Object.entries(tree).filter(([key, value]) => value !== null || !isSection(key));
  return Object.fromEntries(kept);
}

function offsetOf(
  document: Document.Parsed,
  path: readonly PropertyKey[],
  part: 'key' | 'value',
): number {
  let at: unknown = document.contents;
  let offset = 0;
  for (const [index, key] of path.entries()) {
    const last = index === path.length - 1;
    const pair = isMap(at)
      ? // Of a key set twice the second is the one that has been read.
        at.items.findLast((item) => isScalar(item.key) && String(item.key.value) === key)
      : undefined;
    if (pair !== undefined) {
      offset = startOf(pair.key) ?? offset;
      at = pair.value;
      if (!last || part === 'value') offset = startOf(at) ?? offset;
    } else {
      at =
        isNode(at) && 'get' in at
          ? (at as { get(k: unknown, keep: true): unknown }).get(key, true)
          : undefined;
      offset = startOf(at) ?? offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function readText(file: string): string {
  const bytes = readBytes(file);
  if (!isUtf8(bytes)) {
    refuse(`${file}:${firstBadLine(bytes)}:1`, 'this line is not UTF-8; allowed: UTF-8 text');
  }
  return new TextDecoder().decode(bytes);
}

function readBytes(file: string): Buffer {
  try {
    checkKind(file, statSync(file));
    return readFileSync(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const reason = proxyErrorFrom(error, { source: 'config', doing: 'read the file' });
    const looked = isAbsolute(file) ? '' : ` (looked for ${resolve(file)})`;
    const message = errorText(reason) + looked;
    throw new ConfigError([{ from: 'file', where: file, message }], error);
  }
}

function checkKind(file: string, stats: Stats): void {
  if (stats.isDirectory()) refuse(file, 'this is a directory; allowed: a YAML file');
  if (!stats.isFile() && !stats.isFIFO()) refuse(file, 'this is no regular file');
  if (stats.size > FILE_BYTES_MAX) {
    refuse(
      file,
      `the file has ${stats.size} bytes; allowed: at most ${formatSize(FILE_BYTES_MAX)}`,
    );
  }
}

/** Lines count from 1. A newline never is part of a longer UTF-8 sequence. */
function firstBadLine(bytes: Buffer): number {
  let line = 1;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    line++;
    start = end + 1;
  }
}

function refuse(where: string, message: string): never {
  throw new ConfigError([{ from: 'file', where, message }]);
}
