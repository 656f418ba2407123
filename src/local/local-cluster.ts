/**
 * A real Redis Cluster of real redis-server processes on loopback, for `slotgate local` and tests.
 *
 * Invariant: whatever ends this process, no node and no temporary folder stays behind (guardian.ts).
 */
import { rmSync } from 'node:fs';
import { ProxyError } from '../lib/errors.ts';
import type { RespClient } from '../lib/resp-client.ts';
import { readView, type ViewedNode } from './cluster-view.ts';
import { type FolderContents, nodeFolder, writeManifest } from './data-dir.ts';
import { localError } from './errors.ts';
import { formCluster, lacking, waitUntilFormed } from './formation.ts';
import { Guardian } from './guardian.ts';
import { healNode } from './heal.ts';
import { type NodeExit, NodeProcess, type NodeSettings } from './node-process.ts';
import {
  checkOptions,
  type LocalClusterOptions,
  type LocalLog,
  type LocalNode,
  nodeCount,
} from './options.ts';
import { choosePlace, type Place } from './place.ts';
import { LOOPBACK } from './ports.ts';
import {
  adviceFor,
  findRedisServer,
  type RedisServer,
  thisHost,
  versionAtLeast,
} from './redis-binary.ts';

const NODE_TIMEOUT_MS = 2000;
const NODE_TIMEOUT_MAX_MS = 60_000;
/** Every node pings every other within half a node-timeout: beyond this, that would fill the cores. */
const NODES_AT_NODE_TIMEOUT = 128;
/** Nodes started at one time: more only compete for the cores. */
const STARTS_AT_ONCE = 16;
const FORMATION_BASE_MS = 30_000;
const FORMATION_PER_NODE_MS = 500;
/** A busy node answers CLUSTER NODES late while many form. */
const FORMATION_CALL_MS = 60_000;
/** For writing out the append-only file. */
const STOP_GRACE_MS = 15_000;
const START_ATTEMPTS = 3;

interface MutableNode extends LocalNode {
  readonly process: NodeProcess;
  role: 'primary' | 'replica';
  shard: number;
  id: string;
  /** Its end was asked for. */
  expected: boolean;
}

