/** A slotgate over a test's cluster, with its log, and what tests of failovers ask of both. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { expect } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Logger } from '../../src/lib/log.ts';
import { readFields } from '../../src/local/cluster-view.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasCaughtUp, replicasOf, until } from './cluster.ts';
import { tagOfSlot } from './load/slots.ts';
import { startProxy, type TestProxy } from './proxy.ts';
import { Writers } from './writers.ts';

export const NODE_TIMEOUT_MS = 15_000;
/** Seen by a client; what is aimed at is a third of it, but test machines are busy. */
export const GAP_MAX_MS = 1500;

export interface LoggedLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A slotgate whose log lines are kept. */
export class Gate {
  readonly lines: LoggedLine[] = [];
  readonly log: Logger = pino(
    { level: 'info' },
    { write: (line: string) => void this.lines.push(JSON.parse(line) as LoggedLine) },
  );
  proxy!: TestProxy;

  static async start(cluster: LocalCluster, config: ConfigInput = {}): Promise<Gate> {
    const gate = new Gate();
    const hold = { timeoutMs: '60s', maxFailoverMs: '60s' };
    gate.proxy = await startProxy({ cluster, log: gate.log, config: { hold, ...config } });
    return gate;
  }

  get port(): number {
    return this.proxy.port;
  }

  /** The values of a metric, by its labels as written. */
  async metric(name: string): Promise<Map<string, number>> {
    const response = await fetch(new URL('/metrics', this.proxy.httpUrl));
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith(name));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(name.length, at), Number(line.slice(at + 1))];
      }),
    );
  }

  async refused(reason: string): Promise<number> {
    const refused = await this.metric('slotgate_failover_refused_total');
    return refused.get(`{reason="${reason}"}`) ?? 0;
  }

  /** Waits until the offsets that all nodes have now are known here. */
  async settled(cluster: LocalCluster): Promise<void> {
    const alive = cluster.nodes.filter(({ pid }) => pid !== 0);
    await Promise.all(alive.map((node) => this.settledOn(cluster, node)));
  }

  /** Some questions are our own, and several instances ask. */
  async settledOn(cluster: LocalCluster, node: LocalNode): Promise<void> {
    const asked = async (): Promise<number> => (await calls(cluster, node)).get('info') ?? 0;
    const before = await asked();
    let own = 0;
    await until('the node was asked', async () => (await asked()) - before - ++own > 3);
  }

  close(): Promise<void> {
    return this.proxy.close();
  }
}

/** How often each command was called on a node. */
async function calls(cluster: LocalCluster, node: LocalNode): Promise<Map<string, number>> {
  const fields = await onNode(cluster, node, (client) =>
    readFields(client, 'INFO', 'commandstats'),
  );
  return new Map(
    [...fields].map(([name, value]) => [
      name.replace('cmdstat_', ''),
      Number(/calls=(\d+)/.exec(value)?.[1] ?? 0),
    ]),
  );
}

/** CLUSTER FAILOVER of whatever kind, received by all nodes that live. */
export async function failoverOrders(cluster: LocalCluster): Promise<number> {
  const alive = cluster.nodes.filter(({ pid }) => pid !== 0);
  const counts = await Promise.all(alive.map((node) => ordersOn(cluster, node)));
  return counts.reduce((sum, count) => sum + count, 0);
}

export async function ordersOn(cluster: LocalCluster, node: LocalNode): Promise<number> {
  return (await calls(cluster, node)).get('cluster|failover') ?? 0;
}

export function electionsWon(cluster: LocalCluster): number {
  return cluster.nodes.reduce((sum, { logFile }) => {
    return sum + (readFileSync(logFile, 'utf8').match(/Failover election won/g)?.length ?? 0);
  }, 0);
}

export function slotOf(shard: number): number {
  return Math.floor(16_384 / 3) * shard + 5;
}

export async function primaryOf(cluster: LocalCluster, shard: number): Promise<LocalNode> {
  const owner = await ownerOf(cluster, slotOf(shard));
  if (owner === undefined) throw new Error(`nobody owns the slots of shard ${shard}`);
  return owner;
}

export async function becomes(cluster: LocalCluster, node: LocalNode, role: string): Promise<void> {
  await until(`node ${node.port} is ${role}`, async () => {
    return onNode(cluster, node, async (client) => {
      const answer = await client.call('ROLE');
      return Array.isArray(answer) && answer[0] === role;
    });
  });
}

/** Waits until the replica follows this primary and has all that it has. */
export async function inStep(
  cluster: LocalCluster,
  replica: LocalNode,
  primary: LocalNode,
): Promise<void> {
  const replication = (node: LocalNode): Promise<ReadonlyMap<string, string>> =>
    onNode(cluster, node, (client) => readFields(client, 'INFO', 'replication'));
  await until(`${replica.port} is in step with ${primary.port}`, async () => {
    const listed = (await replicasOf(cluster, primary)).some(({ port }) => port === replica.port);
    const leader = await replication(primary);
    const own = await replication(replica);
    const isUp = listed && own.get('master_link_status') === 'up';
    return isUp && own.get('slave_repl_offset') === leader.get('master_repl_offset');
  });
}

/** The replicas of a primary in trouble are asked for their role every few milliseconds. */
export async function watchedFor(cluster: LocalCluster, replica: LocalNode): Promise<void> {
  const asked = async (): Promise<number> => (await calls(cluster, replica)).get('role') ?? 0;
  const before = await asked();
  await until('slotgate watches the replicas', async () => (await asked()) > before + 150);
}

export function writersOn(gate: Gate, shard: number): Promise<Writers> {
  return Writers.start({ port: gate.port, tag: tagOfSlot(slotOf(shard)) });
}

/** Kills the primary of a shard under writers, and waits until they go on; they are shown no error. */
export async function killUnderWriters(
  cluster: LocalCluster,
  gate: Gate,
  shard: number,
): Promise<{ primary: LocalNode; writers: Writers }> {
  const primary = await primaryOf(cluster, shard);
  await replicasCaughtUp(cluster, primary);
  const writers = await writersOn(gate, shard);
  writers.restartGap();
  await cluster.kill(primary, 'SIGKILL');
  await writers.progress(50);
  await writers.stop();
  expect(writers.errors).toEqual(new Map());
  return { primary, writers };
}
