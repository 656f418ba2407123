/** One run of redis-benchmark as a process of its own, and the figures out of what it prints. */

import type { Cell } from '../cells.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { cpuNanoseconds, findProgram, startProcess } from '../proc.ts';
import type { Sample } from '../stats.ts';

export interface BenchmarkFigures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/**
 * Reads redis-benchmark's report (6.2 and later).
 * @throws Error with its last line when it holds no summary, as after a refused connection.
 */
export function parseFigures(output: string): BenchmarkFigures {
  const rate = /throughput summary: ([\d.]+) requests per second/.exec(output)?.[1];
  const latencies = /avg\s+min\s+p50\s+p95\s+p99\s+max\s+([\d.\s]+)/.exec(output)?.[1];
  const columns = (latencies ?? '').trim().split(/\s+/).map(Number);
  if (rate === undefined || columns.length < 6) {
    const lines = output.split(/[\r\n]+/).filter((line) => line.trim() !== '');
    throw new Error(`redis-benchmark gave no summary: ${lines.at(-1)?.trim() ?? 'no output'}`);
  }
  return {
    requestsPerSecond: Number(rate),
    p50Ms: columns[2] as number,
    p99Ms: columns[4] as number,
    p999Ms: distributionAt(output, 99.9),
  };
}

/** The first line of the distribution at or above `percent`, in milliseconds; NaN without one. */
function distributionAt(output: string, percent: number): number {
  for (const match of output.matchAll(/^([\d.]+)% <= ([\d.]+) milliseconds/gm)) {
    if (Number(match[1]) >= percent) return Number(match[2]);
  }
  return Number.NaN;
}

export interface RunOptions {
  readonly requests: number;
  /** Range of the random number in a key: as many keys as were loaded. */
  readonly keys: number;
  readonly round: number;
  readonly timeoutMs: number;
}

/** @throws Error when redis-benchmark fails, sees an error reply or exceeds the time. */
export async function measureCell(
  peer: RunningPeer,
  cell: Cell,
  options: RunOptions,
): Promise<Sample> {
  const pids = peer.pids();
  const before = cpuNanoseconds(pids);
  const output = await runBenchmark(peer.port, cell, options);
  const cpu = cpuNanoseconds(pids) - before;
  return {
    round: options.round,
    requests: options.requests,
    ...parseFigures(output),
    cpuMicros: cpu / 1000 / options.requests,
  };
}

async function runBenchmark(port: number, cell: Cell, options: RunOptions): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', `${port}`, '-c', `${cell.connections}`];
  args.push('-P', `${cell.pipeline}`, '-n', `${options.requests}`, '-r', `${options.keys}`);
  args.push('--precision', '3', ...cell.command);
  const run = await startProcess({
    name: 'redis-benchmark',
    command: findProgram('redis-benchmark') || 'redis-benchmark',
    args,
  });
  const timer = setTimeout(() => run.stop(), options.timeoutMs);
  const code = await run.ended;
  clearTimeout(timer);
  const output = run.output();
  const error = /^.*Error from server.*$/m.exec(output)?.[0];
  if (error !== undefined) throw new Error(error.trim());
  if (code === null) throw new Error(`redis-benchmark did not end in ${options.timeoutMs} ms`);
  return output;
}
