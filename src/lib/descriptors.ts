/**
 * File descriptors: how many a process may have open, and how many of them connections of clients and
 * to nodes may take. The rest is for files, pipes, subscriptions, further lanes and HTTP, which must
 * work on when clients have taken all that they may.
 */
import { readFileSync } from 'node:fs';

/** Below, not even the program can be loaded. */
export const DESCRIPTORS_MIN = 128;

const OWN = 64;
/** One of so many is kept for lanes that are not open yet. */
const LANE_SHARE = 16;
/** The HTTP listener's connections, at most. */
const HTTP_MAX = 256;
const HTTP_SHARE = 4;

/** `ulimit -n`, which Node has raised as far as it may; Infinity where the system does not tell. */
export function descriptorLimit(): number {
  try {
    return parseLimit(readFileSync('/proc/self/limits', 'latin1'));
  } catch {
    return Number.POSITIVE_INFINITY; // Not Linux: the kernel will say when it is too much.
  }
}

/** '' or why a server could not even be loaded within this limit. */
export function descriptorShortage(limit: number): string {
  if (limit >= DESCRIPTORS_MIN) return '';
  return (
    `each process may open ${limit} files only (ulimit -n): slotgate needs ${DESCRIPTORS_MIN}, and ` +
    'one more for each client and for each connection to a node'
  );
}

/** Of the text of /proc/self/limits. */
export function parseLimit(text: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

/** `isSingle`: control and its HTTP listener are in the same process. */
export function connectionsWithin(limit: number, isSingle: boolean): number {
  if (limit === Number.POSITIVE_INFINITY) return limit;
  const http = isSingle ? httpConnectionsWithin(limit) : 0;
  return Math.max(1, Math.floor(limit - limit / LANE_SHARE) - OWN - http);
}

/** The limit within which there may be so many connections. */
export function limitFor(connections: number, isSingle: boolean): number {
  const http = isSingle ? HTTP_MAX : 0;
  return Math.ceil(((connections + OWN + http) * LANE_SHARE) / (LANE_SHARE - 1));
}

export function httpConnectionsWithin(limit: number): number {
  return Math.min(HTTP_MAX, Math.floor(limit / HTTP_SHARE));
}
