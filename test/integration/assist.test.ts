/**
 * Primaries that die are replaced at once, and only those that are dead: a node time-out of 15 s
 * keeps the cluster's own votes out of it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import {
  onNode,
  replicasCaughtUp,
  replicasOf,
  startTestCluster,
  until,
} from '../support/cluster.ts';
import {
  becomes,
  electionsWon,
  failoverOrders,
  GAP_MAX_MS,
  Gate,
  inStep,
  killUnderWriters,
  type LoggedLine,
  NODE_TIMEOUT_MS,
  ordersOn,
  primaryOf,
  watchedFor,
  writersOn,
} from '../support/gate.ts';

describe('three shards with two replicas each', () => {
  let cluster: LocalCluster;
  const gates: Gate[] = [];
  let gate: Gate;

  beforeAll(async () => {
    cluster = await startTestCluster({ shards: 3, replicas: 2, nodeTimeoutMs: NODE_TIMEOUT_MS });
    for (let count = 0; count < 3; count++) gates.push(await Gate.start(cluster));
    gate = gates[0] as Gate;
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
    const replicas = await replicasOf(cluster, await primaryOf(cluster, 0));
    const { primary, writers } = await killUnderWriters(cluster, gate, 0);
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

describe('one shard', () => {
  it.each([true, false])('with failover.takeover %s', async (takeover) => {
    const options = { shards: 1, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS };
    const cluster = await startTestCluster(options);
    const gate = await Gate.start(cluster, { failover: { takeover } });
    try {
      await gate.settled(cluster);
      if (!takeover) {
        const primary = await primaryOf(cluster, 0);
        await replicasCaughtUp(cluster, primary);
        await cluster.kill(primary, 'SIGKILL');
        const reason = 'takeover-not-allowed';
        await until('it is refused', () => gate.lines.some((line) => line.reason === reason));
        expect(await failoverOrders(cluster)).toBe(0);
        return;
      }
      const { writers } = await killUnderWriters(cluster, gate, 0);
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
