/**
 * Publish and subscribe. All subscriptions of this worker's clients to one channel are one
 * subscription upstream, at the primary that owns the channel's slot, which is also where PUBLISH
 * goes: so the messages of one publisher keep their order.
 *
 * A subscribing command is answered when the node has confirmed it and the other workers know of
 * it. It waits for what its session has in flight, and what follows waits for it, but subscribing
 * commands do not wait for each other.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { Slab } from '../../lib/slab.ts';
import { RESULT, SCALAR } from '../../metrics/definitions.ts';
import { ANY_SLOT } from '../../route/slot-of-keys.ts';
import {
  SUBSCRIBE_VERBS,
  TOPIC,
  type TopicKind,
  UNSUBSCRIBE_VERBS,
} from '../../upstream/subscriber.ts';
import { hasArity } from '../arity.ts';
import type { ProxyCore } from '../core.ts';
import { CROSSSLOT, wrongArity } from '../error-replies.ts';
import { argumentsOf } from '../frame-arguments.ts';
import { Counts } from './counts.ts';
import { areApart } from './names.ts';
import { Publishing } from './publishing.ts';
import { type Job, SLICE, Slices } from './slices.ts';
import { SlowSubscribers } from './slow-subscribers.ts';
import { mustWaitForOrders, refusalOf } from './subscription-limits.ts';
import { lateError, type Names, newOrder, type Order, Subscriptions } from './subscriptions.ts';
import type { Topic } from './topic.ts';
import { Topics } from './topics.ts';

/** How long the end of a subscription waits for nodes and workers. */
const END_PATIENCE_MS = 250;
const ARRAY = 42;
const PUSH = 62;

