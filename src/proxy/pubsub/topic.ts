/** One channel, pattern or shard channel that clients of this worker are subscribed to. */

import type { Session } from '../../downstream/session.ts';
import type { Slab } from '../../lib/slab.ts';
import type { RouteNode } from '../../route/routing.ts';
import type { Subscriber, TopicKind } from '../../upstream/subscriber.ts';
import type { Handover } from './handover.ts';
import { mayBeKeyspace } from './keyspace.ts';
import { slotOfName } from './names.ts';

/** A node as far as this worker listens to it. */
export class Feed {
  readonly node: RouteNode;
  subscriber: Subscriber<Topic> | null = null;
  /** Those that are, or are to be, subscribed here. */
  readonly topics = new Set<Topic>();
  /** Those whose end here the node has not confirmed yet. */
  readonly leaving = new Set<Topic>();
  /** A primary with slots in the newest picture. */
  isPrimary = false;
  /** Connections in a row that failed or broke. */
  failures = 0;
  /** Monotonic ms before which it is not dialled again. */
  retryAt = 0;
  /** Monotonic ms since when nothing has been subscribed here. */
  idleSince = 0;

  constructor(node: RouteNode) {
    this.node = node;
  }

  get isFailing(): boolean {
    return this.failures > 0;
  }
}

export class Topic {
  readonly kind: TopicKind;
  /** One character per byte. */
  readonly name: string;
  readonly slot: number;
  /** It may bring keyspace notifications, which each primary tells for itself. */
  readonly isEverywhere: boolean;
  readonly sessions = new Set<Session>();
  /** Commands under way that want it: it is kept for them. */
  claims = 0;
  /** Sessions that get it as soon as the other workers know. */
  joining = 0;
  /** Where it is subscribed, and whether that node has confirmed. */
  readonly feeds = new Map<Feed, boolean>();
  /** Nodes that have not confirmed its end. */
  readonly leaving = new Set<Feed>();
  /** The feed whose messages are passed on. */
  source: Feed | null = null;
  handover: Handover<Feed> | null = null;
  /** When the source was lost without another, monotonic ms. */
  lostAt = Number.NEGATIVE_INFINITY;
  /** Told when it is live, or when it was refused with an error line. */
  waiting: ((error: string) => void)[] = [];
  /** Told when no node has it any more. */
  parting: (() => void)[] = [];
  /** Twice the sessions that the other workers were told of, plus 1 where its owner counts us. */
  told = 0;
  /** Refusals in a row. */
  refusals = 0;
  /** Monotonic ms before which it is not asked for again; 0: no pause. */
  retryAt = 0;

  constructor(kind: TopicKind, name: string) {
    this.kind = kind;
    this.name = name;
    this.slot = slotOfName(name);
    this.isEverywhere = mayBeKeyspace(kind, name);
  }

  /** Messages published from now on arrive. */
  get isLive(): boolean {
    if (this.source === null) return false;
    if (!this.isEverywhere) return true;
    for (const [feed, isConfirmed] of this.feeds) if (!isConfirmed && !feed.isFailing) return false;
    return true;
  }

  get isUnused(): boolean {
    return this.sessions.size === 0 && this.claims === 0;
  }
}

export interface TopicEvents {
  /** One message for all sessions of the topic; the frame buf[start, end) is RESP2. */
  onMessage(topic: Topic, buf: Slab, start: number, end: number): void;
  /** It is subscribed elsewhere, or nowhere, from now on. */
  onPlaceChange(topic: Topic): void;
}
