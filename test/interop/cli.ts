/** Redis' own command-line tools at work: to their end, or spoken to while they run. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../support/cluster.ts';

const TIMEOUT_MS = 60_000;

export interface ToolResult {
  readonly code: number;
  /** Standard output, one character for each byte. */
  readonly out: string;
  readonly err: string;
}

/** Runs a tool to its end with `input` as its standard input. */
export function runTool(
  name: string,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const options = { encoding: 'latin1', timeout: TIMEOUT_MS, maxBuffer: 2 ** 28 } as const;
    const child = execFile(name, args, options, (error, out, err) => {
      const failed = typeof error?.code === 'number' ? error.code : -1;
      resolve({ code: error === null ? 0 : failed, out, err });
    });
    // A tool that wants no input may be gone before it is written.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** A tool that runs on until it is stopped. */
export class RunningTool {
  output = '';
  readonly #child: ChildProcess;

  constructor(name: string, args: readonly string[]) {
    this.#child = spawn(name, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('latin1').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  get lines(): string[] {
    return this.output.split('\n').filter((line) => line !== '');
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Waits until the whole output matches. */
  async says(pattern: RegExp): Promise<void> {
    await until(`${pattern} in ${this.output.slice(0, 500)}`, () => pattern.test(this.output));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
