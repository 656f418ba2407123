/** Runs named tests in a work tree and judges how they ended. */

import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Guard } from './row.ts';

export interface Outcome {
  /** `red`: the test ran and failed. `invalid`: nothing can be said. */
  readonly kind: 'green' | 'red' | 'invalid';
  /** The full name of the test that failed, or why nothing can be said. */
  readonly why: string;
  readonly seconds: number;
}

type Judged = Pick<Outcome, 'kind' | 'why'>;

interface Report {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Code that does not even run is no broken rule: any test would notice that. */
const NO_PROGRAM = /(^|thrown: )(ReferenceError|SyntaxError|TypeError)/;

const UNIT_TIMEOUT_MS = 20_000;

export class GuardRuns {
  readonly #running = new Set<number>();
  readonly #limitMs: number;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** `tests` are of one file; what became of each. */
  async run(tree: string, tests: readonly Guard[]): Promise<Outcome[]> {
    const [first] = tests;
    if (first === undefined) return [];
    const startedAt = performance.now();
    const output = join(tree, 'report.json');
    rmSync(output, { force: true });
    const isInTime = await this.#spawn(tree, this.#limitMs * tests.length, [
      ...['node_modules/vitest/vitest.mjs', 'run', '--project', first.project, first.file],
      ...['-t', tests.map(({ name }) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')],
      ...['--reporter=json', `--outputFile=${output}`],
      // Other work on the machine must not look like a test that hangs.
      ...(first.project === 'unit' ? [`--testTimeout=${UNIT_TIMEOUT_MS}`] : []),
    ]);
    const seconds = (performance.now() - startedAt) / 1000;
    const report = isInTime ? readReport(output) : null;
    const none: Judged = { kind: 'invalid', why: isInTime ? 'no report' : 'did not end in time' };
    return tests.map((test) => ({ ...(report === null ? none : judge(report, test)), seconds }));
  }

  /** False when it had to be killed. */
  #spawn(cwd: string, limitMs: number, args: readonly string[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      // A group of its own: test files run in processes below it.
      const child = spawn(process.execPath, args, { cwd, stdio: 'ignore', detached: true });
      const { pid } = child;
      if (pid !== undefined) this.#running.add(pid);
      let isInTime = true;
      const timer = setTimeout(() => {
        isInTime = false;
        kill(pid);
      }, limitMs);
      child.on('error', reject);
      child.on('close', () => {
        clearTimeout(timer);
        if (pid !== undefined) this.#running.delete(pid);
        resolve(isInTime);
      });
    });
  }

  stop(): void {
    for (const pid of this.#running) kill(pid);
  }
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readReport(path: string): Report | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function judge(report: Report, { name }: Guard): Judged {
  const [file] = report.testResults;
  if (file === undefined) return { kind: 'invalid', why: 'no report' };
  const tests = file.assertionResults.filter(({ fullName }) => fullName.includes(name));
  if (tests.length === 0) {
    return { kind: 'invalid', why: file.message === '' ? 'no such test' : firstLine(file.message) };
  }
  const failed = tests.filter(({ status }) => status === 'failed');
  const real = failed.find(({ failureMessages: [message = ''] }) => !NO_PROGRAM.test(message));
  if (real !== undefined) return { kind: 'red', why: real.fullName };
  if (failed.length > 0) return { kind: 'invalid', why: firstLine(failed[0]?.failureMessages[0]) };
  if (tests.every(({ status }) => status === 'passed')) return { kind: 'green', why: '' };
  return { kind: 'invalid', why: 'was skipped' };
}

function firstLine(text = 'failed without a word'): string {
  return text.trim().split('\n').slice(0, 3).join(' ').slice(0, 200);
}
