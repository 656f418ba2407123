/**
 * Reads of one shard over its primary and 0 to 5 replicas, all with the same weight: requests per
 * second, and how many reads each node served. Nodes, slotgate and the load share the machine's
 * cores: throughput grows with the replicas only where there are cores for them.
 */

import { parseFigures } from '../load/redis-benchmark.ts';
import type { BenchOptions } from '../options.ts';
import type { Ports } from '../ports.ts';
import { findProgram, startProcess } from '../proc.ts';
import { renderTable } from '../table.ts';
import { openStage, type Stage } from './stage.ts';

const REPLICAS_MAX = 5;
const REQUESTS = { quick: 100_000, full: 1_000_000 };
const CONNECTIONS = 50;
const PIPELINE = 16;
const KEYS = 1000;

interface ReadSample {
  readonly replicas: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  /** GETs that each node executed, the primary first. */
  readonly served: readonly number[];
}

export async function runReads(
  ports: Ports,
  options: BenchOptions,
  say: (text: string) => void,
): Promise<readonly ReadSample[]> {
  if (findProgram('redis-benchmark') === '') {
    throw new Error('redis-benchmark is not in PATH; Debian has it in redis-tools');
  }
  const samples: ReadSample[] = [];
  for (let replicas = 0; replicas <= REPLICAS_MAX; replicas++) {
    const stage = await openStage(ports, {
      shards: 1,
      replicas,
      nodeTimeoutMs: 5000,
      config: {
        reads: { weights: { primary: 100, replica: 100 }, consistency: 'eventual' },
      },
    });
    try {
      samples.push(await measure(stage, replicas, REQUESTS[options.quick ? 'quick' : 'full']));
    } finally {
      await stage.close();
    }
  }
  say(`\n${renderReads(samples)}`);
  return samples;
}

async function measure(stage: Stage, replicas: number, requests: number): Promise<ReadSample> {
  await benchmark(stage.port, KEYS * 10, ['SET', 'key:__rand_int__', 'value']);
  const before = await getsOf(stage);
  const output = await benchmark(stage.port, requests, ['GET', 'key:__rand_int__']);
  const after = await getsOf(stage);
  const { requestsPerSecond, p99Ms } = parseFigures(output);
  const served = after.map((count, i) => count - (before[i] as number));
  return { replicas, requestsPerSecond, p99Ms, served };
}

async function benchmark(
  port: number,
  requests: number,
  command: readonly string[],
): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', `${port}`, '-c', `${CONNECTIONS}`, '-P', `${PIPELINE}`];
  args.push('-n', `${requests}`, '-r', `${KEYS}`, '--precision', '3', ...command);
  const run = await startProcess({
    name: 'redis-benchmark',
    command: findProgram('redis-benchmark'),
    args,
  });
  await run.ended;
  return run.output();
}

/** GETs that each node has executed so far. */
function getsOf({ cluster }: Stage): Promise<number[]> {
  return Promise.all(
    cluster.nodes.map(async (node) => {
      const client = await cluster.connect(node);
      try {
        const stats = String(await client.call('INFO', 'commandstats'));
        return Number(/cmdstat_get:calls=(\d+)/.exec(stats)?.[1] ?? 0);
      } finally {
        client.close();
      }
    }),
  );
}

function renderReads(samples: readonly ReadSample[]): string {
  const columns = [
    ...['replicas', 'req/s', 'p99 ms'].map((title) => ({ title, align: 'right' as const })),
    { title: 'reads of the primary and of each replica, %', align: 'left' as const },
  ];
  const rows = samples.map(({ replicas, requestsPerSecond, p99Ms, served }) => {
    const all = served.reduce((sum, each) => sum + each, 0);
    return [
      `${replicas}`,
      `${Math.round(requestsPerSecond)}`,
      p99Ms.toFixed(2),
      served.map((each) => ((each / all) * 100).toFixed(1)).join('  '),
    ];
  });
  const cores = 'Nodes, slotgate and the load share the same cores.';
  return [`GET, pipeline ${PIPELINE}, one shard. ${cores}`, '', renderTable(columns, rows)].join(
    '\n',
  );
}
