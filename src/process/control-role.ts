/** Control: discovery, the calls that span workers, metrics of all of them, and HTTP. */

import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Readiness } from '../admin/app.ts';
import { type Admin, startAdmin } from '../admin/http.ts';
import { parseCommandReply } from '../commands/command-info.ts';
import { formatEndpoint } from '../config/endpoint.ts';
import type { Config } from '../config/schema.ts';
import { CallServer, type WorkerLink } from '../control/calls.ts';
import { type ConfigCalls, registerConfigCalls } from '../control/config-calls.ts';
import { Discovery } from '../control/discovery.ts';
import { ElectionHistory, owningShards } from '../control/failover/elections.ts';
import { Failover } from '../control/failover/failover.ts';
import type { Health } from '../control/health/health.ts';
import { registerInstanceCalls } from '../control/instance-calls.ts';
import { type KnownNode, knownNodesOf } from '../control/known-nodes.ts';
import { registerMonitorCalls } from '../control/monitor-calls.ts';
import { registerNodeCalls } from '../control/node-calls.ts';
import { fitToNodeMaxclients } from '../control/node-maxclients.ts';
import { NodePages } from '../control/scan/node-pages.ts';
import { registerScan } from '../control/scan/scans.ts';
import { registerScriptCalls } from '../control/script-calls.ts';
import { fetchCommands } from '../control/server-commands.ts';
import { warnAtStartUp } from '../control/start-up-warnings.ts';
import type { Logger } from '../lib/log.ts';
import type { Hint } from '../lib/planes.ts';
import type { WorkerReport } from '../metrics/definitions.ts';
import { createExposition } from '../metrics/exposition.ts';
import { type MergeMemory, MetricsMerge } from '../metrics/merge.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { monotonicNow } from '../transport/node-runtime.ts';
import { createAdminApi } from './admin-api.ts';
import { discoveryOptions } from './discovery-options.ts';
import type { ControlToWorker } from './messages.ts';
import { NodeWatch } from './node-watch.ts';
import { clusterStatus, nodePlace } from './picture-metrics.ts';
import { readinessOf, type SilentWorker } from './readiness.ts';
import { createReplacements, type ReplacementsRole } from './replacements.ts';
import { createScaling, type ScalingRole } from './scaling-role.ts';
import { VERSION } from './version.ts';

/** One worker as the control role reaches it. */
export interface WorkerPort extends WorkerLink {
  send(message: ControlToWorker): void;
}

export interface ControlOptions {
  readonly config: Config;
  readonly log: Logger;
  /** How many workers should be there. */
  readonly workers: number;
  /** Of the control process before. */
  readonly memory?: MergeMemory | undefined;
  /** That the control process before knew last. */
  readonly known?: readonly KnownNode[];
  /** Hears of each change of the live settings. */
  readonly onConfig?: (config: Config) => void;
  /** Hears of what a successor must know, each time that it changes. */
  readonly onMemory?: (memory: MergeMemory) => void;
  readonly onNodes?: (nodes: readonly KnownNode[]) => void;
  /** The first picture of the cluster is there, and sent to the workers. */
  readonly onKnown?: () => void;
}

