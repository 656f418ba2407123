/**
 * What this worker is subscribed to, and where. Every topic has a home: the primary that owns its
 * slot. While that one is out of reach, a channel or pattern is subscribed at another primary, which
 * gets the same messages from the cluster bus; a shard channel is served by its owner alone.
 *
 * `#settle` is the one function that compares where a topic should be with where it is; it may be
 * called at any time. Changes of home go through {@link Handovers}.
 */

import { SCALAR } from '../../metrics/definitions.ts';
import { NO_NODE } from '../../route/routing.ts';
import { nodeAddress } from '../../topology/snapshot.ts';
import { Handshake } from '../../upstream/handshake.ts';
import {
  type Message,
  Subscriber,
  type SubscriberEvents,
  TOPIC,
  type TopicKind,
} from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { isRedirectLine, parseRedirect } from '../error-replies.ts';
import { FeedCare } from './feed-care.ts';
import { Handovers } from './handovers.ts';
import { KEYSPACE_PREFIX } from './keyspace.ts';
import { Feed, Topic, type TopicEvents } from './topic.ts';

const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 1000;
/** After a refusal that is no redirect: the operator must change something first. */
const REFUSED_MS = 1000;
/** Nodes take messages of 512 MB at most, and RESP adds little. */
const MESSAGE_BYTES_MAX = 513 * 1024 * 1024;

export class Topics implements SubscriberEvents<Topic> {
  readonly #proxy: ProxyCore;
  readonly #events: TopicEvents;
  readonly #byName: readonly Map<string, Topic>[] = [new Map(), new Map(), new Map()];
  readonly #feeds = new Map<number, Feed>();
  readonly #owners = new Map<Subscriber<Topic>, Feed>();
  readonly #handovers: Handovers;
  readonly #paused = new Set<Topic>();
  readonly #care: FeedCare;
  #dirty: Subscriber<Topic>[] = [];
  #routingSeen = -1;

