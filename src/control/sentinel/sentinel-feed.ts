/** Hears what one Sentinel publishes, and comes back to it when the connection ends. */

import { Redis } from 'ioredis';
import type { NodeEndpoint } from '../../topology/build.ts';
import { logIn } from '../node-login.ts';

/** An elected Sentinel has chosen a replica and promotes it in its next step. */
export const SELECTED = '+selected-slave';
/** That replica did not become a primary. */
export const SELECTION_FAILED = '-failover-abort-slave-timeout';

export interface FeedOptions {
  readonly username: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly onEvent: (channel: string, message: string) => void;
  /** Listens from now on; what was published before was not heard. */
  readonly onOpen: () => void;
}

/**
 * What tells that another primary will be or is in force, or that a replica has come. The Sentinel
 * that leads a failover names the new primary from +promoted-slave on, the others from +switch-master
 * on.
 */
const CHANNELS = [SELECTED, '+promoted-slave', '+switch-master', SELECTION_FAILED, '+slave'];
const RETRY_MS = 1000;

export class SentinelFeed {
  readonly #endpoint: NodeEndpoint;
  readonly #options: FeedOptions;
  #redis: Redis | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(endpoint: NodeEndpoint, options: FeedOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    void this.#open();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#redis?.disconnect();
  }

  /** Never rejects: a Sentinel that is away is told of by those who ask it. */
  async #open(): Promise<void> {
    const redis = this.#create();
    this.#redis = redis;
    // Each failure ends in the same pause; ioredis would print errors nobody listens to.
    redis.on('error', () => undefined);
    redis.on('message', this.#options.onEvent);
    try {
      await redis.connect();
      await logIn(redis, this.#options);
      await redis.subscribe(...CHANNELS);
    } catch {
      redis.disconnect();
      this.#retry();
      return;
    }
    redis.on('end', () => this.#retry());
    if (redis.status === 'end') this.#retry();
    else this.#options.onOpen();
  }

  #retry(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#open();
    }, RETRY_MS);
  }

  #create(): Redis {
    const { host, port } = this.#endpoint;
    const { connectTimeoutMs, commandTimeoutMs } = this.#options;
    return new Redis({
      host,
      port,
      protocol: 2,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      retryStrategy: () => null,
      connectTimeout: connectTimeoutMs,
      commandTimeout: commandTimeoutMs,
      disableClientInfo: true,
    });
  }
}