export class Control {
  readonly #options: ControlOptions;
  readonly #ports = new Map<number, WorkerPort>();
  readonly #connections = new Map<number, number>();
  readonly #notReady = new Map<number, string>();
  /** Workers that do not answer the supervisor. */
  readonly #silent = new Map<number, SilentWorker>();
  readonly #merge: MetricsMerge;
  readonly #discovery: Discovery;
  readonly #scanPages: NodePages;
  readonly #elections = new ElectionHistory();
  readonly calls: CallServer;
  /** What the nodes themselves say of their health, also those that the snapshot calls failed. */
  readonly health: Health;
  readonly #watch: NodeWatch;
  readonly #failover: Failover;
  readonly #replacing: ReplacementsRole;
  readonly #scaling: ScalingRole;
  readonly #configCalls: ConfigCalls;
  #snapshot: Snapshot | null = null;
  #commandInfos: unknown = null;
  /** What each worker may lend to one node, by the nodes' maxclients. */
  #pinnedPerNode = Number.POSITIVE_INFINITY;
  #learning = false;
  #draining = false;
  #admin: Admin | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#merge = new MetricsMerge(options.memory);
    const { cluster, hold } = options.config;
    this.calls = new CallServer(() => [...this.#ports.values()]);
    this.#discovery = new Discovery({
      ...discoveryOptions(options.config),
      known: options.known ?? [],
      log: options.log,
      publish: (snapshot) => this.#publish(snapshot),
      onViews: (views) => this.#failover.onViews(views),
    });
    this.#watch = new NodeWatch({
      config: options.config,
      log: options.log,
      now: monotonicNow,
      publish: (plan) => {
        for (const port of this.#ports.values()) port.send({ kind: 'reads', plan });
      },
    });
    this.health = this.#watch.health;
    this.#failover = new Failover({
      natMap: new Map(Object.entries(cluster.natMap)),
      nodes: this.#discovery,
      workers: this.calls,
      health: this.health,
      history: this.#elections,
      settings: options.config.failover,
      instanceId: randomUUID(),
      log: options.log,
      now: monotonicNow,
    });
    this.#replacing = createReplacements(options.config, this.#discovery, options.log);
    this.#scaling = createScaling(options.config, {
      discovery: this.#discovery,
      workers: this.calls,
      log: options.log,
      onJob: (isUnderWay) => this.#replacing.replacements.standBack(isUnderWay),
    });
    registerInstanceCalls(this.calls, { nodes: this.#discovery, now: monotonicNow });
    registerNodeCalls(this.calls, this.#discovery);
    this.#configCalls = registerConfigCalls(this.calls, {
      config: options.config,
      log: options.log,
      onChange: (config) => {
        for (const each of [this.#discovery, this.#scanPages, this.#replacing, this.#scaling]) {
          each.setLogin(config.cluster);
        }
        this.#watch.configure(config);
        this.#failover.configure(config.failover);
        this.#replacing.replacements.configure(config.failover);
        this.#scaling.configure(config.scaling);
        options.onConfig?.(config);
      },
    });
    registerMonitorCalls(this.calls, () => [...this.#ports.values()]);
    this.#scanPages = new NodePages(cluster);
    registerScan(this.calls, {
      pictures: this.#discovery,
      pages: this.#scanPages,
      holdMs: hold.timeoutMs,
      now: monotonicNow,
      random: Math.random,
      pause: setTimeout,
    });
    registerScriptCalls(this.calls, { nodes: this.#discovery, now: monotonicNow });
  }

  /**
   * Opens HTTP and begins to look for the cluster. Resolves with the base address. A successor has
   * something to look for first, and opens HTTP only when it is `ready`.
   */
  async start(ready?: Promise<unknown>): Promise<string> {
    const { config, log } = this.#options;
    if (ready !== undefined) this.#discovery.start();
    await ready;
    const exposition = createExposition({
      totals: () => this.#merge.totals(),
      cluster: () => clusterStatus(this.#discovery.status(), (node) => this.health.of(node)),
      nodePlace: (address) => nodePlace(this.#snapshot, address),
      unresponsiveWorkers: () => this.#silent.size,
      families: this.#watch.families(),
      build: { version: VERSION, revision: process.env.SLOTGATE_INTERNAL_REVISION ?? '' },
    });
    const { replacements } = this.#replacing;
    const { metrics } = this.#scaling.scaling;
    for (const each of [...this.#failover.metrics, ...replacements.metrics, ...metrics])
      exposition.add(each);
    this.#admin = await startAdmin({
      host: config.http.bind,
      port: config.http.port,
      hosts: [config.http.bind, config.announce.host, ...config.http.hosts],
      readiness: () => this.#readiness(),
      metrics: (accept) => exposition.render(accept),
      version: VERSION,
      clients: clientsPlace(config),
      log,
      api: createAdminApi({
        discovery: this.#discovery,
        calls: this.calls,
        elections: this.#elections,
        failover: this.#failover,
        health: this.health,
        stalenessMs: (replica) => this.#watch.stalenessMs(replica),
        scaling: this.#scaling.scaling,
        spares: config.spares.map(formatEndpoint),
        log,
      }),
    });
    if (ready === undefined) this.#discovery.start();
    return this.#admin.url;
  }

  #publish(snapshot: Snapshot): void {
    const before = this.#snapshot;
    const isFirst = before === null;
    this.#snapshot = snapshot;
    if (before?.nodes !== snapshot.nodes) this.#options.onNodes?.(knownNodesOf(snapshot));
    this.#scanPages.onSnapshot(snapshot);
    const elections = this.#elections.onSnapshot(snapshot, monotonicNow());
    for (const port of this.#ports.values()) port.send({ kind: 'snapshot', snapshot });
    this.#watch.onSnapshot(snapshot);
    this.#failover.onSnapshot(snapshot, elections);
    this.#replacing.replacements.onSnapshot(snapshot);
    this.#scaling.scaling.onSnapshot(snapshot);
    if (isFirst) this.#onFirstSnapshot(snapshot);
    if (isFirst) void this.#fitToNodes();
    if (isFirst) this.#options.onKnown?.();
    if (this.#commandInfos === null) void this.#learnCommands();
  }

  #onFirstSnapshot(snapshot: Snapshot): void {
    const { config, log } = this.#options;
    const { shards, nodes, mode: kind } = snapshot;
    if (kind === 'standalone') {
      log.info(
        { nodes: nodes.length },
        'one primary without cluster mode is served, see upstream.mode',
      );
      return;
    }
    log.info({ shards: shards.length, nodes: nodes.length }, 'the cluster is known');
    const { mode, takeover } = config.failover;
    const voters = owningShards(snapshot).size;
    const replicas = snapshot.nodes.filter(({ role }) => role === 'replica').length;
    const situation = {
      holdMs: Math.min(config.hold.timeoutMs, config.hold.maxFailoverMs),
      mode,
      takeover,
      voters,
      replicas,
      fewestReplicas: Math.min(...snapshot.shards.map((shard) => shard.replicas.length)),
      awaitedReplicas: config.writes.wait.replicas,
    };
    warnAtStartUp(this.#discovery, situation, log).catch((error: unknown) =>
      log.warn({ err: error }, 'the nodes would not tell their settings'),
    );
  }

  async #fitToNodes(): Promise<void> {
    const { config, log, workers } = this.#options;
    const { maxclients, limits } = config;
    const situation = { workers, maxclients, pinnedConnections: limits.pinnedConnections };
    try {
      this.#pinnedPerNode = await fitToNodeMaxclients(this.#discovery, situation, log);
    } catch (error) {
      log.warn({ err: error }, 'maxclients of the nodes could not be read');
    }
  }

  /** The servers' own command table, so that modules' commands are routed by their key specs. */
  async #learnCommands(): Promise<void> {
    if (this.#learning) return;
    this.#learning = true;
    try {
      const reply = await fetchCommands(this.#discovery);
      if (reply === null) return;
      this.#commandInfos = parseCommandReply(reply);
      for (const port of this.#ports.values()) this.#sendCommands(port);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'COMMAND of a node could not be read');
    } finally {
      this.#learning = false;
    }
  }

  #sendCommands(port: WorkerPort): void {
    port.send({ kind: 'commands', infos: this.#commandInfos });
  }

  addWorker(port: WorkerPort): void {
    this.#ports.set(port.id, port);
    this.#configCalls.onWorker(port);
    if (this.#commandInfos !== null) this.#sendCommands(port);
    if (this.#snapshot !== null) port.send({ kind: 'snapshot', snapshot: this.#snapshot });
    const { plan } = this.#watch;
    if (plan !== null) port.send({ kind: 'reads', plan });
  }

  removeWorker(id: number): void {
    this.#ports.delete(id);
    this.#connections.delete(id);
    this.#notReady.delete(id);
    this.#silent.delete(id);
    this.#merge.retire(id);
    this.#options.onMemory?.(this.#merge.memory());
  }

  onHint(hint: Hint): void {
    this.#watch.onHint(hint);
    // A node that refuses writes, or new connections, serves its slots all the same.
    if (hint.reason === 'unwritable' || hint.reason === 'maxclients') return;
    this.#discovery.hint(hint);
    this.#failover.onHint(hint);
  }

  onReport(worker: number, report: WorkerReport, connections: number, notReady: string): void {
    this.#merge.update(worker, report);
    this.#connections.set(worker, connections);
    this.#notReady.set(worker, notReady);
    let total = 0;
    for (const count of this.#connections.values()) total += count;
    const problem = this.#discovery.status().reason;
    this.#ports.get(worker)?.send({
      kind: 'others',
      connections: total - connections,
      problem,
      pinnedPerNode: this.#pinnedPerNode,
    });
  }

  /** The supervisor's word on a worker that does not answer; with 0 ms it answers again. */
  onSilence(id: number, silent: SilentWorker): void {
    if (silent.silentMs > 0 && this.#ports.has(id)) this.#silent.set(id, silent);
    else this.#silent.delete(id);
  }

  /** Takes the live settings over. */
  async reload(config: Config): Promise<void> {
    await this.#configCalls.reload(config);
  }

  /** From now on /readyz says no. */
  startDraining(): void {
    this.#draining = true;
  }

  #readiness(): Readiness {
    const { ready, reason, refusing, strays } = this.#discovery.status();
    return readinessOf({
      isDraining: this.#draining,
      isKnown: ready,
      reason,
      snapshot: this.#snapshot,
      healthOf: (address) => this.health.of(address),
      refusing,
      refusalOf: (address) => this.health.refusalOf(address),
      full: this.health.full,
      plan: this.#watch.plan,
      workers: this.#ports.size,
      reports: this.#notReady.values(),
      silent: [...this.#silent.values()],
      bare: this.#replacing.replacements.bare,
      strays,
    });
  }

  async stop(): Promise<void> {
    await this.#scaling.stop();
    this.#watch.stop();
    this.#replacing.stop();
    await this.#failover.stop();
    await this.#discovery.stop();
    this.#scanPages.close();
    await this.#admin?.close();
  }
}

/** Where Redis clients connect, for people; '' where the kernel chooses the port. */
function clientsPlace({ bind, port }: Config): string {
  const host = bind[0] ?? '';
  if (port === 0) return '';
  const isAny = host === '0.0.0.0' || host === '::';
  return isAny ? `port ${port} of this machine` : `redis://${formatEndpoint({ host, port })}`;
}
