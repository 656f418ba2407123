/** One raw connection to one of the two sides: bytes out, a batch of whole replies back. */
import { createConnection, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { replyEnd } from './reply.ts';

/** The replies to one batch: reply i is bytes[ends[i - 1], ends[i]). */
export interface Replies {
  readonly bytes: Buffer;
  readonly ends: readonly number[];
}

/** Why a batch did not get all its replies; `replies` are those that came. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  readonly replies: Replies;

  constructor(message: string, replies: Replies) {
    super(message);
    this.replies = replies;
  }
}

interface Batch {
  readonly count: number;
  readonly resolve: (replies: Replies) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

const BATCH_LIMIT_MS = 120_000;
const FIRST_BUFFER = 256 * 1024;

export class Side {
  readonly #name: string;
  readonly #socket: Socket;
  #bytes = Buffer.allocUnsafe(FIRST_BUFFER);
  #filled = 0;
  #ends: number[] = [];
  #batch: Batch | null = null;
  #failure = '';

  static connect(name: string, host: string, port: number): Promise<Side> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Side(name, socket));
      });
    });
  }

  private constructor(name: string, socket: Socket) {
    this.#name = name;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => this.#fail('the connection was closed'));
  }

  /**
   * Writes `request`, cut at `cuts`, and resolves with `count` replies. What it resolved with is
   * valid until the next exchange.
   * @throws BatchError when fewer come, or bytes that are no reply
   */
  async exchange(request: Buffer, count: number, cuts: readonly number[] = []): Promise<Replies> {
    const replies = this.#receive(count);
    // The pieces are still being written when a reply can already have failed the batch.
    replies.catch(() => undefined);
    let from = 0;
    for (const cut of cuts) {
      this.#socket.write(request.subarray(from, cut));
      from = cut;
      await nextTurn();
    }
    this.#socket.write(request.subarray(from));
    return replies;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(count: number): Promise<Replies> {
    this.#filled = 0;
    this.#ends = [];
    if (this.#bytes.length > 64 * FIRST_BUFFER) this.#bytes = Buffer.allocUnsafe(FIRST_BUFFER);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(`no reply within ${BATCH_LIMIT_MS} ms`),
        BATCH_LIMIT_MS,
      );
      this.#batch = { count, resolve, reject, timer };
      if (this.#failure !== '') this.#fail(this.#failure);
      else this.#settleWhenWhole();
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#batch === null) {
      this.#fail(
        `bytes that nobody asked for: ${JSON.stringify(chunk.toString('latin1', 0, 200))}`,
      );
      return;
    }
    this.#append(chunk);
    try {
      this.#frame();
    } catch (error) {
      this.#fail(String(error));
      return;
    }
    this.#settleWhenWhole();
  }

  #append(chunk: Buffer): void {
    const size = this.#filled + chunk.length;
    if (size > this.#bytes.length) {
      const bigger = Buffer.allocUnsafe(Math.max(size, this.#bytes.length * 2));
      this.#bytes.copy(bigger, 0, 0, this.#filled);
      this.#bytes = bigger;
    }
    chunk.copy(this.#bytes, this.#filled);
    this.#filled = size;
  }

  #frame(): void {
    let from = this.#ends.at(-1) ?? 0;
    while (from < this.#filled) {
      const end = replyEnd(this.#bytes, from, this.#filled);
      if (end < 0) return;
      this.#ends.push(end);
      from = end;
    }
  }

  #settleWhenWhole(): void {
    const batch = this.#batch;
    if (batch === null || this.#ends.length < batch.count) return;
    if (this.#ends.length > batch.count || this.#filled > (this.#ends.at(-1) ?? 0)) {
      this.#fail('more replies than commands');
      return;
    }
    clearTimeout(batch.timer);
    this.#batch = null;
    batch.resolve(this.#replies());
  }

  #replies(): Replies {
    return { bytes: this.#bytes, ends: this.#ends };
  }

  #fail(reason: string): void {
    if (this.#failure === '') this.#failure = reason;
    this.#socket.destroy();
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    clearTimeout(batch.timer);
    batch.reject(new BatchError(`${this.#name}: ${this.#failure}`, this.#replies()));
  }
}
