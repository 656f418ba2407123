/** Brings topics from one home to another, see {@link Handover}, and sifts what comes after a loss. */

import { type Message, TOPIC } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { Handover, LAG_MS } from './handover.ts';
import { History } from './history.ts';
import type { Feed, Topic, TopicEvents } from './topic.ts';

/** How long both homes are listened to. What the new one brings counts from the middle on. */
const OVERLAP_MS = 2 * LAG_MS;
/** An old home that does not confirm its end within this is left without. */
const PARTING_MS = 1000;

/** What the keeper of the topics does for a handover. */
export interface Places {
  /** Ends the topic's subscription at this node. */
  leave(feed: Feed, topic: Topic): void;
  settle(topic: Topic): void;
}

export class Handovers {
  readonly #proxy: ProxyCore;
  readonly #events: TopicEvents;
  readonly #places: Places;
  readonly #topics = new Set<Topic>();
  readonly #history = new History();

  constructor(proxy: ProxyCore, events: TopicEvents, places: Places) {
    this.#proxy = proxy;
    this.#events = events;
    this.#places = places;
  }

  /** The topic is to move from its source, which lives, to `home`, which may have confirmed. */
  begin(topic: Topic, home: Feed): void {
    let { handover } = topic;
    // First comes what may be late since the last change.
    if (handover !== null && handover.finishedAt > 0) return;
    if (handover === null || handover.to !== home) {
      handover = new Handover(home);
      this.#set(topic, handover);
    }
    const isConfirmed = topic.feeds.get(home) === true;
    if (isConfirmed && handover.confirmedAt === 0) handover.confirmedAt = this.#proxy.time;
  }

  /** What was in the bus when the former source was lost comes again by `home`: it is known. */
  sift(topic: Topic, home: Feed): void {
    const { time } = this.#proxy;
    if (time - topic.lostAt > LAG_MS || topic.kind === TOPIC.shard) return;
    const handover = new Handover(home);
    for (const [content, at] of this.#history.of(topic, topic.lostAt - LAG_MS)) {
      handover.onOld(content, at);
    }
    handover.finish(time);
    this.#set(topic, handover);
  }

  #set(topic: Topic, handover: Handover<Feed>): void {
    topic.handover = handover;
    this.#topics.add(topic);
  }

  end(topic: Topic): void {
    topic.handover = null;
    this.#topics.delete(topic);
  }

  /** The topic stays where it is after all; what is late since the last change is still sifted. */
  cancel(topic: Topic): void {
    if (topic.handover?.finishedAt === 0) this.end(topic);
  }

  /** A message of the source, or of a home to be; others are dropped. */
  onMessage(topic: Topic, feed: Feed, message: Message, readAt: number): void {
    const { buf, start, end } = message;
    const { handover, source } = topic;
    if (feed === source) this.#history.add(topic, buf, start, end, readAt);
    if (handover !== null) this.#during(topic, handover, feed, message);
    else if (feed === source) this.#events.onMessage(topic, buf, start, end);
  }

  #during(topic: Topic, handover: Handover<Feed>, feed: Feed, message: Message): void {
    const { buf, start, end } = message;
    const content = buf.toString('latin1', start, end);
    const now = this.#proxy.runtime.now();
    if (handover.finishedAt > 0) {
      if (feed === topic.source && !handover.isKnown(content, now)) {
        this.#events.onMessage(topic, buf, start, end);
      }
      return;
    }
    if (feed === topic.source) {
      handover.onOld(content, now);
      this.#events.onMessage(topic, buf, start, end);
    } else if (feed === handover.to) {
      handover.onNew(content, buf.subarray(start, end), now);
    }
    if (handover.isFull && handover.confirmedAt > 0) this.#finish(topic, handover);
  }

  /** The old home brings nothing more. True when the new one takes over without a gap. */
  onSourceEnd(topic: Topic): boolean {
    const { handover } = topic;
    if (handover === null || handover.leftAt === 0 || handover.finishedAt > 0) return false;
    this.#finish(topic, handover);
    return true;
  }

  /** The new home's messages are passed on from now on. */
  #finish(topic: Topic, handover: Handover<Feed>): void {
    const old = topic.source;
    topic.source = handover.to;
    this.#events.onPlaceChange(topic);
    for (const frame of handover.finish(this.#proxy.runtime.now())) {
      this.#events.onMessage(topic, frame, 0, frame.length);
    }
    if (old !== null && topic.feeds.has(old) && !(topic.isEverywhere && old.isPrimary)) {
      this.#places.leave(old, topic);
    }
  }

  tick(now: number): void {
    for (const topic of [...this.#topics]) {
      if (topic.handover === null) this.#topics.delete(topic);
      else this.#moveOn(topic, topic.handover, now);
    }
  }

  #moveOn(topic: Topic, handover: Handover<Feed>, now: number): void {
    if (handover.finishedAt > 0) {
      if (now - handover.finishedAt <= LAG_MS) return;
      this.end(topic);
      this.#places.settle(topic);
      return;
    }
    if (handover.confirmedAt === 0 || now - handover.confirmedAt < OVERLAP_MS) return;
    const { source } = topic;
    if (source === null || (topic.isEverywhere && source.isPrimary)) this.#finish(topic, handover);
    else if (handover.leftAt === 0) {
      handover.leftAt = now;
      this.#places.leave(source, topic);
      if (!topic.leaving.has(source)) this.#finish(topic, handover);
    } else if (now - handover.leftAt > PARTING_MS) this.#finish(topic, handover);
  }
}
