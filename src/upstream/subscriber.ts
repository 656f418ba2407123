/**
 * One connection to one node that carries subscriptions and nothing else. It speaks RESP2, which
 * every server from 5.0 on knows, and is written to by SUBSCRIBE and its kin and by PING alone.
 *
 * A node confirms in the order it was asked, so what was asked waits in a queue: an error line names
 * no channel. Two things come unasked: messages, and `sunsubscribe` when a slot leaves the node.
 */

import { copyBytes, createSlab, type Slab, type SlabPool } from '../lib/slab.ts';
import { ReplyScanner, SCAN } from '../resp/reply-scanner.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  type Transport,
} from '../transport/transport.ts';
import type { Handshake } from './handshake.ts';
import { Leftover } from './leftover.ts';

/** What is subscribed to. */
export const TOPIC = { channel: 0, pattern: 1, shard: 2 } as const;
export type TopicKind = (typeof TOPIC)[keyof typeof TOPIC];

export const SUBSCRIBE_VERBS = ['subscribe', 'psubscribe', 'ssubscribe'] as const;
export const UNSUBSCRIBE_VERBS = ['unsubscribe', 'punsubscribe', 'sunsubscribe'] as const;
const MESSAGES = new Map<string, TopicKind>([
  ['message', TOPIC.channel],
  ['pmessage', TOPIC.pattern],
  ['smessage', TOPIC.shard],
]);

/** A message as it lies in the read buffer, valid during the call only. */
export interface Message {
  readonly kind: TopicKind;
  /** What was subscribed to, one character per byte. */
  readonly name: string;
  readonly buf: Slab;
  /** The whole frame. */
  readonly start: number;
  readonly end: number;
  /** The channel it was published on. */
  readonly channelAt: number;
  readonly channelEnd: number;
}

/** `T` is whatever the caller knows a subscription by. */
export interface SubscriberEvents<T> {
  onSubscriberReady(from: Subscriber<T>): void;
  onSubscribed(from: Subscriber<T>, topic: T): void;
  onUnsubscribed(from: Subscriber<T>, topic: T): void;
  /** The node answered with an error; `line` is without '-' and CRLF. */
  onRefused(from: Subscriber<T>, topic: T, line: string): void;
  /** The node ended a shard channel's subscription by itself: its slot has moved away. */
  onDropped(from: Subscriber<T>, name: string): void;
  onMessage(from: Subscriber<T>, message: Message): void;
  /** It has bytes to flush at the end of this turn. */
  onSubscriberDirty(from: Subscriber<T>): void;
  onSubscriberClosed(from: Subscriber<T>, code: string): void;
}

export interface SubscriberOptions {
  readonly endpoint: Endpoint;
  readonly connectTimeoutMs: number;
  /** A message larger than this many bytes destroys the connection. */
  readonly messageBytesMax: number;
}

interface Asked<T> {
  /** The first word of the confirmation; 'pong' for a heartbeat. */
  readonly verb: string;
  readonly name: string;
  readonly topic: T | null;
}

const STATE = { connecting: 0, handshake: 1, ready: 2, closed: 3 } as const;
const MINUS = 45;
const STAR = 42;
const CR = 13;

export class Subscriber<T> implements ClientStreamHandler {
  /** Monotonic ms; its owner keeps it. */
  readonly openedAt: number;
  dirty = false;
  wasReady = false;
  /** Monotonic ms of the heartbeat that is not answered yet; 0: none. */
  #beatAt = 0;
  #lastBeatAt: number;
  #readAt: number;
  #state: number = STATE.connecting;
  #stream: ByteStream | null = null;
  #closeCode = '';
  #asked: Asked<T>[] = [];
  #askedHead = 0;
  /** One character per byte. */
  #unsent = '';
  #isWriting = false;
  /** The front of an unfinished frame that fits before the next read. */
  readonly #kept: Leftover;
  /** An unfinished frame that does not: #big[0, #bigLength), scanned up to #bigScanned. */
  #big: Slab | null = null;
  #bigLength = 0;
  #bigScanned = 0;
  readonly #scanner = new ReplyScanner();
  readonly #options: SubscriberOptions;
  readonly #handshake: Handshake;
  readonly #events: SubscriberEvents<T>;
  readonly #now: () => number;

  constructor(
    options: SubscriberOptions,
    handshake: Handshake,
    pool: SlabPool,
    events: SubscriberEvents<T>,
    now: () => number,
  ) {
    this.#options = options;
    this.#handshake = handshake;
    this.#kept = new Leftover(pool);
    this.#events = events;
    this.#now = now;
    this.openedAt = now();
    this.#readAt = this.openedAt;
    this.#lastBeatAt = this.openedAt;
  }

