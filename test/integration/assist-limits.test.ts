/** Dead primaries that are given time to come back, and replicas that are too old to take over. */
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
  failoverOrders,
  GAP_MAX_MS,
  Gate,
  killUnderWriters,
  NODE_TIMEOUT_MS,
  primaryOf,
  slotOf,
  writersOn,
} from '../support/gate.ts';
import { tagOfSlot } from '../support/load/slots.ts';

describe('nodes that persist', () => {
  let cluster: LocalCluster;
  let gate: Gate;

  beforeAll(async () => {
    cluster = await startTestCluster({
      shards: 3,
      replicas: 1,
      nodeTimeoutMs: NODE_TIMEOUT_MS,
      extraConfig: { appendonly: 'yes' },
    });
    gate = await Gate.start(cluster, { failover: { maxReplicaLagBytes: '1mb' } });
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
    const { primary, writers } = await killUnderWriters(cluster, gate, 1);
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
