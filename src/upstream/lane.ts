/**
 * One shared, pipelined connection to one node. Commands of all sessions are appended to its
 * out-chunks and written once per turn; replies are matched first in, first out.
 *
 * RESP has no request ids, so the queue is the only thing that says whose reply arrives. Hence:
 * an entry leaves the queue by its reply alone (a client that left or timed out stays in it as a
 * tombstone), and one unexpected byte destroys the lane as a whole.
 */

import { asciiSlab, type SharedChunk, type Slab, type SlabPool } from '../lib/slab.ts';
import { ReplyScanner, SCAN } from '../resp/reply-scanner.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  type Transport,
} from '../transport/transport.ts';
import type { Handshake } from './handshake.ts';
import { LaneOut, type Placed } from './lane-out.ts';
import { Leftover } from './leftover.ts';

export const LANE = { connecting: 0, handshake: 1, ready: 2, closed: 3 } as const;

/**
 * A node that is not ready (LOADING, CLUSTERDOWN …) may change its mind between two commands, and
 * serves reads before writes (cluster-allow-reads-when-down). While in doubt about a command, its
 * session sends nothing that could overtake it.
 */
export const DOUBT = { reads: 1, writes: 2 } as const;

/** What a queue entry must have; the proxy's request is one. */
export interface LaneEntry<E> extends Placed {
  nextInLane: E | null;
  /** Replies before the command's own that belong to prefixes (ASKING, MULTI …) and are swallowed. */
  swallow: number;
  /** Monotonic ms at which it was queued here. */
  queuedAt: number;
}

export interface LaneEvents<E extends LaneEntry<E>> {
  /** Bytes have arrived: the one clock read for all replies in them. */
  onLaneRead(lane: Lane<E>): void;
  /** One whole reply for `entry`, which has left the queue. `typeAt`: its type byte, past attributes. */
  onReply(entry: E, buf: Slab, start: number, end: number, typeAt: number): void;
  /** A reply that is swallowed is an error; the entry's own is still to come. */
  onSwallowedError(entry: E, buf: Slab, end: number, typeAt: number): void;
  /** A piece of a reply too big to keep in one piece; `last` ends it and the entry has left. */
  onReplyPart(lane: Lane<E>, entry: E, buf: Slab, start: number, end: number, last: boolean): void;
  /** The first header of a reply announced a payload of `bytes`, and it has not all arrived. */
  onBigReply(lane: Lane<E>, entry: E, bytes: number): void;
  onLaneReady(lane: Lane<E>): void;
  /** The heartbeat's reply has come; the entry has left the queue. */
  onHeartbeat(entry: E): void;
  /** The lane is gone; its queue is still in place, to be walked from `head`. */
  onLaneClosed(lane: Lane<E>, code: string): void;
  /** There are bytes to flush at the end of this turn. */
  onLaneDirty(lane: Lane<E>): void;
}

export interface LaneOptions {
  readonly endpoint: Endpoint;
  /** See LANE_KIND. */
  readonly kind: number;
  readonly connectTimeoutMs: number;
  /** Replies announcing more than this are reported by `onBigReply`. */
  readonly bigReplyBytes: number;
  /** Lent to one session at a time, see Pins: it takes no shared commands and may be silent for long. */
  readonly pinned: boolean;
}

const ASKING = asciiSlab('*1\r\n$6\r\nASKING\r\n');
/** Type byte of a RESP3 push. */
const PUSH = 62;
const MINUS = 45;
/** An unfinished reply longer than this is handed on in parts instead of being kept whole. */
const STREAM_FROM = HEADROOM / 2;

export class Lane<E extends LaneEntry<E>> implements ClientStreamHandler {
  state: number = LANE.connecting;
  head: E | null = null;
  /** Entries in the queue. */
  count = 0;
  dirty = false;
  /** No new commands: it drains, then serves again as a spare or closes. */
  detached = false;
  paused = false;
  /** {@link DOUBT} bits: what its node has not served yet, or turned away since. */
  doubt: number = DOUBT.reads | DOUBT.writes;
  /** The handshake succeeded once. */
  wasReady = false;
  /** Monotonic ms. */
  openedAt = 0;
  /** Monotonic ms at which bytes arrived last; its owner keeps it. */
  readAt = 0;
  /** Entry whose reply tells that the stream is still aligned, see Heartbeat. */
  heartbeat: E | null = null;
  heartbeatNonce = '';
  /** The entry behind which nothing is written, see {@link cork}. */
  corkedBy: E | null = null;
  readonly options: LaneOptions;
  #tail: E | null = null;
  #stream: ByteStream | null = null;
  #streaming = false;
  #bigReported = false;
  #closeCode = '';
  readonly #out: LaneOut;
  readonly #kept: Leftover;
  readonly #scanner = new ReplyScanner();
  readonly #events: LaneEvents<E>;
  readonly #handshake: Handshake;

