/**
 * One client program at work. It says on standard output what it did, one line each:
 *
 *     version 6.0.0
 *     FEATURE ok | FEATURE failed: WORDS | FEATURE n.a.: WHY
 *     ready      waits until it reads a line: all other programs are as far
 *     kill       writes, until it reads a line, which says that a primary was killed
 *     end        features that were not named are not this client's
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { NOT_APPLICABLE } from './features.ts';

/** A program that says nothing new for so long is killed. */
const SILENCE_MS = 60_000;
const LAST_WORDS = 600;

export class ClientRun {
  version = '';
  readonly #child: ChildProcess;
  readonly #results = new Map<string, string>();
  readonly #ended: Promise<unknown>;
  readonly #ready = new Moment();
  readonly #writing = new Moment();
  #output = '';
  #rest = '';
  #isWhole = false;
  #silence: NodeJS.Timeout;

  constructor(command: string, args: readonly string[], cwd: string) {
    this.#child = spawn(command, args, { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#silence = this.#watch();
    // It may be gone by the time it is told of the death.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#onText(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.#child.once('error', (error) => this.#keep(error.message));
    this.#ended = once(this.#child, 'close').catch(() => undefined);
    void this.#ended.then(() => {
      clearTimeout(this.#silence);
      this.#ready.come();
      this.#writing.come();
    });
  }

  /** Resolves when the program waits for the others, or has ended. */
  untilReady(): Promise<void> {
    return this.#ready.whenCome;
  }

  begin(): void {
    this.#tell('begin');
  }

  /** Resolves when the program writes while it waits for a primary's death, or has ended. */
  untilWriting(): Promise<void> {
    return this.#writing.whenCome;
  }

  tellKilled(): void {
    this.#tell('killed');
  }

  async untilEnd(): Promise<void> {
    await this.#ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** `ok`, `n.a.: WHY`, or words about a failure. */
  result(feature: string): string {
    const result = this.#results.get(feature);
    if (result !== undefined) return result;
    if (this.#isWhole) return `${NOT_APPLICABLE}: not what this client does`;
    return `failed: the program ended before: ${this.#output.trim().slice(-LAST_WORDS)}`;
  }

  #watch(): NodeJS.Timeout {
    clearTimeout(this.#silence);
    return setTimeout(() => {
      this.#keep(`nothing for ${SILENCE_MS} ms`);
      this.kill();
    }, SILENCE_MS);
  }

  #tell(line: string): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#silence = this.#watch();
    this.#child.stdin?.write(`${line}\n`);
  }

  /** It is our turn to speak, and that depends on other programs. */
  #pauseAt(moment: Moment): void {
    clearTimeout(this.#silence);
    moment.come();
  }

  #keep(text: string): void {
    this.#output += text;
  }

  #onText(text: string): void {
    this.#keep(text);
    this.#silence = this.#watch();
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  #onLine(line: string): void {
    const blank = line.indexOf(' ');
    const [word, rest] = blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
    if (word === 'version') this.version = rest;
    else if (word === 'ready') this.#pauseAt(this.#ready);
    else if (word === 'kill') this.#pauseAt(this.#writing);
    else if (word === 'end') this.#isWhole = true;
    else this.#results.set(word, rest);
  }
}

/** Something that happens once, for whoever waits for it. */
class Moment {
  come: () => void = () => undefined;
  readonly whenCome = new Promise<void>((resolve) => {
    this.come = resolve;
  });
}
