/**
 * Kills or stops a random primary again and again under a mixed load. The node comes back as a
 * replica, and the next round begins when every replica has all that its primary has, so that each
 * loss can be told from the death that caused it.
 */
import type { ConfigInput } from '../../../src/config/schema.ts';
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import { ownerOf, replicasCaughtUp, replicasOf, startTestCluster, until } from '../cluster.ts';
import { primaries } from '../load/slots.ts';
import { startProxyProcess } from '../proxy-process.ts';
import { Prng } from '../sim/prng.ts';
import { MixedLoad, type MixedVerdict } from './mixed-load.ts';
import { callsOf } from './read-counts.ts';

export interface KillRoundsOptions {
  readonly rounds: number;
  readonly clients: number;
  readonly shards: number;
  readonly replicas: number;
  readonly nodeTimeoutMs: number;
  /** Default SIGKILL. A stopped node goes on when another has its slots. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** WAIT behind every batch: replicas, milliseconds. */
  readonly wait?: readonly [number, number];
  /** See MixedLoadOptions. */
  readonly isDurable?: boolean;
  readonly readsReplicas?: boolean;
  /** Over the defaults. */
  readonly config?: ConfigInput;
  readonly seed: number;
  /** Commands of the load between two deaths, at least. */
  readonly commandsBetween?: number;
  readonly say?: (line: string) => void;
  /** See MixedLoadOptions. */
  readonly noticedMs?: number;
}

export interface KillRoundsResult extends MixedVerdict {
  /** From each death until another node owned the slots. */
  readonly promotedMs: readonly number[];
  /** What slotgate logged at warn and above. */
  readonly warnings: readonly string[];
  /** CLUSTER FAILOVER commands of any kind that the running nodes got. */
  readonly failoverCalls: number;
}

const SLOTS = 16384;
const COMMANDS_BETWEEN = 2000;

export async function killRounds(options: KillRoundsOptions): Promise<KillRoundsResult> {
  const { shards, replicas, nodeTimeoutMs } = options;
  const cluster = await startTestCluster({ shards, replicas, nodeTimeoutMs });
  try {
    const slotgate = await startProxyProcess({
      hold: { timeoutMs: '20s' },
      ...options.config,
      cluster: { seeds: cluster.seeds },
      log: { level: 'info' },
    });
    try {
      await until('slotgate is ready', () => slotgate.isReady());
      const outcome = await underLoad(cluster, slotgate.port, options);
      return { ...outcome, warnings: warningsIn(slotgate.output) };
    } finally {
      await slotgate.stop();
    }
  } finally {
    await cluster.stop();
  }
}

async function underLoad(
  cluster: LocalCluster,
  port: number,
  options: KillRoundsOptions,
): Promise<Omit<KillRoundsResult, 'warnings'>> {
  const { clients, shards, wait, seed, rounds } = options;
  const random = new Prng(seed);
  const load = await MixedLoad.start({
    target: { port },
    clients,
    shards,
    seed,
    ...(wait === undefined ? {} : { wait }),
    isDurable: options.isDurable ?? false,
    readsReplicas: options.readsReplicas ?? false,
    ...(options.noticedMs === undefined ? {} : { noticedMs: options.noticedMs }),
  });
  const promotedMs: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    await load.progress(options.commandsBetween ?? COMMANDS_BETWEEN);
    const shard = random.int(shards);
    const ms = await takeAway(cluster, load, shard, options);
    promotedMs.push(ms);
    options.say?.(`round ${round}: shard ${shard} had a primary again after ${Math.round(ms)} ms`);
  }
  await load.progress(COMMANDS_BETWEEN);
  const calls = await callsOf(cluster, cluster.nodes, 'cluster\\|failover');
  const failoverCalls = calls.reduce((sum, each) => sum + each, 0);
  return { ...(await load.end()), promotedMs, failoverCalls };
}

/** Waits for the successor and brings the node back; milliseconds to the successor. */
async function takeAway(
  cluster: LocalCluster,
  load: MixedLoad,
  shard: number,
  { shards, signal = 'SIGKILL' }: KillRoundsOptions,
): Promise<number> {
  const victim = (await primaries(cluster))[shard] as LocalNode;
  const heirs = await replicasOf(cluster, victim);
  const slot = Math.ceil((SLOTS / shards) * shard);
  load.onDeath(shard);
  const killedAt = performance.now();
  await cluster.kill(victim, signal);
  let successor: LocalNode | undefined;
  await until(`shard ${shard} has a new primary`, async () => {
    successor = await ownerOf(cluster, slot, heirs[0]);
    return successor !== undefined && successor !== victim;
  });
  const ms = performance.now() - killedAt;
  if (signal === 'SIGKILL') await cluster.restart(victim);
  else await cluster.kill(victim, 'SIGCONT');
  const heir = successor as LocalNode;
  await until('the node follows', async () => {
    return (await replicasOf(cluster, heir)).length === heirs.length;
  });
  await until('every replica is in step', async () => {
    await replicasCaughtUp(cluster, heir);
    return cluster.isFormed();
  });
  return ms;
}

function warningsIn(output: string): string[] {
  return output.split('\n').filter((line) => /"level":"?(warn|error|fatal|40|50|60)/.test(line));
}
