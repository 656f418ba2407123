/** redis-servers for partition tests: each on a loopback address of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseView } from '../../../src/local/cluster-view.ts';
import { findRedisServer } from '../../../src/local/redis-binary.ts';
import { until } from '../cluster.ts';
import { WireClient } from './wire-client.ts';

const PORT = 7000;
/** Where the test's own questions come from: a place that no partition cuts off. */
export const OBSERVER = '127.0.8.8';

export interface PartitionNode {
  readonly host: string;
  readonly port: number;
  readonly id: string;
  /** '' for a primary, as of the start. */
  readonly primaryId: string;
  /** 0-based in the order of the slots; of a replica, its primary's. */
  readonly shard: number;
}

export class PartitionNodes {
  readonly #folders: string[] = [];
  readonly #children: ChildProcess[] = [];
  nodes: readonly PartitionNode[] = [];

  /** `shards` primaries and as many replicas, formed by redis-cli. */
  static async start(shards: number, nodeTimeoutMs: number): Promise<PartitionNodes> {
    const cluster = new PartitionNodes();
    try {
      const hosts = Array.from({ length: shards * 2 }, (_, i) => `127.0.1.${i + 1}`);
      for (const host of hosts) cluster.#spawn(host, nodeTimeoutMs);
      for (const host of hosts) await until(`${host} answers`, () => answers(host));
      const addresses = hosts.map((host) => `${host}:${PORT}`);
      const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1'];
      execFileSync('redis-cli', [...create, '--cluster-yes'], { stdio: 'pipe' });
      await until('the cluster is formed', () => cluster.#adopt(hosts));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get seeds(): string[] {
    return this.nodes.map(({ host, port }) => `${host}:${port}`);
  }

  /** One command, from a place that reaches every node. */
  async ask(host: string, ...command: string[]): Promise<string> {
    return askNode(host, command);
  }

  /** The id of the node that owns the shard's first slot, as `host` sees it. */
  async ownerId(host: string, shard: number, shards: number): Promise<string> {
    const slot = Math.ceil((16384 / shards) * shard);
    const view = parseView(await this.ask(host, 'CLUSTER', 'NODES'));
    const owners = view.filter(({ lowestSlot }) => lowestSlot >= 0 && lowestSlot <= slot);
    return owners.sort((one, other) => other.lowestSlot - one.lowestSlot)[0]?.id ?? '';
  }

  /** Every node sees every other, and every replica its primary. */
  async isWhole(): Promise<boolean> {
    for (const { host } of this.nodes) {
      const view = parseView(await this.ask(host, 'CLUSTER', 'NODES'));
      const isSound = view.every(({ flags, connected }) => {
        return connected && !flags.some((flag) => flag.startsWith('fail'));
      });
      const link = await this.ask(host, 'INFO', 'replication');
      if (!isSound || link.includes('master_link_status:down')) return false;
    }
    return true;
  }

  /** CLUSTER FAILOVER calls of any kind that the nodes have seen. */
  async failoverCalls(): Promise<number> {
    let calls = 0;
    for (const { host } of this.nodes) {
      const stats = await this.ask(host, 'INFO', 'commandstats');
      calls += Number(/cmdstat_cluster\|failover:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    }
    return calls;
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }),
    );
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }

  #spawn(host: string, nodeTimeoutMs: number): void {
    const server = findRedisServer();
    if (server === undefined) throw new Error('there is no redis-server');
    const folder = mkdtempSync(join(tmpdir(), 'slotgate-partition-'));
    this.#folders.push(folder);
    const settings = {
      port: PORT,
      bind: host,
      'bind-source-addr': host,
      'cluster-announce-ip': host,
      'protected-mode': 'no',
      'cluster-enabled': 'yes',
      'cluster-node-timeout': nodeTimeoutMs,
      'cluster-require-full-coverage': 'no',
      'cluster-allow-reads-when-down': 'yes',
      'repl-diskless-sync-delay': 0,
      save: '',
      dir: folder,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const child = spawn(server.path, args, { argv0: server.argv0, stdio: 'ignore' });
    this.#children.push(child);
  }

  /** True once every node knows all the others, and all follow whom they should. */
  async #adopt(hosts: readonly string[]): Promise<boolean> {
    const [first = ''] = hosts;
    const text = await askNode(first, ['CLUSTER', 'NODES']);
    const view = parseView(text);
    const primaries = view
      .filter(({ primaryId }) => primaryId === '')
      .sort((one, other) => one.lowestSlot - other.lowestSlot);
    this.nodes = view.map(({ id, primaryId }): PartitionNode => {
      const line = text.split('\n').find((each) => each.startsWith(id)) as string;
      const host = /^\S+ ([\d.]+):/.exec(line)?.[1] ?? '';
      const shard = primaries.findIndex((primary) => primary.id === (primaryId || id));
      return { host, port: PORT, id, primaryId, shard };
    });
    const isComplete = primaries.length === hosts.length / 2 && view.length === hosts.length;
    return isComplete && (await this.isWhole());
  }
}

async function askNode(host: string, command: readonly string[]): Promise<string> {
  const client = await WireClient.connect({ host, port: PORT, localAddress: OBSERVER });
  try {
    return String(await client.ask(...command));
  } finally {
    client.close();
  }
}

async function answers(host: string): Promise<boolean> {
  try {
    return (await askNode(host, ['PING'])) === 'PONG';
  } catch {
    return false; // Refused: it is still starting.
  }
}
