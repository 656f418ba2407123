/**
 * `npm run breakages -- [TEXT …] [--list] [--jobs N] [--markdown]`: breaks the program by each
 * row of the table, in a copy, and expects the row's test to fail. Ends with "N caught, N missed".
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GuardRuns, type Outcome } from './guard-run.ts';
import type { Breakage, Guard } from './row.ts';
import { BREAKAGES } from './table.ts';
import { WorkTree } from './work-tree.ts';

/** Of one test; those that hang under a breakage say nothing. */
const LIMIT_MS = 240_000;

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '1' },
  },
});

interface Tried {
  readonly row: Breakage;
  readonly isCaught: boolean;
  readonly outcome: Outcome;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function nameOf({ file, name }: Guard): string {
  return `${file}: ${name}`;
}

function isMeant({ rule, breakage, file, test }: Breakage): boolean {
  const texts = [rule, breakage, file, nameOf(test)];
  return wanted.length === 0 || wanted.some((only) => texts.some((text) => text.includes(only)));
}

const rows = BREAKAGES.filter(isMeant);
if (values.list || values.markdown) {
  list(rows);
} else if (rows.length === 0 || !/^[1-9]$/.test(values.jobs)) {
  process.stderr.write(rows.length === 0 ? 'no such row\n' : '--jobs must be 1 to 9\n');
  process.exitCode = 2;
} else {
  process.exitCode = await tryAll(rows, Number(values.jobs));
}

function list(shown: readonly Breakage[]): void {
  if (values.markdown) {
    print('| rule | breakage | where | caught by |');
    print('|---|---|---|---|');
  }
  for (const { rule, breakage, file, test } of shown) {
    const guard = nameOf(test).replace('test/', '').replaceAll('|', '\\|');
    if (values.markdown) print(`| ${rule} | ${breakage} | \`${file}\` | ${guard} |`);
    else print(`${rule} · ${breakage} · ${file} · ${nameOf(test)}`);
  }
  if (!values.markdown) print(`${shown.length} breakages`);
}

/** The exit code. */
async function tryAll(chosen: readonly Breakage[], jobs: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-breakages-'));
  const runs = new GuardRuns(LIMIT_MS);
  const leave = (): void => {
    runs.stop();
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  try {
    const trees = Array.from({ length: jobs }, (_, i) => {
      return new WorkTree(process.cwd(), join(folder, String(i)));
    });
    // All at once, before anything takes long: a table that has rotted is told in the first second.
    for (const row of chosen) (trees[0] as WorkTree).apply(row)();
    const sound = await tryUnbroken(chosen, trees, runs);
    const tried: Tried[] = [];
    await each(chosen, trees, async (row, tree) => {
      const result = sound.has(nameOf(row.test)) ? await tryRow(row, tree, runs) : unsound(row);
      tried.push(result);
      print(lineOf(result));
    });
    return summed(chosen, tried);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Each test must pass as long as nothing is broken. Returns the names of those that do. */
async function tryUnbroken(
  chosen: readonly Breakage[],
  trees: readonly WorkTree[],
  runs: GuardRuns,
): Promise<Set<string>> {
  const guards = new Map(chosen.map(({ test }) => [nameOf(test), test]));
  const ofFile = (path: string): Guard[] =>
    [...guards.values()].filter(({ file }) => file === path);
  const files = [...new Set(chosen.map(({ test }) => test.file))].map(ofFile);
  const sound = new Set<string>();
  await each(files, trees, async (tests, tree) => {
    const outcomes = await runs.run(tree.path, tests);
    for (const [i, { kind, why }] of outcomes.entries()) {
      const name = nameOf(tests[i] as Guard);
      if (kind === 'green') sound.add(name);
      else print(`UNSOUND (${kind} while nothing is broken) ${name}: ${why}`);
    }
  });
  print(`${sound.size} of ${guards.size} tests pass while nothing is broken`);
  return sound;
}

async function tryRow(row: Breakage, tree: WorkTree, runs: GuardRuns): Promise<Tried> {
  const mend = tree.apply(row);
  try {
    const [outcome] = (await runs.run(tree.path, [row.test])) as [Outcome];
    return { row, isCaught: outcome.kind === 'red', outcome };
  } finally {
    mend();
  }
}

function unsound(row: Breakage): Tried {
  const outcome: Outcome = { kind: 'invalid', why: 'its test fails unbroken', seconds: 0 };
  return { row, isCaught: false, outcome };
}

/** One after the other in each tree. */
async function each<T>(
  items: readonly T[],
  trees: readonly WorkTree[],
  work: (item: T, tree: WorkTree) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  await Promise.all(
    trees.map(async (tree) => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
        await work(item, tree);
      }
    }),
  );
}

function lineOf({ row, isCaught, outcome }: Tried): string {
  const { kind, why, seconds } = outcome;
  const what = `${row.rule} · ${row.breakage}`;
  if (isCaught) return `caught in ${seconds.toFixed(1)} s · ${what} · ${row.test.file}: ${why}`;
  return `MISSED (${kind}${why && `: ${why}`}) · ${what} · ${nameOf(row.test)}`;
}

function summed(chosen: readonly Breakage[], tried: readonly Tried[]): number {
  const missed = tried.filter(({ isCaught }) => !isCaught);
  for (const each of missed) print(lineOf(each));
  print(`${chosen.length - missed.length} caught, ${missed.length} missed`);
  return missed.length > 0 ? 1 : 0;
}
