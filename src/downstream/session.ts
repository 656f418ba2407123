/**
 * One client connection: its bytes in, its replies out in request order, and what may be done now.
 *
 * {@link STALL} bits of its `gate` stop the session from taking further commands; the bytes wait
 * in the backlog (Intake) and go on in order when the bit is cleared (`open`). Replies are answered exactly once: a slot
 * enters the order by `push` and leaves it by `deliver` or by the session's end.
 *
 * Over 400 lines: the reply order, the gate and the end of the session are one state machine.
 */

import type { Slab } from '../lib/slab.ts';
import { protocolOf, withProtocol } from '../route/lane-kind.ts';
import { ReadMarks, type WriteMarks } from '../route/write-marks.ts';
import type { ByteStream, StreamHandler } from '../transport/transport.ts';
import type { Backlog } from './backlog.ts';
import { GATE, STALL } from './gate.ts';
import { Intake, type IntakeLimits, type IntakeOwner } from './intake.ts';
import { OutQueue } from './out-queue.ts';
import type { ReplySlot, ReplyStore } from './reply-store.ts';

/** Where a session's reads may go, see config's reads.consistency. */
export const READS = { configured: 0, eventual: 1, session: 2, primary: 3 } as const;

/** What a session asks of the proxy. */
export interface SessionOwner extends IntakeOwner<Session> {
  readonly store: ReplyStore;
  readonly limits: SessionLimits;
  /** Bytes have arrived: the one clock read for all commands in them. */
  onSessionRead(session: Session, bytes: number): void;
  /** Commands of its wait for a shard that cannot serve them; none of these has been sent. */
  isKeptBack(session: Session): boolean;
  /** The slot left the reply order; its owner may recycle it. */
  onDelivered(slot: ReplySlot): void;
  /** Bytes wait to be written at the end of this turn. */
  onSessionDirty(session: Session): void;
  /** The gate has opened and the backlog can go on. */
  onSessionRunnable(session: Session): void;
  /** Monotonic ms, for clients that had fallen behind. */
  now(): number;
  /** The kernel took bytes of this client, or all that there were. */
  onSessionDrained(session: Session): void;
  onSessionClosed(session: Session, code: string): void;
}

export interface SessionLimits extends IntakeLimits {
  readonly maxInflight: number;
  readonly replyHighWater: number;
  readonly replyHardLimit: number;
}

/** Commands that a new client may have in flight, before anything is known of its replies. */
const FIRST_WINDOW = 64;

export class Session implements StreamHandler {
  readonly id: number;
  readonly stream: ByteStream;
  gate = 0;
  /** Slots in the reply order. */
  pending = 0;
  /**
   * How many slots there may be. It grows with each answer, and shrinks to what replies as large as
   * the last one may take: what is in flight cannot be stopped when its client does not read.
   */
  window: number;
  head: ReplySlot | null = null;
  /** Routing epoch of the oldest command in flight. */
  routeEpoch = 0;
  /** Of the lanes that take its commands, see LANE_KIND. */
  laneKind = 0;
  authenticated = true;
  /** Client's own words, for CLIENT LIST. */
  name = '';
  libName = '';
  libVersion = '';
  user = 'default';
  /** {@link READS}: as configured, or what the client asked for. */
  reads: number = READS.configured;
  /** Its writes, once replicas serve reads. */
  writeMarks: WriteMarks | null = null;
  readonly readMarks = new ReadMarks();
  /** Its commands under way are on lanes of writes that wait for replicas. */
  onDurable = false;
  noEvict = false;
  noTouch = false;
  /** 0 on, 1 off, 2 skip the next reply, 3 skipping this one. */
  replyMode = 0;
  lastCommand = 0;
  commands = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** How much of `bytesOut` the metrics have. */
  bytesOutCounted = 0;
  /** Monotonic ms. */
  readonly openedAt: number;
  lastActiveAt: number;
  /** When the client last took bytes, or bytes began to wait for it. Says nothing before a turn's write. */
  lastDrainAt: number;
  parkedCount = 0;
  /** Commands sent again after a lost connection that have no answer yet. */
  resent = 0;
  /** Since when its commands wait for shards, one after the other; 0 once one of them was served. */
  waitsSince = 0;
  readonly out: OutQueue;
  readonly backlog: Backlog;
  dirty = false;
  runnable = false;
  closed = false;
  /** Our FIN is sent; the client should close too. */
  isEnding = false;
  /** The client sends no more. */
  hasHungUp = false;
  /** A client inside the worker, see InnerClient: not one of those that are counted and shown. */
  isInner = false;
  /** In a blocking command. */
  waits = false;
  /** `commands` when its newest command was shown to MONITOR: one that comes again is shown once. */
  shownAt = -1;
  /** Nodes that took writes since WAIT, by routing index modulo 32. */
  written = 0;
  /** Place in the worker's table, for constant-time removal. */
  tableIndex = -1;
  #tail: ReplySlot | null = null;
  /** Of replies that wait for an earlier one. */
  #storedBytes = 0;
  /** Of the reply that is being delivered in parts. */
  #partBytes = 0;
  /** What was to come in between while a reply is delivered in parts. */
  #delayed: Buffer[] | null = null;
  #delayedBytes = 0;
  #ended = false;
  readonly #intake: Intake<Session>;
  readonly #owner: SessionOwner;

