/** What the clients of a mixed load are to do, over which keys, and what they share. */
import { keySlot } from '../../../src/commands/slot.ts';
import type { AppendChecker } from './append-checker.ts';
import type { WireCommand, WireReply, WireTarget } from './wire-client.ts';

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
  /** -UNCONFIRMED with writes.wait: applied, and no replica has said so. */
  unconfirmed = 0;
  /** Every other error line that a client saw → how often. */
  readonly errors = new Map<string, number>();

  onBatch(commands: number, ms: number): void {
    this.batches++;
    this.commands += commands;
    this.longestMs = Math.max(this.longestMs, ms);
  }
}

/** A command or a transaction that is on its way: what its reply, or its loss, means. */
export interface Step {
  readonly commands: readonly WireCommand[];
  /** -1: keys of several shards. */
  readonly shard: number;
  readonly isWrite: boolean;
  /** Elements that a WAIT behind them can make durable. */
  readonly ids: readonly number[];
  /** The reply to its last command, no error. */
  readonly onReply: (reply: WireReply, now: number) => void;
  /** An error: not applied, or nobody knows. */
  readonly onFailed: (isUnknown: boolean, now: number) => void;
}

/** One load as its clients see it. */
export interface SharedMixedLoad {
  readonly options: MixedLoadOptions & { readonly paceMs: number };
  readonly keys: MixedKeys;
  readonly checker: AppendChecker;
  readonly report: MixedReport;
  onError(step: Step, message: string, sentAt: number, now: number): void;
}
