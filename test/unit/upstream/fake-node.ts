/** The other end of a lane: a transport that never leaves the process and does what a test says. */

import { createSlab, type SharedChunk, type Slab } from '../../../src/lib/slab.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  READ_SIZE,
  type Transport,
} from '../../../src/transport/transport.ts';
import { Handshake } from '../../../src/upstream/handshake.ts';
import { Lane, type LaneEntry, type LaneEvents } from '../../../src/upstream/lane.ts';
import { numberedBytes, PoisonPool } from '../downstream/poison-pool.ts';

const READ_BUFFER = createSlab(HEADROOM + READ_SIZE);
const POISON = 0xee;

export class FakeNode implements Transport {
  /** What has arrived here, in order. */
  readonly received: Buffer[] = [];
  /** While true, writes wait for `drain`. */
  isFull = false;
  destroyed = false;
  aborted = false;
  paused = false;
  handler: ClientStreamHandler | null = null;
  #under: { buf: Slab; start: number; end: number; written: Buffer } | null = null;

  connect(_endpoint: Endpoint, handler: ClientStreamHandler): ByteStream {
    this.handler = handler;
    return {
      write: (buf, start, end) => this.#write(buf, start, end),
      pause: () => {
        this.paused = true;
      },
      resume: () => {
        this.paused = false;
      },
      end() {},
      destroy: () => {
        this.destroyed = true;
      },
      abort: () => {
        this.destroyed = true;
        this.aborted = true;
      },
      remoteAddress: '10.0.0.1:6379',
      localAddress: '10.0.0.2:50000',
    };
  }

  #write(buf: Slab, start: number, end: number): boolean {
    if (this.#under !== null) throw new Error('A second write while one is under way.');
    if (this.isFull) {
      const written = Buffer.from(buf.subarray(start, end));
      this.#under = { buf, start, end, written };
      return false;
    }
    this.received.push(Buffer.from(buf.subarray(start, end)));
    return true;
  }

  get isWriting(): boolean {
    return this.#under !== null;
  }

  /** The kernel takes the bytes that it could not take before, and reads them only now. */
  drain(): void {
    const under = this.#under;
    if (under === null) return;
    this.sip(Infinity);
    const { buf, end, written } = under;
    if (!buf.subarray(end - written.length, end).equals(written)) {
      throw new Error('A buffer was changed while it was being written.');
    }
    this.#under = null;
    this.handler?.onDrain();
  }

  /** The kernel takes some of the bytes under way; whoever wrote them hears nothing yet. */
  sip(size: number): void {
    const under = this.#under;
    if (under === null || under.start === under.end) return;
    const to = Math.min(under.end, under.start + size);
    this.received.push(Buffer.from(under.buf.subarray(under.start, to)));
    under.start = to;
  }

  get receivedText(): string {
    return Buffer.concat(this.received).toString('latin1');
  }

  /** Sends bytes to the lane, cut before each of the given offsets. */
  say(text: string | Buffer, cuts: readonly number[] = []): void {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
    const ends = [...cuts, bytes.length].filter((cut) => cut <= bytes.length);
    for (let at = READ_SIZE; at < bytes.length; at += READ_SIZE) ends.push(at);
    let from = 0;
    for (const end of ends.sort((a, b) => a - b)) {
      if (end > from) this.#deliver(bytes, from, end);
      from = end;
    }
  }

  #deliver(bytes: Buffer, from: number, end: number): void {
    if (this.destroyed) return;
    const size = end - from;
    READ_BUFFER.fill(POISON, 0, HEADROOM + Math.min(READ_SIZE, size + 100));
    bytes.copy(READ_BUFFER, HEADROOM, from, end);
    this.handler?.onData(READ_BUFFER, HEADROOM, HEADROOM + size);
    // Whoever kept a reference to these bytes has garbage from here on.
    READ_BUFFER.fill(POISON, 0, HEADROOM + size);
  }

  close(code: string): void {
    const handler = this.handler;
    this.handler = null;
    handler?.onClose(code);
  }
}

export class Entry implements LaneEntry<Entry> {
  nextInLane: Entry | null = null;
  chunk: SharedChunk | null = null;
  offset = 0;
  length = 0;
  swallow = 0;
  queuedAt = 0;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** The command's bytes as the lane keeps them. */
  get bytes(): Buffer | null {
    return this.chunk?.slab.subarray(this.offset, this.offset + this.length) ?? null;
  }
}

