/**
 * One control connection to one node, by ioredis. It reconnects only when asked, has one poll
 * request in flight at most, and turns every failure into a value.
 */

import { Redis } from 'ioredis';
import { withDeadline } from '../lib/deadline.ts';
import { resetSocket } from '../lib/reset-socket.ts';
import type { NodeEndpoint } from '../topology/build.ts';
import { parseInfo } from '../topology/server-info.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import { readReplication, type StandaloneView } from '../topology/standalone.ts';
import { type NodeFailure, nodeFailure } from './node-failure.ts';
import { logIn } from './node-login.ts';

export interface NodeClientOptions {
  readonly username: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  /** What the servers have to be; absent: whatever they are. */
  readonly mode?: UpstreamMode;
  /** The node ended a connection that worked: something happened to it. */
  readonly onLost: () => void;
}

export type UpstreamMode = 'auto' | 'cluster' | 'standalone';

export type NodeCommand = readonly [string, ...(string | Buffer)[]];

/** One command's answer: `error` is the node's own word, '' when it did as told. */
export interface BatchResult {
  readonly value: unknown;
  readonly error: string;
}

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
const CONTROL_CONNECTION_NAME = 'slotgate-control';
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
  /** Told once per connection: one that stays open is one to the same process. */
  readonly #processes = new WeakMap<Redis, ServerProcess>();
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
      this.#forgetEnded();
      throw new NodeCallError(this.address, nodeFailure(error));
    }
  }

  /** As {@link call}, texts as Buffers. */
  async callBuffer(command: NodeCommand): Promise<unknown> {
    try {
      return await (await this.#connect()).callBuffer(...command);
    } catch (error) {
      this.#forgetEnded();
      throw new NodeCallError(this.address, nodeFailure(error));
    }
  }

  /**
   * Several commands, written in one piece: a node that reads them together does what it does at the
   * end of a turn (write nodes.conf, send replies) once. Rejects with a {@link NodeCallError} when they
   * could not be sent, the connection ended or `timeoutMs` passed; what a node says to single ones is
   * in the results.
   */
  async batch(commands: readonly NodeCommand[], timeoutMs: number): Promise<BatchResult[]> {
    try {
      const redis = await this.#connect();
      redis.stream.cork();
      const sent = commands.map((words) => redis.callBuffer(...words));
      redis.stream.uncork();
      const results = await withDeadline(Promise.allSettled(sent), timeoutMs, () => {
        throw Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
      });
      return results.map((result) => batchResult(result));
    } catch (error) {
      const failure = nodeFailure(error);
      if (failure.code === 'timeout') this.#drop();
      else this.#forgetEnded();
      throw new NodeCallError(this.address, failure);
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
      const { runId } = await this.#learnProcess(redis);
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
      else this.#forgetEnded();
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
      else this.#forgetEnded();
      return { kind: 'failure', failure };
    }
  }

  async #request(redis: Redis): Promise<NodeAnswer> {
    const { mode = 'auto' } = this.#options;
    if (mode === 'standalone') return this.#requestStandalone(redis, true);
    const [nodes, info, server] = await Promise.allSettled([
      redis.call('CLUSTER', 'NODES'),
      redis.call('CLUSTER', 'INFO'),
      this.#learnProcess(redis),
    ]);
    if (nodes.status === 'fulfilled') {
      const version = server.status === 'fulfilled' ? server.value.version : '';
      // An account that may not read CLUSTER INFO still routes.
      const stateOk = info.status === 'rejected' || isStateOk(String(info.value));
      return { kind: 'cluster', nodesText: String(nodes.value), stateOk, version };
    }
    if (!isClusterDisabled(nodes.reason)) throw nodes.reason;
    if (mode === 'cluster') return wrongMode('runs without cluster mode', mode);
    return this.#requestStandalone(redis, false);
  }

  /** `checks`: whether it runs in cluster mode is not known yet. */
  async #requestStandalone(redis: Redis, checks: boolean): Promise<NodeAnswer> {
    const [replication, cluster, server] = await Promise.allSettled([
      redis.call('INFO', 'replication'),
      checks ? redis.call('INFO', 'cluster') : '',
      this.#learnProcess(redis),
    ]);
    if (replication.status === 'rejected') throw replication.reason;
    if (cluster.status === 'fulfilled' && isClusterEnabled(String(cluster.value))) {
      return wrongMode('runs in cluster mode', 'standalone');
    }
    const { version, runId } = server.status === 'fulfilled' ? server.value : NO_PROCESS;
    const fields = parseInfo(String(replication.value));
    return { kind: 'standalone', view: readReplication(fields, this.endpoint, runId), version };
  }

  async #learnProcess(redis: Redis): Promise<ServerProcess> {
    const known = this.#processes.get(redis);
    if (known !== undefined) return known;
    const fields = parseInfo(String(await redis.call('INFO', 'server')));
    const learnt = {
      version: fields.get('redis_version') ?? '',
      runId: fields.get('run_id') ?? '',
    };
    this.#processes.set(redis, learnt);
    return learnt;
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
      // Ended meanwhile: its 'end' went unseen, since it was not ours yet, and it would never answer.
      if (redis.status === 'end' || redis.status === 'close')
        throw new Error('Connection is closed.');
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

  async #introduce(redis: Redis): Promise<void> {
    await logIn(redis, this.#options);
    // A name is a courtesy to whoever reads CLIENT LIST; an account may lack the command.
    await redis.call('CLIENT', 'SETNAME', CONTROL_CONNECTION_NAME).catch((error: unknown) => {
      if (nodeFailure(error).code === 'timeout') throw error;
    });
  }

  /** Whatever was missed of its end, a dead connection is not asked a second time. */
  #forgetEnded(): void {
    if (this.#redis?.status === 'end' || this.#redis?.status === 'close') this.#forget();
  }

  #drop(): void {
    this.#opening?.disconnect();
    const redis = this.#redis;
    this.#forget();
    if (redis === null) return;
    const { stream } = redis;
    redis.disconnect();
    // An order that was given up (CLUSTER FAILOVER …) must not come to the node when the network is back.
    resetSocket(stream);
  }

  #forget(): void {
    this.#redis = null;
  }
}

/** @throws what came instead of a node's own answer */
function batchResult(result: PromiseSettledResult<unknown>): BatchResult {
  if (result.status === 'fulfilled') return { value: result.value, error: '' };
  const { code } = nodeFailure(result.reason);
  if (code !== 'reply' && code !== 'auth') throw result.reason;
  return { value: null, error: (result.reason as Error).message };
}

/** The process behind a connection. */
interface ServerProcess {
  /** '' when unknown, as the next. */
  readonly version: string;
  readonly runId: string;
}

const NO_PROCESS: ServerProcess = { version: '', runId: '' };

function wrongMode(what: string, mode: UpstreamMode): NodeAnswer {
  const message = `${what}, and upstream.mode is ${mode}`;
  return { kind: 'failure', failure: { code: 'mode', message } };
}

function isClusterEnabled(info: string): boolean {
  return parseInfo(info).get('cluster_enabled') === '1';
}

function isClusterDisabled(error: unknown): boolean {
  return error instanceof Error && error.message.includes('cluster support disabled');
}

function isStateOk(clusterInfo: string): boolean {
  return parseInfo(clusterInfo).get('cluster_state') === 'ok';
}
