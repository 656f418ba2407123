/**
 * What one client is subscribed to, and its subscribing commands under way. They are carried out in
 * the order in which they came; a subscription begins at the moment its confirmation is written.
 */

import type { Routing } from '../../route/routing.ts';
import {
  SUBSCRIBE_VERBS,
  TOPIC,
  type TopicKind,
  UNSUBSCRIBE_VERBS,
} from '../../upstream/subscriber.ts';
import type { Request } from '../request.ts';
import { slotOfName } from './names.ts';
import type { Topic } from './topic.ts';

/** One SUBSCRIBE, UNSUBSCRIBE or their kin. */
export interface Order {
  readonly request: Request;
  readonly kind: TopicKind;
  readonly verb: string;
  readonly isEnd: boolean;
  /** Given names; none in an order that ends all. One character per byte. */
  readonly names: readonly string[];
  /** Kept for it until it is carried out. */
  claimed: Topic[];
  /** Shown to the other workers ahead of time. */
  joining: Topic[];
  /** Confirmations that are still to come. */
  waits: number;
  isApplied: boolean;
  /** It is being carried out, slice by slice. */
  isBeingApplied: boolean;
  /** The confirmations for the client, once it is applied. */
  reply: string;
  /** Why it failed, an error line; '' when it did not. */
  error: string;
  /** Monotonic ms after which it waits no longer. */
  readonly deadline: number;
}

export function newOrder(
  request: Request,
  kind: TopicKind,
  names: readonly string[],
  isEnd: boolean,
  deadline: number,
): Order {
  return {
    request,
    kind,
    verb: (isEnd ? UNSUBSCRIBE_VERBS : SUBSCRIBE_VERBS)[kind],
    isEnd,
    names,
    claimed: [],
    joining: [],
    waits: 0,
    isApplied: false,
    isBeingApplied: false,
    reply: '',
    error: '',
    deadline,
  };
}

/** What to say of an order that has waited too long; '' where it waits for no node any more. */
export function lateError({ claimed, names }: Order, { nodes, owner }: Routing): string {
  const late = claimed.find((topic) => !topic.isLive)?.name ?? names[claimed.length];
  if (late === undefined) return '';
  const slot = slotOfName(late);
  const address = nodes[owner[slot] as number]?.address ?? 'The primary';
  return `CLUSTERDOWN ${address} of hash slot ${slot} did not confirm the subscription in time (hold.timeoutMs)`;
}

export class Subscriptions {
  /** By kind and name. */
  readonly topics: readonly Map<string, Topic>[] = [new Map(), new Map(), new Map()];
  orders: Order[] = [];

  /** The number in a confirmation: channels and patterns together, shard channels apart. */
  countFor(kind: TopicKind): number {
    const [channels, patterns, shards] = this.topics as [Names, Names, Names];
    return kind === TOPIC.shard ? shards.size : channels.size + patterns.size;
  }

  of(kind: TopicKind): Map<string, Topic> {
    return this.topics[kind] as Map<string, Topic>;
  }

  /** One confirmation, as things stand now; `name` null where there was nothing to end. */
  confirm(protocol: 2 | 3, { kind, verb }: Order, name: string | null): string {
    return confirmation(protocol, verb, name, this.countFor(kind));
  }

  /** Names in subscribing commands under way. */
  begun = 0;

  add(order: Order): void {
    this.orders.push(order);
    if (!order.isEnd) this.begun += order.names.length;
  }

  /** The first order is answered. */
  shift(): void {
    const order = this.orders.shift();
    if (order !== undefined && !order.isEnd) this.begun -= order.names.length;
  }

  get total(): number {
    return this.topics.reduce((sum, names) => sum + names.size, 0);
  }
}

export type Names = Map<string, Topic>;

/** One character per byte. */
function confirmation(protocol: 2 | 3, verb: string, name: string | null, count: number): string {
  const none = protocol === 3 ? '_' : '$-1';
  const shown = name === null ? none : `$${name.length}\r\n${name}`;
  return `${protocol === 3 ? '>' : '*'}3\r\n$${verb.length}\r\n${verb}\r\n${shown}\r\n:${count}\r\n`;
}
