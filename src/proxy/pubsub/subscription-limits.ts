/** How much clients may subscribe to. */

import { TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import type { Subscriptions } from './subscriptions.ts';

/**
 * Patterns of all clients of a worker. They share one connection to a node, and up to Redis 7.0 a
 * node walks all patterns of a connection for each that comes or goes: 8,000 cost it about a second.
 */
const PATTERNS_MAX = 8192;

/**
 * How many it will have depends on what is under way, which may fail, be the same again or be given
 * back: where it matters, the command waits until that is known. So it is bounded, too.
 */
export function mustWaitForOrders(
  known: Subscriptions | undefined,
  names: number,
  most: number,
): boolean {
  if (known === undefined || known.orders.length === 0) return false;
  return known.total + known.begun + names > most;
}

/** '' where a client may subscribe to all of these. */
export function refusalOf(
  known: Subscriptions | undefined,
  kind: TopicKind,
  names: readonly string[],
  /** `patterns`: those that clients of this worker have. */
  { most, patterns }: { readonly most: number; readonly patterns: number },
): string {
  const wanted = (known?.total ?? 0) + (known?.begun ?? 0) + names.length;
  // Names that it has already are counted only where it matters.
  if (wanted > most && countNew(known, kind, names) + (known?.total ?? 0) > most) {
    return `ERR too many subscriptions: a client may have ${most} (limits.subscriptions)`;
  }
  const isFull = kind === TOPIC.pattern && patterns + countNew(known, kind, names) > PATTERNS_MAX;
  return isFull ? `ERR too many patterns: clients of this worker have ${PATTERNS_MAX}` : '';
}

/** How many of these names are new to the client. */
function countNew(
  known: Subscriptions | undefined,
  kind: TopicKind,
  names: readonly string[],
): number {
  const own = known?.of(kind);
  return new Set(names.filter((name) => own?.has(name) !== true)).size;
}
