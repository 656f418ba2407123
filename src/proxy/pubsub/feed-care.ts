/** Looks after the connections that carry subscriptions: heartbeats, idle ones, half open ones. */

import type { Subscriber } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { SILENCE, Silence } from '../silence.ts';
import type { Feed, Topic } from './topic.ts';

/** A connection without subscriptions is closed after this. */
const IDLE_MS = 10_000;

export class FeedCare {
  readonly #proxy: ProxyCore;
  readonly #silence: Silence<Subscriber<Topic>>;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.#silence = new Silence(proxy);
  }

  check(feed: Feed, now: number): void {
    const { settings, runtime } = this.#proxy;
    const { subscriber } = feed;
    if (subscriber === null) return;
    if (!subscriber.isReady) {
      if (now - subscriber.openedAt > settings.lanes.connectTimeoutMs) {
        subscriber.destroy('ETIMEDOUT');
      }
      return;
    }
    if (feed.topics.size > 0 || feed.leaving.size > 0) feed.idleSince = 0;
    else if (feed.idleSince === 0) feed.idleSince = now;
    else if (now - feed.idleSince > IDLE_MS || !feed.node.present) {
      subscriber.destroy('EIDLE');
      return;
    }
    const known = this.#silence.of(subscriber, subscriber.readAt, now);
    if (known === SILENCE.proven) subscriber.destroy('ESILENT');
    if (known !== SILENCE.unexplained) return;
    const nonce = Math.floor(runtime.random() * 2 ** 48).toString(16);
    if (!subscriber.beat(now, settings.heartbeatMs, nonce)) return;
    this.#silence.ask(subscriber, feed.node, () => undefined);
  }
}
