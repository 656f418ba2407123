/** One worker: listeners, sessions and lanes, driven by the snapshots that control sends. */

import type { CommandInfo } from '../commands/command-info.ts';
import { CommandTable } from '../commands/table.ts';
import type { Config } from '../config/schema.ts';
import { type Listener, listen } from '../downstream/listener.ts';
import { connectionsWithin, descriptorLimit } from '../lib/descriptors.ts';
import type { Logger } from '../lib/log.ts';
import type { ControlLink } from '../lib/planes.ts';
import { SCALAR } from '../metrics/definitions.ts';
import { ProcessSampler } from '../metrics/process-sampler.ts';
import { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { DataPath } from '../proxy/data-path.ts';
import { asLine, DENIED, MAXCLIENTS } from '../proxy/error-replies.ts';
import { holdLine } from '../proxy/hold/hold-words.ts';
import { holdCalls } from '../proxy/hold/node-holds.ts';
import type { HoldNews } from '../proxy/hold/shard-holds.ts';
import { workerCalls } from '../proxy/local/worker-calls.ts';
import { moveCalls } from '../proxy/move-calls.ts';
import { pubsubCalls } from '../proxy/pubsub/counts.ts';
import { scriptCalls } from '../proxy/scripts/scripts.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { nodeRuntime } from '../transport/node-runtime.ts';
import { TcpTransport } from '../transport/tcp.ts';
import { collectWhenIdle } from './idle-collector.ts';
import type { ControlToWorker } from './messages.ts';
import { proxySettings } from './proxy-settings.ts';
import { awaitLeave } from './retirement.ts';

/** What a connection that comes or goes is taken for, in bytes of traffic: about what it costs. */
const CONNECTION_BYTES = 4096;

export interface WorkerOptions {
  readonly config: Config;
  /** 1 … 64; part of client ids. */
  readonly workerId: number;
  /** What the counter in client ids begins after; default 0. */
  readonly firstClient?: number;
  /** Unix ms at which the instance started; default: now. */
  readonly startedAt?: number;
  readonly workers: number;
  readonly instanceId: string;
  readonly link: ControlLink<Snapshot>;
  readonly log: Logger;
}

export class Worker {
  readonly proxy: DataPath;
  readonly metrics: WorkerMetrics;
  /** Connections of the other workers, as control last said. */
  otherConnections = 0;
  readonly #options: WorkerOptions;
  readonly #transport: TcpTransport;
  /** Connections for which there are file descriptors. */
  readonly #descriptors: number;
  readonly #sampler: ProcessSampler;
  #config: Config;
  /** That clients connect to, once the kernel has chosen. */
  #port = 0;
  readonly #calls: ReadonlyMap<string, (argument: unknown) => unknown>;
  readonly #stopCollecting: () => void;
  #listeners: Listener[] = [];

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { config, link } = options;
    this.#config = config;
    this.#descriptors = connectionsWithin(descriptorLimit(), options.workers === 1);
    this.#transport = new TcpTransport(config.transport);
    const table = CommandTable.builtin();
    this.metrics = new WorkerMetrics(table.names);
    this.#sampler = new ProcessSampler(this.metrics, nodeRuntime);
    this.proxy = new DataPath({
      settings: proxySettings({ ...options, descriptors: this.#descriptors }),
      table,
      transport: this.#transport,
      runtime: nodeRuntime,
      metrics: this.metrics,
      link,
      firstClient: options.firstClient ?? 0,
      onHold: (news) => this.#logHold(news),
    });
    this.#calls = new Map([
      ...workerCalls(this.proxy.services),
      ['config.set.local', (changed: unknown) => this.#changeConfig(changed as Config)],
      ...scriptCalls(this.proxy.scripts),
      ...pubsubCalls(this.proxy.pubsub),
      ...holdCalls(this.proxy.nodeHolds),
      ...moveCalls(this.proxy),
    ]);
    const { proxy, metrics } = this;
    this.#stopCollecting = collectWhenIdle(
      {
        activity: () =>
          (metrics.scalars[SCALAR.receivedBytes] as number) +
          (metrics.scalars[SCALAR.sentBytes] as number) +
          // Those opened, and those closed again.
          CONNECTION_BYTES *
            (2 * (metrics.scalars[SCALAR.connectionsOpened] as number) - proxy.sessions.length),
        trim: () => proxy.pool.trim(),
      },
      nodeRuntime.now,
    );
  }

  #logHold(news: HoldNews): void {
    const { fields, text } = holdLine(news);
    this.#options.log.warn(fields, text);
  }

  /** Opens the listeners; port 0 takes the port that the first of them was given. */
  async listen(): Promise<{ host: string; port: number }> {
    const { config } = this.#options;
    let { port } = config;
    for (const host of config.bind) port = await this.#listenAt(host, port);
    this.#port = port;
    if (port !== config.port) this.#changeConfig(config);
    const sentinel = config['sentinel-port'];
    if (sentinel !== 0) for (const host of config.bind) await this.#listenAt(host, sentinel);
    return { host: config.bind[0] as string, port };
  }

  /** Resolves with the port, which the kernel chose where it is 0. */
  async #listenAt(host: string, port: number): Promise<number> {
    const { config, log } = this.#options;
    const listener = await listen({
      host,
      port,
      backlog: config['tcp-backlog'],
      tcpKeepAlive: config['tcp-keepalive'],
      transport: this.#transport,
      accept: (stream, isLoopback) => this.#accept(stream, isLoopback),
      onError: (error) => log.error({ err: error }, 'accepting clients failed; raise ulimit -n?'),
    });
    this.#listeners.push(listener);
    return listener.port;
  }

  #accept(
    stream: Parameters<DataPath['open']>[0],
    isLoopback: boolean,
  ): ReturnType<DataPath['open']> | string {
    const config = this.#config;
    if (!isLoopback && config['protected-mode'] && config.requirepass === '') {
      this.metrics.increment(SCALAR.rejectedProtected);
      return asLine(DENIED).toString();
    }
    const { sessions, lanes } = this.proxy;
    const isFull = sessions.length + this.otherConnections >= config.maxclients;
    if (isFull || sessions.length + lanes.owners.size >= this.#descriptors) {
      this.metrics.increment(SCALAR.rejectedMaxclients);
      return asLine(MAXCLIENTS).toString();
    }
    return this.proxy.open(stream);
  }

  /** The kernel chose the port, or CONFIG SET: control has checked that what differs may change now. */
  #changeConfig(config: Config): void {
    this.#config = config;
    const settings = proxySettings({
      ...this.#options,
      config,
      descriptors: this.#descriptors,
    });
    const local = { ...settings.local, port: this.#port || config.port };
    this.proxy.changeSettings({ ...settings, local });
  }

  /** What control says besides snapshots and calls. */
  onMessage(message: ControlToWorker): void {
    if (message.kind === 'others') {
      this.otherConnections = message.connections;
      this.proxy.pins.perNode = message.pinnedPerNode;
      this.proxy.shards.problem = message.problem;
    } else if (message.kind === 'commands') {
      this.proxy.learnCommands(message.infos as readonly CommandInfo[]);
    } else if (message.kind === 'reads') this.proxy.onReadPlan(message.plan);
  }

  handle(method: string, argument: unknown): unknown {
    const handler = this.#calls.get(method);
    if (handler === undefined) throw new Error(`no worker call named "${method}"`);
    return handler(argument);
  }

  report(): ReturnType<WorkerMetrics['report']> {
    this.#sampler.sample();
    this.proxy.lanes.sampleInflight();
    const failures = this.proxy.logins.news(nodeRuntime.now());
    if (failures !== null) this.#options.log.warn(failures, 'clients fail to authenticate');
    const cuts = this.proxy.slowReaders.news(nodeRuntime.now());
    if (cuts !== null) this.#options.log.warn(cuts, 'clients that do not read were disconnected');
    return this.metrics.report();
  }

  /**
   * No new connections; resolves when every client is answered and gone, or after `timeoutMs`.
   * Before that, clients are served as ever for up to `patienceMs`, and may leave by themselves.
   */
  async drain(timeoutMs: number, patienceMs = 0): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
    this.#stopCollecting();
    if (patienceMs > 0) await awaitLeave(this.proxy, patienceMs);
    await this.proxy.drain(timeoutMs);
    this.proxy.close();
  }
}
