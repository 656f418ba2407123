/**
 * The direction of imports in src/, bench/ and test/; the rules are in test/support/house, and here
 * are shown to find what they are for.
 */
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  findDead,
  findProblems,
  findProblemsBeside,
  graphOf,
  importsOf,
  readTree,
  type Tree,
} from '../support/house/import-rules.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('the sources', () => {
  const tree = readTree(posix.join(ROOT, 'src'));

  it('import in one direction, without cycles, from files with telling names', () => {
    expect(findProblems(tree)).toEqual([]);
  });

  it('are all in use', () => {
    // The command, what the supervisor forks, and what developers run by hand.
    const roots = ['cli/slotgate.ts', 'process/child.ts', 'commands/generate.ts'];
    expect(findDead(tree, roots)).toEqual([]);
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
    // Loaded by it once it knows that this Node is new enough.
    visit('cli/program.ts');
    expect([...packages]).toEqual(['commander']);
  });
});

describe('tests and benchmarks', () => {
  const tree = Object.fromEntries(
    ['bench', 'test'].flatMap((part) =>
      Object.entries(readTree(posix.join(ROOT, part))).map(([file, text]) => [
        `${part}/${file}`,
        text,
      ]),
    ),
  );

  it('import in one direction, without cycles, from files with telling names', () => {
    // What this file itself quotes looks like imports.
    const { 'test/unit/imports.test.ts': _quotes, ...others } = tree;
    expect(findProblemsBeside(others)).toEqual([]);
  });

  it('are really read', () => {
    const arrows = [...graphOf(tree)].flatMap(([file, targets]) => targets.map((to) => [file, to]));
    expect(arrows).toContainEqual(['test/sim/run.ts', 'test/support/sim/simulation.ts']);
    expect(arrows).toContainEqual([
      'test/unit/imports.test.ts',
      'test/support/house/import-rules.ts',
    ]);
    expect(arrows.length).toBeGreaterThan(200);
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

  it('finds files that nothing leads to', () => {
    expect(findDead(good, ['cli/serve.ts'])).toEqual([]);
    expect(findDead(good, ['main.ts'])).toEqual(['cli/serve.ts']);
    expect(findDead(good, ['proxy/run.ts'])).toEqual([
      'main.ts',
      'cli/serve.ts',
      'control/poll.ts',
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

  it.each([
    ['bench/a.ts', 'test/support/b.ts', 'bench may import src'],
    ['test/support/a.ts', 'test/unit/b.ts', 'test/support may import src'],
    ['test/support/a.ts', 'bench/b.ts', 'test/support may import src'],
    ['test/integration/a.test.ts', 'test/unit/b.ts', 'test/integration may import src, bench'],
    ['test/unit/a.test.ts', 'test/integration/b.ts', 'test/unit may import src, bench'],
    ['test/unit/a.test.ts', 'vitest.config.ts', 'test/unit may import src, bench'],
    ['test/novel/a.test.ts', 'src/main.ts', 'test/novel may import nothing'],
  ])('refuses the arrow from %s to %s', (from, to, why) => {
    const tree = { [from]: `import '${posix.relative(posix.dirname(from), to)}';\n`, [to]: '' };
    expect(findProblemsBeside(tree)).toEqual(
      [`${from} imports ${to}: ${why}`].map((text) => expect.stringContaining(text)),
    );
  });

  it('finds cycles among tests, too', () => {
    const tree = {
      'test/unit/a.ts': "import './b.ts';\n",
      'test/unit/b.ts': "import './a.ts';\n",
    };
    expect(findProblemsBeside(tree)).toEqual([
      'cycle: test/unit/a.ts -> test/unit/b.ts -> test/unit/a.ts',
    ]);
  });
});
