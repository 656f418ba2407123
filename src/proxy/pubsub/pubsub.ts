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
import { asciiSlab, type Slab } from '../../lib/slab.ts';
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
import { type CountMessage, Counts } from './counts.ts';
import { slotOfName } from './names.ts';
import { Publishing } from './publishing.ts';
import { SlowSubscribers } from './slow-subscribers.ts';
import { refusalOf } from './subscription-limits.ts';
import { confirmation, type Order, Subscriptions } from './subscriptions.ts';
import type { Topic } from './topic.ts';
import { Topics } from './topics.ts';

/** How long the end of a subscription waits for nodes and workers. */
const END_PATIENCE_MS = 250;
const ARRAY = 42;
const PUSH = 62;
const PONG = asciiSlab('*2\r\n$4\r\npong\r\n$0\r\n\r\n');

export class PubSub {
  readonly topics: Topics;
  readonly counts: Counts;
  readonly #proxy: ProxyCore;
  readonly #publishing: Publishing;
  readonly #slow: SlowSubscribers;
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
  }

  /** False when it must wait for what the session has in flight. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, sender } = this.#proxy;
    const name = table.names[id] as string;
    if (!hasArity(table.arity[id] as number, frame.argc)) {
      return sender.reject(session, id, wrongArity(name));
    }
    const begins = (SUBSCRIBE_VERBS as readonly string[]).indexOf(name);
    const ends = (UNSUBSCRIBE_VERBS as readonly string[]).indexOf(name);
    if (begins < 0 && ends < 0) return this.#publishing.dispatch(session, id, buf, start, end);
    const known = this.#bySession.get(session);
    if (session.pending > (known?.orders.length ?? 0)) {
      session.gate |= GATE.barrier;
      return false;
    }
    const kind = Math.max(begins, ends) as TopicKind;
    const names = argumentsOf(buf, frame)
      .slice(1)
      .map((arg) => arg.toString('latin1'));
    if (kind === TOPIC.shard && this.#areApart(names)) {
      return sender.reject(session, id, CROSSSLOT);
    }
    const refusal = ends >= 0 ? '' : this.#refusal(known, kind, names);
    if (refusal !== '') return sender.reject(session, id, refusal);
    this.#order(session, id, kind, names, ends >= 0);
    return true;
  }

  /** '' where the client may subscribe to all of these. */
  #refusal(known: Subscriptions | undefined, kind: TopicKind, names: readonly string[]): string {
    const patterns = this.topics.count(TOPIC.pattern);
    return refusalOf(known, kind, names, { most: this.#proxy.settings.subscriptions, patterns });
  }

  /** Shard channels of one command must share a slot, as keys must. */
  #areApart(names: readonly string[]): boolean {
    if (this.#proxy.routing.snapshot?.crossSlotFree === true) return false;
    return new Set(names.map(slotOfName)).size > 1;
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
    let subscriptions = this.#bySession.get(session);
    if (subscriptions === undefined) {
      subscriptions = new Subscriptions();
      this.#bySession.set(session, subscriptions);
    }
    const request = sender.newRequest(session, id, ANY_SLOT);
    // As in Redis, CLIENT REPLY does not concern what is pushed.
    request.silent = false;
    const order: Order = {
      request,
      kind,
      verb: (isEnd ? UNSUBSCRIBE_VERBS : SUBSCRIBE_VERBS)[kind],
      isEnd,
      names,
      claimed: [],
      joining: [],
      waits: 0,
      isApplied: false,
      reply: '',
      error: '',
      deadline: time + (isEnd ? END_PATIENCE_MS : settings.hold.timeoutMs),
    };
    subscriptions.orders.push(order);
    session.gate |= GATE.subscribed;
    this.#busy.add(session);
    if (!isEnd) this.#claim(session, subscriptions, order);
    this.#advance(session, subscriptions);
  }

  /** False when the client has left, or an order no longer waits. */
  #isCurrent(session: Session, subscriptions: Subscriptions): boolean {
    return this.#bySession.get(session) === subscriptions;
  }

  #claim(session: Session, subscriptions: Subscriptions, order: Order): void {
    // One wait of its own, so that it does not go on before all are claimed.
    order.waits = 1;
    const arrived = (error: string): void => {
      if (!this.#isCurrent(session, subscriptions)) return;
      if (error !== '' && order.error === '') order.error = error;
      order.waits--;
      if (order.waits === 0 && !order.isApplied) this.#share(session, subscriptions, order);
    };
    for (const name of order.names) {
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
      if (order.waits === 0 || !this.#isCurrent(session, subscriptions)) return;
      order.waits--;
      this.#proxy.time = this.#proxy.runtime.now();
      this.#advance(session, subscriptions);
    });
  }

  /** Carries out what has come up, and answers from the front. */
  #advance(session: Session, subscriptions: Subscriptions): void {
    const { orders } = subscriptions;
    if (session.closed) return;
    for (let front = orders[0]; front !== undefined; front = orders[0]) {
      this.#applyRun(session, subscriptions);
      if (!front.isApplied || front.waits > 0) return;
      orders.shift();
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
      if (!order.isEnd && (index > 0 || order.waits > 0)) return;
      order.isApplied = true;
      if (order.isEnd) this.#end(session, subscriptions, order);
      else this.#begin(session, subscriptions, order);
    }
  }

  #begin(session: Session, subscriptions: Subscriptions, order: Order): void {
    const own = subscriptions.of(order.kind);
    const { protocol } = session;
    const lines: string[] = [];
    if (order.error === '') {
      for (const [i, name] of order.names.entries()) {
        const topic = order.claimed[i] as Topic;
        if (!own.has(name)) this.#count(1);
        own.set(name, topic);
        topic.sessions.add(session);
        const count = subscriptions.countFor(order.kind);
        lines.push(confirmation(protocol, order.verb, name, count));
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

  #end(session: Session, subscriptions: Subscriptions, order: Order): void {
    const own = subscriptions.of(order.kind);
    const { protocol } = session;
    const names = order.names.length > 0 ? order.names : [...own.keys()];
    const lines: string[] = [];
    const ended = (): void => {
      if (order.waits === 0 || !this.#isCurrent(session, subscriptions)) return;
      order.waits--;
      this.#advance(session, subscriptions);
    };
    for (const name of names) {
      const topic = own.get(name);
      if (topic !== undefined) {
        own.delete(name);
        this.#count(-1);
        if (this.#leave(session, topic)) {
          order.waits++;
          topic.parting.push(ended);
        }
      }
      const count = subscriptions.countFor(order.kind);
      lines.push(confirmation(protocol, order.verb, name, count));
    }
    if (names.length === 0) {
      lines.push(confirmation(protocol, order.verb, null, subscriptions.countFor(order.kind)));
    }
    order.reply = lines.join('');
    if (!this.counts.isAlone) this.#awaitWorkers(session, subscriptions, order);
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
    const [channels, patterns, shardChannels] = topics.map((names) => names.size);
    return { channels: channels ?? 0, patterns: patterns ?? 0, shardChannels: shardChannels ?? 0 };
  }

  /** Subscribing commands of it are under way: others wait for them. */
  isBusy(session: Session): boolean {
    return this.#busy.has(session);
  }

  /** PING of a subscribed RESP2 client. */
  ping(session: Session, id: number, message: Buffer | undefined): void {
    let reply: Slab = PONG;
    if (message !== undefined) {
      const head = `*2\r\n$4\r\npong\r\n$${message.length}\r\n`;
      reply = Buffer.concat([Buffer.from(head), message, Buffer.from('\r\n')]);
    }
    this.#proxy.sender.answerLocally(session, id, reply, 0, reply.length, RESULT.ok);
  }

  /** The client left, or said RESET. */
  forget(session: Session): void {
    const subscriptions = this.#bySession.get(session);
    if (subscriptions === undefined) return;
    this.#bySession.delete(session);
    this.#busy.delete(session);
    this.#slow.forget(session);
    for (const order of subscriptions.orders) this.#letGo(order);
    subscriptions.orders = [];
    for (const names of subscriptions.topics) {
      this.#subscriptions -= names.size;
      for (const topic of names.values()) this.#leave(session, topic);
      names.clear();
    }
    session.gate &= ~GATE.subscribed;
    this.#proxy.metrics.set(SCALAR.subscriptionsNow, this.#subscriptions);
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
      const { routing } = this.#proxy;
      const late = front.claimed.find((topic) => !topic.isLive);
      const slot = late?.slot ?? 0;
      const address = routing.nodes[routing.owner[slot] as number]?.address ?? 'The primary';
      // With the other workers alone it need not wait any longer.
      if (late !== undefined) {
        front.error = `CLUSTERDOWN ${address} of hash slot ${slot} did not confirm the subscription in time (hold.timeoutMs)`;
      }
    }
    front.waits = 0;
    this.#advance(session, subscriptions);
  }

  close(): void {
    this.topics.close();
  }
}

/** What control asks of this worker for others. */
export function pubsubCalls({ counts }: PubSub): [string, (argument: unknown) => unknown][] {
  return [
    ['pubsub.counts.local', (message) => counts.onMessage(message as CountMessage)],
    ['pubsub.forget.local', (worker) => counts.forget(Number(worker))],
  ];
}
