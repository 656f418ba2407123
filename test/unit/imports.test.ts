/**
 * The direction of imports, kept by a test: an arrow between two folders of src/ is allowed or it is
 * not, no file can reach itself, and no file hides behind a name that says nothing. The checker works
 * on any set of files, so that it is itself shown to find what it is for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** What each folder may import besides itself. A folder that is not here may import nothing. */
const DATA_PATH = ['lib', 'resp', 'commands', 'topology', 'route', 'transport', 'metrics'];
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  resp: ['lib'],
  commands: ['lib', 'resp'],
  topology: ['lib'],
  route: ['lib', 'resp', 'commands', 'topology'],
  transport: ['lib'],
  config: ['lib'],
  metrics: ['lib', 'commands'],
  upstream: DATA_PATH,
  downstream: DATA_PATH,
  proxy: [...DATA_PATH, 'upstream', 'downstream'],
  control: ['lib', 'resp', 'commands', 'topology', 'config', 'metrics'],
  admin: ['lib', 'metrics', 'config'],
  local: ['lib'],
  insight: ['lib', 'metrics'],
};
/** The composition root (files directly in src/), the processes it forks and the command line may import everything. */
const IMPORTS_ALL = ['', 'cli', 'process'];

/** Bytes and `now` in, values out: nothing that reaches a socket, a file, a clock or chance. */
const PURE = ['resp', 'commands', 'topology', 'route'];
const IMPURE_MODULE =
  /^(node:)?(net|tls|http|https|http2|dns|dgram|fs|os|process|child_process|cluster|worker_threads|crypto|timers|perf_hooks)(\/|$)/;
const IMPURE_CALL =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|process\.hrtime|setTimeout|setInterval|setImmediate)\b/;

/** Run by developers, by hand; may do what the folder may not, so nothing may import them. */
const TOOLS = ['commands/generate.ts'];

const SAYS_NOTHING = ['index.ts', 'utils.ts', 'types.ts'];

/** Path below src/ to source text. */
type Tree = Readonly<Record<string, string>>;

/**
 * Static imports and re-exports begin a line (the formatter sees to that); `import('…')`, also as a
 * type, may stand anywhere outside a comment.
 */
function importsOf(source: string): string[] {
  const found: string[] = [];
  const from = /^(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm;
  const sideEffect = /^import\s*['"]([^'"]+)['"]/gm;
  const dynamic = /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g;
  for (const match of source.matchAll(from)) found.push(match[1] as string);
  for (const match of source.matchAll(sideEffect)) found.push(match[1] as string);
  for (const match of withoutComments(source).matchAll(dynamic)) found.push(match[1] as string);
  return found;
}

/** Good enough for lines that hold nothing else: doc comments and `//` after white space. */
function withoutComments(source: string): string {
  return source.replace(/^\s*(\/?\*.*|\/\/.*)$/gm, '').replace(/\s\/\/.*$/gm, '');
}

function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/', 1)[0] as string) : '';
}

/** Files of the tree that each file imports, by whatever form of import. */
function graphOf(tree: Tree): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const [file, source] of Object.entries(tree)) {
    const local = importsOf(source).filter((name) => name.startsWith('.'));
    const targets = local.map((name) => posix.join(posix.dirname(file), name));
    graph.set(file, [...new Set(targets)]);
  }
  return graph;
}

function findProblems(tree: Tree): string[] {
  const graph = graphOf(tree);
  return [
    ...Object.keys(tree).flatMap(nameProblems),
    ...Object.entries(tree).flatMap(([file, source]) => purityProblems(file, source)),
    ...[...graph].flatMap(([file, targets]) => targets.flatMap((to) => arrowProblems(file, to))),
    ...cycleProblems(graph),
  ];
}

function nameProblems(file: string): string[] {
  const says = SAYS_NOTHING.includes(posix.basename(file));
  return says ? [`${file}: the name says nothing; name the file after what it holds`] : [];
}

