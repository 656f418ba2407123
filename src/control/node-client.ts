/**
 * One control connection to one node, by ioredis. It reconnects only when asked, has one poll
 * request in flight at most, and turns every failure into a value.
 */

import { Redis } from 'ioredis';
import type { NodeEndpoint } from '../topology/build.ts';
import { parseInfo } from '../topology/server-info.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import { readReplication, type StandaloneView } from '../topology/standalone.ts';
import { type NodeFailure, nodeFailure } from './node-failure.ts';

export interface NodeClientOptions {
  readonly username: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  /** The node ended a connection that worked: something happened to it. */
  readonly onLost: () => void;
}

export type NodeCommand = readonly [string, ...(string | Buffer)[]];

export type NodeAnswer =
  | {
      readonly kind: 'cluster';
      /** CLUSTER NODES as received: only a poll that still wants it reads it. */
      readonly nodesText: string;
      /** CLUSTER INFO says cluster_state:ok. */
      readonly stateOk: boolean;
      readonly version: string;
    }
  | { readonly kind: 'standalone'; readonly view: StandaloneView; readonly version: string }
  | { readonly kind: 'failure'; readonly failure: NodeFailure };

/** What a command that cannot be sent or is not answered rejects with. */
export class NodeCallError extends Error {
  readonly failure: NodeFailure;

  constructor(address: string, failure: NodeFailure) {
    super(`${address} ${failure.message}`);
    this.name = 'NodeCallError';
    this.failure = failure;
  }
}

/** The proxy's control connections as CLIENT LIST at the nodes shows them. */
export const CONTROL_CONNECTION_NAME = 'slotgate-control';
/** How long a closed connection may wait for the peer's FIN before its socket is destroyed. */
const DISCONNECT_TIMEOUT_MS = 50;

export class NodeClient {
  readonly endpoint: NodeEndpoint;
  readonly address: string;
  /** It let a poll down: none waits for this node again before it has answered once. */
  suspect = false;
  /** How long its last answer took. */
  answerMs = 0;
  /** Monotonic milliseconds before which a hung node gets no fresh connection. */
  retryAt = 0;

  readonly #options: NodeClientOptions;
  #redis: Redis | null = null;
  #opening: Redis | null = null;
  #connecting: Promise<Redis> | null = null;
  #inFlight: Promise<NodeAnswer> | null = null;
  /** Told once per connection: a node that was upgraded in place has a new one. */
  #version: string | null = null;
  readonly #runIds = new WeakMap<Redis, string>();
  #closed = false;

  constructor(endpoint: NodeEndpoint, options: NodeClientOptions) {
    this.endpoint = endpoint;
    this.address = nodeAddress(endpoint);
    this.#options = options;
  }

  get busy(): boolean {
    return this.#inFlight !== null;
  }

  get connected(): boolean {
    return this.#redis !== null;
  }

