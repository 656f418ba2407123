/**
 * A primary that dies and is started again at another address, as by a container's manager: it keeps
 * its id, its data and its slots, so nobody may be promoted in its place.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { LOOPBACK } from '../../src/local/ports.ts';
import { replicasCaughtUp, startTestCluster, until } from '../support/cluster.ts';
import { electionsWon, failoverOrders, Gate, primaryOf, writersOn } from '../support/gate.ts';
import { type MovedNode, startElsewhere } from '../support/moved-node.ts';

const CONFIRM_MS = 4000;
/** An order would come a proof, a jitter and a turn after that; on a busy machine a little later. */
const ORDER_MS = CONFIRM_MS + 2000;

let cluster: LocalCluster;
let gate: Gate;
let moved: MovedNode | undefined;

beforeAll(async () => {
  const extraConfig = { appendonly: 'yes', 'cluster-require-full-coverage': 'no' };
  cluster = await startTestCluster({ nodeTimeoutMs: 15_000, extraConfig });
  gate = await Gate.start(cluster, { failover: { confirmMs: CONFIRM_MS } });
  await gate.settled(cluster);
});

afterAll(async () => {
  await gate?.close();
  await moved?.stop();
  await cluster?.stop();
});

it('is not replaced, and no write that it acknowledged is lost', async () => {
  const primary = await primaryOf(cluster, 0);
  await replicasCaughtUp(cluster, primary);
  const writers = await writersOn(gate, 0);
  await cluster.kill(primary, 'SIGKILL');
  const killedAt = performance.now();
  await until('slotgate has noticed', () =>
    gate.lines.some(({ msg }) => msg.includes('a node is down')),
  );
  moved = await startElsewhere(primary);
  const { address, port } = moved;
  await writers.progress(50);
  await until('its case is closed', () => gate.lines.some(({ now }) => now === address));
  await until('the time of an order is over', () => performance.now() - killedAt > ORDER_MS);
  await writers.progress(50);
  await writers.stop();
  expect(writers.errors).toEqual(new Map());
  expect(gate.lines.filter(({ order }) => order !== undefined)).toEqual([]);
  expect(await failoverOrders(cluster)).toBe(0);
  expect(electionsWon(cluster)).toBe(0);
  const client = await connectResp({ host: LOOPBACK, port });
  try {
    expect(await client.call('ROLE')).toEqual(expect.arrayContaining(['master']));
  } finally {
    client.close();
  }
});
