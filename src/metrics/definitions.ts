/**
 * What a worker counts and how its numbers lie in one Float64Array: the scalars, the error words,
 * the histogram's bounds and the sections' offsets. Worker, merge and exposition all read this file,
 * so that a number has one name and one place.
 *
 *     [ scalars | errors | commands | command durations | shard durations | holds | nodes ]
 *
 * Two sums hold at any moment in the merged picture:
 *   requestsHeld    = heldDrained + heldExpired + heldEvicted + heldNow
 *   connectionsNow  = connectionsOpened - connections closed (a rejected connection was never opened)
 */

/** A report whose version differs comes from another build and cannot be merged. */
export const LAYOUT_VERSION = 4;

/** Ids of commands; 0 is 'other', for what the command table does not know. */
export const COMMANDS_MAX = 1024;
/** Ids kept free for commands that are learnt from the servers after start. */
export const COMMANDS_HEADROOM = 128;
/** Rows of shards: 128 are supported, the last row takes any that come after. */
export const SHARDS_MAX = 256;
/** Rows of nodes; row 0 is 'other', for what does not fit. */
export const NODES_MAX = 1024;

export const OTHER = 'other';

/** How a command ended, as its client saw it. */
export const RESULT = {
  /** Any reply that is not an error. */
  ok: 0,
  /** An error reply that a node gave, or that stands for a node that gave none. */
  error: 1,
  /** Refused by slotgate itself; no node has seen it. */
  rejected: 2,
} as const;
export type Result = (typeof RESULT)[keyof typeof RESULT];
export const RESULT_NAMES = ['ok', 'error', 'rejected'] as const;
export const RESULTS = RESULT_NAMES.length;

/** Index of each scalar in its section. */
export const SCALAR = {
  connectionsOpened: 0,
  connectionsNow: 1,
  rejectedMaxclients: 2,
  rejectedProtected: 3,
  rejectedAuth: 4,
  rejectedLimits: 5,
  rejectedProtocol: 6,
  receivedBytes: 7,
  sentBytes: 8,
  protocolErrors: 9,
  redirectsMoved: 10,
  redirectsAsk: 11,
  redirectsTryagain: 12,
  redirectsClusterdown: 13,
  redirectsLoading: 14,
  redirectsMasterdown: 15,
  redirectsReadonly: 16,
  /** Times that a shard began to hold. */
  holdsStarted: 17,
  /** Requests that were ever held. */
  requestsHeld: 18,
  /** Requests held at this moment. */
  heldNow: 19,
  /** Held requests that went to their node in the end. */
  heldDrained: 20,
  /** Held requests answered with an error, at the end of their time or of their shard's. */
  heldExpired: 21,
  /** Held requests given up for a bound on count or bytes, or because their client left. */
  heldEvicted: 22,
  /** Writes answered with UNCERTAIN. */
  uncertainWrites: 23,
  retries: 24,
  desyncAlarms: 25,
  heartbeats: 26,
  lanesOpened: 27,
  lanesClosed: 28,
  slowReaderPauses: 29,
  slowReaderCuts: 30,
  bigReplies: 31,
  commandTimeouts: 32,
  idleTimeouts: 33,
  /** Longest and mean event-loop delay of the last sampling period, seconds. */
  loopDelayMax: 34,
  loopDelayMean: 35,
  /** Busy share of the event loop in the last sampling period, 0 to 1. */
  loopUtilization: 36,
  cpuSeconds: 37,
  residentBytes: 38,
  /** Connections to nodes lent to one client each: blocked or watching. */
  pinnedNow: 39,
  /** Clients in a blocking command. */
  blockedNow: 40,
  /** Elements popped for a client that had gone, put back. */
  blockedReturned: 41,
  transactions: 42,
  /** Subscriptions of clients: one for each client and channel or pattern. */
  subscriptionsNow: 43,
  /** Channels and patterns that this worker is subscribed to for its clients. */
  upstreamSubscriptionsNow: 44,
  /** Messages that nodes sent for subscriptions. */
  messagesReceived: 45,
  /** Messages handed to clients. */
  messagesDelivered: 46,
  /** Times that a subscription was without a node and may have missed messages. */
  subscriptionGaps: 47,
  /** Subscribers disconnected because they did not read their messages. */
  slowSubscriberCuts: 48,
  /** Seconds that shards were held, of holds that have ended. */
  holdSeconds: 49,
  /** Commands that failed at once though their shard was away: hold.dryRun, minGapMs, maxFailoverMs. */
  holdSkippedDryRun: 50,
  holdSkippedMinGap: 51,
  holdSkippedTooLong: 52,
  /** Commands that replicas served, as sent. */
  replicaReads: 53,
  /** Reads that a replica turned away or lost, sent elsewhere. */
  replicaReadsMoved: 54,
  /** Writes that enough replicas acknowledged in time (writes.wait), and those that too few did. */
  writesConfirmed: 55,
  writesUnconfirmed: 56,
  /** Wrong passwords of clients, and commands without one. */
  authFailures: 57,
} as const;
export type ScalarName = keyof typeof SCALAR;
export type Scalar = (typeof SCALAR)[ScalarName];
export const SCALARS = Object.keys(SCALAR).length;

