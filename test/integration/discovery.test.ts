/** Discovery against real nodes: what it sees, and how soon, while they are moved, stopped, killed. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { Discovery } from '../../src/control/discovery.ts';
import { fetchCommands } from '../../src/control/server-commands.ts';
import { warnAtStartUp } from '../../src/control/start-up-warnings.ts';
import type { RespReply } from '../../src/lib/resp-client.ts';
import { type LocalCluster, startLocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { type Snapshot, type SnapshotNode, slotInMotion } from '../../src/topology/snapshot.ts';
import { recordedLog } from '../support/recorded-log.ts';

const COMMAND_TIMEOUT_MS = 20_000;
// A failover by the cluster's own votes takes about four seconds, far more on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let cluster: LocalCluster;
let discovery: Discovery;
const published: Snapshot[] = [];
const publishedAt: number[] = [];

function endpointOf(seed: string): { host: string; port: number } {
  const colon = seed.lastIndexOf(':');
  return { host: seed.slice(0, colon), port: Number(seed.slice(colon + 1)) };
}

beforeAll(async () => {
  cluster = await startLocalCluster({ shards: 3, replicas: 1, nodeTimeoutMs: 2000 });
  discovery = new Discovery({
    seeds: [endpointOf(cluster.seeds[0] as string)],
    username: '',
    password: '',
    connectTimeoutMs: 2000,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    refreshIntervalMs: 1000,
    log: recordedLog().log,
    now: () => performance.now(),
    publish: (snapshot) => {
      published.push(snapshot);
      publishedAt.push(performance.now());
    },
  });
  discovery.start();
});

afterAll(async () => {
  await discovery?.stop();
  await cluster?.stop();
});

function until(check: () => void | Promise<void>, timeout = 30_000): Promise<void> {
  return vi.waitFor(check, { timeout, interval: 20 });
}

function latest(): Snapshot {
  const snapshot = published.at(-1);
  if (snapshot === undefined) throw new Error('nothing published yet');
  return snapshot;
}

function ownerOf(slot: number): SnapshotNode {
  const snapshot = latest();
  const shard = snapshot.shards[snapshot.slots[slot] as number];
  return snapshot.nodes[shard?.primary ?? -1] as SnapshotNode;
}

/** The test's node that runs where the snapshot says. */
function processOf(node: SnapshotNode): LocalNode {
  return cluster.nodes.find(({ port }) => port === node.port) as LocalNode;
}

function replicaOf(slot: number): LocalNode {
  const snapshot = latest();
  const shard = snapshot.shards[snapshot.slots[slot] as number];
  return processOf(snapshot.nodes[shard?.replicas[0] ?? -1] as SnapshotNode);
}

async function command(node: LocalNode, ...args: [string, ...string[]]): Promise<RespReply> {
  const client = await cluster.connect(node);
  try {
    return await client.call(...args);
  } finally {
    client.close();
  }
}

/** All slots owned by primaries that answer, each with a replica that is up. */
function expectWhole(): void {
  const snapshot = latest();
  expect(discovery.status()).toMatchObject({ ready: true, reason: '' });
  expect(snapshot.nodes.map(({ failed }) => failed)).not.toContain(true);
  expect(snapshot.shards.map(({ replicas }) => replicas.length)).toEqual([1, 1, 1]);
}

beforeEach(() => until(expectWhole, 60_000));

describe('a running cluster', () => {
  it('is seen whole from one seed', () => {
    const snapshot = latest();
    expect(snapshot).toMatchObject({ mode: 'cluster', crossSlotFree: false });
    expect(snapshot.nodes).toHaveLength(6);
    expect(snapshot.serverVersion).toMatch(/^\d+\.\d+\.\d+/);
    expect([0, 8000, 16383].map((slot) => processOf(ownerOf(slot)).index)).toEqual([0, 1, 2]);
    for (const slot of [0, 8000, 16383]) {
      expect(replicaOf(slot).index % 3).toBe(processOf(ownerOf(slot)).index);
    }
  });

  it('tells its commands and its settings', async () => {
    const commands = await fetchCommands(discovery);
    expect(commands?.length).toBeGreaterThan(150);
    const warnings = await warnAtStartUp(
      discovery,
      {
        holdMs: 100,
        mode: 'observe',
        takeover: false,
        voters: 3,
        replicas: 3,
        fewestReplicas: 1,
        awaitedReplicas: 0,
      },
      recordedLog().log,
    );
    expect(warnings.map(({ code }) => code)).toContain('hold-shorter-than-failover');
  });

  it('has few connections from discovery, and they have a name', async () => {
    const clients = String(await command(cluster.nodes[0] as LocalNode, 'CLIENT', 'LIST'));
    expect(clients.match(/name=slotgate-control/g)).toHaveLength(1);
  });
});

