/**
 * A client's bytes on their way in: whole commands are handed to the owner one by one, what is cut
 * or must wait is kept in the backlog, and the socket is read no further while that is too much.
 */

import { copyBytes, type Slab, type SlabPool } from '../lib/slab.ts';
import { splitInline } from '../resp/inline.ts';
import {
  encodeRequest,
  FRAME,
  type FrameLimits,
  frameRequest,
  type RequestFrame,
} from '../resp/request-framer.ts';
import { type ByteStream, HEADROOM } from '../transport/transport.ts';
import { Backlog } from './backlog.ts';
import { GATE, STALL } from './gate.ts';

/** The session whose bytes they are. */
export interface IntakeSession {
  gate: number;
  readonly authenticated: boolean;
  readonly closed: boolean;
  readonly stream: ByteStream;
  /** Its socket is read no further until some of what waits has been taken. */
  onBacklogFull(): void;
}

export interface IntakeLimits {
  readonly request: FrameLimits;
  readonly unauthenticated: FrameLimits;
  readonly maxRequestBuffer: number;
  readonly maxRequestBytes: number;
}

export interface IntakeOwner<S> {
  readonly frame: RequestFrame;
  readonly pool: SlabPool;
  readonly limits: IntakeLimits;
  /**
   * One whole command in `frame`, its bytes buf[start, end). Returns false when it cannot be taken
   * now: a stall bit is set, and the same command comes again when the gate has opened.
   */
  onCommand(session: S, buf: Slab, start: number, end: number): boolean;
  /** `isLimit`: the request is right, but more than the configuration allows. */
  onProtocolError(session: S, text: string, isLimit?: boolean): void;
}

export class Intake<S extends IntakeSession> {
  readonly backlog: Backlog;
  /** The socket is not read: too much waits. */
  isPaused = false;
  /** Bytes from the start of the cut command without which it cannot be whole. */
  #need = 0;
  readonly #session: S;
  readonly #owner: IntakeOwner<S>;

  constructor(session: S, owner: IntakeOwner<S>) {
    this.#session = session;
    this.#owner = owner;
    this.backlog = new Backlog(owner.pool);
  }

  onData(buf: Slab, readStart: number, end: number): void {
    const session = this.#session;
    const backlog = this.backlog;
    const waiting = backlog.size;
    let start = readStart;
    if ((session.gate & STALL) !== 0 || waiting > HEADROOM || waiting + end - start < this.#need) {
      backlog.append(buf, start, end);
      if ((session.gate & STALL) === 0 && backlog.size >= this.#need) this.run();
      this.#limit();
      return;
    }
    if (waiting > 0) {
      start -= waiting;
      copyBytes(buf, start, backlog.slab as Slab, backlog.start, backlog.end);
      backlog.clear();
    }
    const consumed = this.#consume(buf, start, end);
    if (consumed < end && !session.closed) backlog.append(buf, consumed, end);
    // A pipeline that was cut by a stall may be larger than what may wait.
    if ((session.gate & STALL) !== 0) this.#limit();
  }

  /** Goes on with what was kept back; false when there was nothing to do or the session is gone. */
  run(): boolean {
    const session = this.#session;
    const backlog = this.backlog;
    if (backlog.slab === null || (session.gate & STALL) !== 0) return false;
    const consumed = this.#consume(backlog.slab, backlog.start, backlog.end);
    if (session.closed) return false;
    backlog.consumeTo(consumed);
    this.#limit();
    return true;
  }

  /** Takes commands from buf[pos, end) while the gate allows; returns the position reached. */
  #consume(buf: Slab, from: number, end: number): number {
    const session = this.#session;
    const owner = this.#owner;
    const frame = owner.frame;
    let pos = from;
    this.#need = 0;
    while (pos < end) {
      const limits = session.authenticated ? owner.limits.request : owner.limits.unauthenticated;
      const code = frameRequest(frame, buf, pos, end, limits);
      if (code === FRAME.complete) {
        const next = frame.end;
        if (!owner.onCommand(session, buf, pos, next)) return pos;
        pos = next;
        if ((session.gate & STALL) !== 0) return (session.gate & GATE.closing) !== 0 ? end : pos;
      } else if (code === FRAME.incomplete) {
        if (frame.need > owner.limits.maxRequestBytes) {
          const text = 'Protocol error: request exceeds limits.maxRequestBytes';
          owner.onProtocolError(session, text, true);
          return end;
        }
        this.#need = frame.need;
        return pos;
      } else if (code === FRAME.ignored) {
        pos = frame.end;
      } else if (code === FRAME.inline) {
        const next = frame.end;
        if (!this.#onInline(buf, pos, frame.lineEnd, limits)) return pos;
        pos = next;
        if ((session.gate & STALL) !== 0) return (session.gate & GATE.closing) !== 0 ? end : pos;
      } else {
        owner.onProtocolError(session, frame.error);
        return end;
      }
    }
    return pos;
  }

  #onInline(buf: Slab, start: number, end: number, limits: FrameLimits): boolean {
    const session = this.#session;
    const owner = this.#owner;
    const args = splitInline(buf, start, end);
    if (args === null) {
      owner.onProtocolError(session, 'Protocol error: unbalanced quotes in request');
      return true;
    }
    if (args.length === 0) return true;
    const bytes = encodeRequest(args);
    const code = frameRequest(owner.frame, bytes, 0, bytes.length, limits);
    if (code === FRAME.complete) return owner.onCommand(session, bytes, 0, bytes.length);
    owner.onProtocolError(session, owner.frame.error);
    return true;
  }

  #limit(): void {
    const session = this.#session;
    const max = this.#owner.limits.maxRequestBuffer;
    const isStalled = (session.gate & STALL) !== 0;
    if (!this.isPaused && isStalled && this.backlog.size > max) {
      this.isPaused = true;
      session.stream.pause();
      session.onBacklogFull();
    } else if (this.isPaused && (!isStalled || this.backlog.size < max / 2)) {
      this.isPaused = false;
      session.stream.resume();
    }
  }
}
