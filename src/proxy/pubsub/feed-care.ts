/**
 * Looks after the connections that carry subscriptions: heartbeats, idle ones, and such as are half
 * open. Silence alone does not tell a dead connection from a busy node: only when a fresh connection
 * is answered at once, and the old one stays silent, is it given up.
 */

import { encodeRequest } from '../../resp/request-framer.ts';
import type { ByteStream, ClientStreamHandler } from '../../transport/transport.ts';
import type { ProxyCore } from '../core.ts';
import type { Feed } from './topic.ts';

/** A connection without subscriptions is closed after this. */
const IDLE_MS = 10_000;
/** An answer to the fresh connection that took longer says nothing: the node was busy. */
const PROMPT_MS = 500;
/** What a node that was busy until now has written gets this long to arrive. */
const GRACE_MS = 100;
const PING = encodeRequest(['PING']);

export class FeedCare {
  readonly #proxy: ProxyCore;
  readonly #probing = new Set<Feed>();
  /** When a fresh connection was answered while this one was silent. */
  readonly #provenAt = new Map<Feed, number>();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
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
    const provenAt = this.#provenAt.get(feed) ?? 0;
    if (provenAt > subscriber.readAt) {
      if (now - provenAt >= GRACE_MS) subscriber.destroy('ESILENT');
      return;
    }
    this.#provenAt.delete(feed);
    const nonce = Math.floor(runtime.random() * 2 ** 48).toString(16);
    if (subscriber.beat(now, settings.heartbeatMs, nonce)) this.#probe(feed);
  }

  #probe(feed: Feed): void {
    if (this.#probing.has(feed)) return;
    this.#probing.add(feed);
    const { transport, settings, runtime } = this.#proxy;
    const { connectTimeoutMs } = settings.lanes;
    const startedAt = runtime.now();
    const handler: ClientStreamHandler = {
      onConnect: () => void stream.write(PING, 0, PING.length),
      onData: () => {
        stream.destroy();
        const now = runtime.now();
        if (now - startedAt <= PROMPT_MS) this.#provenAt.set(feed, now);
      },
      onDrain() {},
      onEnd: () => stream.destroy(),
      onClose: () => {
        stop();
        this.#probing.delete(feed);
      },
    };
    const { host, port } = feed.node;
    const stream: ByteStream = transport.connect({ host, port }, handler, connectTimeoutMs);
    const stop = runtime.every(connectTimeoutMs, () => stream.destroy());
  }
}