/** Notes what a lane says; replies are copied, as they are valid during the call only. */
export class Recorder implements LaneEvents<Entry> {
  readonly replies: { entry: Entry; bytes: Buffer; typeAt: number; parts: number }[] = [];
  readonly bigReplies: [string, number][] = [];
  readonly closed: string[] = [];
  reads = 0;
  ready = 0;
  dirty = 0;
  /** Called before each reply is noted. */
  onEach: (entry: Entry) => void = () => {};
  #parts: Buffer[] = [];
  #of: Entry | null = null;

  onLaneRead(): void {
    this.reads++;
  }

  onReply(entry: Entry, buf: Slab, start: number, end: number, typeAt: number): void {
    if (this.#of !== null) throw new Error('A whole reply in the middle of one in parts.');
    this.onEach(entry);
    const bytes = Buffer.from(buf.subarray(start, end));
    this.replies.push({ entry, bytes, typeAt: typeAt - start, parts: 1 });
  }

  onReplyPart(
    _lane: Lane<Entry>,
    entry: Entry,
    buf: Slab,
    start: number,
    end: number,
    last: boolean,
  ): void {
    if (this.#of !== null && this.#of !== entry) throw new Error('Parts of two replies are mixed.');
    if (end <= start) throw new Error('A part without bytes.');
    this.#parts.push(Buffer.from(buf.subarray(start, end)));
    this.#of = last ? null : entry;
    if (!last) return;
    this.onEach(entry);
    const parts = this.#parts.length;
    this.replies.push({ entry, bytes: Buffer.concat(this.#parts), typeAt: 0, parts });
    this.#parts = [];
  }

  onBigReply(_lane: Lane<Entry>, entry: Entry, bytes: number): void {
    this.bigReplies.push([entry.name, bytes]);
  }

  onSwallowedError(): void {}

  onHeartbeat(): void {}

  onLaneReady(): void {
    this.ready++;
  }

  onLaneClosed(_lane: Lane<Entry>, code: string): void {
    this.closed.push(code);
  }

  onLaneDirty(): void {
    this.dirty++;
  }

  /** Name and text of each reply. */
  get texts(): [string, string][] {
    return this.replies.map(({ entry, bytes }) => [entry.name, bytes.toString('latin1')]);
  }
}

export class Bench {
  readonly node = new FakeNode();
  readonly pool = new PoisonPool();
  readonly events = new Recorder();
  readonly lane: Lane<Entry>;

  constructor(
    handshake = new Handshake(0, { username: '', password: '' }),
    bigReplyBytes = 2 ** 20,
  ) {
    const endpoint = { host: '10.0.0.1', port: 6379 };
    const options = {
      endpoint,
      kind: 0,
      connectTimeoutMs: 1000,
      bigReplyBytes,
      pinned: false,
    } as const;
    this.lane = new Lane(options, handshake, this.pool, this.events);
    this.lane.open(this.node);
  }

  /** A lane that has connected and shaken hands. */
  static ready(bigReplyBytes?: number): Bench {
    const bench = new Bench(undefined, bigReplyBytes);
    bench.node.handler?.onConnect();
    bench.node.say('+PONG\r\n');
    bench.node.received.length = 0;
    return bench;
  }

  /** Queues a command; `name` is its text unless `bytes` are given. */
  enqueue(name: string, options: { bytes?: Buffer; asking?: boolean } = {}): Entry {
    const { bytes = Buffer.from(name), asking = false } = options;
    const entry = new Entry(name);
    const src = Buffer.concat([Buffer.alloc(3), bytes]);
    this.lane.enqueue(entry, src, 3, src.length, asking, 1000);
    src.fill(POISON);
    return entry;
  }

  /** Queues commands and writes them. */
  send(...names: string[]): Entry[] {
    const entries = names.map((name) => this.enqueue(name));
    this.lane.flush();
    return entries;
  }
}

/** A bulk reply of `size` bytes that tell their place. */
export function bulk(size: number, from = 0): Buffer {
  const head = Buffer.from(`$${size}\r\n`);
  return Buffer.concat([head, numberedBytes(from, size), Buffer.from('\r\n')]);
}