  open(transport: Transport): void {
    const { endpoint, connectTimeoutMs } = this.#options;
    this.#stream = transport.connect(endpoint, this, connectTimeoutMs);
  }

  get isReady(): boolean {
    return this.#state === STATE.ready;
  }

  get isClosed(): boolean {
    return this.#state === STATE.closed;
  }

  /** Only on a ready connection. */
  subscribe(kind: TopicKind, name: string, topic: T): void {
    this.#ask(SUBSCRIBE_VERBS[kind], name, topic);
  }

  unsubscribe(kind: TopicKind, name: string, topic: T): void {
    this.#ask(UNSUBSCRIBE_VERBS[kind], name, topic);
  }

  #ask(verb: string, name: string, topic: T | null): void {
    this.#asked.push({ verb, name, topic });
    const word = verb === 'pong' ? 'PING' : verb;
    this.#unsent += `*2\r\n$${word.length}\r\n${word}\r\n$${name.length}\r\n${name}\r\n`;
    if (this.dirty) return;
    this.dirty = true;
    this.#events.onSubscriberDirty(this);
  }

  /** Writes what was asked in this turn. */
  flush(): void {
    this.dirty = false;
    if (this.#state !== STATE.ready || this.#isWriting || this.#unsent.length === 0) return;
    const bytes: Slab = Buffer.from(this.#unsent, 'latin1');
    this.#unsent = '';
    this.#isWriting = this.#stream?.write(bytes, 0, bytes.length) === false;
  }

  onDrain(): void {
    this.#isWriting = false;
    this.flush();
  }

  /**
   * A PING every `everyMs`. True when the last one has been without any answer for twice as long:
   * the connection is half open, or the node is busy.
   */
  beat(now: number, everyMs: number, nonce: string): boolean {
    if (this.#state !== STATE.ready) return false;
    if (this.#beatAt > 0) return now - Math.max(this.#beatAt, this.#readAt) > 2 * everyMs;
    if (now - this.#lastBeatAt < everyMs) return false;
    this.#beatAt = now;
    this.#lastBeatAt = now;
    this.#ask('pong', nonce, null);
    return false;
  }

  /** Monotonic ms at which bytes arrived last. */
  get readAt(): number {
    return this.#readAt;
  }

  onConnect(): void {
    this.#state = STATE.handshake;
    this.#continueHandshake(null);
  }

  #continueHandshake(reply: Buffer | null): void {
    if (!this.#handshake.proceed(reply, this.#stream, this)) return;
    this.#state = STATE.ready;
    this.wasReady = true;
    this.#events.onSubscriberReady(this);
  }

  onData(buf: Slab, readStart: number, end: number): void {
    this.#readAt = this.#now();
    let start = readStart;
    if (this.#big !== null) {
      start = this.#goOnBig(buf, readStart, end);
    } else {
      start = this.#kept.putBefore(buf, readStart);
    }
    const scanner = this.#scanner;
    while (start < end && this.#state !== STATE.closed) {
      const next = scanner.scan(buf, start, end);
      if (scanner.status === SCAN.complete) {
        this.#onFrame(buf, start, next);
        start = next;
      } else if (scanner.status === SCAN.partial) {
        this.#keep(buf, start, next, end);
        return;
      } else {
        this.destroy('EDESYNC');
      }
    }
  }

  #keep(buf: Slab, start: number, scanned: number, end: number): void {
    const length = end - start;
    if (length <= HEADROOM) {
      this.#scanner.reset();
      this.#kept.keep(buf, start, end);
      return;
    }
    this.#bigLength = 0;
    this.#bigScanned = scanned - start;
    this.#grow(Math.max(length, this.#scanner.announced));
    this.#appendBig(buf, start, end);
  }

  #grow(wanted: number): void {
    const grown = createSlab(wanted + HEADROOM);
    this.#big?.copy(grown, 0, 0, this.#bigLength);
    this.#big = grown;
  }

  #appendBig(buf: Slab, start: number, end: number): void {
    const wanted = this.#bigLength + end - start;
    if (wanted > (this.#big as Slab).length) this.#grow(wanted * 2);
    this.#bigLength = copyBytes(this.#big as Slab, this.#bigLength, buf, start, end);
  }

  /** Returns where the bytes behind the big frame begin, `end` when it is still unfinished. */
  #goOnBig(buf: Slab, start: number, end: number): number {
    this.#appendBig(buf, start, end);
    const big = this.#big as Slab;
    const scanner = this.#scanner;
    const next = scanner.scan(big, this.#bigScanned, this.#bigLength);
    if (scanner.status === SCAN.partial) {
      this.#bigScanned = next;
      if (this.#bigLength > this.#options.messageBytesMax) this.destroy('EDESYNC');
      return end;
    }
    if (scanner.status === SCAN.error) {
      this.destroy('EDESYNC');
      return end;
    }
    const behind = this.#bigLength - next;
    this.#big = null;
    this.#onFrame(big, 0, next);
    return end - behind;
  }

  #onFrame(buf: Slab, start: number, end: number): void {
    if (this.#state === STATE.handshake) {
      this.#continueHandshake(Buffer.from(buf.subarray(start, end)));
      return;
    }
    if (this.#state !== STATE.ready) return;
    if (buf[start] !== STAR) {
      this.#onPlainReply(buf, start, end);
      return;
    }
    // *n CRLF $len CRLF word CRLF $len CRLF name CRLF …
    const wordAt = bodyOf(buf, lineEnd(buf, start));
    const wordEnd = wordAt + lengthAt(buf, lineEnd(buf, start));
    const word = buf.toString('latin1', wordAt, wordEnd);
    const nameHead = wordEnd + 2;
    const nameLength = lengthAt(buf, nameHead);
    const nameAt = bodyOf(buf, nameHead);
    const name = nameLength < 0 ? '' : buf.toString('latin1', nameAt, nameAt + nameLength);
    const kind = MESSAGES.get(word);
    if (kind === undefined) {
      this.#onConfirmation(word, name);
      return;
    }
    let channelAt = nameAt;
    let channelEnd = nameAt + nameLength;
    if (kind === TOPIC.pattern) {
      const head = channelEnd + 2;
      channelAt = bodyOf(buf, head);
      channelEnd = channelAt + lengthAt(buf, head);
    }
    this.#events.onMessage(this, { kind, name, buf, start, end, channelAt, channelEnd });
  }

  #onConfirmation(word: string, name: string): void {
    const asked = this.#asked[this.#askedHead];
    if (asked === undefined || asked.verb !== word || asked.name !== name) {
      // A node that no longer serves a slot ends its subscriptions unasked.
      if (word === UNSUBSCRIBE_VERBS[TOPIC.shard]) this.#events.onDropped(this, name);
      else this.destroy('EDESYNC');
      return;
    }
    this.#shift();
    if (asked.topic === null) this.#beatAt = 0;
    else if (isSubscribe(asked.verb)) this.#events.onSubscribed(this, asked.topic);
    else this.#events.onUnsubscribed(this, asked.topic);
  }

  /** An error, or PING's answer while nothing is subscribed. */
  #onPlainReply(buf: Slab, start: number, end: number): void {
    const asked = this.#asked[this.#askedHead];
    const isError = buf[start] === MINUS;
    if (asked === undefined || (!isError && asked.topic !== null)) {
      this.destroy('EDESYNC');
      return;
    }
    this.#shift();
    if (asked.topic === null) this.#beatAt = 0;
    else if (isSubscribe(asked.verb)) {
      this.#events.onRefused(this, asked.topic, buf.toString('latin1', start + 1, end - 2));
    } else this.#events.onUnsubscribed(this, asked.topic); // MOVED: it is gone there.
  }

  #shift(): void {
    this.#askedHead++;
    if (this.#askedHead < 1024 && this.#askedHead < this.#asked.length) return;
    this.#asked = this.#asked.slice(this.#askedHead);
    this.#askedHead = 0;
  }

  onEnd(): void {
    this.destroy('ECONNRESET');
  }

  /** Closes at once; `onSubscriberClosed` follows when the stream is gone. */
  destroy(code: string): void {
    if (this.#state === STATE.closed) return;
    this.#closeCode = code;
    this.#state = STATE.closed;
    this.#stream?.destroy();
  }

  onClose(code: string): void {
    this.#state = STATE.closed;
    this.#stream = null;
    this.#big = null;
    this.#kept.drop();
    this.#asked = [];
    this.#unsent = '';
    this.#events.onSubscriberClosed(this, this.#closeCode || code || 'ECONNRESET');
  }
}

function isSubscribe(verb: string): boolean {
  return (SUBSCRIBE_VERBS as readonly string[]).includes(verb);
}

/** The position behind the line that begins at `at`. */
function lineEnd(buf: Slab, at: number): number {
  let end = at;
  while (buf[end] !== CR) end++;
  return end + 2;
}

/** Where the payload of the bulk string at `at` begins. */
function bodyOf(buf: Slab, at: number): number {
  return lineEnd(buf, at);
}

/** The length that the bulk string at `at` announces; -1 for null. */
function lengthAt(buf: Slab, at: number): number {
  let length = 0;
  for (let i = at + 1; buf[i] !== CR; i++) {
    const digit = (buf[i] as number) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}
