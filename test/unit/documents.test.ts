/**
 * README.md and ARCHITECTURE.md, as far as they can be held against the checkout: links lead
 * somewhere, the code map is complete, every file that is named exists, and every invariant names
 * tests that guard it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  anchorsOf,
  linksOf,
  quotedWords,
  sectionOf,
  tableRows,
} from '../support/house/markdown.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENTS = ['README.md', 'ARCHITECTURE.md'];
const ARCHITECTURE = read('ARCHITECTURE.md');

function read(file: string): string {
  return readFileSync(posix.join(ROOT, file), 'utf8');
}

function exists(path: string): boolean {
  return existsSync(posix.join(ROOT, path));
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(posix.join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return entries.filter((entry) => /\.(ts|mjs)$/.test(entry)).sort();
}

/** Links of a document that lead nowhere. */
function brokenLinks(document: string, text: string, read: (file: string) => string): string[] {
  return linksOf(text).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const file = path === '' ? document : path;
    if (!exists(file)) return true;
    return anchor !== undefined && !anchorsOf(read(file)).has(anchor);
  });
}

/**
 * The files that a code map names, below src/. Its rows: a folder, or nothing for that of the row
 * above; the files in it without their ending, behind the subfolder where they are in one; what for.
 */
function mappedFiles(map: string): string[] {
  let folder = '';
  return tableRows(map).flatMap(([place = '', names = '']) => {
    const [own] = quotedWords(place);
    if (own?.endsWith('/') === true) folder = own;
    const words = own !== undefined && !own.endsWith('/') ? [own] : quotedWords(names);
    const parent = own !== undefined && !own.endsWith('/') ? '' : folder;
    let below = '';
    return words.flatMap((word) => {
      if (word.endsWith('/')) below = word;
      else return [`${parent}${below}${/\.\w+$/.test(word) ? word : `${word}.ts`}`];
      return [];
    });
  });
}

/** `{a,b}` stands for both. */
function expanded(path: string): string[] {
  const braces = /^(.*)\{([^}]*)\}(.*)$/.exec(path);
  if (braces === null) return [path];
  const [, before = '', choices = '', after = ''] = braces;
  return choices.split(',').map((choice) => `${before}${choice}${after}`);
}

/** Words that name a file or a folder of the checkout. */
function namedPaths(text: string): string[] {
  const words = quotedWords(text).flatMap(expanded);
  return words.filter((word) => /^[\w./-]+(\.(ts|mjs)|\/)$/.test(word) && !word.startsWith('/'));
}

describe('links', () => {
  it.each(DOCUMENTS)('of %s lead somewhere', (document) => {
    const text = read(document);
    expect(linksOf(text).length).toBeGreaterThan(document === 'README.md' ? 20 : -1);
    expect(brokenLinks(document, text, read)).toEqual([]);
  });

  it('that are broken are found', () => {
    const text = [
      '# A title, and `code`',
      '[here](#a-title-and-code) [there](#nowhere) [file](README.md) [none](MISSING.md)',
      '[part](README.md#nowhere) [web](https://example.org/#nowhere) `[code](x)`',
      '```\n# No heading\n[no link](#none)\n```',
      '# Twice\n# Twice\n[second](#twice-1) [third](#twice-2) [quoted](#no-heading)',
    ].join('\n');
    expect(brokenLinks('ARCHITECTURE.md', text, () => text)).toEqual([
      '#nowhere',
      'MISSING.md',
      'README.md#nowhere',
      '#twice-2',
      '#no-heading',
    ]);
  });
});

describe('the code map', () => {
  it('names every file of src/, each once, and no other', () => {
    const mapped = mappedFiles(sectionOf(ARCHITECTURE, 'Code map'));
    expect([...mapped].sort()).toEqual(filesBelow('src'));
  });

  it('is read as it is written', () => {
    const map = [
      '| folder | files | what |',
      '|---|---|---|',
      '| `main.ts` | | the `root` |',
      '| `cli/` | `serve` `setup.mjs` | words |',
      '| | `local` | `other` words |',
      '| `proxy/` | `tx/` `block` `watch` | |',
    ].join('\n');
    expect(mappedFiles(map)).toEqual([
      'main.ts',
      'cli/serve.ts',
      'cli/setup.mjs',
      'cli/local.ts',
      'proxy/tx/block.ts',
      'proxy/tx/watch.ts',
    ]);
  });
});

describe('files named in ARCHITECTURE.md', () => {
  const all = ['src', 'test', 'bench'].flatMap((part) =>
    filesBelow(part).map((file) => `${part}/${file}`),
  );
  const folders = new Set(
    all.flatMap((file) => file.split('/').map((_, i, parts) => parts.slice(0, i).join('/'))),
  );
  /** Named from the root, from src/, or by so much of its path as tells it from others. */
  const isThere = (name: string): boolean =>
    name.endsWith('/')
      ? [...folders].some((folder) => `/${folder}/`.endsWith(`/${name}`)) || exists(name)
      : all.some((file) => `/${file}`.endsWith(`/${name}`)) || exists(name);

  it('exist', () => {
    const named = namedPaths(ARCHITECTURE);
    expect(named.length).toBeGreaterThan(100);
    // The names that no file may have.
    const forbidden = ['index.ts', 'utils.ts', 'types.ts'];
    expect(named.filter((name) => !isThere(name))).toEqual(forbidden);
  });

  it('would be missed', () => {
    const text = 'See `proxy/missing.ts`, `test/unit/{imports,missing}.test.ts`, `tx/`, `gone/`.';
    expect(namedPaths(text).filter((name) => !isThere(name))).toEqual([
      'proxy/missing.ts',
      'test/unit/missing.test.ts',
      'gone/',
    ]);
  });
});

describe('invariants', () => {
  const items = sectionOf(ARCHITECTURE, 'Invariants').split(/\n(?=\d+\. )/);
  const [preface = '', ...numbered] = items;
  /** `sim` stands for one test, which the preface names. */
  const testsOf = (item: string): string[] => [
    ...namedPaths(item).filter((path) => path.startsWith('test/')),
    ...(/\bsim\b/.test(item) ? ['test/sim/data-path.test.ts'] : []),
  ];

  it('each name tests', () => {
    expect(preface).toContain('`test/sim/data-path.test.ts`');
    expect(numbered.length).toBeGreaterThanOrEqual(13);
    expect(numbered.filter((item) => testsOf(item).length === 0)).toEqual([]);
  });

  it('name tests that exist', () => {
    const named = numbered.flatMap(testsOf);
    expect(named.filter((path) => !exists(path))).toEqual([]);
    const folders = named.filter((path) => path.endsWith('/'));
    for (const folder of folders) {
      expect(filesBelow(folder).some((file) => file.endsWith('.test.ts'))).toBe(true);
    }
  });
});