  constructor(options: LaneOptions, handshake: Handshake, pool: SlabPool, events: LaneEvents<E>) {
    this.options = options;
    this.#handshake = handshake;
    this.#out = new LaneOut(pool);
    this.#kept = new Leftover(pool);
    this.#events = events;
  }

  open(transport: Transport): void {
    this.#stream = transport.connect(this.options.endpoint, this, this.options.connectTimeoutMs);
  }

  /** Queues a command; its bytes are copied. With `asking` the node is told ASKING right before. */
  enqueue(entry: E, src: Slab, start: number, end: number, asking: boolean, now: number): void {
    this.#out.append(entry, asking ? ASKING : null, src, start, end);
    if (asking) entry.swallow++;
    entry.queuedAt = now;
    entry.nextInLane = null;
    if (this.#tail === null) this.head = entry;
    else this.#tail.nextInLane = entry;
    this.#tail = entry;
    this.count++;
    if (!this.dirty) this.#events.onLaneDirty(this);
    this.dirty = true;
  }

  /** The connection's id on its node; '' unless it is pinned and ready. */
  get clientId(): string {
    return this.#handshake.clientId;
  }

  /** The node's own words when it refused the connection, else ''. */
  get refusal(): string {
    return this.#handshake.refusal;
  }

  /** True when at least one byte of the command may have reached the node. */
  wasSent(entry: E): boolean {
    return entry.chunk !== null && entry.chunk.sent > entry.offset;
  }

  /**
   * Puts `standIn` in the place of a queued entry, which may then be sent elsewhere: the reply, should
   * it still come, is the stand-in's. Both hold the bytes. `before`: its predecessor in the queue.
   */
  replace(before: E | null, entry: E, standIn: E): void {
    standIn.chunk = entry.chunk;
    standIn.offset = entry.offset;
    standIn.length = entry.length;
    standIn.swallow = entry.swallow;
    standIn.queuedAt = entry.queuedAt;
    standIn.nextInLane = entry.nextInLane;
    if (entry.chunk !== null) entry.chunk.holders++;
    if (before === null) this.head = standIn;
    else before.nextInLane = standIn;
    if (this.#tail === entry) this.#tail = standIn;
    entry.nextInLane = null;
    entry.swallow = 0;
  }

  /** Lets go of the entry's bytes; the chunk is recycled or rewound when nobody else needs it. */
  release(entry: E): void {
    const chunk = entry.chunk;
    if (chunk === null) return;
    entry.chunk = null;
    this.releaseChunk(chunk);
  }

  /** For an entry that has been queued elsewhere since and holds another chunk now. */
  releaseChunk(chunk: SharedChunk): void {
    this.#out.release(chunk);
  }

  /** What is queued behind `entry`, the last one, is not written; null: now it is. */
  cork(entry: E | null): void {
    this.corkedBy = entry;
    this.#out.cork(entry);
    if (!this.dirty) this.#events.onLaneDirty(this);
    this.dirty = true;
  }

  /** Bytes queued and not yet handed to the kernel. */
  get unsentBytes(): number {
    return this.#out.unsentBytes;
  }

  /** Writes what was queued; called once per turn. */
  flush(): void {
    this.dirty = false;
    if (this.state === LANE.ready && this.#stream !== null) this.#out.flush(this.#stream);
  }

  onDrain(): void {
    if (this.state !== LANE.closed && this.#out.onDrain()) this.flush();
  }

  onConnect(): void {
    this.state = LANE.handshake;
    this.#continueHandshake(null);
  }

  #continueHandshake(reply: Buffer | null): void {
    if (!this.#handshake.proceed(reply, this.#stream, this)) return;
    this.state = LANE.ready;
    this.wasReady = true;
    this.flush();
    this.#events.onLaneReady(this);
  }

  onData(buf: Slab, readStart: number, end: number): void {
    this.#events.onLaneRead(this);
    let p = this.#kept.putBefore(buf, readStart);
    const scanner = this.#scanner;
    while (p < end && this.state !== LANE.closed) {
      const start = p;
      const next = scanner.scan(buf, p, end);
      if (scanner.status === SCAN.complete) {
        p = next;
        this.#onFrame(buf, start, p, end);
      } else if (scanner.status === SCAN.partial) {
        this.#onUnfinished(buf, start, next, end);
        return;
      } else {
        this.destroy('EDESYNC');
        return;
      }
    }
  }

  #onFrame(buf: Slab, start: number, end: number, readEnd: number): void {
    const scanner = this.#scanner;
    if (this.state !== LANE.ready) {
      // One question at a time is asked: anything behind its answer is a surplus reply.
      if (end !== readEnd) this.destroy('EDESYNC');
      else this.#continueHandshake(Buffer.from(buf.subarray(start, end)));
      return;
    }
    if (scanner.type === PUSH) {
      this.#streaming = false; // An out-of-band push answers nobody.
      return;
    }
    const entry = this.head;
    if (entry === null || !this.#isAsked(entry)) {
      this.destroy('EDESYNC');
      return;
    }
    if (entry.swallow > 0) {
      entry.swallow--;
      if (buf[scanner.typeAt] === MINUS) {
        this.#events.onSwallowedError(entry, buf, end, scanner.typeAt);
      }
      return;
    }
    const { heartbeat } = this;
    if (heartbeat !== null && (entry === heartbeat || this.#isNonce(buf, start, end))) {
      this.#onHeartbeat(entry, buf, start, end);
      return;
    }
    this.#pop(entry);
    this.#bigReported = false;
    if (this.#streaming) {
      this.#streaming = false;
      this.#events.onReplyPart(this, entry, buf, start, end, true);
    } else {
      this.#events.onReply(entry, buf, start, end, scanner.typeAt);
    }
  }

  /** False for a command that waits to be sent: what arrives now is no reply to it. */
  #isAsked(entry: E): boolean {
    return entry.chunk === null || entry.chunk.sent > entry.offset;
  }

  /** Our nonce as the reply to another command means that a reply before it never came. */
  #isNonce(buf: Slab, start: number, end: number): boolean {
    const expected = this.#expectedBeat();
    return end - start === expected.length && buf.toString('latin1', start, end) === expected;
  }

  #expectedBeat(): string {
    return `$${this.heartbeatNonce.length}\r\n${this.heartbeatNonce}\r\n`;
  }

  /** An error reply (-BUSY, -LOADING …) is no desync; any other text than ours is. */
  #onHeartbeat(entry: E, buf: Slab, start: number, end: number): void {
    if (entry !== this.heartbeat) {
      this.destroy('EDESYNC');
      return;
    }
    const text = buf.toString('latin1', start, end);
    const expected = this.#expectedBeat();
    this.#pop(entry);
    this.release(entry);
    this.heartbeat = null;
    this.#events.onHeartbeat(entry);
    if (text !== expected && !text.startsWith('-')) this.destroy('EDESYNC');
  }

