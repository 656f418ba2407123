/** How far replicas are is known in time, through stops, full syncs and the death of their primary. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { RAMP_STEPS } from '../../src/control/reads/ramp.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { monotonicNow } from '../../src/transport/node-runtime.ts';
import { onNode, replicasCaughtUp, startTestCluster, until } from '../support/cluster.ts';
import { Watched, type WatchedNode } from '../support/watched.ts';

const QUICK: ConfigInput = {
  health: { pingIntervalMs: 100, pingTimeoutMs: 300 },
  reads: { pollMs: 100, weights: { replica: 100 } },
};

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function watch(nodes: readonly WatchedNode[]): Watched {
  const watched = Watched.of(nodes, QUICK);
  undo.push(() => watched.stop());
  return watched;
}

describe('a primary and its replicas', () => {
  let cluster: LocalCluster;
  let primary: LocalNode;
  let replica: LocalNode;
  let other: LocalNode;

  beforeAll(async () => {
    // Nobody is promoted: one shard has no majority.
    cluster = await startTestCluster({ shards: 1, replicas: 2, nodeTimeoutMs: 60_000 });
    primary = cluster.nodes[0] as LocalNode;
    replica = cluster.nodes[1] as LocalNode;
    other = cluster.nodes[2] as LocalNode;
  });

  afterAll(() => cluster?.stop());

  const write = (): Promise<unknown> => {
    return onNode(cluster, primary, (client) => client.call('INCR', 'written'));
  };
  const stalenessOf = (watched: Watched, node: LocalNode): number => {
    return watched.watch.stalenessMs(`${node.host}:${node.port}`) ?? Number.POSITIVE_INFINITY;
  };
  async function fresh(watched: Watched, node: LocalNode): Promise<void> {
    await until(`${node.port} is fresh`, async () => {
      await write();
      return stalenessOf(watched, node) < 250 && watched.planned(node)?.isUsable === true;
    });
  }

  it('replicas that keep up are hardly a poll behind, and have their weight at once', async () => {
    const watched = watch(cluster.nodes);
    await fresh(watched, replica);
    await fresh(watched, other);
    const planned = watched.planned(replica);
    expect(planned).toMatchObject({ weight: 100, tier: 0, isUsable: true });
    expect(watched.planned(primary)).toMatchObject({ weight: 100, watermark: 0, isUsable: true });
    const atOnce = watched.plans.length;
    await until('ten plans', () => watched.plans.length >= atOnce + 10);
    for (const plan of watched.plans.slice(atOnce)) {
      expect(plan.nodes).toHaveLength(3);
    }
  });

  it('a watermark is a moment whose writes the replica has', async () => {
    const watched = watch(cluster.nodes);
    await fresh(watched, replica);
    const acknowledgedAt: number[] = [];
    const client = await cluster.connect(primary);
    const reader = await cluster.connect(replica);
    undo.push(
      () => client.close(),
      () => reader.close(),
    );
    await reader.call('READONLY');
    await client.call('SET', 'counted', '0');
    for (let round = 0; round < 400; round++) {
      await client.call('INCR', 'counted');
      acknowledgedAt.push(monotonicNow());
      const watermark = watched.planned(replica)?.watermark ?? 0;
      const expected = acknowledgedAt.filter((at) => at < watermark).length;
      expect(Number(await reader.call('GET', 'counted'))).toBeGreaterThanOrEqual(expected);
    }
  });

  it('one under SIGSTOP grows stale, goes out, and comes back in steps', async () => {
    const watched = watch(cluster.nodes);
    await fresh(watched, replica);
    const { pid } = replica;
    process.kill(pid, 'SIGSTOP');
    undo.push(() => process.kill(pid, 'SIGCONT'));
    await until('it is stale', async () => {
      await write();
      return stalenessOf(watched, replica) > 600;
    });
    expect(stalenessOf(watched, other)).toBeLessThan(400);
    await watched.reaches(replica, 'down', 'silent');
    await until('it is out', () => watched.planned(replica)?.isUsable === false);
    expect(watched.planned(other)).toMatchObject({ weight: 100, isUsable: true });
    process.kill(pid, 'SIGCONT');
    await fresh(watched, replica);
    const weights = (): number[] =>
      watched.plans.map(
        ({ nodes }) =>
          nodes.find(({ address }) => address === `${replica.host}:${replica.port}`)?.weight ?? -1,
      );
    await until('it has its weight again', () => weights().at(-1) === 100);
    const steps = weights().slice(weights().lastIndexOf(0) + 1);
    expect([...new Set(steps)]).toEqual(RAMP_STEPS.map(({ part }) => part * 100));
  });

  it('one in a full sync is out and has no watermark, and then gets a new one', async () => {
    const watched = watch(cluster.nodes);
    await fresh(watched, replica);
    const before = watched.planned(replica)?.watermark ?? 0;
    const ask = (node: LocalNode, ...words: [string, ...string[]]): Promise<unknown> => {
      return onNode(cluster, node, (client) => client.call(...words));
    };
    await ask(primary, 'DEBUG', 'POPULATE', '1500', 'filler', '200');
    await ask(replica, 'CONFIG', 'SET', 'key-load-delay', '2000');
    await ask(replica, 'CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024');
    await ask(primary, 'DEBUG', 'CHANGE-REPL-ID');
    await until('its watermark is void', () => watched.planned(replica)?.watermark === 0);
    expect(stalenessOf(watched, replica)).toBe(Number.POSITIVE_INFINITY);
    await ask(replica, 'CLIENT', 'KILL', 'TYPE', 'master');
    await until('it reads what it was sent', () => {
      const { facts } = watched.of(replica);
      return facts?.isSyncing === true && facts.isLoading;
    });
    await until('it is out', () => watched.planned(replica)?.isUsable === false);
    await ask(replica, 'CONFIG', 'SET', 'key-load-delay', '0');
    await fresh(watched, replica);
    expect(watched.planned(replica)?.watermark).toBeGreaterThan(before);
    await ask(other, 'CLIENT', 'KILL', 'TYPE', 'master');
    await fresh(watched, other);
  });

  it('whose primary died go on serving, by their last watermark; settings change at once', async () => {
    const watched = watch(cluster.nodes);
    await fresh(watched, replica);
    await fresh(watched, other);
    await replicasCaughtUp(cluster, primary);
    const config = structuredClone(watched.config);
    config.reads.weights.replica = 7;
    watched.watch.configure(config);
    expect(watched.planned(replica)?.weight).toBe(7);
    await cluster.kill(primary, 'SIGKILL');
    await watched.reaches(primary, 'down', 'refused');
    await until('its link is down', async () => {
      await watched.watch.health.refresh(`${replica.host}:${replica.port}`);
      return watched.of(replica).facts?.linkUp === false;
    });
    const { watermark } = watched.planned(replica) ?? {};
    expect(watermark).toBeGreaterThan(0);
    const plans = watched.plans.length;
    await until('three plans later', () => watched.plans.length > plans + 3);
    expect(watched.planned(replica)).toMatchObject({ watermark, isUsable: true });
    expect(watched.planned(primary)?.isUsable).toBe(false);
    config.reads.replicas = false;
    watched.watch.configure(config);
    expect(watched.planned(replica)?.weight).toBe(0);
  });
});
