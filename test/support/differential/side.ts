/**
 * One raw connection to one of the two sides: bytes out, and what comes back sorted into the replies
 * to each request and the messages of subscriptions, which belong to none.
 */
import { createConnection, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { replyEnd } from './reply.ts';

/** The replies to one batch: those to request i are bytes[ends[i - 1], ends[i]). */
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

/** Frames per request; one error frame stands for all of them. */
export type Expected = readonly { readonly replies: number }[];

interface Batch {
  readonly expected: Expected;
  readonly resolve: (replies: Replies) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  /** Frames that the request at `ends.length` still owes; -1: it is new. */
  owed: number;
}

interface Waiter {
  readonly isThere: () => boolean;
  readonly resolve: () => void;
}

const BATCH_LIMIT_MS = 120_000;
const FIRST_BUFFER = 256 * 1024;
const ERROR_TYPE = 45;
const MESSAGES = ['message', 'pmessage', 'smessage'].map((word) => {
  const count = word === 'pmessage' ? 4 : 3;
  return `${count}\r\n$${word.length}\r\n${word}\r\n`;
});
const MESSAGE_HEAD = 22;

export class Side {
  readonly name: string;
  /** Whole frames that came for subscriptions, latin1, since they were last taken. */
  messages: string[] = [];
  readonly #socket: Socket;
  #bytes = Buffer.allocUnsafe(FIRST_BUFFER);
  #filled = 0;
  /** End of the last whole frame. */
  #framed = 0;
  #ends: number[] = [];
  #batch: Batch | null = null;
  #waiters: Waiter[] = [];
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
    this.name = name;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => this.#fail('the connection was closed'));
  }

  /**
   * Writes `request`, cut at `cuts`, and resolves with the replies. What it resolved with is valid
   * until the next exchange.
   * @throws BatchError when fewer come, or bytes that are no reply
   */
  async exchange(
    request: Buffer,
    expected: Expected,
    cuts: readonly number[] = [],
  ): Promise<Replies> {
    const replies = this.#receive(expected);
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

  /** When the first `count` requests of the batch are answered, or the batch is over. */
  answered(count: number): Promise<void> {
    return this.#when(() => this.#batch === null || this.#ends.length >= count);
  }

  /** When so many messages have come, or the connection is of no more use. */
  async heard(count: number, limitMs: number): Promise<void> {
    if (this.messages.length >= count) return;
    const timer = setTimeout(
      () => this.#fail(`${this.messages.length} of ${count} messages after ${limitMs} ms`),
      limitMs,
    );
    await this.#when(() => this.messages.length >= count || this.#failure !== '');
    clearTimeout(timer);
  }

  get failure(): string {
    return this.#failure;
  }

  close(): void {
    this.#socket.destroy();
  }

  #when(isThere: () => boolean): Promise<void> {
    if (isThere()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ isThere, resolve }));
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter(({ isThere }) => isThere());
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }

  #receive(expected: Expected): Promise<Replies> {
    this.#filled = 0;
    this.#framed = 0;
    this.#ends = [];
    if (this.#bytes.length > 64 * FIRST_BUFFER) this.#bytes = Buffer.allocUnsafe(FIRST_BUFFER);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(`no reply within ${BATCH_LIMIT_MS} ms`),
        BATCH_LIMIT_MS,
      );
      this.#batch = { expected, resolve, reject, timer, owed: -1 };
      if (this.#failure !== '') this.#fail(this.#failure);
      else this.#settleWhenWhole(this.#batch);
    });
  }

  #onData(chunk: Buffer): void {
    this.#append(chunk);
    try {
      this.#frame();
    } catch (error) {
      this.#fail(String(error));
      return;
    }
    if (this.#batch !== null) this.#settleWhenWhole(this.#batch);
    this.#wake();
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
    while (this.#framed < this.#filled) {
      const end = replyEnd(this.#bytes, this.#framed, this.#filled);
      if (end < 0) return;
      if (isMessage(this.#bytes, this.#framed)) this.#takeMessage(end);
      else this.#takeReply(end);
      if (this.#failure !== '') return;
    }
  }

  /** Taken out of the bytes, so that replies stay contiguous. */
  #takeMessage(end: number): void {
    this.messages.push(this.#bytes.toString('latin1', this.#framed, end));
    this.#bytes.copyWithin(this.#framed, end, this.#filled);
    this.#filled -= end - this.#framed;
  }

  #takeReply(end: number): void {
    const batch = this.#batch;
    if (batch !== null) skipSilent(batch.expected, this.#ends, this.#framed);
    const request = batch?.expected[this.#ends.length];
    if (batch === null || request === undefined) {
      const shown = this.#bytes.toString('latin1', this.#framed, Math.min(end, this.#framed + 200));
      this.#fail(`a reply that nobody asked for: ${JSON.stringify(shown)}`);
      return;
    }
    const isError = this.#bytes[this.#framed] === ERROR_TYPE;
    const owed = batch.owed < 0 ? (isError ? 1 : request.replies) : batch.owed;
    this.#framed = end;
    batch.owed = owed - 1;
    if (batch.owed > 0) return;
    batch.owed = -1;
    this.#ends.push(end);
  }

  #settleWhenWhole(batch: Batch): void {
    skipSilent(batch.expected, this.#ends, this.#framed);
    if (this.#ends.length < batch.expected.length || this.#failure !== '') return;
    clearTimeout(batch.timer);
    this.#batch = null;
    batch.resolve(this.#replies());
    this.#wake();
  }

  #replies(): Replies {
    return { bytes: this.#bytes, ends: this.#ends };
  }

  #fail(reason: string): void {
    if (this.#failure === '') this.#failure = reason;
    this.#socket.destroy();
    const batch = this.#batch;
    this.#batch = null;
    if (batch !== null) {
      clearTimeout(batch.timer);
      batch.reject(new BatchError(`${this.name}: ${this.#failure}`, this.#replies()));
    }
    this.#wake();
  }
}

/** Requests without replies end where those before them do. */
function skipSilent(expected: Expected, ends: number[], at: number): void {
  while (expected[ends.length]?.replies === 0) ends.push(ends.at(-1) ?? at);
}

function isMessage(bytes: Buffer, at: number): boolean {
  const type = bytes[at];
  if (type !== 42 && type !== 62) return false;
  const head = bytes.toString('latin1', at + 1, at + 1 + MESSAGE_HEAD);
  return MESSAGES.some((message) => head.startsWith(message));
}
