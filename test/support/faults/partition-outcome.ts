/** What a partition is called, and what it came to: shared by the test and its run in a namespace. */

export const PARTITIONS = [
  'primary alone',
  'primary with the proxy',
  'primary with the proxy, WAIT 1',
  'replica alone',
  'proxy alone',
] as const;
export type PartitionName = (typeof PARTITIONS)[number];

export const NODE_TIMEOUT_MS = 2000;
/** A primary in the minority acknowledges writes for at most this long, by Redis' own rules. */
export const WINDOW_MS = NODE_TIMEOUT_MS + 1000;

export interface SideOutcome {
  /** Commands answered while it lasted. */
  readonly commandsDuring: number;
  readonly acked: number;
  /** Confirmed by a replica as well. */
  readonly durable: number;
  readonly lost: number;
  readonly lostDurable: number;
  /** SETs and INCRs. */
  readonly lostValues: number;
  /** When, after the cut, the first and the last lost element were acknowledged. */
  readonly lostMs: readonly [number, number] | null;
  /** Lost, and acknowledged at another time than during the partition. */
  readonly unexplained: number;
  readonly uncertain: number;
  /** Other error lines that clients saw. */
  readonly errors: Readonly<Record<string, number>>;
  /** Longest time that a client waited for an answer. */
  readonly longestMs: number;
  readonly problems: readonly string[];
}

export interface PartitionOutcome {
  readonly name: PartitionName;
  /** The majority gave the shard a new primary. */
  readonly promoted: boolean;
  /** CLUSTER FAILOVER commands that any node got. */
  readonly failoverCalls: number;
  /** Clients that use the keys of the shard concerned only. */
  readonly shard: SideOutcome;
  /** Clients that use the keys of the other shards only. */
  readonly others: SideOutcome;
}
