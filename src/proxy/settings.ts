/** What the data path must know of the configuration; main derives it from the whole. */

import type { SessionLimits } from '../downstream/session.ts';
import type { FrameLimits } from '../resp/request-framer.ts';
import type { ReadRules } from '../route/read-choice.ts';
import type { LaneSettings } from './lane-set.ts';
import type { LocalSettings } from './local/context.ts';

export interface HoldSettings {
  readonly timeoutMs: number;
  readonly maxRequests: number;
  readonly maxBytes: number;
  /** Commands for a shard that has been away for longer fail at once. */
  readonly maxFailoverMs: number;
  /** Least time between two holds of one shard. */
  readonly minGapMs: number;
  /** Nothing is held; what would have been is counted and logged. */
  readonly dryRun: boolean;
}

export interface ReadSettings extends ReadRules {
  /** May replicas serve at all? */
  readonly replicas: boolean;
  readonly consistency: 'eventual' | 'session' | 'primary';
  /** How often control asks how far the replicas have got. */
  readonly pollMs: number;
}

export interface WaitSettings {
  /** That must have a write before it is acknowledged; 0: none. */
  readonly replicas: number;
  readonly timeoutMs: number;
}

export interface CrossSlotSettings {
  /** Some commands over several slots run in steps; otherwise they are refused. */
  readonly emulate: boolean;
  /** Values that one of them may bring together. */
  readonly maxBytes: number;
}

export interface ProxySettings {
  readonly lanes: LaneSettings;
  readonly hold: HoldSettings;
  readonly reads: ReadSettings;
  readonly writesWait: WaitSettings;
  readonly crossSlot: CrossSlotSettings;
  readonly local: LocalSettings;
  readonly request: FrameLimits;
  readonly commandTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly retrySentWrites: boolean;
  /** -UNCERTAIN is told by closing the connection. */
  readonly uncertainCloses: boolean;
  readonly maxclients: number;
  /** Seconds; 0 = never. */
  readonly idleTimeout: number;
  /** Non-loopback clients without a password are refused with -DENIED. */
  readonly protectedMode: boolean;
  readonly maxRequestBuffer: number;
  readonly maxRequestBytes: number;
  readonly maxInflightPerSession: number;
  /** Connections of clients and to nodes together, for which there are file descriptors. */
  readonly descriptors: number;
  /** Connections to nodes that may be lent to blocked or watching clients, per worker. */
  readonly pinnedConnections: number;
  /** Channels and patterns of one client. */
  readonly subscriptions: number;
  readonly replyHighWater: number;
  readonly replyHardLimit: number;
  readonly slowReaderMs: number;
  /** Bytes of replies that all sessions of this worker may hold back together. */
  readonly sharedReplyBudget: number;
  /** Upper-case names that the operator refuses besides those that are never available. */
  readonly denied: ReadonlySet<string>;
}

/** Before AUTH Redis takes 10 arguments of 16 KB (networking.c, processMultibulkBuffer). */
const UNAUTHENTICATED = { maxArguments: 10, maxBulkBytes: 16384, unauthenticated: true } as const;

export function sessionLimits(settings: ProxySettings): SessionLimits {
  const { request, maxRequestBuffer, maxRequestBytes, replyHighWater, replyHardLimit } = settings;
  return {
    request,
    unauthenticated: { ...request, ...UNAUTHENTICATED },
    maxRequestBuffer,
    maxRequestBytes,
    maxInflight: settings.maxInflightPerSession,
    replyHighWater,
    replyHardLimit,
  };
}