describe('a slot in motion', () => {
  it('is marked, changes hands and is marked no more', async () => {
    const source = processOf(ownerOf(100));
    const target = processOf(ownerOf(8000));
    await command(target, 'CLUSTER', 'SETSLOT', '100', 'IMPORTING', source.id);
    await command(source, 'CLUSTER', 'SETSLOT', '100', 'MIGRATING', target.id);
    discovery.hint({ reason: 'moved', node: '' });
    await until(() => expect(slotInMotion(latest(), 100)).toBe(true));
    expect(slotInMotion(latest(), 101)).toBe(false);
    expect(ownerOf(100).id).toBe(source.id);

    await command(target, 'CLUSTER', 'SETSLOT', '100', 'NODE', target.id);
    await command(source, 'CLUSTER', 'SETSLOT', '100', 'NODE', target.id);
    discovery.hint({ reason: 'moved', node: '' });
    await until(() => expect(ownerOf(100).id).toBe(target.id));
    await until(() => expect(slotInMotion(latest(), 100)).toBe(false));
    expect(ownerOf(99).id).toBe(source.id);
  });
});

describe('a planned switch', () => {
  it('is followed, with a higher epoch', async () => {
    const before = latest();
    const old = ownerOf(16383);
    const candidate = replicaOf(16383);
    await command(candidate, 'CLUSTER', 'FAILOVER');
    discovery.hint({ reason: 'moved', node: '' });
    await until(() => expect(ownerOf(16383).id).toBe(candidate.id));
    expect(latest().epoch).toBeGreaterThan(before.epoch);
    await until(() => {
      expect(latest().nodes.find(({ id }) => id === old.id)?.role).toBe('replica');
    });
  });
});

describe('a primary that hangs', () => {
  it('delays nothing of what the others say, and is replaced when the cluster votes', async () => {
    const hung = processOf(ownerOf(8000));
    const successor = replicaOf(8000);
    const firstPoll = published.length;
    await cluster.kill(hung, 'SIGSTOP');
    try {
      await until(() => {
        expect(discovery.status().reason).toContain(`:${hung.port} no answer in time`);
      });
      const seen = published.length;
      await until(() => expect(published.length).toBeGreaterThan(seen + 4));
      // Each poll ends far ahead of the hung node's own time-out.
      for (let at = firstPoll; at < published.length; at++) {
        const took = (publishedAt[at] as number) - (published[at] as Snapshot).polledAt;
        expect(took).toBeLessThan(COMMAND_TIMEOUT_MS / 4);
      }
      await until(() => expect(ownerOf(8000).id).toBe(successor.id));
    } finally {
      await cluster.kill(hung, 'SIGCONT');
    }
    await until(() =>
      expect(latest().nodes.find(({ id }) => id === hung.id)?.role).toBe('replica'),
    );
  });
});

describe('a primary that is killed', () => {
  it('is flagged at once, keeps its slots, and its successor takes them over', async () => {
    const dead = processOf(ownerOf(0));
    const successor = replicaOf(0);
    await cluster.kill(dead, 'SIGKILL');
    await until(() => expect(latest().nodes.find(({ id }) => id === dead.id)?.failed).toBe(true));
    await until(() => expect(ownerOf(0).id).toBe(successor.id));
    expect(discovery.status().ready).toBe(true);
    const epochs = published.map(({ epoch }) => epoch);
    expect(epochs).toEqual(epochs.toSorted((one, two) => one - two));

    await cluster.restart(dead);
    await until(() => {
      const back = latest().nodes.find(({ id }) => id === dead.id);
      expect(back).toMatchObject({ role: 'replica', failed: false });
    });
  });
});
