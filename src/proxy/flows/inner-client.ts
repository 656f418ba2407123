/**
 * A client of the data path inside the worker, for commands that take several steps. It is an
 * ordinary session over a stream in memory, so what it asks is routed, held, redirected, ordered
 * and answered as any client's commands are. Its replies are RESP2 or RESP3, as it was made.
 *
 * Calls never run inside the data path's own call stack: they are handed over at the end of the
 * turn, because the frame that is being dispatched is the worker's only one.
 */

import type { Session } from '../../downstream/session.ts';
import { createSlab, type Slab } from '../../lib/slab.ts';
import { ReplyScanner, SCAN } from '../../resp/reply-scanner.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import type { ByteStream, Runtime } from '../../transport/transport.ts';
import { HEADROOM } from '../../transport/transport.ts';

/** The client was closed, by its owner or because it sent what no session takes. */
export class InnerClientClosed extends Error {
  override readonly name = 'InnerClientClosed';
}

interface Waiting {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

const FIRST_BUFFER = 1024;

export class InnerClient implements ByteStream {
  readonly remoteAddress = '';
  readonly localAddress = '';
  readonly #runtime: Runtime;
  readonly #session: Session;
  readonly #scanner = new ReplyScanner();
  #waiting: Waiting[] = [];
  #unsent: Buffer[] = [];
  #scheduled = false;
  #closed = false;
  /** Nothing is taken any more. */
  #isOver = false;
  /** The unfinished reply is #kept[0, #length), scanned up to #scanned. */
  #kept: Slab = createSlab(FIRST_BUFFER);
  #length = 0;
  #scanned = 0;
  #received = 0;
  #receivedMax = Number.POSITIVE_INFINITY;

  constructor(runtime: Runtime, open: (stream: ByteStream) => Session) {
    this.#runtime = runtime;
    this.#session = open(this);
  }

  /** The whole reply as RESP bytes, errors included. Rejects with {@link InnerClientClosed}. */
  call(...args: readonly (Buffer | string)[]): Promise<Buffer> {
    return this.send(encodeRequest(args));
  }

  /** The same for a command that is RESP already. */
  send(request: Buffer): Promise<Buffer> {
    if (this.#closed) return Promise.reject(new InnerClientClosed('the client is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#unsent.push(request);
      if (this.#scheduled) return;
      this.#scheduled = true;
      this.#runtime.afterTurn(() => this.#handOver());
    });
  }

  #handOver(): void {
    this.#scheduled = false;
    const requests = this.#unsent;
    this.#unsent = [];
    if (this.#closed) return;
    const size = requests.reduce((sum, request) => sum + request.length, 0);
    const slab = createSlab(HEADROOM + size);
    let at = HEADROOM;
    for (const request of requests) at += request.copy(slab, at);
    this.#session.onData(slab, HEADROOM, at);
  }

  /** From now on so many bytes of replies are taken; more of them close the client. */
  limitReplies(bytesMax: number): void {
    this.#received = 0;
    this.#receivedMax = bytesMax;
  }

  get isOverLimit(): boolean {
    return this.#received > this.#receivedMax;
  }

  /**
   * Ends it at the end of the turn, and what it has not been answered is rejected. A reply that
   * comes until then is still given to its call: it may be an element that was popped.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#runtime.afterTurn(() => this.#finish());
  }

  #finish(): void {
    // Of this very turn; the turn's own writes come after us.
    this.#session.flush(this.#runtime.now());
    this.#isOver = true;
    const error = new InnerClientClosed('the client was closed');
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
    this.#session.onClose('');
  }

  // What the session writes to.

  write(buf: Slab, start: number, end: number): boolean {
    if (this.#isOver || this.isOverLimit) return true;
    this.#received += end - start;
    if (this.isOverLimit) {
      this.close();
      return true;
    }
    this.#keep(buf, start, end);
    let begin = 0;
    while (this.#scanned < this.#length) {
      this.#scanned = this.#scanner.scan(this.#kept, this.#scanned, this.#length);
      if (this.#scanner.status !== SCAN.complete) break;
      const frame = Buffer.from(this.#kept.subarray(begin, this.#scanned));
      begin = this.#scanned;
      this.#waiting.shift()?.resolve(frame);
    }
    this.#kept.copyWithin(0, begin, this.#length);
    this.#length -= begin;
    this.#scanned -= begin;
    return true;
  }

  #keep(buf: Slab, start: number, end: number): void {
    const wanted = this.#length + end - start;
    if (wanted > this.#kept.length) {
      const bigger = createSlab(wanted * 2);
      this.#kept.copy(bigger, 0, 0, this.#length);
      this.#kept = bigger;
    }
    buf.copy(this.#kept, this.#length, start, end);
    this.#length = wanted;
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.close();
  }

  abort(): void {
    this.destroy();
  }

  destroy(): void {
    this.close();
  }
}
