/**
 * Subscribers that do not read what they are sent, as Redis' `client-output-buffer-limit pubsub`
 * has it: cut at once above the hard limit, or after some time above the soft one.
 */

import type { Session } from '../../downstream/session.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import type { ProxyCore } from '../core.ts';

const HARD_LIMIT = 32 * 1024 * 1024;
const SOFT_LIMIT = 8 * 1024 * 1024;
const SOFT_MS = 60_000;

export class SlowSubscribers {
  readonly softLimit = SOFT_LIMIT;
  readonly #proxy: ProxyCore;
  /** Since when each has been above the soft limit, monotonic ms. */
  readonly #since = new Map<Session, number>();
  /** Their end is on its way. */
  readonly #cutOff = new WeakSet<Session>();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** It has got a message and is above the soft limit. */
  onFull(session: Session): void {
    if (session.unreadBytes > HARD_LIMIT) this.#cut(session);
    else if (!this.#since.has(session)) this.#since.set(session, this.#proxy.runtime.now());
  }

  tick(now: number): void {
    for (const [session, since] of this.#since) {
      if (session.unreadBytes <= SOFT_LIMIT) this.#since.delete(session);
      else if (now - since > SOFT_MS) this.#cut(session);
    }
  }

  forget(session: Session): void {
    this.#since.delete(session);
  }

  #cut(session: Session): void {
    this.#since.delete(session);
    if (this.#cutOff.has(session)) return;
    this.#cutOff.add(session);
    this.#proxy.metrics.increment(SCALAR.slowSubscriberCuts);
    session.stream.destroy();
  }
}