  constructor(id: number, stream: ByteStream, owner: SessionOwner, now: number) {
    this.id = id;
    this.stream = stream;
    this.#owner = owner;
    this.out = new OutQueue(owner.pool);
    this.#intake = new Intake(this, owner);
    this.backlog = this.#intake.backlog;
    this.window = Math.min(FIRST_WINDOW, owner.limits.maxInflight);
    this.openedAt = now;
    this.lastActiveAt = now;
    this.lastDrainAt = now;
  }

  get protocol(): 2 | 3 {
    return protocolOf(this.laneKind);
  }

  set protocol(protocol: 2 | 3) {
    this.laneKind = withProtocol(this.laneKind, protocol);
  }

  onData(buf: Slab, readStart: number, end: number): void {
    this.#owner.onSessionRead(this, end - readStart);
    if ((this.gate & GATE.closing) !== 0 || this.#ended) return;
    this.#intake.onData(buf, readStart, end);
  }

  /** Goes on with what was kept back. */
  runBacklog(): void {
    if (this.closed || !this.#intake.run() || !this.#ended) return;
    if (this.backlog.size === 0 || (this.gate & STALL) === 0) this.closeAfterReplies();
  }

  /** Gives a command its place in the reply order. */
  push(slot: ReplySlot): void {
    if (this.#tail === null) this.head = slot;
    else this.#tail.nextInSession = slot;
    this.#tail = slot;
    if (++this.pending >= this.window) this.gate |= GATE.pipeline;
  }

  /** The whole reply of `slot`, which is in this session's order and not done. */
  deliver(slot: ReplySlot, buf: Slab, start: number, end: number): void {
    if (this.head !== slot) {
      if (!slot.silent) {
        this.#owner.store.store(slot, buf, start, end);
        this.#countStored(end - start);
      }
      slot.done = true;
      return;
    }
    if (!slot.silent) this.#append(buf, start, end);
    this.#popHead(slot);
    if (this.head?.done) this.#flushDone();
    this.#moveWindow(end - start);
    this.#afterDelivery();
  }

  /** A part of the reply of `slot`; `last` ends it. */
  deliverPart(slot: ReplySlot, buf: Slab, start: number, end: number, last: boolean): void {
    if (this.head !== slot) {
      if (!slot.silent) {
        this.#owner.store.extend(slot, buf, start, end);
        this.#countStored(end - start);
      }
      slot.done = last;
      return;
    }
    if (slot.stored !== null) this.#appendStored(slot);
    if (!slot.silent) this.#append(buf, start, end);
    this.#partBytes += end - start;
    if (!last) return;
    if (this.#delayed !== null) this.#appendDelayed();
    this.#popHead(slot);
    if (this.head?.done) this.#flushDone();
    this.#moveWindow(this.#partBytes);
    this.#partBytes = 0;
    this.#afterDelivery();
  }

  /** Replies behind one that is late take memory as those do that the client does not read. */
  #countStored(bytes: number): void {
    this.#storedBytes += bytes;
    if (this.#storedBytes > this.#owner.limits.replyHighWater) this.#stopForOutput();
  }

  /**
   * Its commands wait until it reads. But a client whose socket is not read any more may be one that
   * reads nothing before all is sent, and would wait for ever: it has room up to the hard limit.
   */
  #stopForOutput(): void {
    if (!this.isBacklogFull || this.#isAboveHardLimit) this.gate |= GATE.output;
  }

  /**
   * Where the backlog is full this opens as soon as it may: a client that stops reading a little
   * below the hard limit would be neither served nor cut.
   */
  #reopenOutput(): void {
    const isLow = this.isBacklogFull
      ? !this.#isAboveHardLimit
      : this.out.size <= this.#owner.limits.replyHighWater / 2;
    if (isLow) this.open(GATE.output);
  }

  get #isAboveHardLimit(): boolean {
    return this.out.size + this.#storedBytes > this.#owner.limits.replyHardLimit;
  }

  /** limits.maxRequestBuffer is reached: it is read no further. */
  get isBacklogFull(): boolean {
    return this.#intake.isPaused;
  }

  onBacklogFull(): void {
    this.#reopenOutput();
    // A lane may be paused for it, which goes on below the hard limit now.
    this.#owner.onSessionDrained(this);
  }

  /** Forgets what has arrived of a reply that the client will not get. */
  dropStored(slot: ReplySlot): void {
    if (slot.stored === null) return;
    this.#storedBytes -= slot.storedEnd - slot.storedStart;
    this.#owner.store.release(slot);
  }

  #moveWindow(replyBytes: number): void {
    const { limits } = this.#owner;
    if (this.window < limits.maxInflight) this.window++;
    if (replyBytes * this.window > limits.replyHardLimit) this.expectReplies(replyBytes);
  }

  /** Replies of this size are on their way: no more of them than the hard limit allows. */
  expectReplies(bytes: number): void {
    const fitting = Math.floor(this.#owner.limits.replyHardLimit / bytes);
    this.window = Math.max(1, Math.min(this.window, fitting));
  }

  /** Bytes outside of the reply order: messages, MONITOR's lines. Never amid a reply in parts. */
  interject(buf: Slab, start: number, end: number): void {
    if (this.closed || (this.gate & GATE.closing) !== 0) return;
    if (this.#partBytes === 0) {
      this.#append(buf, start, end);
      return;
    }
    this.#delayed ??= [];
    this.#delayed.push(Buffer.from(buf.subarray(start, end)));
    this.#delayedBytes += end - start;
  }

  /** For how long it has taken none of the bytes that the kernel holds for it, ms. */
  unreadMs(now: number): number {
    return this.out.isWriting ? now - this.lastDrainAt : 0;
  }

  /** Bytes that the client has yet to take. */
  get unreadBytes(): number {
    return this.out.size + this.#delayedBytes;
  }

  #appendDelayed(): void {
    for (const bytes of this.#delayed ?? []) this.#append(bytes, 0, bytes.length);
    this.#delayed = null;
    this.#delayedBytes = 0;
  }

  #append(buf: Slab, start: number, end: number): void {
    this.out.append(buf, start, end);
    if (!this.dirty) {
      this.dirty = true;
      this.#owner.onSessionDirty(this);
    }
    if (this.out.size > this.#owner.limits.replyHighWater) this.#stopForOutput();
  }

  #appendStored(slot: ReplySlot): void {
    const chunk = slot.stored;
    if (chunk === null) return;
    this.#storedBytes -= slot.storedEnd - slot.storedStart;
    this.#append(chunk.slab, slot.storedStart, slot.storedEnd);
    this.#owner.store.release(slot);
  }

  #popHead(slot: ReplySlot): void {
    this.head = slot.nextInSession;
    if (this.head === null) this.#tail = null;
    slot.nextInSession = null;
    this.pending--;
    this.#owner.onDelivered(slot);
  }

