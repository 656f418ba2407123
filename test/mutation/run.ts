/**
 * Mutation testing of the pure folders: `npm run mutation`, or `npm run mutation -- route topology`
 * for some of them. Breaks the code in one place after another; a break that no test of that folder
 * notices survives. Takes the better part of an hour; results are kept in coverage/mutation/, so that
 * the next time only what has changed is looked at.
 *
 * Stryker is no devDependency: its 160 packages would treble what a clone installs. It is put into
 * node_modules/.cache at the first use. Stryker 10 wants Node 22, so this is the last of Stryker 9.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const FOLDERS = ['route', 'topology', 'resp', 'commands'];
const VERSION = '9.6.1';
const HOME = resolve('node_modules/.cache/mutation');
const STRYKER = join(HOME, 'node_modules/@stryker-mutator/core/bin/stryker.js');
/** Least share of breaks that tests notice, in per cent: of each folder, and so of all. */
const SCORE_MIN = 85;

interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly { status: string }[] }>>;
}

function install(): void {
  const manifest = join(HOME, 'package.json');
  const wanted = {
    private: true,
    dependencies: { '@stryker-mutator/core': VERSION, '@stryker-mutator/vitest-runner': VERSION },
  };
  const text = `${JSON.stringify(wanted, null, 2)}\n`;
  if (existsSync(STRYKER) && readFileSync(manifest, 'utf8') === text) return;
  mkdirSync(HOME, { recursive: true });
  writeFileSync(manifest, text);
  // Vitest is the runner's peer and found further up, in the project.
  run('npm', ['install', '--legacy-peer-deps', '--no-audit', '--no-fund', '--prefix', HOME]);
  if (!existsSync(STRYKER)) throw new Error(`npm could not install Stryker into ${HOME}`);
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  const { error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (error !== undefined) throw error;
}

function reportOf(folder: string): string {
  return `coverage/mutation/${folder}/report.json`;
}

/** How many mutants of a folder came to which end. */
function ends(folder: string): Map<string, number> {
  const file = reportOf(folder);
  if (!existsSync(file)) throw new Error(`Stryker made no report of src/${folder}: see above`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const counts = new Map<string, number>();
  for (const { mutants } of Object.values(report.files)) {
    for (const { status } of mutants) counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return counts;
}

function sum(list: readonly Map<string, number>[], ...statuses: string[]): number {
  return list.flatMap((map) => statuses.map((status) => map.get(status) ?? 0)).reduce(plus, 0);
}

function plus(a: number, b: number): number {
  return a + b;
}

/** One line of the table; true where the score suffices. */
function show(name: string, list: readonly Map<string, number>[]): boolean {
  const killed = sum(list, 'Killed', 'Timeout');
  const [survived, uncovered] = [sum(list, 'Survived'), sum(list, 'NoCoverage')];
  const all = killed + survived + uncovered;
  const score = (100 * killed) / all;
  const cells = [all, killed, survived, uncovered].map((count) => String(count).padStart(11));
  console.log(`${name.padEnd(10)}${cells.join('')}${score.toFixed(1).padStart(9)} %`);
  return score >= SCORE_MIN;
}

const folders = process.argv.length > 2 ? process.argv.slice(2) : FOLDERS;
const unknown = folders.find((folder) => !FOLDERS.includes(folder));
if (unknown !== undefined) {
  throw new RangeError(`"${unknown}" is none of the folders ${FOLDERS.join(', ')}`);
}
install();
for (const folder of folders) {
  console.log(`\n=== src/${folder}`);
  rmSync(reportOf(folder), { force: true });
  run(process.execPath, [STRYKER, 'run', 'test/mutation/stryker.config.mjs'], {
    MUTATION_FOLDER: folder,
  });
}
console.log(`\n${'src/'.padEnd(10)}    mutants     killed   survived no coverage    score`);
const results = folders.map((folder) => ends(folder));
const suffices = folders.map((folder, i) => show(folder, [results[i] as Map<string, number>]));
if (folders.length > 1) show('all', results);
if (suffices.includes(false)) {
  console.log(`Every folder needs ${SCORE_MIN} %.`);
  process.exitCode = 1;
}
