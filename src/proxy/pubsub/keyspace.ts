/**
 * Which channels carry keyspace notifications. A node tells of its own keys only, and only to its
 * own connections, so whoever wants to hear of them must listen at every primary.
 */

import { TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import { globMatches } from '../local/glob.ts';

export const KEYSPACE_PREFIX = '__key';

/** Can what is subscribed to bring keyspace notifications? One character of `name` is one byte. */
export function mayBeKeyspace(kind: TopicKind, name: string): boolean {
  if (kind === TOPIC.shard) return false;
  return kind === TOPIC.channel
    ? name.startsWith(KEYSPACE_PREFIX)
    : canMatchPrefix(name, KEYSPACE_PREFIX);
}

/** Does the pattern match any name that begins with `prefix`? */
export function canMatchPrefix(pattern: string, prefix: string): boolean {
  let at = 0;
  for (const char of prefix) {
    if (at >= pattern.length) return false;
    if (pattern[at] === '*') return true;
    const end = elementEnd(pattern, at);
    if (!globMatches(pattern.slice(at, end), char, { ignoreCase: false })) return false;
    at = end;
  }
  return true;
}

/** The position behind the one-character element of a pattern that begins at `at`. */
function elementEnd(pattern: string, at: number): number {
  if (pattern[at] === '\\') return Math.min(at + 2, pattern.length);
  if (pattern[at] !== '[') return at + 1;
  let end = at + 1;
  while (end < pattern.length && pattern[end] !== ']') end += pattern[end] === '\\' ? 2 : 1;
  return Math.min(end + 1, pattern.length);
}
