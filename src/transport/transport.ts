/**
 * What the data path asks of a byte stream, so that TCP, TLS, Unix sockets and the simulator's
 * fake network are one thing to it.
 *
 * Ownership: `onData`'s buffer is the transport's and is reused as soon as the callback returns.
 * A buffer given to `write` belongs to the transport until `write` has returned true or `onDrain`
 * was called; at most one write is outstanding.
 */

import type { Slab } from '../lib/slab.ts';

/** Scratch bytes before the bytes read, see {@link StreamHandler.onData}. */
export const HEADROOM = 64 * 1024;
/** Bytes that one read can bring. */
export const READ_SIZE = 256 * 1024;

export interface StreamHandler {
  /**
   * Bytes [start, end) of `buf`, valid only during the call. The {@link HEADROOM} bytes before
   * `start` are the receiver's to write: the tail of an unfinished frame is put there, so that
   * parsing goes on in one piece without joining buffers.
   */
  onData(buf: Slab, start: number, end: number): void;
  /** The write that returned false has been taken by the kernel. */
  onDrain(): void;
  /** The peer finished sending (FIN). Writing is still possible. */
  onEnd(): void;
  /**
   * The stream is gone; called exactly once, also after `destroy()`, never from inside
   * `write`, `end` or `destroy` themselves. `code` is '' for an orderly end, else Node's
   * error code (ECONNRESET, ECONNREFUSED, ETIMEDOUT …).
   */
  onClose(code: string): void;
}

export interface ClientStreamHandler extends StreamHandler {
  onConnect(): void;
}

export interface ByteStream {
  /** Returns true when the kernel took all of [start, end): the buffer is free at once. */
  write(buf: Slab, start: number, end: number): boolean;
  pause(): void;
  resume(): void;
  /** Sends FIN after what was written. */
  end(): void;
  /** Closes at once; bytes not yet taken by the kernel are lost. */
  destroy(): void;
  /**
   * Closes at once, and what the kernel has taken and the peer has not acknowledged is lost too (RST).
   * After an ordinary close the kernel goes on sending that, for minutes where the network is cut.
   */
  abort(): void;
  /** "host:port" of the two ends, '' when unknown. */
  readonly remoteAddress: string;
  readonly localAddress: string;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface Transport {
  connect(endpoint: Endpoint, handler: ClientStreamHandler, connectTimeoutMs: number): ByteStream;
}

/** Clock, turns, timers and chance of one worker, so that the simulator can own them. */
export interface Runtime {
  /** Monotonic milliseconds with fraction; cheap, called once per socket read. */
  now(): number;
  /** Wall clock, Unix milliseconds, for what clients see (TIME, CLIENT LIST ages). */
  wallClock(): number;
  /** Runs `task` once at the end of the present turn of the event loop, after all reads. */
  afterTurn(task: () => void): void;
  /** Calls `task` every `ms` until the returned function is called; never keeps the process alive. */
  every(ms: number, task: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
}
