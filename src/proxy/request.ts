/**
 * One command on its way: a place in its session's reply order (`nextInSession`) and, while a node
 * owes the reply, in one lane's queue (`nextInLane`). Pooled: it is recycled when both have let go.
 *
 *   lone command    in the session's order and in a lane
 *   parent          of a split or fan-out: in the order only; answered when its parts are
 *   part            in a lane only; reports to its parent
 *   tombstone       its client left or was answered (time-out): in a lane only, the reply is dropped
 */

import type { ReplySlot } from '../downstream/reply-store.ts';
import type { Session } from '../downstream/session.ts';
import type { SharedChunk, Slab } from '../lib/slab.ts';
import type { RouteNode } from '../route/routing.ts';
import type { Lane, LaneEntry } from '../upstream/lane.ts';
import { saysApplied } from './durable/texts.ts';
import { isUncertain } from './error-replies.ts';
import type { ShardHold } from './hold/shard-hold.ts';

/**
 * What makes a command other than "one command, one reply, any connection": a transaction's block,
 * a blocking command, a flow of several steps. All are optional; each is told of one moment.
 */
export interface Special {
  /** Replies before its own that are swallowed: those of MULTI and of the commands it queues. */
  readonly swallows: number;
  /** May take as long as it likes: no command time-out. */
  readonly isPatient?: boolean;
  /** Since when it has been turned away, when no node has taken it since then; 0 else. Monotonic ms. */
  readonly refusedSince?: number;
  /** One of the swallowed replies is this error line (without '-' and CRLF). */
  onSwallowedError?(line: string): void;
  /** A node's error reply: the line to act on, most often the same, or a reply to give instead. */
  onError?(line: string): string | Slab;
  /**
   * Its connection died before it was sent, or it may be sent twice: a reply to give instead of sending
   * it again. `wasInSilence`: it was sent, and its node has said nothing since, for a while.
   */
  insteadOfRetry?(wasInSilence: boolean): Slab | null;
  /** Its reply came though its client has gone. */
  onLateReply?(buf: Slab, start: number, end: number): void;
  /** It left this lane: answered, turned away, or the lane died. */
  onLaneLeft?(lane: Lane<Request>): void;
  /** The lane on which it is sent again to `node`; null when there is none now. */
  laneFor?(node: RouteNode, kind: number): Lane<Request> | null;
  /** What is sent again instead of its first bytes, or null for those. */
  resendBytes?(): Slab | null;
  /** Right before it is sent again on this lane. */
  beforeResend?(lane: Lane<Request>): void;
  /** The session has its answer, an error perhaps. */
  onAnswered?(isError: boolean): void;
  /** The client left before its answer. */
  onAbandoned?(request: Request): void;
}

/** {@link Request.markedSlot} of what is no marked write. */
export const UNMARKED = -2;

export class Request implements LaneEntry<Request>, ReplySlot {
  // In a lane.
  nextInLane: Request | null = null;
  chunk: SharedChunk | null = null;
  offset = 0;
  length = 0;
  swallow = 0;
  queuedAt = 0;
  lane: Lane<Request> | null = null;
  // In a session.
  nextInSession: ReplySlot | null = null;
  done = false;
  silent = false;
  stored: SharedChunk | null = null;
  storedStart = 0;
  storedEnd = 0;
  /** Null when the client has left. */
  session: Session | null = null;
  inSession = false;
  // What it is.
  command = 0;
  slot = 0;
  isRead = false;
  multiKey = false;
  startedAt = 0;
  /** Part of the reply has gone to the client: it can no longer be answered otherwise. */
  streamed = false;
  /** The client has its answer (a time-out); what still comes is dropped. */
  answered = false;
  /** In the pool. */
  isFree = false;
  // When things go wrong.
  /** Closed or left lane whose chunk still holds the bytes, while it waits to be sent again. */
  formerLane: Lane<Request> | null = null;
  parked = false;
  parkedAt = 0;
  /** While parked: the hold of its shard. */
  hold: ShardHold | null = null;
  /** Its shard's hold knows of it. */
  isAsked = false;
  /** Not sent again before this, monotonic ms. */
  retryAt = 0;
  /** Error line that the client gets if the hold ends in vain. */
  cause = '';
  /** Node (routing index) that ASK named for the next try, or -1. */
  askNode = -1;
  /** It was sent to the node that ASK named, behind an ASKING. */
  withAsking = false;
  /** Goes on as one command per key when it is sent again: a node said TRYAGAIN. */
  byKey = false;
  /** A later command of its session on one of its keys was served while it waited. */
  overtaken = false;
  attempts = 0;
  deaths = 0;
  /** A read that was sent again after its connection died; counted in its session's `resent`. */
  isResent = false;
  // Writes that wait for replicas.
  /** A WAIT follows it on its lane. */
  awaits = false;
  /** Its reply is kept until replicas have the write; it is in no lane any more. */
  kept = false;
  // Reads over replicas.
  /** It, or a part of it, was sent to a replica. */
  onReplica = false;
  /** How many replicas have failed it. */
  readTries = 0;
  /** For which slot it is marked as a write of its session, see WriteMarks; UNMARKED: for none. */
  markedSlot = UNMARKED;
  // Split and fan-out.
  parent: Request | null = null;
  gathering: Gathering | null = null;
  special: Special | null = null;

