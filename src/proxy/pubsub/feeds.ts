/**
 * The connections that carry this worker's subscriptions, one to a node: dialled when a topic wants
 * it, dialled again when they break, and told what is to be subscribed there. Where a topic belongs
 * is for {@link Topics} to say.
 */

import { BACKOFF_MAX_MS, backoffMs } from '../../lib/backoff.ts';
import { nodeAddress } from '../../topology/snapshot.ts';
import { Handshake } from '../../upstream/handshake.ts';
import { type Message, Subscriber, type SubscriberEvents } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { FeedCare } from './feed-care.ts';
import { Feed, type Topic } from './topic.ts';

/** Nodes take messages of 512 MB at most, and RESP adds little. */
const MESSAGE_BYTES_MAX = 513 * 1024 * 1024;

/** Subscriptions that end together; of more the connection is closed, when it carries no others. */
const LEFT_ONE_BY_ONE = 1000;

export interface FeedEvents {
  /** A feed that had failed is back: its topics have been asked for again. */
  onFeedBack(): void;
  /** Its connection is gone, and with it the subscriptions of `lost`. */
  onFeedClosed(feed: Feed, lost: readonly Topic[]): void;
  onSubscribed(feed: Feed, topic: Topic): void;
  onUnsubscribed(feed: Feed, topic: Topic): void;
  /** `line` is without '-' and CRLF. */
  onRefused(feed: Feed, topic: Topic, line: string): void;
  /** The node ended a shard channel's subscription by itself. */
  onDropped(feed: Feed, name: string): void;
  /** `readAt`: monotonic ms at which its bytes arrived. */
  onMessage(feed: Feed, message: Message, readAt: number): void;
}

export class Feeds implements SubscriberEvents<Topic> {
  readonly #proxy: ProxyCore;
  readonly #events: FeedEvents;
  /** By the node's routing index. */
  readonly #byNode = new Map<number, Feed>();
  readonly #bySubscriber = new Map<Subscriber<Topic>, Feed>();
  readonly #care: FeedCare;
  #dirty: Subscriber<Topic>[] = [];

  constructor(proxy: ProxyCore, events: FeedEvents) {
    this.#proxy = proxy;
    this.#events = events;
    this.#care = new FeedCare(proxy);
  }

  /** The feed of the node with this routing index; undefined when nothing was ever wanted of it. */
  known(index: number): Feed | undefined {
    return this.#byNode.get(index);
  }

