/**
 * Primaries that die are replaced at once, and only those that are dead: a node time-out of 15 s
 * keeps the cluster's own votes out of it.
 */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Logger } from '../../src/lib/log.ts';
import { readFields } from '../../src/local/cluster-view.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import {
  onNode,
  ownerOf,
  replicasCaughtUp,
  replicasOf,
  startTestCluster,
  until,
} from '../support/cluster.ts';
import { tagOfSlot } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { Writers } from '../support/writers.ts';

const NODE_TIMEOUT_MS = 15_000;
/** Seen by a client; what is aimed at is a third of it, but test machines are busy. */
const GAP_MAX_MS = 1500;

interface LoggedLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A slotgate whose log lines are kept. */
class Watched {
  readonly lines: LoggedLine[] = [];
  readonly log: Logger = pino(
    { level: 'info' },
    { write: (line: string) => void this.lines.push(JSON.parse(line) as LoggedLine) },
  );
  proxy!: TestProxy;

  static async start(cluster: LocalCluster, config: ConfigInput = {}): Promise<Watched> {
    const watched = new Watched();
    const hold = { timeoutMs: '60s', maxFailoverMs: '60s' };
    watched.proxy = await startProxy({ cluster, log: watched.log, config: { hold, ...config } });
    return watched;
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
async function failoverOrders(cluster: LocalCluster): Promise<number> {
  const alive = cluster.nodes.filter(({ pid }) => pid !== 0);
  const counts = await Promise.all(alive.map((node) => ordersOn(cluster, node)));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function ordersOn(cluster: LocalCluster, node: LocalNode): Promise<number> {
  return (await calls(cluster, node)).get('cluster|failover') ?? 0;
}

function electionsWon(cluster: LocalCluster): number {
  return cluster.nodes.reduce((sum, { logFile }) => {
    return sum + (readFileSync(logFile, 'utf8').match(/Failover election won/g)?.length ?? 0);
  }, 0);
}

function slotOf(shard: number): number {
  return Math.floor(16_384 / 3) * shard + 5;
}

async function primaryOf(cluster: LocalCluster, shard: number): Promise<LocalNode> {
  const owner = await ownerOf(cluster, slotOf(shard));
  if (owner === undefined) throw new Error(`nobody owns the slots of shard ${shard}`);
  return owner;
}

async function becomes(cluster: LocalCluster, node: LocalNode, role: string): Promise<void> {
  await until(`node ${node.port} is ${role}`, async () => {
    return onNode(cluster, node, async (client) => {
      const answer = await client.call('ROLE');
      return Array.isArray(answer) && answer[0] === role;
    });
  });
}

/** Waits until the replica follows this primary and has all that it has. */
async function inStep(
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
async function watchedFor(cluster: LocalCluster, replica: LocalNode): Promise<void> {
  const asked = async (): Promise<number> => (await calls(cluster, replica)).get('role') ?? 0;
  const before = await asked();
  await until('slotgate watches the replicas', async () => (await asked()) > before + 150);
}

function writersOn(watched: Watched, shard: number): Promise<Writers> {
  return Writers.start({ port: watched.port, tag: tagOfSlot(slotOf(shard)) });
}

describe('three shards with two replicas each', () => {
  let cluster: LocalCluster;
  const gates: Watched[] = [];
  let gate: Watched;

  beforeAll(async () => {
    cluster = await startTestCluster({ shards: 3, replicas: 2, nodeTimeoutMs: NODE_TIMEOUT_MS });
    for (let count = 0; count < 3; count++) gates.push(await Watched.start(cluster));
    gate = gates[0] as Watched;
    await gate.settled(cluster);
  });

  afterAll(async () => {
    await Promise.all(gates.map((one) => one.close()));
    await cluster?.stop();
  });

  /** What each instance tells of the one that has become a primary; for each change one line. */
  async function newPrimary(port: number): Promise<LoggedLine[]> {
    const isIt = ({ msg, to }: LoggedLine): boolean =>
      msg === 'a shard has a new primary' && to === `127.0.0.1:${port}`;
    await until('all know it', () => gates.every(({ lines }) => lines.some(isIt)));
    return gates.flatMap(({ lines }) => lines.filter(isIt));
  }

  it('a stopped primary is not replaced', async () => {
    const primary = await primaryOf(cluster, 1);
    const [replica] = (await replicasOf(cluster, primary)) as [LocalNode, LocalNode];
    const writers = await writersOn(gate, 1);
    await cluster.kill(primary, 'SIGSTOP');
    await until('it counts as down', () =>
      gates.every(({ lines }) => lines.some((line) => line.evidence === 'silent')),
    );
    await watchedFor(cluster, replica);
    await cluster.kill(primary, 'SIGCONT');
    await writers.progress(50);
    await writers.stop();
    expect(await failoverOrders(cluster)).toBe(0);
    expect(writers.errors).toEqual(new Map());
  });

  it('a primary that accepts and closes, at maxclients, is not replaced', async () => {
    const primary = await primaryOf(cluster, 0);
    const [replica] = (await replicasOf(cluster, primary)) as [LocalNode, LocalNode];
    await onNode(cluster, primary, async (client) => {
      const [, before] = (await client.call('CONFIG', 'GET', 'maxclients')) as [string, string];
      await client.call('CONFIG', 'SET', 'maxclients', 1);
      try {
        await client.call('CLIENT', 'KILL', 'TYPE', 'normal');
        await until('it counts as down', () =>
          gates.every(({ lines }) => lines.some((line) => line.evidence === 'reset')),
        );
        await watchedFor(cluster, replica);
      } finally {
        await client.call('CONFIG', 'SET', 'maxclients', before);
      }
    });
    const writers = await writersOn(gate, 0);
    await writers.stop();
    expect(await failoverOrders(cluster)).toBe(0);
  });

  it('a killed one is, once, whoever of three instances is first', async () => {
    const primary = await primaryOf(cluster, 0);
    await replicasCaughtUp(cluster, primary);
    const replicas = await replicasOf(cluster, primary);
    const writers = await writersOn(gate, 0);
    writers.restartGap();
    await cluster.kill(primary, 'SIGKILL');
    await writers.progress(50);
    await writers.stop();
    expect(writers.errors).toEqual(new Map());
    expect(writers.uncertain).toBeLessThanOrEqual(4);
    expect(writers.longestGapMs).toBeLessThan(GAP_MAX_MS);
    const owner = await primaryOf(cluster, 0);
    expect(replicas.map(({ port }) => port)).toContain(owner.port);
    const told = await newPrimary(owner.port);
    expect(told).toHaveLength(gates.length);
    expect(told.map(({ kind }) => kind)).toContain('assist');
    expect(electionsWon(cluster)).toBe(1);
    const [order] = gates.flatMap(({ lines }) => lines.filter((line) => line.order === 'FORCE'));
    expect(order).toMatchObject({
      primary: `127.0.0.1:${primary.port}`,
      candidate: `127.0.0.1:${owner.port}`,
      voters: { total: 3, reachable: 2, aware: 2 },
      lagBytes: 0,
    });
    const refusal = expect.objectContaining({ code: 'ECONNREFUSED' });
    expect(order?.connects).toEqual([refusal, refusal, refusal, refusal]);
    await cluster.restart(primary);
    await becomes(cluster, primary, 'slave');
  });

  it('nobody is promoted a moment after an election', async () => {
    const first = await primaryOf(cluster, 2);
    await replicasCaughtUp(cluster, first);
    const [second, third] = (await replicasOf(cluster, first)) as [LocalNode, LocalNode];
    await cluster.kill(third, 'SIGKILL');
    await onNode(cluster, second, (client) => client.call('CLUSTER', 'FAILOVER'));
    await becomes(cluster, second, 'master');
    expect((await newPrimary(second.port)).map(({ kind }) => kind)).not.toContain('assist');
    await inStep(cluster, first, second);
    await gate.settled(cluster);
    await cluster.kill(second, 'SIGKILL');
    // This one never won an election.
    expect((await newPrimary(first.port)).map(({ kind }) => kind)).toContain('assist');
    await cluster.restart(second);
    await inStep(cluster, second, first);
    await gate.settled(cluster);
    const alive = async (): Promise<number> => {
      const others = cluster.nodes.filter(({ pid, port }) => pid !== 0 && port !== first.port);
      const counts = await Promise.all(others.map((node) => ordersOn(cluster, node)));
      return counts.reduce((sum, count) => sum + count, 0);
    };
    const orders = await alive();
    await cluster.kill(first, 'SIGKILL');
    // It was deposed a moment ago by the switch: the others would not vote.
    await until('it is refused', () =>
      gates.every(({ lines }) => lines.some(({ reason }) => reason === 'recently-deposed')),
    );
    expect(await alive()).toBe(orders);
    expect(await gate.refused('recently-deposed')).toBeGreaterThan(0);
  });
});

describe('nodes that persist', () => {
  let cluster: LocalCluster;
  let gate: Watched;

  beforeAll(async () => {
    cluster = await startTestCluster({
      shards: 3,
      replicas: 1,
      nodeTimeoutMs: NODE_TIMEOUT_MS,
      extraConfig: { appendonly: 'yes' },
    });
    gate = await Watched.start(cluster, { failover: { maxReplicaLagBytes: '1mb' } });
    await gate.settled(cluster);
  });

  afterAll(async () => {
    await gate?.close();
    await cluster?.stop();
  });

  it('a primary that is back within the time to confirm is left alone', async () => {
    const primary = await primaryOf(cluster, 0);
    const writers = await writersOn(gate, 0);
    writers.restartGap();
    await cluster.kill(primary, 'SIGKILL');
    await until('slotgate looks', () => {
      return gate.lines.some(({ evidence }) => evidence === 'refused');
    });
    await cluster.restart(primary);
    await writers.progress(50);
    await writers.stop();
    expect(writers.errors).toEqual(new Map());
    expect((await primaryOf(cluster, 0)).port).toBe(primary.port);
    expect(await failoverOrders(cluster)).toBe(0);
    const answered = await gate.metric('slotgate_failover_refused_total{reason="answers"}');
    expect([...answered.values()]).toEqual([1]);
  });

  it('one that does not come back is replaced after that time', async () => {
    const primary = await primaryOf(cluster, 1);
    await replicasCaughtUp(cluster, primary);
    const writers = await writersOn(gate, 1);
    writers.restartGap();
    await cluster.kill(primary, 'SIGKILL');
    await writers.progress(50);
    await writers.stop();
    expect(writers.errors).toEqual(new Map());
    expect(writers.longestGapMs).toBeGreaterThan(900);
    expect(writers.longestGapMs).toBeLessThan(1000 + GAP_MAX_MS);
    await cluster.restart(primary);
  });

  it('a replica that is too far behind is not promoted', async () => {
    const primary = await primaryOf(cluster, 2);
    const [replica] = (await replicasOf(cluster, primary)) as [LocalNode];
    await replicasCaughtUp(cluster, primary);
    await gate.settled(cluster);
    const orders = await failoverOrders(cluster);
    await cluster.kill(replica, 'SIGSTOP');
    await onNode(cluster, primary, async (client) => {
      const key = `{${tagOfSlot(slotOf(2))}}`;
      const value = Buffer.alloc(1024 * 1024, 'x');
      // More than the sockets in between take.
      await Promise.all(Array.from({ length: 60 }, () => client.call('SET', key, value)));
    });
    await gate.settledOn(cluster, primary);
    await cluster.kill(primary, 'SIGKILL');
    await cluster.kill(replica, 'SIGCONT');
    await until('it is refused', () => {
      return gate.lines.some(({ reason }) => reason === 'too-far-behind');
    });
    expect(await failoverOrders(cluster)).toBe(orders);
    expect(await gate.refused('too-far-behind')).toBeGreaterThan(0);
    const line = gate.lines.find(({ reason }) => reason === 'too-far-behind');
    expect(line?.rejected).toEqual([
      expect.objectContaining({ node: `127.0.0.1:${replica.port}`, unfit: 'too-far-behind' }),
    ]);
  });
});

describe('one shard', () => {
  it.each([true, false])('with failover.takeover %s', async (takeover) => {
    const options = { shards: 1, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS };
    const cluster = await startTestCluster(options);
    const gate = await Watched.start(cluster, { failover: { takeover } });
    try {
      await gate.settled(cluster);
      const primary = await primaryOf(cluster, 0);
      await replicasCaughtUp(cluster, primary);
      const writers = await writersOn(gate, 0);
      writers.restartGap();
      await cluster.kill(primary, 'SIGKILL');
      if (!takeover) {
        const reason = 'takeover-not-allowed';
        await until('it is refused', () => gate.lines.some((line) => line.reason === reason));
        expect(await failoverOrders(cluster)).toBe(0);
        await cluster.restart(primary);
      }
      await writers.progress(50);
      await writers.stop();
      expect(writers.errors).toEqual(new Map());
      if (!takeover) return;
      expect(writers.longestGapMs).toBeLessThan(GAP_MAX_MS);
      const promoted = '{shard="0",kind="takeover",outcome="promoted"}';
      const totals = await gate.metric('slotgate_failover_total');
      expect(totals.get(promoted)).toBe(1);
    } finally {
      await gate.close();
      await cluster.stop();
    }
  });
});
