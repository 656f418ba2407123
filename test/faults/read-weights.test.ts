/** Reads are shared out as the weights say, counted by the nodes themselves. */
import { expect, it } from 'vitest';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { replicasCaughtUp, until, withCluster } from '../support/cluster.ts';
import { extent, say } from '../support/faults/extent.ts';
import { callsOf } from '../support/faults/read-counts.ts';
import { WireClient, type WireCommand, type WireTarget } from '../support/faults/wire-client.ts';
import { startProxyProcess } from '../support/proxy-process.ts';

const READS = extent(20_000, 100_000);
const CLIENTS = 10;
const PIPELINE = 50;
/** Of the primary and its two replicas; two are alike, and none of them is slow. */
const WEIGHTS = [30, 40, 30] as const;
/** How far a share may be from its weight: in parts of the weight. */
const TOLERANCE = extent(0.05, 0.02);
const SAMPLE = 3000;
const SAMPLE_TOLERANCE = 0.2;
/** Chi-square with two degrees of freedom exceeds this once in ten thousand fair runs. */
const CHI_SQUARE_MAX = 18.42;

it('within 2 % of the weights over 100,000 reads', () => {
  return withCluster({ shards: 1, replicas: 2, nodeTimeoutMs: 10_000 }, async (cluster) => {
    const nodeWeights = Object.fromEntries(cluster.seeds.map((seed, i) => [seed, WEIGHTS[i]]));
    const slotgate = await startProxyProcess({
      reads: { nodeWeights: nodeWeights as Record<string, number>, consistency: 'eventual' },
      cluster: { seeds: cluster.seeds },
    });
    try {
      await until('slotgate is ready', () => slotgate.isReady());
      const target = { port: slotgate.port };
      const writer = await WireClient.connect(target);
      await writer.ask('SET', 'key', 'value');
      await replicasCaughtUp(cluster, cluster.nodes[0]!);
      writer.close();
      // A replica that has just come gets its share in steps.
      await until('every node has its whole share', async () => {
        return worst(await served(cluster, () => readMany(target, SAMPLE))) < SAMPLE_TOLERANCE;
      });
      const counts = await served(cluster, () => readMany(target, READS));
      const chiSquare = chiSquareOf(counts);
      say(
        `${READS} reads with weights ${WEIGHTS.join(' : ')}: ${counts.join(' : ')}; ` +
          `off by ${(worst(counts) * 100).toFixed(2)} % at most, chi-square ${chiSquare.toFixed(2)}`,
      );
      expect(worst(counts)).toBeLessThan(TOLERANCE);
      expect(chiSquare).toBeLessThan(CHI_SQUARE_MAX);
    } finally {
      await slotgate.stop();
    }
  });
});

/** GETs that each node executed while `task` ran. */
async function served(cluster: LocalCluster, task: () => Promise<void>): Promise<number[]> {
  const before = await callsOf(cluster, cluster.nodes, 'get');
  await task();
  const after = await callsOf(cluster, cluster.nodes, 'get');
  return after.map((calls, i) => calls - (before[i] as number));
}

async function readMany(target: WireTarget, reads: number): Promise<void> {
  const batch = Array<WireCommand>(PIPELINE).fill(['GET', 'key']);
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = await WireClient.connect(target);
      for (let sent = 0; sent < reads / CLIENTS; sent += PIPELINE) {
        expect(new Set(await client.send(batch))).toEqual(new Set(['value']));
      }
      client.close();
    }),
  );
}

function expectedOf(counts: readonly number[]): number[] {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const weights = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
  return WEIGHTS.map((weight) => (all * weight) / weights);
}

/** The largest distance from a weight, in parts of it. */
function worst(counts: readonly number[]): number {
  const expected = expectedOf(counts);
  return Math.max(...counts.map((count, i) => Math.abs(count / (expected[i] as number) - 1)));
}

function chiSquareOf(counts: readonly number[]): number {
  const expected = expectedOf(counts);
  return counts.reduce((sum, count, i) => {
    const mean = expected[i] as number;
    return sum + (count - mean) ** 2 / mean;
  }, 0);
}
