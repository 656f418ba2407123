/**
 * Clients of other languages: their libraries come from the public registries, their programs from
 * `programs/`. Where a toolchain or a registry is missing the test is skipped and says why, unless
 * SLOTGATE_INTEROP is `required`.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

const PREPARE_TIMEOUT_MS = 90_000;
const RUN_TIMEOUT_MS = 30_000;

/** Runs a command; `code` is -1 when it could not start or took too long. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<Outcome> {
  const { cwd, timeoutMs = RUN_TIMEOUT_MS } = options;
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { ...(cwd === undefined ? {} : { cwd }), timeout: timeoutMs, killSignal: 'SIGKILL' },
      (error: ExecFileException | null, out, err) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        const why = error !== null && code === -1 ? `${error.message}\n` : '';
        resolve({ code, output: `${out}${err}${why}` });
      },
    );
  });
}

/** Folder of one language's programs. */
export function programsOf(language: 'python' | 'go' | 'java'): string {
  return fileURLToPath(new URL(`./programs/${language}`, import.meta.url));
}

/** Steps that fetch a toolchain's libraries; stops at the first that fails and keeps its words. */
export class Toolchain {
  /** Removed by {@link dispose}. */
  readonly folder = mkdtempSync(join(tmpdir(), 'slotgate-interop-'));
  /** Why it cannot be used; '' when it can. */
  missing = '';

  async prepare(command: string, args: readonly string[], cwd = this.folder): Promise<void> {
    if (this.missing !== '') return;
    const { code, output } = await run(command, args, { cwd, timeoutMs: PREPARE_TIMEOUT_MS });
    if (code === 0) return;
    const words = output.trim().split('\n').slice(-3).join(' ').slice(0, 400);
    this.missing = `${command} ${args.join(' ')} did not work: ${words}`;
  }

  /** Skips the test, or fails it where the toolchains are required. */
  skipIfMissing(context: { skip(reason: string): void }): void {
    if (this.missing === '') return;
    if (process.env.SLOTGATE_INTEROP === 'required') throw new Error(this.missing);
    console.log(`skipped: ${this.missing}`);
    context.skip(this.missing);
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
