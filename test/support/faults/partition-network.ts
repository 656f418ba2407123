/**
 * A network that can be cut, in a network namespace of its own: every node has its own loopback
 * address, and routing rules drop what goes from one group of addresses to another, on established
 * connections too. Needs no packet filter.
 */
import { execFileSync } from 'node:child_process';

/** Where a node's outgoing connection comes from when it may not use its own address. */
const FALLBACK = '127.0.0.1';
export const NODE_NETWORK = '127.0.1.0/24';
const LOCAL_TABLE_PRIORITY = '100';
const CUT_PRIORITY = '10';

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** To be called once, first: rules before the local table would otherwise never be looked at. */
export function preparePartitions(): void {
  ip('link', 'set', 'lo', 'up');
  ip('rule', 'add', 'pref', LOCAL_TABLE_PRIORITY, 'lookup', 'local');
  ip('rule', 'del', 'pref', '0');
}

/** Drops all between the two groups of addresses, both ways, until {@link healPartition}. */
export function cut(some: readonly string[], others: readonly string[]): void {
  // A node whose own address does not get through tries again from the default one.
  const rules = [...bothWays(FALLBACK, NODE_NETWORK)];
  for (const one of some) for (const other of others) rules.push(...bothWays(one, other));
  execFileSync('ip', ['-batch', '-'], { input: rules.join(''), stdio: ['pipe', 'ignore', 'pipe'] });
}

function bothWays(one: string, other: string): string[] {
  return [
    [one, other],
    [other, one],
  ].map(([from, to]) => `rule add pref ${CUT_PRIORITY} from ${from} to ${to} blackhole\n`);
}

export function healPartition(): void {
  for (;;) {
    try {
      ip('rule', 'del', 'pref', CUT_PRIORITY);
    } catch {
      return; // No such rule is left.
    }
  }
}

/** Why this machine cannot play partitions, '' when it can. */
export function whyNoPartitions(): string {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const [program, ...args] of [
    ['ip', '-V'],
    ['unshare', '-n', '-p', '-f', 'ip', 'rule', 'add', 'pref', '100', 'lookup', 'local'],
  ] as const) {
    try {
      execFileSync(program, args, { stdio: 'pipe' });
    } catch (error) {
      return `${program} does not work here: ${(error as Error).message.trim()}`;
    }
  }
  return '';
}
