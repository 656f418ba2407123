/**
 * Brings a clone to where slotgate can run: packages, build, redis-server; then runs it.
 * Only Node's own modules may be imported here. What is already done costs milliseconds and no word.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOCK_POLL_MS = 200;
/** A lock that holds no text yet is being written; after this, its writer died. */
const LOCK_EMPTY_MS = 10_000;
const ORPHAN_POLL_MS = 1000;

/** A failure whose message is all that the user needs. */
export class SetupError extends Error {}

/** @param {string} line */
const say = (line) => process.stderr.write(`${line}\n`);

/** @param {string[]} args */
export async function main(args) {
  try {
    await prepare(ROOT).catch(asSetupError);
    if (args[0] === '--test') {
      process.exitCode = await runTool(['node_modules/vitest/vitest.mjs', 'run', ...args.slice(1)]);
    } else if (args[0] === '--bench') {
      process.exitCode = await runTool(['--import', 'tsx', 'bench/run.ts', ...args.slice(1)]);
    } else {
      endWithNpm();
      await runHere(['local', ...args]);
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

/** What the system refuses (a read-only clone, a full disk) is no defect: its own line says it all. */
function asSetupError(error) {
  throw error.syscall === undefined ? error : new SetupError(`Cannot set up: ${error.message}`);
}

/** @param {string} root */
async function prepare(root) {
  if (!existsSync(join(root, 'package-lock.json'))) {
    throw new SetupError(`There is no package-lock.json in ${root}: run this in a clone.`);
  }
  if (installNeed(root) !== '' || buildNeed(root) !== '') {
    await withLock(root, async () => {
      // Asked again: another run may have done it while this one waited.
      const install = installNeed(root);
      if (install !== '') await installPackages(root, install);
      if (buildNeed(root) !== '') await build(root);
    });
  }
  const { ensureRedisServer, REDIS_SERVER_VARIABLE } = await import(
    pathToFileURL(join(root, 'dist/local/redis-binary.js')).href
  );
  try {
    // What comes next, in this process or a child, uses the very server found here.
    process.env[REDIS_SERVER_VARIABLE] = ensureRedisServer(say).path;
  } catch (error) {
    throw new SetupError(error instanceof Error ? error.message : String(error));
  }
}

// Packages

/**
 * In words why `npm ci` is needed, '' when node_modules holds what the lockfile asks for.
 * @param {string} root
 * @param {{platform: string, arch: string}} host
 */
export function installNeed(root, host = process) {
  const wanted = readLockfile(join(root, 'package-lock.json'));
  const installed = readLockfile(join(root, 'node_modules/.package-lock.json'));
  if (wanted === undefined) return 'package-lock.json cannot be read';
  if (installed === undefined) return 'nothing is installed yet';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || entry.link) continue;
    const own = installed[path];
    if (own === undefined) {
      if (mayBeAbsent(entry, host)) continue;
      return `${packageName(path)} is missing`;
    }
    if (own.version !== entry.version || own.integrity !== entry.integrity) {
      return `${packageName(path)} is ${own.version}, the lockfile says ${entry.version}`;
    }
    if (!existsSync(join(root, path, 'package.json'))) return `${packageName(path)} is missing`;
  }
  const foreign = Object.entries(installed).find(([, entry]) => !suits(entry, host));
  return foreign === undefined ? '' : `${packageName(foreign[0])} is for another system`;
}

/**
 * Packages with binaries are optional, and only those of this system are there. Which C library
 * this is, is not asked: such an entry may be absent.
 */
function mayBeAbsent(entry, host) {
  if (!entry.optional) return false;
  const bound = entry.os !== undefined && entry.cpu !== undefined && entry.libc === undefined;
  return !bound || !suits(entry, host);
}

function suits(entry, host) {
  return allows(entry.os, host.platform) && allows(entry.cpu, host.arch);
}

/** npm's rule: a list of names, or of names with "!" in front. */
function allows(list, value) {
  if (list === undefined || list.length === 0) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((name) => name.startsWith('!'));
}

function packageName(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function readLockfile(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch (error) {
    // Absent, or cut off while npm wrote it: either way there is nothing to rely on.
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function installPackages(root, why) {
  say(`Installing packages (npm ci): ${why} …`);
  // The build needs the development packages, whatever NODE_ENV or npm's own settings leave out.
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath ?? '';
  const [file, ...first] = /npm-cli\.c?js$/.test(npm) ? [process.execPath, npm] : ['npm'];
  const run = await capture(file, [...first, ...args], root);
  if (run.code !== 0) throw failure('npm ci', run);
}

// Build

/** @param {string} root */
export function buildNeed(root) {
  const stamp = join(root, 'dist/.build-stamp');
  if (!existsSync(stamp)) return 'nothing is built yet';
  return readFileSync(stamp, 'utf8') === sourceFingerprint(root) ? '' : 'the sources changed';
}

/**
 * Names, sizes and times of all that the build reads. Unlike a newest time it also shows a file that
 * was removed, or put back from an older copy.
 * @param {string} root
 */
export function sourceFingerprint(root) {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ]) {
    if (existsSync(join(root, name))) files.push(join(root, name));
  }
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

async function build(root) {
  say('Building (tsc) …');
  const dist = join(root, 'dist');
  // What a removed source left behind must not be loaded by mistake.
  for (const name of existsSync(dist) ? readdirSync(dist) : []) {
    if (join(dist, name) !== lockFile(root)) rmSync(join(dist, name), { recursive: true });
  }
  // Taken before: what changes while tsc runs is built next time.
  const fingerprint = sourceFingerprint(root);
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  const run = await capture(process.execPath, tsc, root);
  if (run.code !== 0) throw failure('The build', run);
  writeFileSync(join(dist, '.build-stamp'), fingerprint);
}

// One at a time

function lockFile(root) {
  return join(root, 'dist/.setup-lock');
}

/**
 * Runs `task` while no other run of this clone installs or builds.
 * @param {string} root
 * @param {() => Promise<void>} task
 * @param {(line: string) => void} tell hears of a wait
 */
export async function withLock(root, task, tell = say) {
  const file = lockFile(root);
  const text = `${process.pid} ${randomUUID()}`;
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!takeLock(file, text)) {
    const holder = lockHolder(file);
    if (holder === 0) continue;
    if (!told) tell(`Another run (process ${holder}) is setting up this clone; waiting for it …`);
    told = true;
    await delay(LOCK_POLL_MS);
  }
  const release = () => {
    if (readText(file) === text) rmSync(file, { force: true });
  };
  process.once('exit', release);
  try {
    await task();
  } finally {
    process.off('exit', release);
    release();
  }
}

function takeLock(file, text) {
  try {
    writeFileSync(file, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Process id of the run that holds the lock; 0 when there is none (a dead run's lock is removed). */
function lockHolder(file) {
  const text = readText(file);
  if (text === undefined) return 0;
  const pid = Number.parseInt(text, 10);
  if (text === '') {
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age < LOCK_EMPTY_MS) return -1;
  } else if (isAlive(pid)) {
    return pid;
  }
  // Moved aside first: between the look and the removal, another run may have taken the lock.
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (readText(aside) !== text) linkSync(aside, file);
    rmSync(aside, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  }
  return 0;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param {{code: number, output: string, stoppedBy: string}} run */
export function failure(what, { code, output, stoppedBy }) {
  if (stoppedBy !== '') return new SetupError(`${what} was interrupted (${stoppedBy}).`);
  const words = output === '' ? ' without a word' : `:\n${output}`;
  return new SetupError(`${what} failed (exit code ${code})${words}`);
}

// Running

/** Runs a tool to its end with its output kept, to be shown only if it fails. */
async function capture(file, args, cwd) {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let stoppedBy = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const code = await ended(child, (signal) => {
    stoppedBy = signal;
  });
  return { code, output: output.trimEnd(), stoppedBy };
}

/** Runs a tool of this clone in the same terminal; resolves with its exit code. */
function runTool(args) {
  return ended(spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }));
}

/**
 * Resolves with the exit code of `child`; until then signals to this process go to it, and it is up
 * to the child what they do.
 */
function ended(child, onSignal = () => {}) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  return new Promise((resolve, reject) => {
    const forward = (signal) => {
      onSignal(signal);
      // A terminal sends Ctrl-C to the child as well; twice, it would mean "at once".
      if (signal !== 'SIGINT' || process.stdin.isTTY !== true) child.kill(signal);
    };
    for (const signal of signals) process.on(signal, forward);
    const settle = (done) => {
      for (const signal of signals) process.off(signal, forward);
      done();
    };
    child.once('error', (error) => settle(() => reject(new SetupError(error.message))));
    child.once('close', (code, signal) =>
      settle(() => resolve(code ?? 128 + (constants.signals[signal] ?? 0))),
    );
  });
}

/** Runs slotgate in this very process, so that Ctrl-C and signals reach it. */
async function runHere(args) {
  const main = join(ROOT, 'dist/cli/slotgate.js');
  process.argv = [process.execPath, main, ...args];
  await import(pathToFileURL(main).href);
}

/**
 * npm between the terminal and us can be killed without our hearing of it. Then we end too, as by
 * SIGTERM, rather than hold the ports unseen.
 */
function endWithNpm() {
  if (process.env.npm_lifecycle_event !== 'start') return;
  const parent = process.ppid;
  const { name, parent: grandparent } = describeProcess(parent);
  // npm runs scripts through a shell, which may have given way to us, or wait beside us.
  const npm = /^-?(ba|da|a|z|k)?sh$/.test(name) ? grandparent : parent;
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(npm)) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, ORPHAN_POLL_MS);
  timer.unref();
}

/** Name and parent of a process; the process itself stands in for a parent that cannot be told. */
function describeProcess(pid) {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat !== undefined) {
    const [, name, parent] = /\((.*)\) \S+ (\d+)/s.exec(stat) ?? [];
    return { name: name ?? '', parent: Number(parent ?? pid) };
  }
  const { stdout } = spawnSync('ps', ['-o', 'ppid=,comm=', '-p', String(pid)], {
    encoding: 'utf8',
  });
  const [, parent, path] = /^\s*(\d+)\s+(.*?)\s*$/.exec(stdout ?? '') ?? [];
  return { name: basename(path ?? ''), parent: Number(parent ?? pid) };
}