function purityProblems(file: string, source: string): string[] {
  if (!PURE.includes(folderOf(file)) || TOOLS.includes(file)) return [];
  const modules = importsOf(source).filter((name) => IMPURE_MODULE.test(name));
  const call = IMPURE_CALL.exec(withoutComments(source));
  return [...modules, ...(call === null ? [] : [call[0]])].map(
    (what) => `${file}: ${folderOf(file)} is pure and may not use ${what}`,
  );
}

function arrowProblems(file: string, target: string): string[] {
  const from = folderOf(file);
  const to = folderOf(target);
  // package.json and the like, above src/.
  if (to === '..')
    return IMPORTS_ALL.includes(from) ? [] : [`${file} imports ${target}: outside src`];
  if (!target.endsWith('.ts')) return [`${file} imports ${target}: imports end in .ts`];
  if (TOOLS.includes(target)) return [`${file} imports ${target}: a tool, no part of the program`];
  if (from === to || IMPORTS_ALL.includes(from)) return [];
  const allowed = ALLOWED[from] ?? [];
  if (allowed.includes(to)) return [];
  const words = allowed.length === 0 ? 'nothing' : allowed.join(', ');
  return [`${file} imports ${target}: ${from} may import ${words}`];
}

/** One problem per cycle found on a walk through every file. */
function cycleProblems(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const problems: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) problems.push(`cycle: ${[...path.slice(start), file].join(' -> ')}`);
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return problems;
}

function readTree(folder: string): Tree {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = entries.map((entry) => entry.replaceAll('\\', '/')).sort();
  const sources = files.filter((file) => file.endsWith('.ts'));
  return Object.fromEntries(
    sources.map((file) => [file, readFileSync(posix.join(folder, file), 'utf8')]),
  );
}

describe('the sources', () => {
  const tree = readTree(fileURLToPath(new URL('../../src', import.meta.url)));

  it('import in one direction, without cycles, from files with telling names', () => {
    expect(findProblems(tree)).toEqual([]);
  });

  it('are really read', () => {
    const arrows = [...graphOf(tree)].flatMap(([file, targets]) => targets.map((to) => [file, to]));
    expect(Object.keys(tree).length).toBeGreaterThan(20);
    expect(arrows.length).toBeGreaterThan(20);
    expect(arrows).toContainEqual(['cli/slotgate.ts', 'cli/program.ts']);
    expect(arrows).toContainEqual(['cli/program.ts', 'cli/serve.ts']);
  });

  it('load no library but commander for --version and --help', () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      // Only what is loaded at once: neither types nor what is awaited later.
      const source = (tree[file] ?? '').replace(/^import type\b.*$|\bimport\s*\(/gm, '');
      for (const name of importsOf(source)) {
        if (name.startsWith('.')) visit(posix.join(posix.dirname(file), name));
        else if (!name.startsWith('node:')) packages.add(name);
      }
    };
    visit('cli/slotgate.ts');
    expect([...packages]).toEqual(['commander']);
  });
});