/**
 * Starts the nodes, forms the cluster (or brings the one in `dataDir` back up) and resolves when every
 * node reports it complete.
 * @throws ProxyError for bad options, busy ports, a folder in use, a node that dies …;
 *   nothing is left running then
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  checkOptions(options);
  const server = options.redisServer ?? findRedisServer();
  if (server === undefined) throw localError('not-found', adviceFor(thisHost()));
  for (let attempt = 1; ; attempt++) {
    const cluster = await LocalCluster.prepare(options, server);
    try {
      await cluster.bringUp();
      return cluster;
    } catch (error) {
      await cluster.stop();
      // A port that was free when we looked can be taken by the time the node opens it.
      const again = options.nodePort === undefined && isPortTaken(error);
      if (!again || attempt === START_ATTEMPTS) throw error;
    }
  }
}

function isPortTaken(error: unknown): boolean {
  return (
    error instanceof ProxyError &&
    error.code === 'process-died' &&
    /address already in use/i.test(error.message)
  );
}

export class LocalCluster {
  readonly server: RedisServer;
  /** Where the nodes keep their files and logs. */
  readonly folder: string;
  readonly persistent: boolean;
  readonly #options: LocalClusterOptions;
  readonly #held: FolderContents | undefined;
  readonly #guardian: Guardian;
  readonly #nodes: MutableNode[];
  readonly #ended = new AbortController();
  #isUp = false;
  #stopped: Promise<void> | undefined;

  /** Chooses folder and ports; starts nothing yet. Use {@link startLocalCluster}. */
  static async prepare(options: LocalClusterOptions, server: RedisServer): Promise<LocalCluster> {
    return new LocalCluster(options, server, await choosePlace(options));
  }

  private constructor(options: LocalClusterOptions, server: RedisServer, place: Place) {
    this.#options = options;
    this.server = server;
    this.persistent = place.persistent;
    this.folder = place.folder;
    this.#held = place.held;
    this.#guardian = new Guardian(this.persistent ? '' : this.folder, (reason) =>
      options.log?.(
        `The guardian is lost (${reason}): a crash would now leave nodes behind.`,
        'warn',
      ),
    );
    this.#nodes = place.ports.map((port, index) => this.#createNode(port, index));
  }

  /** Primaries of shard 0 … n-1 first, then their first replicas, and so on; witnesses last. */
  get nodes(): readonly (LocalNode & { readonly process: NodeProcess })[] {
    return this.#nodes;
  }

  /** host:port of every node. */
  get seeds(): string[] {
    return this.#nodes.map(({ host, port }) => `${host}:${port}`);
  }

  get password(): string | undefined {
    return this.#options.password;
  }

  async bringUp(): Promise<void> {
    const { shards, replicas, witnesses = false, signal } = this.#options;
    const ports = this.#nodes.map(({ port }) => port);
    const contents = { shards, replicas, witnesses, ports, owner: process.pid };
    if (this.persistent) {
      writeManifest(this.folder, { ...contents, formed: this.#held !== undefined });
    }
    await unlessAborted(signal, this.#startAndForm());
    this.#isUp = true;
    if (this.persistent) writeManifest(this.folder, { ...contents, formed: true });
  }

  /** True when every running node reports the cluster complete; asks them now. */
  async isFormed(): Promise<boolean> {
    const running = this.#nodes.filter(({ process }) => process.isRunning);
    const replicas = this.#options.shards * this.#options.replicas;
    const lacks = await Promise.all(
      running.map(async ({ process }) => {
        const client = await process.connect();
        try {
          return await lacking(client, this.#nodes.length, replicas);
        } finally {
          client.close();
        }
      }),
    );
    return running.length === this.#nodes.length && lacks.every((lack) => lack === '');
  }

  /** A connection to one node; the caller closes it. */
  connect(node: LocalNode, timeoutMs?: number): Promise<RespClient> {
    return this.#own(node).process.connect(timeoutMs);
  }

  /** Sends a signal; for SIGKILL and SIGTERM resolves when the process has ended. */
  async kill(node: LocalNode, signal: NodeJS.Signals): Promise<void> {
    const own = this.#own(node);
    const ends = signal === 'SIGKILL' || signal === 'SIGTERM';
    if (ends) own.expected = true;
    own.process.kill(signal);
    if (ends) await own.process.whenExited();
  }

  /** Starts a node that has ended, on its old port with its old files; resolves when it answers. */
  async restart(node: LocalNode): Promise<void> {
    const own = this.#own(node);
    await own.process.whenExited();
    this.#ended.signal.throwIfAborted();
    own.expected = false;
    own.process.start();
    (await own.process.ready()).close();
  }

  /** Ends all nodes and removes a temporary folder. Safe to call more than once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    this.#ended.abort();
    const graceMs = this.persistent ? STOP_GRACE_MS : 0;
    await Promise.all(this.#nodes.map(({ process }) => process.stop(graceMs)));
    if (!this.persistent) rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
    await this.#guardian.release();
  }

  async #startAndForm(): Promise<void> {
    const clients = await this.#startNodes();
    try {
      const members = this.#nodes.map((node, index) => ({
        node,
        port: node.port,
        client: clients[index]!,
      }));
      const deadlineMs = FORMATION_BASE_MS + members.length * FORMATION_PER_NODE_MS;
      const progress = (stage: string): void => this.#options.progress?.(stage);
      if (this.#held === undefined) {
        const empty = members.map(({ node, ...rest }) => ({
          ...rest,
          shard: node.shard,
          role: node.role,
          isWitness: node.role === 'primary' && node.shard >= this.#options.shards,
        }));
        const hasAddSlotsRange = versionAtLeast(this.server, 7);
        const ids = await formCluster(empty, { hasAddSlotsRange, deadlineMs, progress });
        for (const { index } of this.#nodes) this.#nodes[index]!.id = ids[index]!;
      } else {
        await waitUntilFormed(members, 0, performance.now() + deadlineMs, progress);
        adoptView(this.#nodes, await readView(clients[0]!));
      }
    } catch (error) {
      // Whatever failed, failed because of a node that is no more.
      const dead = this.#nodes.find(({ process }) => !process.isRunning);
      throw dead === undefined ? error : dead.process.death(error);
    } finally {
      for (const client of clients) client.close();
    }
  }

  /** Starts all nodes, a bounded number at a time, and connects to each. */
  async #startNodes(): Promise<RespClient[]> {
    const clients: RespClient[] = [];
    const waiting = [...this.#nodes];
    const startNext = async (): Promise<void> => {
      for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
        if (this.#ended.signal.aborted) return;
        node.process.start();
        clients[node.index] = await node.process.ready(FORMATION_CALL_MS);
        this.#options.progress?.(
          `starting nodes: ${Object.keys(clients).length} of ${this.#nodes.length}`,
        );
      }
    };
    try {
      await Promise.all(Array.from({ length: STARTS_AT_ONCE }, startNext));
    } catch (error) {
      for (const client of clients) client?.close();
      throw error;
    }
    return clients;
  }

  #createNode(port: number, index: number): MutableNode {
    const { shards, replicas, nodeTimeoutMs, shardMemory, password, extraConfig } = this.#options;
    const isWitness = index >= shards * (1 + replicas);
    const settings: NodeSettings = {
      server: this.server,
      folder: nodeFolder(this.folder, index),
      port,
      nodeTimeoutMs: nodeTimeoutMs ?? defaultNodeTimeoutMs(nodeCount(this.#options)),
      persistent: this.persistent,
      shardMemory,
      password,
      extraConfig,
    };
    const process = new NodeProcess(settings, this.#guardian, (exit) => this.#onExit(node, exit));
    const node: MutableNode = {
      index,
      host: LOOPBACK,
      port,
      get pid() {
        return process.pid;
      },
      role: index < shards || isWitness ? 'primary' : 'replica',
      shard: isWitness ? index - shards * replicas : index % shards,
      id: '',
      logFile: process.logFile,
      process,
      expected: false,
    };
    return node;
  }

  #onExit(node: MutableNode, exit: NodeExit): void {
    if (!this.#isUp || node.expected || this.#stopped !== undefined) return;
    this.#options.onNodeExit?.(node, exit);
    if (this.#options.heal === true) {
      const say: LocalLog = (line, level) => this.#options.log?.(line, level);
      void healNode(this, node, { signal: this.#ended.signal, say });
    }
  }

  #own(node: LocalNode): MutableNode {
    const own = this.#nodes[node.index];
    if (own === undefined) throw new RangeError(`no node ${node.index} in this cluster`);
    return own;
  }
}

/** Keeps the number of pings per second of a large cluster at that of 128 nodes. */
function defaultNodeTimeoutMs(nodes: number): number {
  const crowd = Math.max(1, nodes / NODES_AT_NODE_TIMEOUT);
  return Math.min(Math.round(NODE_TIMEOUT_MS * crowd ** 2), NODE_TIMEOUT_MAX_MS);
}

/** Roles, shards and ids of a cluster that was brought back up, from one node's view of it. */
function adoptView(nodes: readonly MutableNode[], view: readonly ViewedNode[]): void {
  const rank = (node: ViewedNode): number => (node.lowestSlot < 0 ? Infinity : node.lowestSlot);
  const primaries = view
    .filter(({ primaryId }) => primaryId === '')
    .sort((one, other) => rank(one) - rank(other));
  for (const node of nodes) {
    const seen = view.find(({ port }) => port === node.port);
    if (seen === undefined) continue;
    node.id = seen.id;
    node.role = seen.primaryId === '' ? 'primary' : 'replica';
    node.shard = primaries.findIndex(({ id }) => id === (seen.primaryId || seen.id));
  }
}

/** Rejects as soon as `signal` is aborted, with its reason. */
async function unlessAborted(signal: AbortSignal | undefined, work: Promise<void>): Promise<void> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    stopListening = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    stopListening();
  }
}
