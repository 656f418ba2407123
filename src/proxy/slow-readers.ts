/**
 * Clients that do not read their replies, and replies too big to stand in others' way.
 *
 * A lane whose reply announces more than `limits.bigReplyBytes` is detached: new commands for that
 * node use another lane and the old one answers what it owes. Only a detached lane is ever paused,
 * and only while the session at its head holds more than `limits.replyHardLimit`; a client that
 * reads nothing for `limits.slowReaderSeconds` above that limit is cut.
 *
 * A pause would also hold up the clients whose commands were queued before the lane was detached.
 * While such wait, the slow one's replies are taken in as far as `limits.sharedReplyBudget` goes,
 * and a client that reads nothing is cut much sooner.
 */

import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import type { Request } from './request.ts';
import { topOf } from './retries.ts';

/** Whom slotgate disconnected, for the log. */
export interface SlowReaderNews {
  /** Since the last such line. */
  readonly cut: number;
  /** The newest of them: its address, and bytes that it had not read or that slotgate had not taken. */
  readonly client: string;
  readonly unreadBytes: number;
  readonly waitingBytes: number;
}

const TELL_MS = 60_000;

/** How long a client may read nothing while all together have too much unread. */
const GREEDY_UNREAD_MS = 1000;
/** How long a client may read nothing above the hard limit while others wait behind its replies. */
const IN_THE_WAY_MS = 250;

export class SlowReaders {
  /** Paused lane → the session that must read first. */
  readonly #paused = new Map<Lane<Request>, Session>();
  readonly #cutSessions = new WeakSet<Session>();
  readonly #proxy: ProxyCore;
  #news: SlowReaderNews | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** Once a minute, when there is any. */
  news(now: number): SlowReaderNews | null {
    const news = this.#news;
    if (news === null || now - this.#toldAt < TELL_MS) return null;
    this.#toldAt = now;
    this.#news = null;
    return news;
  }

  onBigReply(lane: Lane<Request>, request: Request, bytes: number): void {
    topOf(request).session?.expectReplies(bytes);
    this.#detach(lane);
  }

  /** New commands for its node go to another lane: this one is kept waiting by a script. */
  setAside(lane: Lane<Request>): void {
    this.#detach(lane);
  }

  /** Sessions must not have commands on both lanes: the barrier of the node's slots sees to it. */
  #detach(lane: Lane<Request>): boolean {
    if (lane.detached) return true;
    const proxy = this.#proxy;
    const upstream = proxy.lanes.owners.get(lane);
    if (upstream === undefined || !proxy.lanes.detach(lane)) return false;
    proxy.routing.touchNode(upstream.node.index);
    return true;
  }

  /** A part of a reply went to `session`; stops reading when it has too much already. */
  onPart(lane: Lane<Request>, session: Session): void {
    if (session.closed || session.out.size <= this.#proxy.settings.replyHardLimit) return;
    if (lane.paused || !this.#detach(lane)) return;
    if (othersWait(lane, session)) {
      if (this.#isInTheWay(session)) this.#cut(session);
      return;
    }
    lane.pause();
    this.#paused.set(lane, session);
    this.#proxy.metrics.increment(SCALAR.slowReaderPauses);
  }

  #isInTheWay(session: Session): boolean {
    const proxy = this.#proxy;
    return (
      session.unreadMs(proxy.time) > IN_THE_WAY_MS ||
      session.out.size > proxy.settings.sharedReplyBudget
    );
  }

  onDrained(session: Session): void {
    if (this.#paused.size === 0) return;
    const { replyHighWater, replyHardLimit } = this.#proxy.settings;
    const low = session.isBacklogFull ? replyHardLimit : replyHighWater;
    if (!session.closed && session.out.size > low) return;
    for (const [lane, waiting] of this.#paused) {
      if (waiting !== session) continue;
      this.#paused.delete(lane);
      // While it was not read its node could not answer: that time is not the node's.
      lane.readAt = this.#proxy.time;
      lane.resume();
    }
  }

  onLaneClosed(lane: Lane<Request>): void {
    this.#paused.delete(lane);
  }

  /** Cuts those who have read nothing for too long, and the greediest while all together are too many. */
  check(now: number): void {
    const { replyHardLimit, slowReaderMs, sharedReplyBudget } = this.#proxy.settings;
    let total = 0;
    for (const session of [...this.#proxy.sessions]) {
      const size = session.out.size;
      if (size === 0) continue;
      total += size;
      if (size > replyHardLimit && session.unreadMs(now) > slowReaderMs) this.#cut(session);
    }
    this.#closeForNobody();
    if (total > sharedReplyBudget) this.#cutGreediest(total - sharedReplyBudget, now);
  }

  /** Until `excess` bytes are let go. Many may have come since the last time: one each time would not do. */
  #cutGreediest(excess: number, now: number): void {
    const { sessions, settings } = this.#proxy;
    const greedy = sessions.filter(
      (session) =>
        session.out.size > settings.replyHighWater && session.unreadMs(now) > GREEDY_UNREAD_MS,
    );
    greedy.sort((one, other) => other.out.size - one.out.size);
    let left = excess;
    for (const session of greedy) {
      if (left <= 0) return;
      left -= session.out.size;
      this.#cut(session);
    }
  }

  /**
   * Lanes set aside for big replies whose clients have all gone: closed, the node lets go of what it
   * still keeps for them; read to the end, it would be carried here for nothing.
   */
  #closeForNobody(): void {
    for (const lane of this.#proxy.lanes.owners.keys()) {
      if (lane.detached && !lane.options.pinned && lane.head !== null && isForNobody(lane)) {
        lane.destroy('EIDLE');
      }
    }
  }

  #cut(session: Session): void {
    // Its stream takes a moment to close.
    if (this.#cutSessions.has(session)) return;
    this.#cutSessions.add(session);
    this.#proxy.metrics.increment(SCALAR.slowReaderCuts);
    this.#news = {
      cut: (this.#news?.cut ?? 0) + 1,
      client: session.stream.remoteAddress,
      unreadBytes: session.out.size,
      waitingBytes: session.backlog.size,
    };
    session.stream.destroy();
  }
}

/** No reply that is owed has a client, nor anything that must be put back. */
function isForNobody(lane: Lane<Request>): boolean {
  for (let at = lane.head; at !== null; at = at.nextInLane) {
    if (topOf(at).session !== null || at.special?.onLateReply !== undefined) return false;
  }
  return true;
}

/** Does anybody but `session` wait for an answer on this lane? */
function othersWait(lane: Lane<Request>, session: Session): boolean {
  for (let at = lane.head; at !== null; at = at.nextInLane) {
    const top = topOf(at);
    if (top.session !== null && top.session !== session && !top.answered) return true;
  }
  return false;
}
