/** One shard with two witnesses: its nodes elect a successor by their own votes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readView } from '../../src/local/cluster-view.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasCaughtUp, until, withCluster } from '../support/cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'slotgate-witnesses-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SIZE = { shards: 1, replicas: 1, witnesses: true, nodeTimeoutMs: 1000 } as const;

it('the shard has all slots but two, one for each witness', async () => {
  await withCluster(SIZE, async (cluster) => {
    expect(cluster.nodes.map(({ role, shard }) => `${role} ${shard}`)).toEqual([
      'primary 0',
      'replica 0',
      'primary 1',
      'primary 2',
    ]);
    const owners = await Promise.all(
      [0, 16381, 16382, 16383].map((slot) => ownerOf(cluster, slot)),
    );
    const [primary, , ...witnesses] = cluster.nodes;
    expect(owners).toEqual([primary, primary, ...witnesses]);
  });
});

it('a dead primary is replaced without any help, with the data it had', async () => {
  await withCluster(SIZE, async (cluster) => {
    const [primary, replica, witness] = cluster.nodes as unknown as LocalNode[];
    if (primary === undefined || replica === undefined) throw new Error('two nodes are needed');
    await onNode(cluster, primary, (client) => client.call('SET', 'kept', 'value'));
    await replicasCaughtUp(cluster, primary);
    await cluster.kill(primary, 'SIGKILL');
    await until('the replica is elected', async () => {
      return (await ownerOf(cluster, 0, witness)) === replica;
    });
    expect(await onNode(cluster, replica, (client) => client.call('GET', 'kept'))).toBe('value');
  });
});

it('a kept folder brings them back, and only with them', async () => {
  const options = { ...SIZE, dataDir: join(folder, 'data') };
  await withCluster(options, async (cluster) => {
    expect(await onNode(cluster, cluster.nodes[0] as LocalNode, readView)).toHaveLength(4);
  });
  await expect(withCluster({ ...options, witnesses: false }, async () => {})).rejects.toThrow(
    'holds a cluster of --shards 1 --replicas 1 --witnesses, not of --shards 1 --replicas 1;',
  );
  await withCluster(options, async (cluster) => {
    const view = await onNode(cluster, cluster.nodes[0] as LocalNode, readView);
    const primaries = view.filter(({ lowestSlot }) => lowestSlot >= 0);
    expect(primaries.map(({ lowestSlot }) => lowestSlot).sort((a, b) => a - b)).toEqual([
      0, 16382, 16383,
    ]);
  });
});
