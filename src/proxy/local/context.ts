/**
 * What commands that the proxy answers itself may see and do. A handler gets its arguments decoded
 * (these commands are rare) and writes one reply; one that must ask other workers or nodes returns
 * a promise, and its place in the session's reply order waits for it.
 */

import type { CommandTable } from '../../commands/table.ts';
import type { Session } from '../../downstream/session.ts';
import type { ControlCalls } from '../../lib/planes.ts';
import type { WorkerMetrics } from '../../metrics/worker-metrics.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import type { Snapshot } from '../../topology/snapshot.ts';
import type { Runtime } from '../../transport/transport.ts';
import type { Logins } from '../logins.ts';
import type { Monitors } from '../monitor/monitors.ts';
import type { Pause } from '../pause.ts';

/** The part of the configuration that clients can see or that local commands need. */
export interface LocalSettings {
  readonly version: string;
  /** '' = no password wanted. */
  readonly requirepass: string;
  /** That clients connect to; 0 until the kernel has chosen. */
  readonly port: number;
  readonly announceHost: string;
  readonly announcePort: number;
  /** All slotgates that cluster-aware clients are shown, or none: this one alone. */
  readonly announceProxies: readonly { readonly host: string; readonly port: number }[];
  /** The primary's name in SENTINEL MASTERS. */
  readonly masterName: string;
  readonly face: 'cluster' | 'standalone';
  /** 0: none. */
  readonly sentinelPort: number;
  readonly workers: number;
  readonly workerId: number;
  /** 40 hex digits, the same for all workers of this instance: our node id as clients see it. */
  readonly nodeId: string;
  /** Unix ms at which this instance started; absent: when this process did. */
  readonly startedAt?: number;
  /** Name → value as CONFIG GET answers it (Redis' names and slotgate's own, no secrets). */
  readonly visible: ReadonlyMap<string, string>;
  /** Those of `visible` that may change: only control knows what holds when all is done. */
  readonly live: ReadonlySet<string>;
}

/** What a session is in the middle of, for CLIENT LIST. */
export interface SessionFacts {
  /** Commands queued since MULTI; -1 outside. */
  readonly queued: number;
  /** Keys that it watches. */
  readonly watched: number;
  readonly channels: number;
  readonly patterns: number;
  readonly shardChannels: number;
}

export interface LocalServices {
  readonly settings: LocalSettings;
  readonly runtime: Runtime;
  readonly table: CommandTable;
  readonly metrics: WorkerMetrics;
  readonly control: ControlCalls;
  snapshot(): Snapshot | null;
  sessions(): Iterable<Session>;
  sessionCount(): number;
  factsOf(session: Session): SessionFacts;
  /** CLIENT UNBLOCK: false when the session does not block. */
  unblock(session: Session, how: 'TIMEOUT' | 'ERROR'): boolean;
  readonly logins: Logins;
  readonly pause: Pause;
  readonly monitors: Monitors;
  /** RESET: ends what lasts longer than a command, such as MULTI, WATCH and subscriptions. */
  forgetState(session: Session): void;
  /** Closes after the replies in flight (graceful) or at once. */
  closeSession(session: Session, options: { graceful: boolean }): void;
}

export interface LocalCall {
  readonly session: Session;
  /** Id in the command table: of the subcommand where there is one. */
  readonly command: number;
  /** args[0] is the command's name as the client wrote it. */
  readonly args: readonly Buffer[];
  readonly services: LocalServices;
}

export type LocalHandler = (call: LocalCall, reply: ReplyWriter) => void | Promise<void>;