  #flushDone(): void {
    for (let slot = this.head; slot?.done; slot = this.head) {
      this.#appendStored(slot);
      this.#popHead(slot);
    }
  }

  #afterDelivery(): void {
    const gate = this.gate;
    if (gate === 0) return;
    if ((gate & GATE.pipeline) !== 0 && this.pending <= this.window / 2) {
      this.open(GATE.pipeline);
    }
    if (this.pending === 0) {
      if ((gate & GATE.barrier) !== 0) this.open(GATE.barrier);
      if ((gate & GATE.closing) !== 0 && !this.dirty) {
        // Nothing more to write: the turn's flush, which would end the stream, does not come.
        this.dirty = true;
        this.#owner.onSessionDirty(this);
      }
    }
  }

  /** Clears a stall bit; the backlog goes on at the end of the turn when none is left. */
  open(bit: number): void {
    if ((this.gate & bit) === 0) return;
    this.gate &= ~bit;
    if ((this.gate & STALL) !== 0 || this.closed) return;
    if (!this.runnable && (this.backlog.size > 0 || this.#intake.isPaused)) {
      this.runnable = true;
      this.#owner.onSessionRunnable(this);
    }
  }

  /** Writes the turn's replies. */
  flush(now: number): void {
    this.dirty = false;
    if (this.closed) return;
    const before = this.out.size;
    // All that is queued has come since the last turn: the client is not late with any of it.
    if (!this.out.isWriting) this.lastDrainAt = now;
    const isEmpty = this.out.flush(this.stream);
    this.#afterFlush(before, isEmpty, now);
    // The kernel may have taken at once what looked like too much before the turn's write.
    this.#owner.onSessionDrained(this);
  }

  #afterFlush(before: number, isEmpty: boolean, now: number): void {
    const written = before - this.out.size;
    this.bytesOut += written;
    if (written > 0) this.lastDrainAt = now;
    const gate = this.gate;
    if (gate === 0) return;
    if ((gate & GATE.output) !== 0) this.#reopenOutput();
    if ((gate & GATE.closing) !== 0 && isEmpty && this.pending === 0) this.#end();
  }

  onDrain(): void {
    if (this.closed) return;
    const before = this.out.size;
    this.out.onDrain();
    const isEmpty = this.out.flush(this.stream);
    this.#afterFlush(before, isEmpty, this.#owner.now());
    this.#owner.onSessionDrained(this);
  }

  /** Takes no more commands and closes once what is in flight is answered and written. */
  closeAfterReplies(): void {
    this.gate |= GATE.closing;
    this.backlog.clear();
    if (!this.dirty) {
      this.dirty = true;
      this.#owner.onSessionDirty(this);
    }
  }

  /**
   * The client sends no more; what it asked for is still answered. But one that waits in a blocking
   * command is gone, as for Redis: an element must not be popped for it. And so is one whose commands
   * are held: it may have given up and asked elsewhere, and none of them has been sent.
   */
  onEnd(): void {
    this.hasHungUp = true;
    if (this.waits || this.#owner.isKeptBack(this)) this.leave();
    else this.drain();
  }

  /** Its client is gone, and with it all that it asked for and that has not been sent. */
  leave(): void {
    this.stream.destroy();
    // At once: what a node answers until the stream says that it is closed would be lost.
    this.onClose('');
  }

  /** The client will not say anything more. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Takes in no more bytes, serves what has been sent so far, and closes. */
  drain(): void {
    // What was kept back is still served, also when its turn comes only at the end of this one.
    const isKeptBack = (this.gate & STALL) !== 0 || this.runnable;
    if (this.backlog.size > 0 && isKeptBack) this.#ended = true;
    else this.closeAfterReplies();
  }

  #end(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.stream.end();
  }

  onClose(code: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#delayed = null;
    this.#delayedBytes = 0;
    this.out.clear();
    this.backlog.clear();
    this.#owner.onSessionClosed(this, code);
  }
}
