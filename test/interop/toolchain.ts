/**
 * Clients of other languages: their libraries come from the public registries, their programs from
 * `programs/`. Where a toolchain or a registry is missing the test is skipped and says why, unless
 * SLOTGATE_INTEROP is `required`.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Language = 'python' | 'go' | 'java' | 'node';

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

const PREPARE_TIMEOUT_MS = 150_000;
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

/** Steps that fetch a language's libraries; stops at the first that fails and keeps its words. */
export class Toolchain {
  /** The language's programs, in a folder of this run; removed by {@link dispose}. */
  readonly folder = mkdtempSync(join(tmpdir(), 'slotgate-interop-'));
  readonly #language: Language | undefined;
  /** Why it cannot be used; '' when it can. */
  missing = '';
  #isSaid = false;

  /** Without a language: only programs that are installed here. */
  constructor(language?: Language) {
    this.#language = language;
    if (language === undefined) return;
    const programs = fileURLToPath(new URL(`./programs/${language}`, import.meta.url));
    cpSync(programs, this.folder, { recursive: true });
  }

  async prepare(command: string, args: readonly string[], cwd = this.folder): Promise<void> {
    if (this.missing !== '') return;
    const { code, output } = await run(command, args, { cwd, timeoutMs: PREPARE_TIMEOUT_MS });
    if (code === 0) return;
    const words = output.trim().split('\n').slice(-3).join(' ').slice(0, 400);
    this.missing = `${command} ${args.join(' ')} did not work: ${words}`;
  }

  /**
   * A folder that outlives the run, one for each content of `manifests` (files of the programs):
   * `fill` prepares it where this machine has none yet. Only whole ones take their name.
   */
  async kept(
    manifests: readonly string[],
    fill: (folder: string) => Promise<void>,
  ): Promise<string> {
    const hash = createHash('sha256').update(process.version);
    for (const name of manifests) hash.update(readFileSync(join(this.folder, name)));
    const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
    const name = `${this.#language}-${hash.digest('hex').slice(0, 16)}`;
    const folder = join(cache, 'slotgate-interop', name);
    if (existsSync(folder)) return folder;
    const filling = `${folder}.${process.pid}`;
    mkdirSync(filling, { recursive: true });
    for (const manifest of manifests) cpSync(join(this.folder, manifest), join(filling, manifest));
    await fill(filling);
    // Another run may have been first; its folder has the same content.
    if (this.missing === '' && !existsSync(folder)) renameSync(filling, folder);
    else rmSync(filling, { recursive: true, force: true });
    return folder;
  }

  /** Skips the test, or fails it where the toolchains are required. */
  skipIfMissing(context: { skip(reason: string): void }): void {
    if (this.missing === '') return;
    if (process.env.SLOTGATE_INTEROP === 'required') throw new Error(this.missing);
    if (!this.#isSaid) console.log(`skipped: ${this.missing}`);
    this.#isSaid = true;
    context.skip(this.missing);
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
