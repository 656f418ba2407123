/**
 * The redis-servers behind the peers: one alone, several plain ones, and a cluster without replicas.
 * Started when first asked for and shared by all peers that use the same kind.
 */

import { ask, encode, exchange, RespConnection } from '../load/client.ts';
import type { Ports } from '../ports.ts';
import { findProgram, type ManagedProcess, startProcess, temporaryFolder } from '../proc.ts';
import { waitUntil } from '../wait.ts';

export interface RedisNode {
  readonly port: number;
  readonly process: ManagedProcess;
  /** First and last slot that it owns; 0 and 16383 outside a cluster. */
  readonly firstSlot: number;
  readonly lastSlot: number;
}

const SLOTS = 16_384;
const START_MS = 10_000;
const CLUSTER_MS = 30_000;

export class Backends {
  readonly #ports: Ports;
  readonly #count: number;
  readonly #program: string;
  #single: Promise<RedisNode> | undefined;
  #plain: Promise<RedisNode[]> | undefined;
  #cluster: Promise<RedisNode[]> | undefined;

  /** @throws Error when this machine has no redis-server. */
  constructor(ports: Ports, count: number) {
    this.#ports = ports;
    this.#count = count;
    this.#program = redisServerProgram();
  }

  /** One server by itself. */
  single(): Promise<RedisNode> {
    this.#single ??= this.#startNode([], 0, SLOTS - 1);
    return this.#single;
  }

  /** Servers that know nothing of each other. */
  plain(): Promise<RedisNode[]> {
    this.#plain ??= Promise.all(
      Array.from({ length: this.#count }, () => this.#startNode([], 0, SLOTS - 1)),
    );
    return this.#plain;
  }

  /** A cluster of primaries without replicas, slots dealt evenly. */
  cluster(): Promise<RedisNode[]> {
    this.#cluster ??= this.#startCluster();
    return this.#cluster;
  }

  async version(): Promise<string> {
    const info = String(await ask((await this.single()).port, ['INFO', 'server']));
    return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown';
  }

  async #startNode(extra: readonly string[], first: number, last: number): Promise<RedisNode> {
    const port = extra.length > 0 ? await this.#ports.takeWithBus() : await this.#ports.take();
    const folder = temporaryFolder('redis');
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder];
    // 60,000 idle clients at most; without persistence, so that no fork disturbs a measurement.
    args.push('--save', '', '--appendonly', 'no', '--maxclients', '60000', ...extra);
    const process = await startProcess({
      name: `redis-server ${port}`,
      command: this.#program,
      args,
      argv0: 'redis-server',
      cwd: folder,
    });
    await waitUntil(`redis-server on port ${port}`, START_MS, async () => {
      return !process.isRunning() || (await ask(port, ['PING'])) === 'PONG';
    });
    if (!process.isRunning()) {
      throw new Error(`redis-server ended at once: ${process.output().trim().slice(-600)}`);
    }
    return { port, process, firstSlot: first, lastSlot: last };
  }

  async #startCluster(): Promise<RedisNode[]> {
    const nodes: RedisNode[] = [];
    for (let i = 0; i < this.#count; i++) {
      const first = Math.floor((i * SLOTS) / this.#count);
      const last = Math.floor(((i + 1) * SLOTS) / this.#count) - 1;
      nodes.push(await this.#startNode(['--cluster-enabled', 'yes'], first, last));
    }
    for (const [i, node] of nodes.entries()) await this.#join(node, i + 1, nodes[0] as RedisNode);
    await Promise.all(nodes.map((node) => this.#formed(node)));
    return nodes;
  }

  async #join(node: RedisNode, epoch: number, first: RedisNode): Promise<void> {
    const slots: string[] = [];
    for (let slot = node.firstSlot; slot <= node.lastSlot; slot++) slots.push(`${slot}`);
    const connection = await RespConnection.open({ port: node.port });
    const payload =
      encode(['CLUSTER', 'SET-CONFIG-EPOCH', `${epoch}`]) +
      encode(['CLUSTER', 'ADDSLOTS', ...slots]) +
      encode(['CLUSTER', 'MEET', '127.0.0.1', `${first.port}`]);
    const replies = await exchange(connection, payload, 3);
    connection.close();
    const refused = replies.find((reply) => reply instanceof Error);
    if (refused) throw new Error(`cluster of the benchmark: ${String(refused)}`);
  }

  #formed(node: RedisNode): Promise<void> {
    return waitUntil(`cluster seen from port ${node.port}`, CLUSTER_MS, async () => {
      const info = String(await ask(node.port, ['CLUSTER', 'INFO']));
      return (
        info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${this.#count}`)
      );
    });
  }
}

function redisServerProgram(): string {
  const named = process.env.SLOTGATE_REDIS_SERVER ?? '';
  if (named !== '') return named;
  // Debian's redis-tools brings the server under another name; it goes by its argv0.
  const found = findProgram('redis-server') || findProgram('redis-check-rdb');
  if (found === '') {
    throw new Error('no redis-server in PATH: install it, or name it in SLOTGATE_REDIS_SERVER');
  }
  return found;
}
