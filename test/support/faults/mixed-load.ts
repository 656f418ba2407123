/** Many clients of the mixed load against one proxy, and what became of their commands in the end. */
import { keySlot } from '../../../src/commands/slot.ts';
import { until } from '../cluster.ts';
import { Prng } from '../sim/prng.ts';
import { AppendChecker, type Verdict } from './append-checker.ts';
import { UNCONFIRMED } from './fates.ts';
import { MixedClient, type Step } from './mixed-client.ts';
import { WireClient, type WireTarget } from './wire-client.ts';

export interface MixedLoadOptions {
  readonly target: WireTarget;
  readonly clients: number;
  readonly shards: number;
  /** Shards whose keys are used. Default: all. */
  readonly only?: readonly number[];
  /** Told apart from other loads. Default 'faults'. */
  readonly name?: string;
  /** Default 100. */
  readonly lists?: number;
  /** Mean pause of a client between two batches, in milliseconds. Default 50. */
  readonly paceMs?: number;
  /** WAIT behind every batch: replicas, milliseconds. */
  readonly wait?: readonly [number, number];
  readonly seed: number;
  /** slotgate itself waits for replicas (writes.wait): what is acknowledged is durable. */
  readonly isDurable?: boolean;
  /** Reads go to replicas, too: of other clients' writes they may show fewer than before. */
  readonly readsReplicas?: boolean;
  /** Connections break all the time: UNCERTAIN is to be expected of any write. */
  readonly isRough?: boolean;
  /** From a death to when a worker has seen it: a process that ended is told from one that hangs. */
  readonly noticedMs?: number;
  /** How long before a death, as it was told, the node may have been silent already. Default 0. */
  readonly silentMs?: number;
}

const SLOTS = 16384;
/** Every connection to the node breaks by then. */
const NOTICED_MS = 200;
const ERRORS_MAX = 50;
const PROGRESS_MS = 60_000;
const READ_AT_ONCE = 500;

/** Lists in pairs, each pair in one slot, slots spread over all shards. */
export class MixedKeys {
  readonly pairs: number;
  readonly lists: number;
  readonly #name: string;
  /** By pair: the hash tag, and the shard that owns its slot. */
  readonly #tags: { readonly tag: string; readonly shard: number }[] = [];

  constructor({ lists = 100, shards, only, name = 'faults' }: MixedLoadOptions) {
    this.#name = name;
    this.pairs = Math.ceil(lists / 2);
    this.lists = this.pairs * 2;
    for (let i = 0; this.#tags.length < this.pairs; i++) {
      const tag = `${i}`;
      const shard = Math.floor((keySlot(Buffer.from(tag)) * shards) / SLOTS);
      if (only === undefined || only.includes(shard)) this.#tags.push({ tag, shard });
    }
  }

  key(pair: number, name: string): string {
    return `${this.#name}:{${this.#tags[pair]?.tag}}:${name}`;
  }

  list(list: number): string {
    return this.key(list >> 1, `list${list}`);
  }

  listsOfPair(pair: number): number[] {
    return [pair * 2, pair * 2 + 1];
  }

  shardOfPair(pair: number): number {
    return this.#tags[pair]?.shard as number;
  }

  shardOfList(list: number): number {
    return this.shardOfPair(list >> 1);
  }
}

export class MixedReport {
  commands = 0;
  batches = 0;
  longestMs = 0;
  waits = 0;
  /** WAITs that too few replicas answered in time. */
  waitsShort = 0;
  /** -UNCERTAIN for writes that were under way when their primary died. */
  uncertain = 0;
  /** -NOREPLICAS with writes.wait: applied, and no replica has said so. */
  unconfirmed = 0;
  /** Every other error line that a client saw → how often. */
  readonly errors = new Map<string, number>();

  onBatch(commands: number, ms: number): void {
    this.batches++;
    this.commands += commands;
    this.longestMs = Math.max(this.longestMs, ms);
  }
}

export interface MixedVerdict extends Verdict {
  readonly report: MixedReport;
  /** Lost SETs and INCRs: milliseconds before the death at which they were acknowledged. */
  readonly lostValuesMs: readonly number[];
}

export class MixedLoad {
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
    if (message.startsWith('UNCERTAIN') && step.isWrite && this.#fellInto(step, sentAt, now)) {
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
