/** Primaries die, step down or come back under load: what clients may see of it, and what not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasCaughtUp, replicasOf, until } from '../support/cluster.ts';
import { Load } from '../support/load/load.ts';
import { type LoadReport, MIX } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SHARDS = 3;
const NODE_TIMEOUT_MS = 2000;
const CLIENTS = 8;
const DEPTH = 8;
/** A slot of shard 0, by which its owner is asked for. */
const SLOT = 1;
/** What asynchronous replication may lose when a primary is killed, in all. */
const LOST_MAX = 50;
/** Clients of other shards: nothing but the machine's own slowness may hold them up. */
const OTHERS_GAP_MS = 1000;

/** No reply lost, doubled, reordered, crossed, and no error but those that `report` counts apart. */
function expectNothingShown(report: LoadReport): void {
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(Object.fromEntries(report.errors)).toEqual({});
  expect(report.overtakenSingle + report.overtakenMulti).toBe(0);
}

/** Clients of the other shards notice nothing. */
async function expectOthersUntouched({ others }: { readonly others: Load }): Promise<void> {
  const report = await others.stop();
  expectNothingShown(report);
  expect(report.uncertain).toBe(0);
  expect(report.longestGapMs).toBeLessThan(OTHERS_GAP_MS);
}

interface Loads {
  /** Keys of shard 0 only. */
  readonly hit: Load;
  /** Keys of the other shards only. */
  readonly others: Load;
  /** Commands split over all shards. */
  readonly split: Load;
}

async function startLoads(port: number, name: string, mayLose: boolean): Promise<Loads> {
  const common = { port, depth: DEPTH, mayLose };
  const tags = [0, 1, 2].map((shard) => tagsOfShard(shard, SHARDS, 2));
  const [first = [], second = [], third = []] = tags;
  return {
    hit: await Load.start({
      ...common,
      name: `${name}-hit`,
      clients: CLIENTS,
      tags: first,
      mix: MIX.sameSlot,
      seed: 21,
    }),
    others: await Load.start({
      ...common,
      name: `${name}-others`,
      clients: 4,
      tags: [...second, ...third],
      mix: MIX.all,
      seed: 22,
      mayLose: false,
    }),
    split: await Load.start({
      ...common,
      name: `${name}-split`,
      clients: 2,
      tags: [first[0] as string, second[0] as string, third[0] as string],
      mix: MIX.all,
      seed: 23,
    }),
  };
}

async function progress(loads: Loads, commands: number): Promise<void> {
  await Promise.all(Object.values(loads).map((load: Load) => load.progress(commands)));
}

describe('a primary with a replica', () => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      shards: SHARDS,
      replicas: 1,
      cluster: { nodeTimeoutMs: NODE_TIMEOUT_MS },
    });
  });

  afterAll(() => proxy?.close());

  /** The primary of shard 0, its replica in step, and a node of another shard. */
  async function cast(): Promise<{ primary: LocalNode; replica: LocalNode; witness: LocalNode }> {
    const { cluster } = proxy;
    const primary = (await ownerOf(cluster, SLOT)) as LocalNode;
    await until('the primary has its replica', async () => {
      return (await replicasOf(cluster, primary)).some(({ pid }) => pid !== 0);
    });
    await replicasCaughtUp(cluster, primary);
    const replica = (await replicasOf(cluster, primary))[0] as LocalNode;
    const witness = cluster.nodes.find((node) => node !== primary && node !== replica);
    return { primary, replica, witness: witness as LocalNode };
  }

  it('CLUSTER FAILOVER: nobody sees anything', async () => {
    const { replica } = await cast();
    const loads = await startLoads(proxy.port, 'graceful', false);
    await progress(loads, 500);
    for (const load of Object.values(loads) as Load[]) load.restartGap();
    await onNode(proxy.cluster, replica, (client) => client.call('CLUSTER', 'FAILOVER'));
    await until('the replica serves', async () => {
      return (await ownerOf(proxy.cluster, SLOT)) === replica;
    });
    await progress(loads, 1000);
    for (const load of Object.values(loads) as Load[]) {
      const report = await load.stop();
      expectNothingShown(report);
      expect(report.uncertain).toBe(0);
      expect(report.losses.count).toBe(0);
      expect(report.longestGapMs).toBeLessThan(2000);
    }
  });

  it('kill -9: only writes in flight are uncertain, other shards go on', async () => {
    const { cluster } = proxy;
    const { primary, replica, witness } = await cast();
    const loads = await startLoads(proxy.port, 'killed', true);
    await progress(loads, 1000);
    for (const load of Object.values(loads) as Load[]) load.restartGap();
    await cluster.kill(primary, 'SIGKILL');
    const atDeath = loads.hit.report.commands;
    await until('the replica is promoted', async () => {
      return (await ownerOf(cluster, SLOT, witness)) === replica;
    });
    await progress(loads, 1000);
    await expectOthersUntouched(loads);

    const hit = await loads.hit.stop();
    expectNothingShown(hit);
    expect(hit.uncertain).toBeLessThanOrEqual(CLIENTS * DEPTH);
    expect(hit.losses.count).toBeLessThanOrEqual(LOST_MAX);
    expect(hit.commands).toBeGreaterThan(atDeath + 1000);

    const split = await loads.split.stop();
    expectNothingShown(split);
    expect(split.losses.count).toBeLessThanOrEqual(LOST_MAX);

    await until('the metrics show the hold and its end', async () => {
      const metrics = await Metrics.read(proxy.httpUrl);
      const held = metrics.sum('slotgate_held_requests_total');
      return held > 0 && metrics.sum('slotgate_holding_requests') === 0;
    });
  });

  it('the dead node comes back as a replica: nobody sees that either', async () => {
    const { cluster } = proxy;
    const dead = cluster.nodes.find(({ pid }) => pid === 0) as LocalNode;
    const loads = await startLoads(proxy.port, 'back', false);
    await progress(loads, 500);
    await cluster.restart(dead);
    const primary = (await ownerOf(cluster, SLOT)) as LocalNode;
    await until('it follows', async () => (await replicasOf(cluster, primary)).includes(dead));
    await progress(loads, 500);
    for (const load of Object.values(loads) as Load[]) {
      const report = await load.stop();
      expectNothingShown(report);
      expect(report.uncertain).toBe(0);
    }
  });
});

describe('a primary without a replica', () => {
  let proxy: TestProxy;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slotgate-failover-'));
    proxy = await startProxy({
      shards: SHARDS,
      replicas: 0,
      cluster: {
        nodeTimeoutMs: NODE_TIMEOUT_MS,
        dataDir: join(folder, 'data'),
        // Loading takes long enough to be met: microseconds per command of the log.
        extraConfig: { 'key-load-delay': '100' },
      },
      config: { hold: { timeoutMs: '25s' } },
    });
  });

  afterAll(async () => {
    await proxy?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is killed and started again: clients wait while it is away and while it loads', async () => {
    const { cluster } = proxy;
    const primary = (await ownerOf(cluster, SLOT)) as LocalNode;
    const loads = await startLoads(proxy.port, 'restarted', false);
    await loads.hit.progress(8000);
    for (const load of Object.values(loads) as Load[]) load.restartGap();
    await cluster.kill(primary, 'SIGKILL');
    await cluster.restart(primary);
    await progress(loads, 500);
    await expectOthersUntouched(loads);
    const hit = await loads.hit.stop();
    expectNothingShown(hit);
    expect(hit.uncertain).toBeLessThanOrEqual(CLIENTS * DEPTH);
    expectNothingShown(await loads.split.stop());
  });
});
