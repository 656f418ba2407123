/** Clients that write without pause, each its own key, and note what they were shown. */
import { connectResp, ReplyError, type RespClient } from '../../src/lib/resp-client.ts';
import { until } from './cluster.ts';

export interface WritersOptions {
  readonly port: number;
  /** All keys carry it: it decides about the slot. */
  readonly tag: string;
  readonly clients?: number;
  /** Between a reply and the next write. */
  readonly pauseMs?: number;
}

const CLIENTS = 4;
const PAUSE_MS = 2;
const REPLY_TIMEOUT_MS = 60_000;

export class Writers {
  /** Error replies but -UNCERTAIN, by their text. */
  readonly errors = new Map<string, number>();
  uncertain = 0;
  written = 0;
  /** Longest time between two successes of one client since the last {@link restartGap}. */
  longestGapMs = 0;
  #lastAt: number[] = [];
  #isStopped = false;
  readonly #running: Promise<void>[] = [];

  static async start(options: WritersOptions): Promise<Writers> {
    const writers = new Writers();
    const { port, tag, clients = CLIENTS, pauseMs = PAUSE_MS } = options;
    for (let index = 0; index < clients; index++) {
      const client = await connectResp({ host: '127.0.0.1', port, timeoutMs: REPLY_TIMEOUT_MS });
      writers.#lastAt[index] = performance.now();
      writers.#running.push(writers.#write(client, index, `{${tag}}${index}`, pauseMs));
    }
    await writers.progress(20);
    return writers;
  }

  restartGap(): void {
    this.longestGapMs = 0;
  }

  /** Resolves after `count` more successes of all together. */
  async progress(count: number): Promise<void> {
    const target = this.written + count;
    await until(`${count} more writes`, () => this.written >= target, REPLY_TIMEOUT_MS);
  }

  /** Rejects when a connection was lost. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #write(client: RespClient, index: number, key: string, pauseMs: number): Promise<void> {
    try {
      for (let sequence = 0; !this.#isStopped; sequence++) {
        await client.call('SET', key, sequence).then(
          () => this.#succeeded(index),
          (error: unknown) => this.#failed(error),
        );
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    } finally {
      client.close();
    }
  }

  #succeeded(index: number): void {
    const now = performance.now();
    this.written++;
    this.longestGapMs = Math.max(this.longestGapMs, now - (this.#lastAt[index] ?? now));
    this.#lastAt[index] = now;
  }

  #failed(error: unknown): void {
    if (!(error instanceof ReplyError)) throw error;
    if (error.code === 'UNCERTAIN') this.uncertain++;
    else this.errors.set(error.message, (this.errors.get(error.message) ?? 0) + 1);
  }
}
