/**
 * Answers SCAN for all workers: takes the state behind the client's cursor, asks nodes for pages
 * until there is something to give, and keeps the new state under a new cursor.
 *
 * A call goes on to the next node while a node's keys ended before COUNT was reached, so that a
 * small database comes in one call as from Redis; and over pages without a wanted key, but for no
 * longer than {@link PATIENCE_MS}: an empty batch with a cursor is legal.
 */

import { slotOf } from '../../commands/slot.ts';
import { nodeAddress, SLOT_COUNT, type Snapshot } from '../../topology/snapshot.ts';
import type { CallServer } from '../calls.ts';
import type { NodePages, ScanWords } from './node-pages.ts';
import { ScanRecords } from './scan-records.ts';
import {
  afterPage,
  afterPicture,
  firstState,
  isWanted,
  nextStep,
  type ScanState,
  type Walk,
} from './scan-state.ts';

/** What a worker asks: checked already, as plain data. */
export interface ScanCall {
  /** Decimal, 0 to 2^64-1. */
  readonly cursor: string;
  readonly count: number;
  /** Null for all keys; bytes. */
  readonly match: Uint8Array | null;
  /** The slot to which `match` confines the keys, or -1. */
  readonly slot: number;
  readonly type: Uint8Array | null;
  /** 0 in cluster mode. */
  readonly database: number;
}

export type ScanAnswer =
  /** The whole reply as RESP bytes, the same in both protocols. */
  | { readonly reply: Uint8Array }
  /** An error line without '-' and CRLF. */
  | { readonly error: string };

/** The pictures as this file needs them; discovery has them. */
export interface ScanPictures {
  snapshot(): Snapshot | null;
  /** One whose poll began after `time`; null when there is none within `timeoutMs`. */
  pictureAfter(time: number, timeoutMs: number): Promise<Snapshot | null>;
}

export interface ScansOptions {
  readonly pictures: ScanPictures;
  readonly pages: Pick<NodePages, 'ask'>;
  /** How long a call waits for a shard that is away, milliseconds. */
  readonly holdMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

const PATIENCE_MS = 100;
/** Between two tries to reach a shard that is away. */
const RETRY_MS = 50;
/** A repeated walk gives few of the keys it sees, so it takes pages of at least so many. */
const REPEAT_COUNT = 1000;
/** One that wants less than this part of the node's slots is a repeated one. */
const REPEAT_SHARE = 8;

interface Run {
  readonly call: ScanCall;
  readonly startedAt: number;
  state: ScanState;
  readonly keys: Buffer[];
  /** Since when and why no step was possible; 0 while all goes well. */
  awaySince: number;
  awayReason: string;
}

export function registerScan(calls: CallServer, options: ScansOptions): void {
  const scans = new Scans(options);
  calls.register('scan', (argument) => scans.scan(argument as ScanCall));
}

export class Scans {
  readonly #options: ScansOptions;
  readonly #records: ScanRecords;

  constructor(options: ScansOptions) {
    this.#options = options;
    this.#records = new ScanRecords(options.now, options.random);
  }

  async scan(call: ScanCall): Promise<ScanAnswer> {
    const cursor = BigInt(call.cursor);
    const state = this.#records.find(cursor) ?? firstState(call.slot);
    const startedAt = this.#options.now();
    const run: Run = { call, startedAt, state, keys: [], awaySince: 0, awayReason: '' };
    for (;;) {
      const outcome = await this.#step(run);
      if (outcome === 'more') continue;
      if (outcome === 'done') return { reply: encodeReply(0n, run.keys) };
      if (outcome === 'enough') {
        return { reply: encodeReply(this.#records.keep(cursor, run.state), run.keys) };
      }
      return outcome;
    }
  }

  async #step(run: Run): Promise<'more' | 'done' | 'enough' | ScanAnswer> {
    const snapshot = this.#options.pictures.snapshot();
    if (snapshot === null) return this.#wait(run, 'CLUSTERDOWN The cluster is not known yet');
    run.state = afterPicture(run.state, snapshot);
    const next = nextStep(run.state, snapshot);
    switch (next.kind) {
      case 'done':
        return 'done';
      case 'confirm':
        return this.#confirm(run, next.after);
      case 'away':
        return this.#wait(run, `CLUSTERDOWN No primary serves hash slot ${next.slot}`);
      default:
        return this.#page(run, snapshot, next.nodeId, next.walk);
    }
  }

  async #confirm(run: Run, after: number): Promise<'more' | 'enough' | ScanAnswer> {
    const { pictures, holdMs } = this.#options;
    const picture = await pictures.pictureAfter(after, holdMs);
    if (picture !== null) return 'more';
    if (run.keys.length > 0) return 'enough';
    return { error: `CLUSTERDOWN The nodes did not answer ${this.#held()}` };
  }