  at(index: number): Feed {
    let feed = this.#byNode.get(index);
    if (feed === undefined) {
      feed = new Feed(this.#proxy.routing.nodes[index] as Feed['node']);
      this.#byNode.set(index, feed);
    }
    return feed;
  }

  /** Those of primaries whose connection has not failed. */
  *healthyPrimaries(): Iterable<Feed> {
    for (const feed of this.#byNode.values()) if (feed.isPrimary && !feed.isFailing) yield feed;
  }

  /** Slots may have moved, nodes may have come and gone. */
  onRoutingChange(): void {
    const { routing } = this.#proxy;
    for (const feed of this.#byNode.values()) feed.isPrimary = false;
    for (const shard of routing.snapshot?.shards ?? []) {
      const node = routing.snapshot?.nodes[shard.primary];
      const index = node === undefined ? -1 : routing.nodeAt(nodeAddress(node));
      if (index >= 0) this.at(index).isPrimary = true;
    }
  }

  join(feed: Feed, topic: Topic): void {
    if (topic.feeds.has(feed)) return;
    topic.feeds.set(feed, false);
    feed.topics.add(topic);
    const { subscriber } = feed;
    if (subscriber?.isReady === true) subscriber.subscribe(topic.kind, topic.name, topic);
    else if (subscriber === null && this.#proxy.time >= feed.retryAt) this.#dial(feed);
  }

  leave(feed: Feed, topic: Topic): void {
    this.drop(feed, topic);
    if (feed.subscriber?.isReady !== true) return;
    feed.subscriber.unsubscribe(topic.kind, topic.name, topic);
    topic.leaving.add(feed);
    feed.leaving.add(topic);
    // Nothing else is listened to here: the node forgets thousands at once more easily than one by one.
    if (feed.topics.size === 0 && feed.leaving.size > LEFT_ONE_BY_ONE) {
      feed.subscriber.destroy('EIDLE');
    }
  }

  /** The node has ended the subscription, or never begun it. */
  drop(feed: Feed, topic: Topic): void {
    topic.feeds.delete(feed);
    feed.topics.delete(topic);
  }

  #dial(feed: Feed): void {
    const { settings, runtime, transport } = this.#proxy;
    const { connectTimeoutMs, credentials } = settings.lanes;
    const { host, port } = feed.node;
    const subscriber = new Subscriber<Topic>(
      { endpoint: { host, port }, connectTimeoutMs, messageBytesMax: MESSAGE_BYTES_MAX },
      new Handshake(0, credentials),
      this.#proxy.pool,
      this,
      () => runtime.now(),
    );
    feed.subscriber = subscriber;
    this.#bySubscriber.set(subscriber, feed);
    subscriber.open(transport);
  }

  onSubscriberDirty(subscriber: Subscriber<Topic>): void {
    this.#dirty.push(subscriber);
    if (this.#dirty.length > 1) return;
    this.#proxy.runtime.afterTurn(() => {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const each of dirty) each.flush();
    });
  }

  onSubscriberReady(subscriber: Subscriber<Topic>): void {
    this.#proxy.time = this.#proxy.runtime.now();
    const feed = this.#bySubscriber.get(subscriber);
    if (feed === undefined) return;
    const wasFailing = feed.isFailing;
    feed.failures = 0;
    feed.retryAt = 0;
    for (const topic of feed.topics) subscriber.subscribe(topic.kind, topic.name, topic);
    if (wasFailing) this.#events.onFeedBack();
  }

  onSubscriberClosed(subscriber: Subscriber<Topic>, code: string): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    const feed = this.#bySubscriber.get(subscriber);
    if (feed === undefined) return;
    feed.subscriber = null;
    this.#bySubscriber.delete(subscriber);
    if (code !== 'EIDLE') {
      feed.failures++;
      // One that has served for a while is dialled again at once.
      const hasServed = subscriber.wasReady && proxy.time - subscriber.openedAt > BACKOFF_MAX_MS;
      const pause = hasServed ? 0 : backoffMs(feed.failures, proxy.runtime.random());
      feed.retryAt = proxy.time + pause;
      proxy.link.hint({ reason: 'refused', node: feed.node.address });
    }
    const lost = [...feed.topics];
    feed.topics.clear();
    for (const topic of lost) topic.feeds.delete(feed);
    this.#events.onFeedClosed(feed, lost);
    if (feed.isFailing && feed.subscriber === null && proxy.time >= feed.retryAt) this.#dial(feed);
  }

  onSubscribed(from: Subscriber<Topic>, topic: Topic): void {
    this.#proxy.time = this.#proxy.runtime.now();
    const feed = this.#bySubscriber.get(from);
    if (feed === undefined || !topic.feeds.has(feed)) return;
    topic.feeds.set(feed, true);
    this.#events.onSubscribed(feed, topic);
  }

  onUnsubscribed(from: Subscriber<Topic>, topic: Topic): void {
    const feed = this.#bySubscriber.get(from);
    if (feed !== undefined) this.#events.onUnsubscribed(feed, topic);
  }

  onRefused(from: Subscriber<Topic>, topic: Topic, line: string): void {
    const feed = this.#bySubscriber.get(from);
    if (feed === undefined || !topic.feeds.has(feed)) return;
    this.drop(feed, topic);
    this.#events.onRefused(feed, topic, line);
  }

  onDropped(from: Subscriber<Topic>, name: string): void {
    const feed = this.#bySubscriber.get(from);
    if (feed !== undefined) this.#events.onDropped(feed, name);
  }

  onMessage(from: Subscriber<Topic>, message: Message): void {
    const feed = this.#bySubscriber.get(from);
    if (feed !== undefined) this.#events.onMessage(feed, message, from.readAt);
  }

  /** `isNeeded`: something is subscribed somewhere, so that nodes that fail are of interest. */
  tick(now: number, isNeeded: boolean): void {
    for (const feed of this.#byNode.values()) {
      if (feed.subscriber !== null) this.#care.check(feed, now);
      else if (now >= feed.retryAt && feed.node.present) {
        if (feed.topics.size > 0 || (feed.isFailing && isNeeded)) this.#dial(feed);
      }
    }
  }

  close(): void {
    for (const feed of this.#byNode.values()) feed.subscriber?.destroy('EIDLE');
  }
}
