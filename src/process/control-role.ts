/** Control: discovery, the calls that span workers, metrics of all of them, and HTTP. */

import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { type Admin, startAdmin } from '../admin/http.ts';
import { parseCommandReply } from '../commands/command-info.ts';
import type { Config } from '../config/schema.ts';
import { CallServer, type WorkerLink } from '../control/calls.ts';
import { type ConfigCalls, registerConfigCalls } from '../control/config-calls.ts';
import { Discovery } from '../control/discovery.ts';
import { ElectionHistory, owningShards } from '../control/failover/elections.ts';
import { Failover } from '../control/failover/failover.ts';
import type { Health } from '../control/health/health.ts';
import { registerInstanceCalls } from '../control/instance-calls.ts';
import { registerMonitorCalls } from '../control/monitor-calls.ts';
import { registerNodeCalls } from '../control/node-calls.ts';
import { NodePages } from '../control/scan/node-pages.ts';
import { registerScan } from '../control/scan/scans.ts';
import { registerScriptCalls } from '../control/script-calls.ts';
import type { SentinelSettings } from '../control/sentinel/sentinels.ts';
import { fetchCommands } from '../control/server-commands.ts';
import { warnAtStartUp } from '../control/start-up-warnings.ts';
import type { Logger } from '../lib/log.ts';
import type { Hint } from '../lib/planes.ts';
import type { WorkerReport } from '../metrics/definitions.ts';
import { createExposition } from '../metrics/exposition.ts';
import { type MergeMemory, MetricsMerge } from '../metrics/merge.ts';
import type { ClusterStatus, NodePlace } from '../metrics/picture-families.ts';
import { NO_SHARD, nodeAddress, type Snapshot } from '../topology/snapshot.ts';
import { monotonicNow } from '../transport/node-runtime.ts';
import { createAdminApi } from './admin-api.ts';
import type { ControlToWorker } from './messages.ts';
import { NodeWatch } from './node-watch.ts';
import { createReplacements, type ReplacementsRole } from './replacements.ts';
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
  /** Hears of each change of the live settings. */
  readonly onConfig?: (config: Config) => void;
  /** Hears of what a successor must know, each time that it changes. */
  readonly onMemory?: (memory: MergeMemory) => void;
  /** The first picture of the cluster is there, and sent to the workers. */
  readonly onKnown?: () => void;
}