/** Scalars that describe the present: dropped with a dead worker. All others only grow. */
export const GAUGES_SUMMED: readonly Scalar[] = [
  SCALAR.connectionsNow,
  SCALAR.heldNow,
  SCALAR.residentBytes,
  SCALAR.pinnedNow,
  SCALAR.blockedNow,
  SCALAR.subscriptionsNow,
  SCALAR.upstreamSubscriptionsNow,
];
/** Gauges of which the merged picture shows the worst worker's. */
export const GAUGES_WORST: readonly Scalar[] = [
  SCALAR.loopDelayMax,
  SCALAR.loopDelayMean,
  SCALAR.loopUtilization,
];

/** First words of error replies: Redis' and Valkey's own and UNCERTAIN. Index 0 takes the rest. */
export const ERROR_WORDS = [
  OTHER,
  'ASK',
  'BUSY',
  'BUSYGROUP',
  'BUSYKEY',
  'CLUSTERDOWN',
  'CROSSSLOT',
  'DENIED',
  'ERR',
  'EXECABORT',
  'INPROG',
  'IOERR',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOAUTH',
  'NOGOODSLAVE',
  'NOGROUP',
  'NOMASTERLINK',
  'NOPERM',
  'NOPROTO',
  'NOREPLICAS',
  'NOSCRIPT',
  'NOTBUSY',
  'OOM',
  'READONLY',
  'REDIRECT',
  'TRYAGAIN',
  'UNBLOCKED',
  'UNCERTAIN',
  'UNCONFIRMED',
  'UNKILLABLE',
  'WRONGPASS',
  'WRONGTYPE',
] as const;
export const ERRORS = ERROR_WORDS.length;

/** Upper bounds of the duration buckets, microseconds, each counted in (le). */
export const BUCKET_BOUNDS_US = [
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
  1_000_000, 2_500_000,
] as const;
/** The bucket of what is longer than the last bound. */
export const BUCKET_OVERFLOW = BUCKET_BOUNDS_US.length;
/** Where a histogram's row keeps the sum of its observations, microseconds. */
export const BUCKET_SUM = BUCKET_OVERFLOW + 1;
/** Numbers in one histogram's row; the count is the sum of its buckets. */
export const HISTOGRAM_STRIDE = BUCKET_SUM + 1;

/** A shard's row: 1 where this worker holds, or drains, its commands. Gauges. */
export const HOLD_FIELD = { holding: 0, draining: 1 } as const;
export const HOLD_STRIDE = 2;

/** Fields of a node's row. Both `up` and `down` 0 means that nobody has tried it yet. */
export const NODE_FIELD = {
  connectionsNow: 0,
  inflight: 1,
  up: 2,
  down: 3,
  connectionsOpened: 4,
  connectFailures: 5,
} as const;
export const NODE_STRIDE = 6;
/** Fields below this one are gauges. */
export const NODE_FIRST_COUNTER = NODE_FIELD.connectionsOpened;

export interface Layout {
  readonly scalars: number;
  readonly errors: number;
  readonly commands: number;
  readonly commandDurations: number;
  readonly shardDurations: number;
  readonly holds: number;
  readonly nodes: number;
  readonly length: number;
}

/** Offsets of the sections in a buffer made for `commandCapacity` ids. */
export function layoutFor(commandCapacity: number): Layout {
  const errors = SCALARS;
  const commands = errors + ERRORS;
  const commandDurations = commands + commandCapacity * RESULTS;
  const shardDurations = commandDurations + commandCapacity * HISTOGRAM_STRIDE;
  const holds = shardDurations + SHARDS_MAX * HISTOGRAM_STRIDE;
  const nodes = holds + SHARDS_MAX * HOLD_STRIDE;
  const length = nodes + NODES_MAX * NODE_STRIDE;
  return { scalars: 0, errors, commands, commandDurations, shardDurations, holds, nodes, length };
}

/** One worker's numbers since its start; survives structured clone. */
export interface WorkerReport {
  readonly layoutVersion: number;
  readonly commandCapacity: number;
  /** Name of each command id in use. */
  readonly commandNames: readonly string[];
  /** Address (host:port) of each node row in use. */
  readonly nodeNames: readonly string[];
  /** The sections of {@link layoutFor}; ends after the last node row in use. */
  readonly buffer: Float64Array;
}
