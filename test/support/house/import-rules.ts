/**
 * Who may import whom: an arrow between two folders is allowed or it is not, no file can reach
 * itself, and no file hides behind a name that says nothing. The rules work on any set of files, so
 * that they are themselves shown to find what they are for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

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

/**
 * The same for what is not part of the program. Tests of all kinds share what is in test/support,
 * which knows of none of them; bench knows nothing of tests.
 */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  bench: ['src'],
  'test/support': ['src'],
  'test/unit': ['src', 'bench', 'test/support', 'test/breakages'],
  'test/sim': ['src', 'test/support'],
  'test/integration': ['src', 'bench', 'test/support'],
  'test/faults': ['src', 'test/support'],
  'test/interop': ['src', 'test/support'],
  'test/breakages': ['src', 'test/support'],
};

/** Path below some folder to source text. */
export type Tree = Readonly<Record<string, string>>;

/**
 * Static imports and re-exports begin a line (the formatter sees to that); `import('…')`, also as a
 * type, may stand anywhere outside a comment.
 */
export function importsOf(source: string): string[] {
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
export function graphOf(tree: Tree): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const [file, source] of Object.entries(tree)) {
    const local = importsOf(source).filter((name) => name.startsWith('.'));
    const targets = local.map((name) => posix.join(posix.dirname(file), name));
    graph.set(file, [...new Set(targets)]);
  }
  return graph;
}

export function findProblems(tree: Tree): string[] {
  const graph = graphOf(tree);
  return [
    ...Object.keys(tree).flatMap(nameProblems),
    ...Object.entries(tree).flatMap(([file, source]) => purityProblems(file, source)),
    ...[...graph].flatMap(([file, targets]) => targets.flatMap((to) => arrowProblems(file, to))),
    ...cycleProblems(graph),
  ];
}

/** As {@link findProblems}, of bench/ and test/; paths are those below the checkout. */
export function findProblemsBeside(tree: Tree): string[] {
  const graph = graphOf(tree);
  return [
    ...Object.keys(tree).flatMap(nameProblems),
    ...[...graph].flatMap(([file, targets]) => targets.flatMap((to) => besideProblems(file, to))),
    ...cycleProblems(graph),
  ];
}

function besideProblems(file: string, target: string): string[] {
  const from = partOf(file);
  const to = partOf(target);
  const allowed = BESIDE[from] ?? [];
  if (from === to || allowed.includes(to)) return [];
  const words = allowed.length === 0 ? 'nothing' : allowed.join(', ');
  return [`${file} imports ${target}: ${from} may import ${words}`];
}

/** "src", "bench", "test/unit" …; '' for what lies beside them. */
function partOf(file: string): string {
  const [top = '', kind = ''] = file.split('/');
  if (!file.includes('/')) return '';
  return top === 'test' ? `test/${kind}` : top;
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

/** Files that none of `roots`, nor what they import, ever leads to. */
export function findDead(tree: Tree, roots: readonly string[]): string[] {
  const graph = graphOf(tree);
  const alive = new Set<string>();
  const visit = (file: string): void => {
    if (alive.has(file)) return;
    alive.add(file);
    for (const target of graph.get(file) ?? []) visit(target);
  };
  for (const root of roots) visit(root);
  return Object.keys(tree).filter((file) => !alive.has(file));
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

export function readTree(folder: string): Tree {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = entries.map((entry) => entry.replaceAll('\\', '/')).sort();
  const sources = files.filter((file) => file.endsWith('.ts'));
  return Object.fromEntries(
    sources.map((file) => [file, readFileSync(posix.join(folder, file), 'utf8')]),
  );
}