  async #page(
    run: Run,
    snapshot: Snapshot,
    nodeId: string,
    walk: Walk | null,
  ): Promise<'more' | 'enough' | ScanAnswer> {
    const { pages, now } = this.#options;
    const node = snapshot.nodes.find(({ id }) => id === nodeId);
    if (node === undefined) return this.#wait(run, 'CLUSTERDOWN A node has left the cluster');
    const words = wordsOf(run.call, pageCount(run.call.count, walk));
    const place = { node, mode: snapshot.mode, database: run.call.database };
    const answer = await pages.ask(place, walk?.cursor ?? '0', words);
    if (answer.kind === 'error') return { error: answer.text };
    if (answer.kind === 'away') {
      const reason = `CLUSTERDOWN ${nodeAddress(node)} is out of reach (${answer.reason})`;
      return this.#wait(run, reason);
    }
    const { page } = answer;
    const after = afterPage(run.state, walk, { ...page, at: now() });
    run.state = after.state;
    if (after.walk === null) return this.#onFruitless(run, walk);
    run.awaySince = 0;
    gather(run.keys, page.keys, after.walk);
    const isLate = now() - run.startedAt >= PATIENCE_MS;
    if (isLate || run.keys.length >= run.call.count) return this.#enough(run, snapshot);
    return after.state.walk === null || run.keys.length === 0 ? 'more' : 'enough';
  }

  /** Saves the client a call where all that is left to do is to see that nothing moved. */
  #enough(run: Run, snapshot: Snapshot): 'more' | 'enough' {
    return nextStep(run.state, snapshot).kind === 'confirm' ? 'more' : 'enough';
  }

  /** The node had nothing of what is missing: the picture was not right, or another process answered. */
  async #onFruitless(run: Run, walk: Walk | null): Promise<'more' | 'enough' | ScanAnswer> {
    if (walk !== null) return run.keys.length > 0 ? 'enough' : 'more';
    return this.#wait(run, 'CLUSTERDOWN The slots are being moved');
  }

  /** Gives what there is, or waits for a newer picture as long as a command is held. */
  async #wait(run: Run, reason: string): Promise<'more' | 'enough' | ScanAnswer> {
    if (run.keys.length > 0) return 'enough';
    const { now, pictures, holdMs, pause } = this.#options;
    if (run.awaySince === 0) run.awaySince = now();
    run.awayReason = reason;
    const leftMs = run.awaySince + holdMs - now();
    if (leftMs <= 0) return { error: `${reason} ${this.#held()}` };
    await pause(RETRY_MS);
    await pictures.pictureAfter(now(), leftMs);
    return 'more';
  }

  #held(): string {
    return `after waiting up to ${this.#options.holdMs / 1000} s (hold.timeoutMs)`;
  }
}

/** COUNT for the node: of a repeated walk only the keys of a few slots are wanted. */
function pageCount(count: number, walk: Walk | null): number {
  if (walk === null) return count;
  const wanted = walk.whole.size + walk.leaving.size + walk.arriving.size;
  return wanted * REPEAT_SHARE < walk.ownedSlots ? Math.max(count, REPEAT_COUNT) : count;
}

function wordsOf(call: ScanCall, count: number): ScanWords {
  const words: (string | Buffer)[] = ['COUNT', String(count)];
  if (call.match !== null) words.push('MATCH', Buffer.from(call.match));
  if (call.type !== null) words.push('TYPE', Buffer.from(call.type));
  return words;
}

function gather(into: Buffer[], keys: readonly Buffer[], walk: Walk): void {
  const all = walk.whole.size === SLOT_COUNT;
  for (const key of keys) if (all || isWanted(walk, slotOf(key, 0, key.length))) into.push(key);
}

function encodeReply(cursor: bigint, keys: readonly Buffer[]): Buffer {
  const text = cursor.toString();
  const parts: Buffer[] = [Buffer.from(`*2\r\n$${text.length}\r\n${text}\r\n*${keys.length}\r\n`)];
  const end = Buffer.from('\r\n');
  for (const key of keys) parts.push(Buffer.from(`$${key.length}\r\n`), key, end);
  return Buffer.concat(parts);
}
