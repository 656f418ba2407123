/** What the clients of one load are to do, and what they share. */
import type { LogModel, Losses, StringModel } from './models.ts';

/** How often each kind of command is sent, relative to the others. */
export interface Mix {
  readonly set: number;
  readonly get: number;
  readonly del: number;
  readonly getForeign: number;
  readonly push: number;
  readonly last: number;
  /** Several keys of one slot. */
  readonly mset: number;
  readonly mget: number;
  /** Keys of several slots: split by the proxy. */
  readonly splitSet: number;
  readonly splitGet: number;
  readonly splitCount: number;
}

const SINGLE_KEY: Mix = {
  set: 6,
  get: 6,
  del: 1,
  getForeign: 2,
  push: 6,
  last: 2,
  mset: 0,
  mget: 0,
  splitSet: 0,
  splitGet: 0,
  splitCount: 0,
};

export const MIX = {
  singleKey: SINGLE_KEY,
  sameSlot: { ...SINGLE_KEY, mset: 3, mget: 3 },
  reads: { ...SINGLE_KEY, set: 0, del: 0, push: 0 },
  all: { ...SINGLE_KEY, mset: 2, mget: 2, splitSet: 2, splitGet: 2, splitCount: 1 },
} as const satisfies Record<string, Mix>;

export interface LoadOptions {
  readonly port: number;
  /** Default 8. */
  readonly clients?: number;
  /** Commands of one client under way at once. Default 16. */
  readonly depth?: number;
  /** Hash tags of the keys in use: which slots are concerned. */
  readonly tags: readonly string[];
  /** Strings of each client per tag. Default 4. */
  readonly keysPerTag?: number;
  readonly mix: Mix;
  readonly seed: number;
  /** Told apart from other loads over the same keys' slots. */
  readonly name: string;
  /** Connect to this worker only; client ids tell who serves them. */
  readonly worker?: number;
  /** Writes that were answered may be lost: a primary dies. Default false. */
  readonly mayLose?: boolean;
}

export class LoadReport {
  commands = 0;
  writes = 0;
  /** Error line → how often it was shown; UNCERTAIN and TRYAGAIN are counted below. */
  readonly errors = new Map<string, number>();
  uncertain = 0;
  /** Reads that might have seen a write of their own pipeline behind them. */
  unrepeatedReads = 0;
  /** -TRYAGAIN for commands with one key; there is no reason for that. */
  overtakenSingle = 0;
  overtakenMulti = 0;
  /** What cannot be: lost, doubled, reordered or crossed replies and values. */
  readonly wrong: string[] = [];
  readonly broken: string[] = [];
  /** Milliseconds between two replies to one client, the longest. */
  longestGapMs = 0;
  readonly losses: Losses;

  constructor(mayLose: boolean) {
    this.losses = { allowed: mayLose, count: 0 };
  }

  onError(line: string): void {
    this.errors.set(line, (this.errors.get(line) ?? 0) + 1);
  }

  complain(problem: string): void {
    if (problem !== '' && this.wrong.length < 50) this.wrong.push(problem);
  }
}

/** One load as its clients see it. */
export interface SharedLoad {
  readonly options: LoadOptions;
  readonly report: LoadReport;
  readonly strings: Map<string, StringModel>;
  readonly logs: LogModel[];
}
