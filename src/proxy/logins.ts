/**
 * Clients that have not given the password yet. Whoever may connect can make us work: what a
 * connection says before AUTH is bounded, right or wrong, and failures are counted and told.
 */

import type { Session } from '../downstream/session.ts';
import { SCALAR } from '../metrics/definitions.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';

/**
 * Commands before AUTH, after which a connection is closed. Client libraries say about ten at most;
 * without a bound 200 connections with one blob of AUTH each kept others waiting for seconds.
 */
export const COMMANDS_BEFORE_AUTH = 64;
export const TOO_MANY_BEFORE_AUTH = 'NOAUTH too many commands without authentication: closing';

const TELL_MS = 60_000;
/** Addresses told apart; a flood from more of them is told as a whole. */
const ADDRESSES_MAX = 1000;

/** What has failed since it was last told. */
export interface LoginFailures {
  /** Wrong passwords, and commands without one. */
  readonly failures: number;
  readonly addresses: number;
  /** That most of them came from, and how many. */
  readonly address: string;
  readonly ofAddress: number;
}

export class Logins {
  readonly #metrics: WorkerMetrics;
  readonly #commands = new WeakMap<Session, number>();
  readonly #failed = new Map<string, number>();
  #failures = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(metrics: WorkerMetrics) {
    this.#metrics = metrics;
  }

  /** One more command of a session that is not authenticated; false: there were too many. */
  admits(session: Session): boolean {
    const count = (this.#commands.get(session) ?? 0) + 1;
    this.#commands.set(session, count);
    return count <= COMMANDS_BEFORE_AUTH;
  }

  /** Ends one that was not admitted, once it has been told. Nothing more is read of it. */
  shutOut(session: Session): void {
    this.#metrics.increment(SCALAR.rejectedAuth);
    session.closeAfterReplies();
    session.stream.pause();
  }

  /** A wrong password, or a command without one. */
  onFailure(session: Session): void {
    this.#metrics.increment(SCALAR.authFailures);
    this.#failures++;
    const host = session.stream.remoteAddress.replace(/:\d+$/, '');
    const count = this.#failed.get(host);
    if (count !== undefined || this.#failed.size < ADDRESSES_MAX) {
      this.#failed.set(host, (count ?? 0) + 1);
    }
  }

  /** What is to be told now: at once after a quiet time, else what came in the last minute. */
  news(now: number): LoginFailures | null {
    if (this.#failures === 0 || now - this.#toldAt < TELL_MS) return null;
    this.#toldAt = now;
    const failures = this.#failures;
    const addresses = this.#failed.size;
    let worst: readonly [string, number] = ['', 0];
    for (const each of this.#failed) if (each[1] > worst[1]) worst = each;
    this.#failures = 0;
    this.#failed.clear();
    return { failures, addresses, address: worst[0], ofAddress: worst[1] };
  }
}