describe('the checker', () => {
  const good: Tree = {
    'main.ts': "import { a } from './proxy/run.ts';\nimport './control/poll.ts';\n",
    'cli/serve.ts': "const { main } = await import('../main.ts');\n",
    'proxy/run.ts': "import type { Plan } from '../route/plan.ts';\nimport net from 'node:net';\n",
    'route/plan.ts': "export type { Slot } from '../topology/slot.ts';\n",
    'topology/slot.ts':
      "// import { x } from '../control/poll.ts';\n/** Date.now is not for us. */\n",
    'control/poll.ts': "import {\n  one,\n  two,\n} from '../topology/slot.ts';\n",
  };

  it('has nothing against a good tree', () => {
    expect(findProblems(good)).toEqual([]);
  });

  it.each([
    ['a static import', "import { poll } from '../control/poll.ts';"],
    ['a type-only import', "import type { Poll } from '../control/poll.ts';"],
    ['an import over several lines', "import {\n  poll,\n} from '../control/poll.ts';"],
    ['an import for its effect', "import '../control/poll.ts';"],
    ['a re-export', "export { poll } from '../control/poll.ts';"],
    ['a re-export of all', "export * from '../control/poll.ts';"],
    ['a dynamic import', "const later = () => import('../control/poll.ts');"],
    ['an import within a type', "let poll: import('../control/poll.ts').Poll;"],
    ['double quotes', 'import { poll } from "../control/poll.ts";'],
    ['an import after other code', "const a = 1;\n\nimport { poll } from '../control/poll.ts';"],
  ])('finds %s that turns back', (_form, line) => {
    expect(findProblems({ ...good, 'proxy/bad.ts': `/** Bad. */\n${line}\n` })).toEqual([
      expect.stringMatching(
        /^proxy\/bad\.ts imports control\/poll\.ts: proxy may import lib, resp/,
      ),
    ]);
  });

  it.each([
    ['lib', 'resp'],
    ['resp', 'commands'],
    ['topology', 'resp'],
    ['transport', 'metrics'],
    ['config', 'control'],
    ['upstream', 'downstream'],
    ['upstream', 'proxy'],
    ['control', 'proxy'],
    ['admin', 'control'],
    ['local', 'config'],
    ['proxy', 'admin'],
    ['unheard-of', 'lib'],
    ['lib', 'main.ts'],
    ['proxy', 'cli'],
  ])('refuses the arrow from %s to %s', (from, to) => {
    const target = to.endsWith('.ts') ? to : `${to}/b.ts`;
    const tree = { [`${from}/a.ts`]: `import '../${target}';\n`, [target]: '' };
    expect(findProblems(tree)).toEqual([
      expect.stringContaining(`${from}/a.ts imports ${target}: ${from} may import `),
    ]);
  });

  it('finds cycles, also of types and within one folder', () => {
    const tree = {
      'lib/a.ts': "import { b } from './b.ts';\n",
      'lib/b.ts': "import type { C } from './deep/c.ts';\n",
      'lib/deep/c.ts': "const a = () => import('../a.ts');\n",
      'lib/self.ts': "import './self.ts';\n",
    };
    expect(findProblems(tree)).toEqual([
      'cycle: lib/a.ts -> lib/b.ts -> lib/deep/c.ts -> lib/a.ts',
      'cycle: lib/self.ts -> lib/self.ts',
    ]);
  });

  it.each(['index.ts', 'utils.ts', 'types.ts'])('refuses a file named %s', (name) => {
    expect(findProblems({ [`resp/${name}`]: '' })).toEqual([
      expect.stringMatching(new RegExp(`^resp/${name}: the name says nothing`)),
    ]);
  });

  it.each([
    ["import net from 'node:net';", 'node:net'],
    ["import { readFile } from 'node:fs/promises';", 'node:fs/promises'],
    ['const at = Date.now();', 'Date.now'],
    ['const pick = Math.random();', 'Math.random'],
    ['setTimeout(() => {}, 5);', 'setTimeout'],
  ])('keeps the pure folders pure: %s', (line, what) => {
    expect(findProblems({ 'route/a.ts': `${line}\n` })).toEqual([
      `route/a.ts: route is pure and may not use ${what}`,
    ]);
    expect(findProblems({ 'upstream/a.ts': `${line}\n` })).toEqual([]);
  });

  it('leaves a tool alone, as long as nothing imports it', () => {
    const tool = { 'commands/generate.ts': "import net from 'node:net';\n" };
    expect(findProblems(tool)).toEqual([]);
    expect(findProblems({ ...tool, 'cli/a.ts': "import '../commands/generate.ts';\n" })).toEqual([
      'cli/a.ts imports commands/generate.ts: a tool, no part of the program',
    ]);
  });

  it('refuses an import without its ending, or from outside', () => {
    expect(findProblems({ 'lib/a.ts': "import './b';\nimport '../../test/c.ts';\n" })).toEqual([
      'lib/a.ts imports lib/b: imports end in .ts',
      'lib/a.ts imports ../test/c.ts: outside src',
    ]);
  });
});