export class PubSub {
  readonly topics: Topics;
  readonly counts: Counts;
  readonly #proxy: ProxyCore;
  readonly #publishing: Publishing;
  readonly #slow: SlowSubscribers;
  readonly #slices: Slices;
  readonly #bySession = new Map<Session, Subscriptions>();
  /** Sessions with orders under way. */
  readonly #busy = new Set<Session>();
  #subscriptions = 0;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.topics = new Topics(proxy, {
      onMessage: (topic, buf, start, end) => this.#deliver(topic, buf, start, end),
      onPlaceChange: (topic) => this.counts.touch(topic),
    });
    this.counts = new Counts(proxy, this.topics);
    this.#publishing = new Publishing(proxy, this.counts);
    this.#slow = new SlowSubscribers(proxy);
    this.#slices = new Slices(proxy);
  }

  /** False when it must wait for what the session has in flight. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, sender, routing, settings } = this.#proxy;
    const name = table.names[id] as string;
    if (!hasArity(table.arity[id] as number, frame.argc)) {
      return sender.reject(session, id, wrongArity(name));
    }
    const begins = (SUBSCRIBE_VERBS as readonly string[]).indexOf(name);
    const ends = (UNSUBSCRIBE_VERBS as readonly string[]).indexOf(name);
    if (begins < 0 && ends < 0) return this.#publishing.dispatch(session, id, buf, start, end);
    const known = this.#bySession.get(session);
    const most = settings.subscriptions;
    const isUnclear = begins >= 0 && mustWaitForOrders(known, frame.argc - 1, most);
    if (isUnclear || session.pending > (known?.orders.length ?? 0)) {
      session.gate |= GATE.barrier;
      return false;
    }
    const kind = Math.max(begins, ends) as TopicKind;
    const names = argumentsOf(buf, frame)
      .slice(1)
      .map((arg) => arg.toString('latin1'));
    // Shard channels of one command must share a slot, as keys must.
    if (kind === TOPIC.shard && routing.snapshot?.crossSlotFree !== true && areApart(names)) {
      return sender.reject(session, id, CROSSSLOT);
    }
    const patterns = this.topics.count(TOPIC.pattern);
    const refusal = ends >= 0 ? '' : refusalOf(known, kind, names, { most, patterns });
    if (refusal !== '') return sender.reject(session, id, refusal);
    this.#order(session, id, kind, names, ends >= 0);
    return true;
  }

  // ------------------------------------------------------------------ orders

  #order(
    session: Session,
    id: number,
    kind: TopicKind,
    names: readonly string[],
    isEnd: boolean,
  ): void {
    const { sender, settings, time } = this.#proxy;
    const subscriptions = this.#bySession.get(session) ?? new Subscriptions();
    this.#bySession.set(session, subscriptions);
    const request = sender.newRequest(session, id, ANY_SLOT);
    // As in Redis, CLIENT REPLY does not concern what is pushed.
    request.silent = false;
    const deadline = time + (isEnd ? END_PATIENCE_MS : settings.hold.timeoutMs);
    const order = newOrder(request, kind, names, isEnd, deadline);
    subscriptions.add(order);
    session.gate |= GATE.subscribed;
    this.#busy.add(session);
    if (!isEnd) {
      // One wait of its own, so that it does not go on before all are claimed.
      order.waits = 1;
      const size = kind === TOPIC.pattern ? 0 : names.length;
      this.#slices.add(this.#claiming(session, subscriptions, order), size, true);
    }
    this.#advance(session, subscriptions);
  }

  /** False when the client has left, or an order no longer waits. */
  #isCurrent(session: Session, subscriptions: Subscriptions): boolean {
    return this.#bySession.get(session) === subscriptions;
  }

  *#claiming(session: Session, subscriptions: Subscriptions, order: Order): Job {
    const arrived = (error: string): void => {
      if (!this.#isCurrent(session, subscriptions)) return;
      if (error !== '' && order.error === '') order.error = error;
      order.waits--;
      if (order.waits === 0 && !order.isApplied) this.#share(session, subscriptions, order);
    };
    for (const name of order.names) {
      yield 1;
      // The client may have left since, or been told that it took too long.
      if (order.isApplied || !this.#isCurrent(session, subscriptions)) return;
      const topic = this.topics.claim(order.kind, name);
      order.claimed.push(topic);
      if (topic.isLive) continue;
      order.waits++;
      topic.waiting.push(arrived);
    }
    arrived('');
  }

  /** The other workers learn of it before the client does: their PUBLISH counts it from then on. */
  #share(session: Session, subscriptions: Subscriptions, order: Order): void {
    const { counts } = this;
    if (counts.isAlone || order.error !== '') {
      this.#advance(session, subscriptions);
      return;
    }
    for (const topic of order.claimed) {
      if (topic.sessions.has(session)) continue;
      topic.joining++;
      order.joining.push(topic);
      counts.touch(topic);
    }
    if (order.joining.length > 0) this.#awaitWorkers(session, subscriptions, order);
    this.#advance(session, subscriptions);
  }

  #awaitWorkers(session: Session, subscriptions: Subscriptions, order: Order): void {
    order.waits++;
    this.counts.shared().then(() => {
      // Several long ones may become known at once.
      this.#slices.add(this.#goingOn(session, subscriptions, order), order.names.length, false);
    });
  }

  *#goingOn(session: Session, subscriptions: Subscriptions, order: Order): Job {
    yield order.names.length;
    if (order.waits === 0 || !this.#isCurrent(session, subscriptions)) return;
    order.waits--;
    this.#proxy.time = this.#proxy.runtime.now();
    this.#advance(session, subscriptions);
  }

  /** Carries out what has come up, and answers from the front. */
  #advance(session: Session, subscriptions: Subscriptions): void {
    const { orders } = subscriptions;
    if (session.closed) return;
    for (let front = orders[0]; front !== undefined; front = orders[0]) {
      this.#applyRun(session, subscriptions);
      if (!front.isApplied || front.waits > 0) return;
      subscriptions.shift();
      this.#answer(session, front);
    }
    this.#busy.delete(session);
    if (subscriptions.total > 0) return;
    session.gate &= ~GATE.subscribed;
    this.#bySession.delete(session);
  }

  /**
   * A subscription begins when it is answered, else a message could come before its confirmation;
   * ends may run ahead of their answers.
   */
  #applyRun(session: Session, subscriptions: Subscriptions): void {
    for (const [index, order] of subscriptions.orders.entries()) {
      if (order.isApplied) continue;
      if (order.isBeingApplied || (!order.isEnd && (index > 0 || order.waits > 0))) return;
      if (order.isEnd) {
        const size = order.names.length || subscriptions.of(order.kind).size;
        order.isBeingApplied = true;
        this.#slices.add(this.#ending(session, subscriptions, order, size), size, false);
        if (!order.isApplied) return;
      } else {
        order.isApplied = true;
        this.#begin(session, subscriptions, order);
      }
    }
  }

  #begin(session: Session, subscriptions: Subscriptions, order: Order): void {
    const own = subscriptions.of(order.kind);
    const lines: string[] = [];
    if (order.error === '') {
      for (const [i, name] of order.names.entries()) {
        const topic = order.claimed[i] as Topic;
        if (!own.has(name)) this.#count(1);
        own.set(name, topic);
        topic.sessions.add(session);
        lines.push(subscriptions.confirm(session.protocol, order, name));
      }
      order.reply = lines.join('');
    }
    this.#letGo(order);
  }

  #letGo(order: Order): void {
    for (const topic of order.joining) {
      topic.joining--;
      this.counts.touch(topic);
    }
    for (const topic of order.claimed) this.topics.release(topic);
    order.joining = [];
    order.claimed = [];
  }

  *#ending(session: Session, subscriptions: Subscriptions, order: Order, size: number): Job {
    const own = subscriptions.of(order.kind);
    const names = order.names.length > 0 ? order.names : [...own.keys()];
    const lines: string[] = [];
    const ended = (): void => {
      if (order.waits === 0 || !this.#isCurrent(session, subscriptions)) return;
      order.waits--;
      this.#advance(session, subscriptions);
    };
    for (const [i, name] of names.entries()) {
      if (i > 0) {
        yield 1;
        if (!this.#isCurrent(session, subscriptions)) return;
      }
      const topic = own.get(name);
      if (topic !== undefined) {
        own.delete(name);
        this.#count(-1);
        if (this.#leave(session, topic)) {
          order.waits++;
          topic.parting.push(ended);
        }
      }
      lines.push(subscriptions.confirm(session.protocol, order, name));
    }
    if (names.length === 0) lines.push(subscriptions.confirm(session.protocol, order, null));
    order.reply = lines.join('');
    order.isApplied = true;
    if (!this.counts.isAlone) this.#awaitWorkers(session, subscriptions, order);
    if (size > SLICE) this.#advance(session, subscriptions);
  }

  /** True when nodes have been told, whose confirmation is still to come. */
  #leave(session: Session, topic: Topic): boolean {
    topic.sessions.delete(session);
    this.counts.touch(topic);
    return this.topics.dropIfUnused(topic);
  }

  #count(change: 1 | -1): void {
    this.#subscriptions += change;
    this.#proxy.metrics.set(SCALAR.subscriptionsNow, this.#subscriptions);
  }

  #answer(session: Session, order: Order): void {
    const { answers } = this.#proxy;
    if (order.request.session !== session) return;
    if (order.error !== '') {
      answers.answerError(order.request, order.error);
      return;
    }
    const reply: Slab = Buffer.from(order.reply, 'latin1');
    answers.deliver(order.request, reply, 0, reply.length, false);
  }

  // ------------------------------------------------------------------ sessions

  /** For CLIENT LIST. */
  countsOf(session: Session): { channels: number; patterns: number; shardChannels: number } {
    const topics = this.#bySession.get(session)?.topics ?? [];
    const [channels = 0, patterns = 0, shardChannels = 0] = topics.map(({ size }) => size);
    return { channels, patterns, shardChannels };
  }

  /** Subscribing commands of it are under way: others wait for them. */
  isBusy(session: Session): boolean {
    return this.#busy.has(session);
  }

  /** PING of a subscribed RESP2 client. */
  ping(session: Session, id: number, message: Buffer | undefined): void {
    const text = message?.toString('latin1') ?? '';
    const reply = Buffer.from(`*2\r\n$4\r\npong\r\n$${text.length}\r\n${text}\r\n`, 'latin1');
    this.#proxy.sender.answerLocally(session, id, reply, 0, reply.length, RESULT.ok);
  }

  /** The client left, or said RESET. */
  forget(session: Session): void {
    const subscriptions = this.#bySession.get(session);
    if (subscriptions === undefined) return;
    this.#bySession.delete(session);
    this.#busy.delete(session);
    this.#slow.forget(session);
    this.#subscriptions -= subscriptions.total;
    this.#proxy.metrics.set(SCALAR.subscriptionsNow, this.#subscriptions);
    session.gate &= ~GATE.subscribed;
    // One that said RESET gets no further message; one that is closed takes none.
    const size = session.closed ? subscriptions.total + subscriptions.begun : 0;
    this.#slices.add(this.#forgetting(session, subscriptions), size, false);
  }

  *#forgetting(session: Session, subscriptions: Subscriptions): Job {
    const [channels, patterns, shards] = subscriptions.topics as [Names, Names, Names];
    // Patterns at once: a node forgets them more easily with their connection than one by one.
    for (const names of [patterns, channels, shards]) {
      for (const topic of names.values()) {
        if (names !== patterns) yield 1;
        this.#leave(session, topic);
      }
    }
    for (const order of subscriptions.orders) {
      yield order.claimed.length;
      this.#letGo(order);
    }
  }

  /** One copy per session; RESP3 differs in the first byte alone. */
  #deliver(topic: Topic, buf: Slab, start: number, end: number): void {
    const slow = this.#slow;
    for (const session of topic.sessions) {
      buf[start] = session.protocol === 3 ? PUSH : ARRAY;
      session.interject(buf, start, end);
      if (session.unreadBytes > slow.softLimit) slow.onFull(session);
    }
    buf[start] = ARRAY;
    this.#proxy.metrics.add(SCALAR.messagesDelivered, topic.sessions.size);
  }

  // ------------------------------------------------------------------ time

  onRoutingChange(): void {
    this.topics.onRoutingChange();
  }

  tick(now: number): void {
    this.topics.tick(now);
    this.counts.tick(now);
    this.#slow.tick(now);
    for (const session of [...this.#busy]) this.#expire(session, now);
  }

  #expire(session: Session, now: number): void {
    const subscriptions = this.#bySession.get(session);
    const front = subscriptions?.orders[0];
    if (subscriptions === undefined || front === undefined || front.deadline > now) return;
    if (front.waits > 0 && !front.isEnd && front.error === '') {
      // With the other workers alone it need not wait any longer.
      front.error = lateError(front, this.#proxy.routing);
    }
    front.waits = 0;
    this.#advance(session, subscriptions);
  }

  close(): void {
    this.topics.close();
  }
}
