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
import { type Message, TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { isRedirectLine, parseRedirect } from '../error-replies.ts';
import { type FeedEvents, Feeds } from './feeds.ts';
import { Handovers } from './handovers.ts';
import { KEYSPACE_PREFIX } from './keyspace.ts';
import { type Feed, Topic, type TopicEvents } from './topic.ts';

/** After a refusal that is no redirect: the operator must change something first. */
const REFUSED_MS = 1000;
export class Topics implements FeedEvents {
  readonly #proxy: ProxyCore;
  readonly #events: TopicEvents;
  readonly #byName: readonly Map<string, Topic>[] = [new Map(), new Map(), new Map()];
  readonly #feeds: Feeds;
  readonly #handovers: Handovers;
  readonly #paused = new Set<Topic>();
  #routingSeen = -1;

  constructor(proxy: ProxyCore, events: TopicEvents) {
    this.#proxy = proxy;
    this.#events = events;
    this.#feeds = new Feeds(proxy, this);
    this.#handovers = new Handovers(proxy, events, {
      leave: (feed, topic) => this.#feeds.leave(feed, topic),
      settle: (topic) => this.#settle(topic),
    });
  }

  get(kind: TopicKind, name: string): Topic | undefined {
    return this.#byName[kind]?.get(name);
  }

  all(kind: TopicKind): IterableIterator<Topic> {
    return (this.#byName[kind] as Map<string, Topic>).values();
  }

  count(kind: TopicKind): number {
    return this.#byName[kind]?.size ?? 0;
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
    for (const feed of [...topic.feeds.keys()]) this.#feeds.leave(feed, topic);
    topic.source = null;
    this.#handovers.end(topic);
    this.#paused.delete(topic);
    this.#show();
    return topic.leaving.size > 0;
  }

  /** How many of our connections the owner of `slot` counts for this topic: 0 or 1. */
  upstreamAt(topic: Topic, slot: number): 0 | 1 {
    const feed = this.#feeds.known(this.#proxy.routing.owner[slot] as number);
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
    this.#feeds.onRoutingChange();
    this.#settleAll();
    // PUBLISH goes to another node from now on, whose number has our connections there.
    for (const topics of this.#byName) {
      for (const topic of topics.values()) {
        if (topic.told % 2 !== this.upstreamAt(topic, topic.slot))
          this.#events.onPlaceChange(topic);
      }
    }
  }

  #settleAll(): void {
    for (const topics of this.#byName) for (const topic of topics.values()) this.#settle(topic);
  }

  #homeOf(topic: Topic): Feed | null {
    const index = this.#proxy.routing.owner[topic.slot] as number;
    const owner = index === NO_NODE ? null : this.#feeds.at(index);
    if (topic.kind === TOPIC.shard || (owner !== null && !owner.isFailing)) return owner;
    const { source } = topic;
    if (source?.isPrimary === true && !source.isFailing) return source;
    for (const feed of this.#feeds.healthyPrimaries()) return feed;
    return owner;
  }

  #settle(topic: Topic): void {
    if (topic.retryAt > 0) return;
    const home = this.#homeOf(topic);
    if (home !== null && isAtRest(topic, home)) return;
    if (home !== null) this.#feeds.join(home, topic);
    if (topic.isEverywhere) {
      for (const feed of this.#feeds.healthyPrimaries()) this.#feeds.join(feed, topic);
    }
    this.#moveTo(topic, home);
    for (const feed of [...topic.feeds.keys()]) {
      const isWanted = feed === home || (topic.isEverywhere && feed.isPrimary);
      // The source is left when the new home has taken over.
      if (!isWanted && feed !== topic.source) this.#feeds.leave(feed, topic);
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
      if (source !== null) this.#feeds.leave(source, topic);
      else this.#handovers.sift(topic, home);
      return;
    }
    this.#handovers.begin(topic, home);
  }

  #tell(topic: Topic): void {
    if (topic.waiting.length === 0 || !topic.isLive) return;
    const { waiting } = topic;
    topic.waiting = [];
    for (const done of waiting) done('');
  }

  // ------------------------------------------------------------------ what feeds say

  onFeedBack(): void {
    this.#settleAll();
  }

  onFeedClosed(feed: Feed, lost: readonly Topic[]): void {
    for (const topic of lost) this.#lose(topic, feed);
    for (const topic of [...feed.leaving]) this.onUnsubscribed(feed, topic);
    for (const topic of lost) if (!topic.isUnused) this.#settle(topic);
  }

  /** The feed brings nothing more for this topic. */
  #lose(topic: Topic, feed: Feed): void {
    this.#events.onPlaceChange(topic);
    if (feed !== topic.source) {
      if (topic.handover?.to === feed) this.#handovers.cancel(topic);
      return;
    }
    if (this.#handovers.onSourceEnd(topic)) return;
    topic.source = null;
    topic.lostAt = this.#proxy.time;
    this.#handovers.end(topic);
    if (topic.sessions.size > 0) this.#proxy.metrics.increment(SCALAR.subscriptionGaps);
  }

  onSubscribed(_feed: Feed, topic: Topic): void {
    topic.refusals = 0;
    // A home to be counts us as soon as it has confirmed, long before it takes over.
    this.#events.onPlaceChange(topic);
    this.#settle(topic);
  }

  onUnsubscribed(feed: Feed, topic: Topic): void {
    feed.leaving.delete(topic);
    topic.leaving.delete(feed);
    if (feed === topic.source) this.#handovers.onSourceEnd(topic);
    if (topic.leaving.size > 0 || topic.parting.length === 0) return;
    const { parting } = topic;
    topic.parting = [];
    for (const done of parting) done();
  }

  onDropped(feed: Feed, name: string): void {
    const topic = this.get(TOPIC.shard, name);
    if (topic === undefined || topic.feeds.get(feed) !== true) return;
    const { routing, link } = this.#proxy;
    this.#feeds.drop(feed, topic);
    this.#lose(topic, feed);
    if (routing.owner[topic.slot] === feed.node.index) {
      link.hint({ reason: 'state', node: feed.node.address });
    }
    this.#settle(topic);
  }

  onRefused(feed: Feed, topic: Topic, line: string): void {
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
    const target = parseRedirect(line, asked.node.address);
    if (target === null || !line.startsWith('MOVED')) {
      link.hint({ reason: 'state', node: asked.node.address });
      return;
    }
    const { address } = target;
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

  onMessage(feed: Feed, message: Message, readAt: number): void {
    const topic = this.get(message.kind, message.name);
    if (topic === undefined) return;
    this.#proxy.metrics.increment(SCALAR.messagesReceived);
    const { buf, start, end } = message;
    if (topic.kind === TOPIC.shard || (topic.isEverywhere && isOfKeyspace(message))) {
      if (topic.feeds.has(feed)) this.#events.onMessage(topic, buf, start, end);
      return;
    }
    this.#handovers.onMessage(topic, feed, message, readAt);
  }

  // ------------------------------------------------------------------ time

  tick(now: number): void {
    this.onRoutingChange();
    this.#handovers.tick(now);
    for (const topic of [...this.#paused]) if (now >= topic.retryAt) this.#resume(topic);
    this.#feeds.tick(now, this.size > 0);
  }

  close(): void {
    this.#feeds.close();
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