  constructor(proxy: ProxyCore, events: TopicEvents) {
    this.#proxy = proxy;
    this.#events = events;
    this.#care = new FeedCare(proxy);
    this.#handovers = new Handovers(proxy, events, {
      leave: (feed, topic) => this.#leave(feed, topic),
      settle: (topic) => this.#settle(topic),
    });
  }

  get(kind: TopicKind, name: string): Topic | undefined {
    return this.#byName[kind]?.get(name);
  }

  all(kind: TopicKind): IterableIterator<Topic> {
    return (this.#byName[kind] as Map<string, Topic>).values();
  }

  get size(): number {
    return this.#byName.reduce((sum, topics) => sum + topics.size, 0);
  }

  /** The topic, subscribed upstream from now on; the caller must `release` it. */
  claim(kind: TopicKind, name: string): Topic {
    const topics = this.#byName[kind] as Map<string, Topic>;
    let topic = topics.get(name);
    if (topic === undefined) {
      this.onRoutingChange();
      topic = new Topic(kind, name);
      topics.set(name, topic);
      topic.claims++;
      this.#settle(topic);
      this.#show();
    } else topic.claims++;
    return topic;
  }

  release(topic: Topic): void {
    topic.claims--;
    this.dropIfUnused(topic);
  }

  /** Ends the topic upstream when neither session nor command wants it. True when nodes are asked. */
  dropIfUnused(topic: Topic): boolean {
    if (!topic.isUnused) return false;
    const topics = this.#byName[topic.kind] as Map<string, Topic>;
    if (topics.get(topic.name) === topic) topics.delete(topic.name);
    for (const feed of [...topic.feeds.keys()]) this.#leave(feed, topic);
    topic.source = null;
    this.#handovers.end(topic);
    this.#paused.delete(topic);
    this.#show();
    return topic.leaving.size > 0;
  }

  /** How many of our connections the owner of `slot` counts for this topic: 0 or 1. */
  upstreamAt(topic: Topic, slot: number): 0 | 1 {
    const feed = this.#feeds.get(this.#proxy.routing.owner[slot] as number);
    return feed !== undefined && topic.feeds.get(feed) === true ? 1 : 0;
  }

  #show(): void {
    this.#proxy.metrics.set(SCALAR.upstreamSubscriptionsNow, this.size);
  }

  // ------------------------------------------------------------------ where topics belong

  /** Slots may have moved, nodes may have come and gone. */
  onRoutingChange(): void {
    const { routing } = this.#proxy;
    if (this.#routingSeen === routing.changes) return;
    this.#routingSeen = routing.changes;
    this.#findPrimaries();
    this.#settleAll();
  }

  #findPrimaries(): void {
    const { routing } = this.#proxy;
    for (const feed of this.#feeds.values()) feed.isPrimary = false;
    for (const shard of routing.snapshot?.shards ?? []) {
      const node = routing.snapshot?.nodes[shard.primary];
      const index = node === undefined ? -1 : routing.nodeAt(nodeAddress(node));
      if (index >= 0) this.#feed(index).isPrimary = true;
    }
  }

  #settleAll(): void {
    for (const topics of this.#byName) for (const topic of topics.values()) this.#settle(topic);
  }

  #feed(index: number): Feed {
    let feed = this.#feeds.get(index);
    if (feed === undefined) {
      feed = new Feed(this.#proxy.routing.nodes[index] as Feed['node']);
      this.#feeds.set(index, feed);
    }
    return feed;
  }

  #homeOf(topic: Topic): Feed | null {
    const index = this.#proxy.routing.owner[topic.slot] as number;
    const owner = index === NO_NODE ? null : this.#feed(index);
    if (topic.kind === TOPIC.shard || (owner !== null && !owner.isFailing)) return owner;
    const { source } = topic;
    if (source?.isPrimary === true && !source.isFailing) return source;
    for (const feed of this.#feeds.values()) if (feed.isPrimary && !feed.isFailing) return feed;
    return owner;
  }

  #settle(topic: Topic): void {
    if (topic.retryAt > 0) return;
    const home = this.#homeOf(topic);
    if (home !== null && isAtRest(topic, home)) return;
    if (home !== null) this.#join(home, topic);
    if (topic.isEverywhere) {
      for (const feed of this.#feeds.values()) {
        if (feed.isPrimary && !feed.isFailing) this.#join(feed, topic);
      }
    }
    this.#moveTo(topic, home);
    for (const feed of [...topic.feeds.keys()]) {
      const isWanted = feed === home || (topic.isEverywhere && feed.isPrimary);
      // The source is left when the new home has taken over.
      if (!isWanted && feed !== topic.source) this.#leave(feed, topic);
    }
    this.#tell(topic);
  }

  /** Makes `home` the source once it has confirmed. */
  #moveTo(topic: Topic, home: Feed | null): void {
    const { source } = topic;
    if (home === null || home === source) {
      if (home !== null) this.#handovers.cancel(topic);
      return;
    }
    if (source === null || topic.kind === TOPIC.shard) {
      if (topic.feeds.get(home) !== true) return;
      topic.source = home;
      this.#events.onPlaceChange(topic);
      if (source !== null) this.#leave(source, topic);
      else this.#handovers.sift(topic, home);
      return;
    }
    this.#handovers.begin(topic, home);
  }

  #join(feed: Feed, topic: Topic): void {
    if (topic.feeds.has(feed)) return;
    topic.feeds.set(feed, false);
    feed.topics.add(topic);
    const { subscriber } = feed;
    if (subscriber?.isReady === true) subscriber.subscribe(topic.kind, topic.name, topic);
    else if (subscriber === null && this.#proxy.time >= feed.retryAt) this.#dial(feed);
  }

  #leave(feed: Feed, topic: Topic): void {
    topic.feeds.delete(feed);
    feed.topics.delete(topic);
    if (feed.subscriber?.isReady !== true) return;
    feed.subscriber.unsubscribe(topic.kind, topic.name, topic);
    topic.leaving.add(feed);
    feed.leaving.add(topic);
  }

  #tell(topic: Topic): void {
    if (topic.waiting.length === 0 || !topic.isLive) return;
    const { waiting } = topic;
    topic.waiting = [];
    for (const done of waiting) done('');
  }

  // ------------------------------------------------------------------ connections

  #dial(feed: Feed): void {
    const { settings, runtime, transport } = this.#proxy;
    const { connectTimeoutMs, credentials } = settings.lanes;
    const { host, port } = feed.node;
    const subscriber = new Subscriber<Topic>(
      { endpoint: { host, port }, connectTimeoutMs, messageBytesMax: MESSAGE_BYTES_MAX },
      new Handshake(0, credentials),
      this,
      () => runtime.now(),
    );
    feed.subscriber = subscriber;
    this.#owners.set(subscriber, feed);
    subscriber.open(transport);
  }

  #feedOf(subscriber: Subscriber<Topic>): Feed | undefined {
    return this.#owners.get(subscriber);
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
    const feed = this.#feedOf(subscriber);
    if (feed === undefined) return;
    const wasFailing = feed.isFailing;
    feed.failures = 0;
    feed.retryAt = 0;
    for (const topic of feed.topics) subscriber.subscribe(topic.kind, topic.name, topic);
    if (wasFailing) this.#settleAll();
  }

  onSubscriberClosed(subscriber: Subscriber<Topic>, code: string): void {
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    const feed = this.#feedOf(subscriber);
    if (feed === undefined) return;
    feed.subscriber = null;
    this.#owners.delete(subscriber);
    if (code !== 'EIDLE') {
      feed.failures++;
      const pause = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(feed.failures - 1, 6));
      const jitter = 0.5 + proxy.runtime.random();
      // One that has served for a while is dialled again at once; jitter keeps workers apart.
      const hasServed = subscriber.wasReady && proxy.time - subscriber.openedAt > RETRY_MAX_MS;
      feed.retryAt = hasServed ? proxy.time : proxy.time + pause * jitter;
      proxy.link.hint({ reason: 'refused', node: feed.node.address });
    }
    const lost = [...feed.topics];
    feed.topics.clear();
    for (const topic of lost) {
      topic.feeds.delete(feed);
      this.#lose(topic, feed);
    }
    for (const topic of [...feed.leaving]) this.#gone(topic, feed);
    for (const topic of lost) if (!topic.isUnused) this.#settle(topic);
    if (feed.isFailing && feed.subscriber === null && proxy.time >= feed.retryAt) this.#dial(feed);
  }

  /** The feed brings nothing more for this topic. */
  #lose(topic: Topic, feed: Feed): void {
    if (feed !== topic.source) {
      if (topic.handover?.to === feed) this.#handovers.cancel(topic);
      return;
    }
    if (this.#handovers.onSourceEnd(topic)) return;
    topic.source = null;
    topic.lostAt = this.#proxy.time;
    this.#events.onPlaceChange(topic);
    this.#handovers.end(topic);
    if (topic.sessions.size > 0) this.#proxy.metrics.increment(SCALAR.subscriptionGaps);
  }

  // ------------------------------------------------------------------ what nodes say

  onSubscribed(from: Subscriber<Topic>, topic: Topic): void {
    this.#proxy.time = this.#proxy.runtime.now();
    const feed = this.#feedOf(from);
    if (feed === undefined || !topic.feeds.has(feed)) return;
    topic.feeds.set(feed, true);
    topic.refusals = 0;
    this.#settle(topic);
  }

  onUnsubscribed(from: Subscriber<Topic>, topic: Topic): void {
    const feed = this.#feedOf(from);
    if (feed !== undefined) this.#gone(topic, feed);
  }

  #gone(topic: Topic, feed: Feed): void {
    feed.leaving.delete(topic);
    topic.leaving.delete(feed);
    if (feed === topic.source) this.#handovers.onSourceEnd(topic);
    if (topic.leaving.size > 0 || topic.parting.length === 0) return;
    const { parting } = topic;
    topic.parting = [];
    for (const done of parting) done();
  }

  onDropped(from: Subscriber<Topic>, name: string): void {
    const topic = this.get(TOPIC.shard, name);
    const feed = this.#feedOf(from);
    if (topic === undefined || feed === undefined || topic.feeds.get(feed) !== true) return;
    const { routing, link } = this.#proxy;
    topic.feeds.delete(feed);
    feed.topics.delete(topic);
    this.#lose(topic, feed);
    if (routing.owner[topic.slot] === feed.node.index) {
      link.hint({ reason: 'state', node: feed.node.address });
    }
    this.#settle(topic);
  }

  onRefused(from: Subscriber<Topic>, topic: Topic, line: string): void {
    const feed = this.#feedOf(from);
    if (feed === undefined || !topic.feeds.has(feed)) return;
    topic.feeds.delete(feed);
    feed.topics.delete(topic);
    this.#lose(topic, feed);
    const { time } = this.#proxy;
    const isRedirect = isRedirectLine(line);
    const pause = isRedirect ? Math.min(100, 10 * topic.refusals) : REFUSED_MS;
    topic.refusals++;
    topic.retryAt = time + pause;
    this.#paused.add(topic);
    if (isRedirect) {
      this.#follow(topic, feed, line);
      return;
    }
    const { waiting } = topic;
    topic.waiting = [];
    for (const failed of waiting) failed(line);
  }

  #follow(topic: Topic, asked: Feed, line: string): void {
    const { routing, link, time } = this.#proxy;
    const target = parseRedirect(line);
    if (target === null || !line.startsWith('MOVED')) {
      link.hint({ reason: 'state', node: asked.node.address });
      return;
    }
    const host = asked.node.address.slice(0, asked.node.address.lastIndexOf(':'));
    const address = target.address.startsWith(':') ? host + target.address : target.address;
    const node = routing.nodeAt(address);
    if (node < 0) {
      link.hint({ reason: 'unknown-node', node: address });
      return;
    }
    routing.setMoved(topic.slot, node, time);
    link.hint({ reason: 'moved', node: address });
    if (topic.refusals <= 2) this.#resume(topic);
  }

  #resume(topic: Topic): void {
    this.#paused.delete(topic);
    topic.retryAt = 0;
    this.#settle(topic);
  }

  onMessage(from: Subscriber<Topic>, message: Message): void {
    const topic = this.get(message.kind, message.name);
    const feed = topic === undefined ? undefined : this.#feedOf(from);
    if (topic === undefined || feed === undefined) return;
    this.#proxy.metrics.increment(SCALAR.messagesReceived);
    const { buf, start, end } = message;
    if (topic.kind === TOPIC.shard || (topic.isEverywhere && isOfKeyspace(message))) {
      if (topic.feeds.has(feed)) this.#events.onMessage(topic, buf, start, end);
      return;
    }
    this.#handovers.onMessage(topic, feed, message, from.readAt);
  }

  // ------------------------------------------------------------------ time

  tick(now: number): void {
    this.onRoutingChange();
    this.#handovers.tick(now);
    for (const topic of [...this.#paused]) if (now >= topic.retryAt) this.#resume(topic);
    const isNeeded = this.size > 0;
    for (const feed of this.#feeds.values()) {
      if (feed.subscriber !== null) this.#care.check(feed, now);
      else if (now >= feed.retryAt && feed.node.present) {
        if (feed.topics.size > 0 || (feed.isFailing && isNeeded)) this.#dial(feed);
      }
    }
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.subscriber?.destroy('EIDLE');
  }
}

/** Nothing is to be done for it: with many topics, most are so at any time. */
function isAtRest(topic: Topic, home: Feed): boolean {
  return (
    topic.source === home &&
    topic.feeds.size === 1 &&
    !topic.isEverywhere &&
    topic.handover === null &&
    topic.waiting.length === 0
  );
}

function isOfKeyspace({ buf, channelAt, channelEnd }: Message): boolean {
  const end = Math.min(channelEnd, channelAt + KEYSPACE_PREFIX.length);
  return buf.toString('latin1', channelAt, end) === KEYSPACE_PREFIX;
}