export class Control {
  readonly #options: ControlOptions;
  readonly #ports = new Map<number, WorkerPort>();
  readonly #connections = new Map<number, number>();
  readonly #notReady = new Map<number, string>();
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
  readonly #configCalls: ConfigCalls;
  #snapshot: Snapshot | null = null;
  #commandInfos: unknown = null;
  #learning = false;
  #draining = false;
  #admin: Admin | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#merge = new MetricsMerge(options.memory);
    const { cluster, hold, upstream } = options.config;
    this.calls = new CallServer(() => [...this.#ports.values()]);
    this.#discovery = new Discovery({
      seeds: cluster.seeds,
      username: cluster.username,
      password: cluster.password,
      connectTimeoutMs: cluster.connectTimeoutMs,
      commandTimeoutMs: cluster.commandTimeoutMs,
      refreshIntervalMs: cluster.refreshIntervalMs,
      natMap: new Map(Object.entries(cluster.natMap)),
      mode: upstream.sentinels.length > 0 ? 'standalone' : upstream.mode,
      sentinels: sentinelsOf(upstream),
      log: options.log,
      now: monotonicNow,
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
    registerInstanceCalls(this.calls, { nodes: this.#discovery, now: monotonicNow });
    registerNodeCalls(this.calls, this.#discovery);
    this.#configCalls = registerConfigCalls(this.calls, {
      config: options.config,
      log: options.log,
      onChange: (config) => {
        this.#watch.configure(config);
        this.#failover.configure(config.failover);
        this.#replacing.replacements.configure(config.failover);
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
      cluster: () => this.#clusterStatus(),
      nodePlace: (address) => this.#nodePlace(address),
      families: this.#watch.families(),
      build: { version: VERSION, revision: process.env.SLOTGATE_INTERNAL_REVISION ?? '' },
    });
    const { replacements } = this.#replacing;
    for (const metric of [...this.#failover.metrics, ...replacements.metrics])
      exposition.add(metric);
    this.#admin = await startAdmin({
      host: config.http.bind,
      port: config.http.port,
      readiness: () => this.#readiness(),
      metrics: (accept) => exposition.render(accept),
      version: VERSION,
      log,
      api: createAdminApi({
        discovery: this.#discovery,
        calls: this.calls,
        elections: this.#elections,
        failover: this.#failover,
        health: this.health,
        stalenessMs: (replica) => this.#watch.stalenessMs(replica),
        log,
      }),
    });
    if (ready === undefined) this.#discovery.start();
    return this.#admin.url;
  }

  #publish(snapshot: Snapshot): void {
    const isFirst = this.#snapshot === null;
    this.#snapshot = snapshot;
    this.#scanPages.onSnapshot(snapshot);
    const elections = this.#elections.onSnapshot(snapshot, monotonicNow());
    for (const port of this.#ports.values()) port.send({ kind: 'snapshot', snapshot });
    this.#watch.onSnapshot(snapshot);
    this.#failover.onSnapshot(snapshot, elections);
    this.#replacing.replacements.onSnapshot(snapshot);
    if (isFirst) this.#onFirstSnapshot(snapshot);
    if (isFirst) this.#options.onKnown?.();
    if (this.#commandInfos === null) void this.#learnCommands();
  }

  #onFirstSnapshot(snapshot: Snapshot): void {
    const { config, log } = this.#options;
    log.info(
      { shards: snapshot.shards.length, nodes: snapshot.nodes.length, mode: snapshot.mode },
      'the cluster is known',
    );
    if (snapshot.mode !== 'cluster') return;
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
    this.#merge.retire(id);
    this.#options.onMemory?.(this.#merge.memory());
  }

  onHint(hint: Hint): void {
    this.#discovery.hint(hint);
    this.#watch.onHint(hint);
    this.#failover.onHint(hint);
  }

  onReport(worker: number, report: WorkerReport, connections: number, notReady: string): void {
    this.#merge.update(worker, report);
    this.#connections.set(worker, connections);
    this.#notReady.set(worker, notReady);
    let total = 0;
    for (const count of this.#connections.values()) total += count;
    this.#ports.get(worker)?.send({ kind: 'others', connections: total - connections });
  }

  /** Takes the live settings over. */
  async reload(config: Config): Promise<void> {
    await this.#configCalls.reload(config);
  }

  /** From now on /readyz says no. */
  startDraining(): void {
    this.#draining = true;
  }

  #readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = [];
    const status = this.#discovery.status();
    if (this.#draining) reasons.push('draining');
    if (!status.ready) reasons.push(status.reason || 'no topology yet');
    if (this.#ports.size === 0) reasons.push('no worker is running');
    // They report as soon as they listen.
    else if (this.#notReady.size === 0) reasons.push('no worker takes clients yet');
    for (const reason of new Set(this.#notReady.values())) {
      if (reason !== '' && status.ready) reasons.push(reason);
    }
    return { ready: reasons.length === 0, reasons };
  }

  #clusterStatus(): ClusterStatus {
    const status = this.#discovery.status();
    const snapshot = this.#snapshot;
    const shardSlots = new Array<number>(snapshot?.shards.length ?? 0).fill(0);
    let owned = 0;
    for (const shard of snapshot?.slots ?? []) {
      if (shard === NO_SHARD) continue;
      shardSlots[shard] = (shardSlots[shard] ?? 0) + 1;
      if (!this.#isFailed(shard)) owned++;
    }
    return {
      ok: status.ready && snapshot !== null && owned === snapshot.slots.length,
      shardSlots,
      refreshesOk: status.refreshesOk,
      refreshesFailed: status.refreshesFailed,
      lastRefreshSeconds: status.lastRefreshUnixMs / 1000,
    };
  }

  #isFailed(shard: number): boolean {
    const primary = this.#snapshot?.shards[shard]?.primary;
    return primary === undefined || this.#snapshot?.nodes[primary]?.failed !== false;
  }

  #nodePlace(address: string): NodePlace | undefined {
    const snapshot = this.#snapshot;
    if (snapshot === null) return undefined;
    const index = snapshot.nodes.findIndex((node) => nodeAddress(node) === address);
    const node = snapshot.nodes[index];
    if (node === undefined) return undefined;
    const shard = snapshot.shards.findIndex(
      ({ primary, replicas }) => primary === index || replicas.includes(index),
    );
    return shard < 0 ? undefined : { shard, role: node.role };
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    this.#replacing.stop();
    await this.#failover.stop();
    await this.#discovery.stop();
    this.#scanPages.close();
    await this.#admin?.close();
  }
}

function sentinelsOf(upstream: Config['upstream']): SentinelSettings | undefined {
  const { sentinels, masterName, sentinelUsername, sentinelPassword } = upstream;
  if (sentinels.length === 0) return undefined;
  return {
    endpoints: sentinels,
    masterName,
    username: sentinelUsername,
    password: sentinelPassword,
  };
}