  #pop(entry: E): void {
    this.head = entry.nextInLane;
    if (this.head === null) this.#tail = null;
    entry.nextInLane = null;
    this.count--;
  }

  /** The reply that began at `start` is scanned up to `scanned`, and the bytes end at `end`. */
  #onUnfinished(buf: Slab, start: number, scanned: number, end: number): void {
    const scanner = this.#scanner;
    const entry = this.head;
    const isAsked = entry !== null && this.#isAsked(entry);
    if (!isAsked && this.state === LANE.ready && !this.#streaming && buf[start] !== PUSH) {
      this.destroy('EDESYNC'); // The first bytes of a reply to nothing.
      return;
    }
    if (!this.#streaming && end - start <= STREAM_FROM) {
      this.#reportBig(entry);
      scanner.reset();
      this.#keep(buf, start, end);
      return;
    }
    this.#streaming = true;
    this.#reportBig(entry);
    this.#keep(buf, scanned, end);
    if (scanner.type === PUSH || scanned === start) return;
    // The answers to our own questions, and those of queued commands, are short.
    const isShort = entry === null || entry === this.heartbeat || entry.swallow > 0;
    if (isShort || this.state !== LANE.ready) {
      this.destroy('EDESYNC');
      return;
    }
    this.#events.onReplyPart(this, entry, buf, start, scanned, false);
  }

  #reportBig(entry: E | null): void {
    if (this.#bigReported || this.#scanner.announced < this.options.bigReplyBytes) return;
    if (entry === null || this.state !== LANE.ready || this.#scanner.type === PUSH) return;
    this.#bigReported = true;
    this.#events.onBigReply(this, entry, this.#scanner.announced);
  }

  #keep(buf: Slab, start: number, end: number): void {
    // Whatever is longer has been passed on in pieces.
    if (end - start > HEADROOM) this.destroy('EDESYNC');
    else this.#kept.keep(buf, start, end);
  }

  onEnd(): void {
    this.destroy('ECONNRESET');
  }

  onClose(code: string): void {
    this.#finish(this.#closeCode === '' ? code || 'ECONNRESET' : this.#closeCode);
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#stream?.resume();
  }

  /**
   * Closes at once; the queue is reported by `onLaneClosed` when the stream is gone. What a cut network
   * keeps from the node must not come there later, behind commands that go by another lane.
   */
  destroy(code: string): void {
    if (this.state === LANE.closed) return;
    if (this.#closeCode === '') this.#closeCode = code;
    // No reply is taken any more, even one already in the kernel's buffer.
    this.state = LANE.closed;
    if (this.count > 0) this.#stream?.abort();
    else this.#stream?.destroy();
  }

  #finish(code: string): void {
    this.state = LANE.closed;
    this.#stream = null;
    this.#kept.drop();
    this.#out.close();
    this.#events.onLaneClosed(this, code);
  }
}
