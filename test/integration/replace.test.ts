/** A lost replica is replaced from the spares, and the spare goes back when the lost node returns. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { readView } from '../../src/local/cluster-view.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasOf, startTestCluster, until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const NODE_TIMEOUT_MS = 1000;
const REPLACE_AFTER_MS = 1500;

let cluster: LocalCluster;
/** An empty node in cluster mode that belongs to nobody. */
let spareCluster: LocalCluster;
let proxy: TestProxy;
/** A second slotgate with the same configuration: they must not get into each other's way. */
let second: TestProxy;

/** One node, made empty: a spare as operators have them. */
async function emptyNode(): Promise<LocalCluster> {
  const single = await startTestCluster({
    shards: 1,
    replicas: 0,
    nodeTimeoutMs: NODE_TIMEOUT_MS,
  });
  const [node] = single.nodes;
  await onNode(single, node as LocalNode, (client) => client.call('CLUSTER', 'RESET', 'HARD'));
  return single;
}

beforeAll(async () => {
  [cluster, spareCluster] = await Promise.all([
    startTestCluster({ shards: 3, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS }),
    emptyNode(),
  ]);
  const config = {
    cluster: { refreshIntervalMs: 500 },
    failover: { replaceAfterMs: REPLACE_AFTER_MS },
    spares: spareCluster.seeds,
  };
  [proxy, second] = await Promise.all([
    startProxy({ cluster, config }),
    startProxy({ cluster, config }),
  ]);
});
afterAll(async () => {
  await Promise.all([proxy?.close(), second?.close()]);
  await cluster?.stop();
  await spareCluster?.stop();
});

function spareNode(): LocalNode {
  return spareCluster.nodes[0] as LocalNode;
}

async function spareFacts() {
  return onNode(spareCluster, spareNode(), async (client) => {
    const view = await readView(client);
    const [role] = (await client.call('ROLE')) as string[];
    return {
      role,
      known: view.length,
      primaryId: view.find(({ flags }) => flags.includes('myself'))?.primaryId ?? '',
      keys: Number(await client.call('DBSIZE')),
    };
  });
}

/** By either of the two. */
async function replacements(outcome: string): Promise<number> {
  const both = await Promise.all([proxy, second].map(({ httpUrl }) => Metrics.read(httpUrl)));
  const counts = both.map((metrics) =>
    metrics.sum('slotgate_failover_replacements_total', `outcome="${outcome}"`),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function client({ host, port } = proxy): Promise<RespClient> {
  return connectResp({ host, port });
}

it('a spare is taken for a dead primary, follows the new one, and goes back empty', async () => {
  // Long enough for the numbers of replicas to count.
  const startedAt = performance.now();
  await until('the numbers count', () => performance.now() - startedAt > REPLACE_AFTER_MS + 1000);
  const redis = await client();
  await redis.call('SET', '{06S}kept', 'value');
  const old = (await ownerOf(cluster, 0)) as LocalNode;
  const [replica] = await replicasOf(cluster, old);
  await cluster.kill(old, 'SIGKILL');
  await until('its replica owns the slots', async () => {
    const witness = cluster.nodes.find((node) => node !== old && node !== replica);
    return (await ownerOf(cluster, 0, witness)) === replica;
  });
  const primary = replica as LocalNode;
  await until('the spare follows it', async () => (await spareFacts()).primaryId === primary.id);
  await until('it is counted', async () => (await replacements('replaced')) > 0);
  expect(await spareFacts()).toMatchObject({ role: 'slave', keys: 1 });

  await cluster.restart(old);
  await until('the dead node is a replica', async () => {
    return (await replicasOf(cluster, primary)).includes(old);
  });
  await until('the spare is back and empty', async () => {
    const { role, known, keys } = await spareFacts();
    return role === 'master' && known === 1 && keys === 0;
  });
  await until('it is counted', async () => (await replacements('returned')) > 0);
  const view = await onNode(cluster, primary, readView);
  expect(view).toHaveLength(cluster.nodes.length);
  expect(await replicasOf(cluster, primary)).toEqual([old]);
  expect(await redis.call('GET', '{06S}kept')).toBe('value');
  expect(await replacements('failed')).toBe(0);
  redis.close();
});

it('nothing happens while the switch is off', async () => {
  const redis = await client();
  const other = await client(second);
  for (const each of [redis, other]) {
    await each.call('CONFIG', 'SET', 'failover.replace', 'no');
  }
  const primary = (await ownerOf(cluster, 0)) as LocalNode;
  const [replica] = (await replicasOf(cluster, primary)) as [LocalNode];
  await cluster.kill(replica, 'SIGKILL');
  const diedAt = performance.now();
  await until('it stayed away long enough', () => {
    return performance.now() - diedAt > REPLACE_AFTER_MS + 4 * NODE_TIMEOUT_MS;
  });
  expect(await spareFacts()).toMatchObject({ role: 'master', known: 1 });
  await redis.call('CONFIG', 'SET', 'failover.replace', 'yes');
  await until('now the spare is taken', async () => {
    return (await spareFacts()).primaryId === primary.id;
  });
  redis.close();
  other.close();
});
