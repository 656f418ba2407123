/**
 * What one client is subscribed to, and its subscribing commands under way. They are carried out in
 * the order in which they came; a subscription begins at the moment its confirmation is written.
 */

import { TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import type { Request } from '../request.ts';
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
  /** The confirmations for the client, once it is applied. */
  reply: string;
  /** Why it failed, an error line; '' when it did not. */
  error: string;
  /** Monotonic ms after which it waits no longer. */
  readonly deadline: number;
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

  /** Names in subscribing commands under way. */
  get begun(): number {
    return this.orders.reduce((sum, { isEnd, names }) => sum + (isEnd ? 0 : names.length), 0);
  }

  get total(): number {
    return this.topics.reduce((sum, names) => sum + names.size, 0);
  }
}

type Names = Map<string, Topic>;

/** One confirmation; `name` null where there was nothing to end. One character per byte. */
export function confirmation(
  protocol: 2 | 3,
  verb: string,
  name: string | null,
  count: number,
): string {
  const none = protocol === 3 ? '_' : '$-1';
  const shown = name === null ? none : `$${name.length}\r\n${name}`;
  return `${protocol === 3 ? '>' : '*'}3\r\n$${verb.length}\r\n${verb}\r\n${shown}\r\n:${count}\r\n`;
}
