/**
 * The benchmark's processes: starting them, measuring what they cost, and above all ending them.
 *
 * Invariant: every process started here leads a process group of its own and is in `live` until it
 * has exited, so one pass over `live` (at exit, on a signal, after an error) leaves nothing behind.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface ProcessOptions {
  /** Added to ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** For messages, e.g. "nutcracker". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** What the program finds as its own name; Debian's redis-server needs it. */
  readonly argv0?: string;
  readonly cwd?: string;
  /** Open files wanted; the soft limit is raised as far as the system permits. */
  readonly openFiles?: number;
}

export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  /** False once it has exited. */
  isRunning(): boolean;
  /** The last that it wrote to stdout and stderr, up to a quarter of a megabyte. */
  output(): string;
  /** Resolves with the exit code (null after a signal) when all its output has been read. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, then SIGKILL to the whole group; resolves when it is gone. */
  stop(): Promise<void>;
}

const OUTPUT_KEPT = 256 * 1024;
const STOP_GRACE_MS = 5000;

const live = new Set<ChildProcess>();
const folders = new Set<string>();

/** Ends all processes and removes all folders of this run; safe at any time, also twice. */
export function cleanUpNow(): void {
  for (const child of live) killGroup(child, 'SIGKILL');
  live.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/** Call once, first: covers every way out but SIGKILL. */
export function installCleanUp(): void {
  process.on('exit', cleanUpNow);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
}

/** A temporary folder that goes away with the run. */
export function temporaryFolder(label: string): string {
  const folder = mkdtempSync(join(tmpdir(), `slotgate-bench-${label}-`));
  folders.add(folder);
  return folder;
}

/** The full path of a program, looked for in PATH and the system folders, '' when there is none. */
export function findProgram(name: string): string {
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`;
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && existsSync(join(folder, name))) return join(folder, name);
  }
  return '';
}

/** @throws Error when the program cannot be started at all. */
export function startProcess(options: ProcessOptions): Promise<ManagedProcess> {
  const { command, args } = withOpenFiles(options);
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('latin1')).slice(-OUTPUT_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Error(`${options.name} did not start: ${cause.message}`, { cause })),
    );
    child.once('spawn', () => {
      live.add(child);
      child.once('exit', () => live.delete(child));
      resolve(managed(options.name, child, () => output));
    });
  });
}

function withOpenFiles(options: ProcessOptions): { command: string; args: readonly string[] } {
  // The shell would lose argv0; programs that need one live with the limit they inherit.
  if (options.openFiles === undefined || options.argv0 !== undefined) return options;
  const wanted = options.openFiles;
  const script = `ulimit -n ${wanted} 2>/dev/null || ulimit -n $(ulimit -H -n); exec "$@"`;
  return { command: 'sh', args: ['-c', script, 'sh', options.command, ...options.args] };
}

function managed(name: string, child: ChildProcess, output: () => string): ManagedProcess {
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    name,
    pid: child.pid as number,
    isRunning,
    output,
    ended,
    stop: () =>
      new Promise((resolve) => {
        if (!isRunning()) return resolve();
        const hard = setTimeout(() => killGroup(child, 'SIGKILL'), STOP_GRACE_MS);
        child.once('exit', () => {
          clearTimeout(hard);
          // Its own children, if it left any.
          killGroup(child, 'SIGKILL');
          resolve();
        });
        killGroup(child, 'SIGTERM');
      }),
  };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid as number), signal);
  } catch (error) {
    // ESRCH: the group is gone already, which is what we want.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The given process and all its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? parentOf(entry) : undefined;
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(Number(entry));
    else children.set(parent, [Number(entry)]);
  }
  const tree = [pid];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i] as number) ?? []));
  return tree;
}

function parentOf(pid: string): number | undefined {
  // The name in parentheses may hold blanks and parentheses itself; the parent follows the last one.
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/**
 * CPU nanoseconds, user and system, that all threads of the given processes have used so far.
 * From schedstat, which counts nanoseconds; `stat` counts hundredths of a second and is no use for
 * cells of a second. NaN where the system has no schedstat.
 */
export function cpuNanoseconds(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    for (const thread of threadsOf(pid)) {
      const stat = readProc(`/proc/${pid}/task/${thread}/schedstat`);
      if (stat !== undefined) total += Number(stat.split(' ')[0]);
    }
  }
  return total > 0 ? total : Number.NaN;
}

/** Resident bytes of the given processes; pages that they share are counted in each. */
export function residentBytes(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`) ?? '');
    if (match) total += Number(match[1]) * 1024;
  }
  return total;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Undefined when the process has gone meanwhile. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
