/**
 * Reads over replicas that lag at random: with `reads.consistency: session` no client ever misses its
 * own acknowledged write; with `eventual` some do, else this test would prove nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { startTestCluster, until } from '../support/cluster.ts';
import { extent, say } from '../support/faults/extent.ts';
import { LaggingReplicas } from '../support/faults/lagging-replicas.ts';
import { OwnWrites, type OwnWritesReport } from '../support/faults/own-writes.ts';
import { callsOf } from '../support/faults/read-counts.ts';
import { startProxyProcess } from '../support/proxy-process.ts';
import { Prng } from '../support/sim/prng.ts';

const SHARDS = 2;
const CLIENTS = 30;
const READS = extent(5000, 60_000);
/** Less than replicas lag at times. */
const STALENESS_MAX_MS = 300;
/** Between the choice of a replica and its execution of the read. */
const SLACK_MS = 50;
const WHOLE_MS = 5 * 60_000;
/** Below this the replicas did not serve enough to tell anything. */
const REPLICA_SHARE_MIN = 0.02;

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await startTestCluster({ shards: SHARDS, replicas: 2, nodeTimeoutMs: 10_000 });
});

afterAll(() => cluster?.stop());

interface Outcome {
  readonly report: OwnWritesReport;
  /** Of all GETs, how many a replica executed. */
  readonly replicaShare: number;
}

async function play(
  consistency: 'session' | 'eventual',
  isEnough: (report: OwnWritesReport) => boolean,
): Promise<Outcome> {
  const slotgate = await startProxyProcess({
    reads: {
      weights: { primary: 0, replica: 100 },
      consistency,
      pollMs: '50ms',
      maxStalenessMs: STALENESS_MAX_MS,
    },
    failover: { mode: 'observe' },
    cluster: { seeds: cluster.seeds },
  });
  try {
    await until('slotgate is ready', () => slotgate.isReady());
    const random = new Prng(consistency === 'session' ? 51 : 52);
    const replicas = cluster.nodes.slice(SHARDS);
    const before = await callsOf(cluster, cluster.nodes, 'get');
    const lag = new LaggingReplicas(cluster, replicas, random.fork());
    const load = await OwnWrites.start({ port: slotgate.port }, CLIENTS, random);
    await until('enough was read', () => isEnough(load.report), WHOLE_MS);
    const report = await load.stop();
    await lag.stop();
    const after = await callsOf(cluster, cluster.nodes, 'get');
    const served = after.map((calls, i) => calls - (before[i] as number));
    const all = served.reduce((sum, calls) => sum + calls, 0);
    const byReplicas = served.slice(SHARDS).reduce((sum, calls) => sum + calls, 0);
    say(
      `${consistency}: ${report.reads} reads, ${report.writes} writes, ${report.misses} misses (${report.early} early), ` +
        `${((byReplicas / all) * 100).toFixed(1)} % of the GETs by replicas; ` +
        `the oldest write missed ${Math.round(report.stalestMs)} ms; ${lag.pauses} pauses, ${lag.stops} stops of replicas`,
    );
    return { report, replicaShare: byReplicas / all };
  } finally {
    await slotgate.stop();
  }
}

describe('a client reads its own keys back while replicas lag', () => {
  it(
    'session: it never misses its own write',
    async () => {
      const { report, replicaShare } = await play('session', ({ reads }) => reads >= READS);
      expect(report.examples).toEqual([]);
      expect(report.misses).toBe(0);
      expect(Object.fromEntries(report.errors)).toEqual({});
      expect(replicaShare).toBeGreaterThan(REPLICA_SHARE_MIN);
    },
    WHOLE_MS,
  );

  it(
    'eventual: some do, so the test can fail, but none beyond maxStalenessMs',
    async () => {
      const { report } = await play('eventual', ({ misses, reads }) => {
        return misses >= 20 && reads >= READS / 2;
      });
      expect(Object.fromEntries(report.errors)).toEqual({});
      expect([...report.missesBy.keys()]).toContain('GET');
      expect(report.stalestMs).toBeLessThan(STALENESS_MAX_MS + SLACK_MS);
    },
    WHOLE_MS,
  );
});
