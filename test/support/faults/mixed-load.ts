/** Many clients of the mixed load against one proxy, and what became of their commands in the end. */
import { until } from '../cluster.ts';
import { Prng } from '../sim/prng.ts';
import { AppendChecker, type Verdict } from './append-checker.ts';
import { UNCONFIRMED } from './fates.ts';
import { MixedClient } from './mixed-client.ts';
import {
  MixedKeys,
  type MixedLoadOptions,
  MixedReport,
  type SharedMixedLoad,
  type Step,
} from './mixed-plan.ts';
import { WireClient } from './wire-client.ts';

/** Every connection to the node breaks by then. */
const NOTICED_MS = 200;
const ERRORS_MAX = 50;
const PROGRESS_MS = 60_000;
const READ_AT_ONCE = 500;

export interface MixedVerdict extends Verdict {
  readonly report: MixedReport;
  /** Lost SETs and INCRs: milliseconds before the death at which they were acknowledged. */
  readonly lostValuesMs: readonly number[];
}

export class MixedLoad implements SharedMixedLoad {
  readonly options: MixedLoadOptions & { readonly paceMs: number };
  readonly keys: MixedKeys;
  readonly checker: AppendChecker;
  readonly report = new MixedReport();
  readonly #clients: MixedClient[] = [];

  private constructor(options: MixedLoadOptions) {
    this.options = { paceMs: 50, ...options };
    this.keys = new MixedKeys(options);
    this.checker = new AppendChecker((list) => this.keys.shardOfList(list));
  }

  static async start(options: MixedLoadOptions): Promise<MixedLoad> {
    const load = new MixedLoad(options);
    const random = new Prng(options.seed);
    for (let session = 0; session < options.clients; session++) {
      load.#clients.push(await MixedClient.connect(load, session, random.fork()));
    }
    for (const client of load.#clients) client.start();
    return load;
  }

  /** To be told just before a primary is killed. */
  onDeath(shard: number): void {
    this.checker.onDeath({ shard, at: performance.now() });
  }

  onError(step: Step, message: string, sentAt: number, now: number): void {
    const { report } = this;
    // A read is uncertain only where a write of its own pipeline stands behind it.
    const mayBe = step.isWrite || message.endsWith('this read was not repeated');
    if (message.startsWith('UNCERTAIN') && mayBe && this.#fellInto(step, sentAt, now)) {
      report.uncertain++;
      return;
    }
    if (this.options.isDurable === true && message.startsWith(UNCONFIRMED)) {
      report.unconfirmed++;
      return;
    }
    const name = step.commands.at(-1)?.[0] ?? '';
    const line = `${name}: ${message}`;
    if (report.errors.size < ERRORS_MAX || report.errors.has(line)) {
      report.errors.set(line, (report.errors.get(line) ?? 0) + 1);
    }
  }

  /** Waits until so many more commands were answered. */
  progress(commands: number): Promise<void> {
    const target = this.report.commands + commands;
    const what = `${commands} more commands`;
    return until(what, () => this.report.commands >= target, PROGRESS_MS);
  }

  /** Lets all clients finish, reads everything back and judges. */
  async end(): Promise<MixedVerdict> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await Promise.all(this.#clients.map((client) => client.lookAgain()));
    const lists = await this.#readLists();
    const lostValuesMs = this.#clients.flatMap((client) => client.agesMs);
    for (const client of this.#clients) client.close();
    return { ...this.checker.judge(lists), report: this.report, lostValuesMs };
  }

  /** The instant of a death of its shard lay between its sending and its answer. */
  #fellInto(step: Step, sentAt: number, now: number): boolean {
    const { noticedMs = NOTICED_MS, silentMs = 0, isRough = false } = this.options;
    if (isRough) return true;
    return this.checker.deaths.some(({ shard, at }) => {
      const concerns = step.shard === -1 || step.shard === shard;
      return concerns && sentAt <= at + noticedMs && now >= at - silentMs;
    });
  }

  async #readLists(): Promise<string[][]> {
    const reader = await WireClient.connect(this.options.target);
    const lists: string[][] = [];
    for (let list = 0; list < this.keys.lists; list++) {
      const elements: string[] = [];
      for (;;) {
        const from = elements.length;
        const key = this.keys.list(list);
        const part = await reader.ask('LRANGE', key, from, from + READ_AT_ONCE - 1);
        if (!Array.isArray(part)) throw new Error(`LRANGE ${key} answered ${String(part)}`);
        elements.push(...(part as string[]));
        if (part.length < READ_AT_ONCE) break;
      }
      lists.push(elements);
    }
    reader.close();
    return lists;
  }
}
