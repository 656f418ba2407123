/**
 * When the bytes of a waiting client came. Its later commands lie in the backlog without a time of
 * their own; so that each waits no longer than it may, how far the client had written is noted now
 * and then.
 *
 *     stream   [ … | front, held | … came with it … | … came later … )
 *     marks                                         ^bytes, at       ^bytes, at
 */

import type { Session } from '../../downstream/session.ts';

interface Mark {
  /** Bytes of the client's stream that had arrived at this moment. */
  readonly bytes: number;
  /** Monotonic ms. */
  readonly at: number;
}

export class Arrivals {
  #marks: Mark[];

  constructor(bytes: number, now: number) {
    this.#marks = [{ bytes, at: now }];
  }

  /** The client's stream is `bytes` long now; noted once every `spacingMs` at most. */
  note(bytes: number, now: number, spacingMs: number): void {
    const last = this.#marks.at(-1);
    if (last === undefined || (bytes > last.bytes && now - last.at >= spacingMs)) {
      this.#marks.push({ bytes, at: now });
    }
  }

  /** When all bytes before `position` had arrived, `now` if that is not known. */
  before(position: number, now: number): number {
    const at = this.#marks.findIndex(({ bytes }) => bytes >= position);
    if (at < 0) return now;
    if (at > 0) this.#marks = this.#marks.slice(at);
    return this.#marks[0]?.at ?? now;
  }
}

/**
 * A command that came by `cameAt` has to wait for its shard: from when on that counts. What came in
 * one piece with others that have waited in vain does not wait as long once more.
 */
export function waitsFrom(session: Streak, cameAt: number): number {
  const isOneStreak = session.waitsSince !== 0 && session.waitsSince >= session.lastActiveAt;
  session.waitsSince = isOneStreak ? Math.min(cameAt, session.waitsSince) : cameAt;
  return session.waitsSince;
}

type Streak = Pick<Session, 'waitsSince' | 'lastActiveAt'>;