  reset(): void {
    this.nextInLane = null;
    this.chunk = null;
    this.swallow = 0;
    this.lane = null;
    this.nextInSession = null;
    this.done = false;
    this.silent = false;
    this.stored = null;
    this.session = null;
    this.inSession = false;
    this.multiKey = false;
    this.streamed = false;
    this.answered = false;
    this.formerLane = null;
    this.awaits = false;
    this.kept = false;
    this.parked = false;
    this.parkedAt = 0;
    this.hold = null;
    this.isAsked = false;
    this.retryAt = 0;
    this.cause = '';
    this.askNode = -1;
    this.withAsking = false;
    this.byKey = false;
    this.overtaken = false;
    this.attempts = 0;
    this.deaths = 0;
    this.isResent = false;
    this.onReplica = false;
    this.readTries = 0;
    this.markedSlot = UNMARKED;
    this.parent = null;
    this.gathering = null;
    this.special = null;
  }
}

const POOL_MAX = 16384;

export class RequestPool {
  readonly #free: Request[] = [];

  take(): Request {
    const request = this.#free.pop();
    if (request === undefined) return new Request();
    request.isFree = false;
    return request;
  }

  /** Recycles it unless its session, a lane, its parent or the parking place still needs it. */
  give(request: Request): void {
    if (request.inSession || request.lane !== null || request.parked || request.parent !== null) {
      return;
    }
    if (request.kept) return;
    if (request.gathering !== null && request.gathering.outstanding > 0) return;
    // Given twice, it would serve two commands at once and mix up their replies.
    if (request.isFree) throw new Error('a request was recycled twice');
    request.reset();
    request.isFree = true;
    if (this.#free.length < POOL_MAX) this.#free.push(request);
  }
}

/** Merges the parts' replies; returns bytes that are valid until the next call. */
export type Merge = (gathering: Gathering) => { slab: Slab; start: number; end: number };

/**
 * One command that was sent as several parts: the parts' replies are kept until all are there,
 * then merged into one. A failed part fails the whole with that part's error; for writes the error
 * says how many parts were applied.
 */
export class Gathering {
  /** Parts whose reply is still to come. */
  outstanding = 0;
  readonly parts: Request[] = [];
  /** Part index per key, for replies that must be put back into key order; null: part i is key i. */
  partOfKey: Uint32Array | null = null;
  keys = 0;
  readonly isWrite: boolean;
  readonly merge: Merge;
  /** An error of one of the first `judged` parts fails the whole; in others it is a value. */
  readonly judged: number;
  /** Names where a part was sent, for commands whose failure must say where; else null. */
  placeOf: ((part: Request) => string) | null = null;
  /** Told of each reply but the last, for parts that depend on another's. */
  onPart: ((part: Request) => void) | null = null;

  constructor(merge: Merge, isWrite: boolean, judged = Number.POSITIVE_INFINITY) {
    this.merge = merge;
    this.isWrite = isWrite;
    this.judged = judged;
  }

  /**
   * A part that failed, or null; one that may have been applied comes before those that were not, and
   * last of all those that are applied but too few replicas have.
   */
  failed(): Request | null {
    let failed: Request | null = null;
    let applied: Request | null = null;
    for (const [i, part] of this.parts.entries()) {
      const chunk = part.stored;
      if (i >= this.judged || chunk === null || chunk.slab[part.storedStart] !== 45) continue;
      if (isUncertain(chunk.slab, part.storedStart)) return part;
      if (saysApplied(chunk.slab, part.storedStart)) applied ??= part;
      else failed ??= part;
    }
    return failed ?? applied;
  }

  /** Error line without '-' and CRLF for a failed part. */
  errorText(failed: Request): string {
    const chunk = failed.stored;
    if (chunk === null) return 'ERR a part of the command was lost';
    const text = chunk.slab.toString('latin1', failed.storedStart + 1, failed.storedEnd - 2);
    if (!this.isWrite || Math.min(this.parts.length, this.judged) === 1) return text;
    // Those that went to no shard concern the proxy alone.
    const parts = this.placeOf === null ? this.parts : this.parts.filter(({ slot }) => slot >= 0);
    if (this.placeOf !== null && parts.every((part) => saysTheSame(part, failed))) return text;
    let applied = 0;
    for (const part of parts) {
      if (isApplied(part)) applied++;
    }
    const where = this.placeOf === null ? '' : ` at ${this.placeOf(failed)}`;
    return `${text}${where} (${applied} of ${parts.length} parts were applied)`;
  }
}

function isApplied({ stored, storedStart }: Request): boolean {
  if (stored === null) return false;
  return stored.slab[storedStart] !== 45 || saysApplied(stored.slab, storedStart);
}

/** All refused with the same words: as on one server, and nothing was done. */
function saysTheSame(one: Request, other: Request): boolean {
  return storedBytes(one).equals(storedBytes(other));
}

function storedBytes({ stored, storedStart, storedEnd }: Request): Buffer {
  return stored === null ? Buffer.alloc(0) : stored.slab.subarray(storedStart, storedEnd);
}
