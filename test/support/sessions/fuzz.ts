/** Random scripts of several sessions against a plain redis-server and against slotgate, compared. */
import fc from 'fast-check';
import { CLIENTS, scripts, tagged } from './generate.ts';
import { difference, ScriptRig, type Step, stuckClients, type Target } from './script.ts';

export interface FuzzOptions {
  readonly plain: Target;
  readonly proxy: Target;
  readonly sequences: number;
  /** Scripts under way at once, each with its own connections. */
  readonly parallel: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  readonly sequences: number;
  readonly commands: number;
  /** In words, the smallest script found that differs, per parallel run that found one. */
  readonly failures: readonly string[];
}

export async function fuzzSessions(options: FuzzOptions): Promise<FuzzReport> {
  const { sequences, parallel, seed } = options;
  const total = { sequences: 0, commands: 0 };
  const each = Math.ceil(sequences / parallel);
  const runs = Array.from({ length: parallel }, (_, i) =>
    fuzzOne(options, each, seed + i, (commands) => {
      total.sequences++;
      total.commands += commands;
      options.onProgress?.(total.sequences);
    }),
  );
  const failures = (await Promise.all(runs)).filter((failure) => failure !== '');
  return { ...total, failures };
}

async function fuzzOne(
  options: FuzzOptions,
  numRuns: number,
  seed: number,
  onScript: (commands: number) => void,
): Promise<string> {
  const rigs = new Rigs(options.plain, options.proxy);
  let n = 0;
  const property = fc.asyncProperty(scripts, async (drawn) => {
    const steps = tagged(drawn, `f${seed}x${n++}`);
    onScript(steps.length);
    const found = await rigs.compare(steps);
    if (found !== '') throw new Error(found);
  });
  try {
    const {
      failed,
      errorInstance,
      seed: used,
      counterexamplePath,
    } = await fc.check(property, {
      numRuns,
      seed,
      interruptAfterTimeLimit: 3_600_000,
    });
    if (!failed) return '';
    const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
    return `seed ${used}, path ${counterexamplePath}: ${message}`;
  } finally {
    rigs.close();
  }
}

class Rigs {
  readonly #plainTarget: Target;
  readonly #proxyTarget: Target;
  #plain: ScriptRig | null = null;
  #proxy: ScriptRig | null = null;

  constructor(plain: Target, proxy: Target) {
    this.#plainTarget = plain;
    this.#proxyTarget = proxy;
  }

  async compare(steps: readonly Step[]): Promise<string> {
    this.#plain ??= await ScriptRig.open(this.#plainTarget, CLIENTS);
    this.#proxy ??= await ScriptRig.open(this.#proxyTarget, CLIENTS);
    try {
      const wanted = await this.#plain.run(steps);
      const got = await this.#proxy.run(steps, { expected: wanted });
      const stuck = stuckClients(steps, wanted);
      await Promise.all([this.#plain.renew(stuck), this.#proxy.renew(stuck)]);
      return difference(steps, wanted, got);
    } catch (error) {
      // Their connections are of no more use.
      this.close();
      throw error instanceof Error
        ? new Error(
            `${error.message}\n${steps.map(({ client, args }) => `  ${client}: ${args.map(String).join(' ')}`).join('\n')}`,
            { cause: error },
          )
        : error;
    }
  }

  close(): void {
    this.#plain?.close();
    this.#proxy?.close();
    this.#plain = null;
    this.#proxy = null;
  }
}