  /** The node's view. While an earlier request is unanswered, its answer is shared. */
  ask(): Promise<NodeAnswer> {
    this.#inFlight ??= this.#ask().finally(() => {
      this.#inFlight = null;
    });
    return this.#inFlight;
  }

  /** Any command; rejects with a {@link NodeCallError}. */
  async call(command: readonly [string, ...string[]]): Promise<unknown> {
    try {
      return await (await this.#connect()).call(...command);
    } catch (error) {
      throw new NodeCallError(this.address, nodeFailure(error));
    }
  }

  /** As {@link call}, texts as Buffers. */
  async callBuffer(command: readonly [string, ...string[]]): Promise<unknown> {
    try {
      return await (await this.#connect()).callBuffer(...command);
    } catch (error) {
      throw new NodeCallError(this.address, nodeFailure(error));
    }
  }

  /**
   * Several commands in one transaction, texts as Buffers, errors of single ones as Error values;
   * and the run id of the process that answered. Rejects with a {@link NodeCallError}.
   */
  async transaction(
    commands: readonly NodeCommand[],
  ): Promise<{ readonly runId: string; readonly replies: readonly unknown[] }> {
    try {
      const redis = await this.#connect();
      const runId = await this.#learnRunId(redis);
      const block: NodeCommand[] = [['MULTI'], ...commands, ['EXEC']];
      // Written in one go, so that nothing of another caller comes in between.
      const results = await Promise.allSettled(block.map((words) => redis.callBuffer(...words)));
      const refused = results.find(({ status }) => status === 'rejected');
      // The first says why; EXEC itself then says only that something was refused.
      if (refused?.status === 'rejected') throw refused.reason;
      const executed = results.at(-1);
      const replies = executed?.status === 'fulfilled' ? executed.value : null;
      if (!Array.isArray(replies)) throw new Error('EXEC did not answer with a list');
      return { runId, replies };
    } catch (error) {
      const failure = nodeFailure(error);
      // A half-open connection would never answer again.
      if (failure.code === 'timeout') this.#drop();
      throw new NodeCallError(this.address, failure);
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  async #ask(): Promise<NodeAnswer> {
    try {
      const redis = await this.#connect();
      return await this.#request(redis);
    } catch (error) {
      const failure = nodeFailure(error);
      // A late reply would only be dropped by ioredis, but a half-open connection never gets one.
      if (failure.code === 'timeout' || failure.code === 'auth') this.#drop();
      return { kind: 'failure', failure };
    }
  }

  async #request(redis: Redis): Promise<NodeAnswer> {
    const [nodes, info] = await Promise.allSettled([
      redis.call('CLUSTER', 'NODES'),
      redis.call('CLUSTER', 'INFO'),
      this.#learnVersion(redis),
    ]);
    const version = this.#version ?? '';
    if (nodes.status === 'fulfilled') {
      // An account that may not read CLUSTER INFO still routes.
      const stateOk = info.status === 'rejected' || isStateOk(String(info.value));
      return { kind: 'cluster', nodesText: String(nodes.value), stateOk, version };
    }
    if (!isClusterDisabled(nodes.reason)) throw nodes.reason;
    const replication = parseInfo(String(await redis.call('INFO', 'replication')));
    return { kind: 'standalone', view: readReplication(replication, this.endpoint), version };
  }

  async #learnVersion(redis: Redis): Promise<void> {
    if (this.#version !== null) return;
    const fields = parseInfo(String(await redis.call('INFO', 'server')));
    if (this.#redis === redis) this.#version = fields.get('redis_version') ?? '';
  }

  /** A connection that stays open is one to the same process. */
  async #learnRunId(redis: Redis): Promise<string> {
    const known = this.#runIds.get(redis);
    if (known !== undefined) return known;
    const runId = parseInfo(String(await redis.call('INFO', 'server'))).get('run_id') ?? '';
    this.#runIds.set(redis, runId);
    return runId;
  }

  #connect(): Promise<Redis> {
    if (this.#redis !== null) return Promise.resolve(this.#redis);
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #open(): Promise<Redis> {
    if (this.#closed) throw new Error('Connection is closed.');
    const redis = this.#create();
    this.#opening = redis;
    let cause: unknown = null;
    // ioredis rejects with "Connection is closed." and tells the cause in this event.
    redis.on('error', (error: unknown) => {
      cause ??= error;
    });
    redis.on('end', () => {
      if (this.#redis !== redis) return;
      this.#forget();
      this.#options.onLost();
    });
    try {
      await redis.connect();
      await this.#introduce(redis);
    } catch (error) {
      redis.disconnect();
      throw cause ?? error;
    } finally {
      this.#opening = null;
    }
    this.#redis = redis;
    return redis;
  }

  #create(): Redis {
    return new Redis({
      host: this.endpoint.host,
      port: this.endpoint.port,
      protocol: 2,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => null,
      connectTimeout: this.#options.connectTimeoutMs,
      commandTimeout: this.#options.commandTimeoutMs,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      disableClientInfo: true,
    });
  }

  /**
   * AUTH is ours, not ioredis' handshake: that one prints to the console when a server needs no
   * password, and hides what the server said when the password is wrong.
   */
  async #introduce(redis: Redis): Promise<void> {
    await this.#authenticate(redis);
    // A name is a courtesy to whoever reads CLIENT LIST; an account may lack the command.
    await redis.call('CLIENT', 'SETNAME', CONTROL_CONNECTION_NAME).catch((error: unknown) => {
      if (nodeFailure(error).code === 'timeout') throw error;
    });
  }

  async #authenticate(redis: Redis): Promise<void> {
    const { username, password } = this.#options;
    if (password === '') return;
    try {
      if (username === '') await redis.call('AUTH', password);
      else await redis.call('AUTH', username, password);
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      if (/no password is set|without any password configured/.test(message)) return;
      // This reply repeats the arguments, the password among them.
      if (/unknown command/i.test(message)) throw new Error('the server knows no AUTH command');
      // Before Redis 6 AUTH takes the password alone.
      if (username === '' || !/wrong number of arguments/.test(message)) throw error;
      await redis.call('AUTH', password);
    }
  }

  #drop(): void {
    this.#opening?.disconnect();
    const redis = this.#redis;
    this.#forget();
    redis?.disconnect();
  }

  #forget(): void {
    this.#redis = null;
    this.#version = null;
  }
}

function isClusterDisabled(error: unknown): boolean {
  return error instanceof Error && error.message.includes('cluster support disabled');
}

function isStateOk(clusterInfo: string): boolean {
  return parseInfo(clusterInfo).get('cluster_state') === 'ok';
}
