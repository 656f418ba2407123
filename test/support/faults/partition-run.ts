/**
 * Plays partitions in the network namespace that it was started in, and prints one line of JSON for
 * each: `unshare -n node --import tsx partition-run.ts NAME …`
 *
 * Every scenario has its own cluster, its own slotgate at the default settings of failover and hold,
 * and a mixed load through it before, during and after the partition.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../cluster.ts';
import { startProxyProcess } from '../proxy-process.ts';
import { MixedLoad, type MixedVerdict } from './mixed-load.ts';
import { cut, healPartition, preparePartitions } from './partition-network.ts';
import { type PartitionNode, PartitionNodes } from './partition-nodes.ts';
import {
  NODE_TIMEOUT_MS,
  type PartitionName,
  type PartitionOutcome,
  type SideOutcome,
} from './partition-outcome.ts';

const PROXY = '127.0.9.9';
const SHARDS = 3;
const CLIENTS = 12;
const PACE_MS = 20;
/** The primary of this shard, or its replica, is concerned. */
const SHARD = 1;
const OTHERS = [0, 2];
/** Longer than the cluster takes to promote, shorter than commands are held. */
const CUT_MS = 7000;
const PROGRESS = 300;
const BIND_SOURCE = fileURLToPath(new URL('./bind-source.mjs', import.meta.url));

interface Cast {
  readonly primary: PartitionNode;
  readonly replica: PartitionNode;
  /** All nodes but these two. */
  readonly rest: readonly string[];
}

/** The two sides of each partition, by their addresses. */
function sides(name: PartitionName, { primary, replica, rest }: Cast): [string[], string[]] {
  switch (name) {
    case 'primary alone':
      return [[primary.host], [replica.host, ...rest, PROXY]];
    case 'primary with the proxy':
    case 'primary with the proxy, WAIT 1':
      return [
        [primary.host, PROXY],
        [replica.host, ...rest],
      ];
    case 'replica alone':
      return [[replica.host], [primary.host, ...rest, PROXY]];
    case 'proxy alone':
      return [[PROXY], [primary.host, replica.host, ...rest]];
  }
}

/** What it said last may still be on its way through a busy slotgate. */
const LAST_REPLIES_MS = 500;

async function play(name: PartitionName): Promise<PartitionOutcome> {
  const cluster = await PartitionNodes.start(SHARDS, NODE_TIMEOUT_MS);
  try {
    const slotgate = await startProxyProcess({ cluster: { seeds: cluster.seeds } });
    try {
      await until('slotgate is ready', () => slotgate.isReady());
      return await underLoad(name, cluster, slotgate.port);
    } finally {
      healPartition();
      await slotgate.stop();
    }
  } finally {
    await cluster.stop();
  }
}

async function underLoad(
  name: PartitionName,
  cluster: PartitionNodes,
  port: number,
): Promise<PartitionOutcome> {
  const own = cluster.nodes.filter(({ shard }) => shard === SHARD);
  const primary = own.find(({ primaryId }) => primaryId === '') as PartitionNode;
  const replica = own.find(({ primaryId }) => primaryId !== '') as PartitionNode;
  const rest = cluster.nodes.filter(({ shard }) => shard !== SHARD).map(({ host }) => host);
  const wait = name.endsWith('WAIT 1') ? ([1, 300] as const) : undefined;
  const loads = {
    shard: await startLoad('shard', [SHARD], port, wait),
    others: await startLoad('others', OTHERS, port, wait),
  };
  await Promise.all(Object.values(loads).map((load) => load.progress(PROGRESS * 2)));
  const before = { shard: loads.shard.report.commands, others: loads.others.report.commands };
  cut(...sides(name, { primary, replica, rest }));
  const cutAt = performance.now();
  // Forgives losses until it ends; the test looks at how old they were.
  for (const load of Object.values(loads)) forgive(load, cutOff(name), cutAt + CUT_MS);
  await delay(CUT_MS);
  const during = {
    shard: loads.shard.report.commands - before.shard,
    others: loads.others.report.commands - before.others,
  };
  const promoted = (await cluster.ownerId(rest[0] as string, SHARD, SHARDS)) === replica.id;
  const failoverCalls = await cluster.failoverCalls();
  // A cut-off primary answers until it hears of its successor: when that is, is known only afterwards.
  const ends = Object.values(loads).map((load) =>
    forgive(load, cutOff(name), Number.POSITIVE_INFINITY),
  );
  healPartition();
  const leader = promoted ? replica : primary;
  await until('the cluster is whole again', async () => {
    for (const { host } of cluster.nodes) {
      if ((await cluster.ownerId(host, SHARD, SHARDS)) !== leader.id) return false;
    }
    return cluster.isWhole();
  });
  for (const end of ends.flat()) end.at = performance.now() + LAST_REPLIES_MS;
  await Promise.all(Object.values(loads).map((load) => load.progress(PROGRESS)));
  return {
    name,
    promoted,
    failoverCalls,
    shard: outcomeOf(await loads.shard.end(), during.shard),
    others: outcomeOf(await loads.others.end(), during.others),
  };
}

function forgive(load: MixedLoad, shards: readonly number[], at: number): { at: number }[] {
  const deaths = shards.map((shard) => ({ shard, at }));
  for (const death of deaths) load.checker.onDeath(death);
  return deaths;
}

/** Shards whose primaries the proxy or the majority cannot reach meanwhile. */
function cutOff(name: PartitionName): readonly number[] {
  if (name === 'replica alone') return [];
  return name === 'primary alone' ? [SHARD] : [SHARD, ...OTHERS];
}

function startLoad(
  name: string,
  only: readonly number[],
  port: number,
  wait: readonly [number, number] | undefined,
): Promise<MixedLoad> {
  return MixedLoad.start({
    target: { port },
    clients: CLIENTS,
    shards: SHARDS,
    only,
    name,
    paceMs: PACE_MS,
    seed: 31,
    silentMs: CUT_MS,
    ...(wait === undefined ? {} : { wait }),
  });
}

function outcomeOf(verdict: MixedVerdict, commandsDuring: number): SideOutcome {
  const ages = verdict.lost.map(({ ageMs }) => ageMs).filter((age) => !Number.isNaN(age));
  const afterCut = ages.map((age) => Math.round(CUT_MS - age));
  return {
    commandsDuring,
    acked: verdict.acked,
    durable: verdict.durable,
    lost: verdict.lost.length,
    lostDurable: verdict.lostDurable,
    lostValues: verdict.lostValuesMs.length,
    lostMs: afterCut.length === 0 ? null : [Math.min(...afterCut), Math.max(...afterCut)],
    unexplained: verdict.lost.length - ages.length,
    uncertain: verdict.report.uncertain,
    errors: Object.fromEntries(verdict.report.errors),
    longestMs: Math.round(verdict.report.longestMs),
    problems: verdict.problems,
  };
}

preparePartitions();
process.env.SLOTGATE_TEST_SOURCE = PROXY;
process.env.NODE_OPTIONS = `--import ${BIND_SOURCE}`;
for (const name of process.argv.slice(2)) {
  const outcome = await play(name as PartitionName);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
