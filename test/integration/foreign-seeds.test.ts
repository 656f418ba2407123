/** cluster.seeds names nodes of two clusters: one is served, the other one is left alone and told. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { onNode, startTestCluster, until } from '../support/cluster.ts';
import { Gate } from '../support/gate.ts';

const KEYS = Array.from({ length: 100 }, (_, index) => `key:${index}`);

let ours: LocalCluster;
let theirs: LocalCluster;
let gate: Gate;
let stray: string;

beforeAll(async () => {
  ours = await startTestCluster({ shards: 3, replicas: 0 });
  theirs = await startTestCluster({ shards: 2, replicas: 0 });
  // Merged with ours they would win every slot that they claim.
  for (const node of theirs.nodes) {
    await onNode(theirs, node, async (client) => {
      for (let bump = 0; bump < 5; bump++) await client.call('CLUSTER', 'BUMPEPOCH');
    });
  }
  stray = theirs.seeds[0] as string;
  gate = await Gate.start(ours, { cluster: { seeds: [stray, ...ours.seeds] } });
});

afterAll(async () => {
  await gate?.close();
  await theirs?.stop();
  await ours?.stop();
});

async function sizeOf(cluster: LocalCluster): Promise<number> {
  let sum = 0;
  for (const node of cluster.nodes) {
    sum += Number(await onNode(cluster, node, (client) => client.call('DBSIZE')));
  }
  return sum;
}

async function readiness(): Promise<{ status: number; text: string }> {
  const response = await fetch(new URL('/readyz', gate.proxy.httpUrl));
  return { status: response.status, text: await response.text() };
}

async function write(value: string): Promise<void> {
  const client = await connectResp({ host: '127.0.0.1', port: gate.port, timeoutMs: 20_000 });
  try {
    for (const key of KEYS) expect(await client.call('SET', key, value)).toBe('OK');
    for (const key of KEYS) expect(await client.call('GET', key)).toBe(value);
  } finally {
    client.close();
  }
}

it('every key is in the cluster of most seeds', async () => {
  await write('1');
  expect([await sizeOf(ours), await sizeOf(theirs)]).toEqual([KEYS.length, 0]);
});

it('/readyz and the log name the other seed', async () => {
  const words = `seeds of another cluster are not used: ${stray} (take them out of cluster.seeds)`;
  await until('/readyz tells', async () => (await readiness()).text.includes(words));
  expect((await readiness()).status).toBe(200);
  const told = gate.lines.filter(({ msg }) => msg.includes('seeds of another cluster'));
  expect(told).toMatchObject([{ seeds: [stray] }]);
});

it('a change of epochs over there moves no slot here', async () => {
  const [node] = theirs.nodes;
  if (node === undefined) throw new Error('no node');
  await onNode(theirs, node, (client) => client.call('CLUSTER', 'BUMPEPOCH'));
  // Something happens in ours, so that all seeds are asked again.
  const [first] = ours.nodes;
  if (first === undefined) throw new Error('no node');
  await onNode(ours, first, (client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal'));
  await write('2');
  expect([await sizeOf(ours), await sizeOf(theirs)]).toEqual([KEYS.length, 0]);
});
