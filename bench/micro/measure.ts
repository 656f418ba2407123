/** Nanoseconds per item of a function that handles many items per call. */

import { do_not_optimize, measure } from 'mitata';

export interface MicroBench {
  readonly name: string;
  /** What one call of `run` handles, e.g. the commands in a chunk. */
  readonly items: number;
  /** Returns a figure that depends on the work, so that it cannot be optimised away. */
  readonly run: () => number;
}

export interface MicroResult {
  readonly name: string;
  readonly minNs: number;
  readonly medianNs: number;
  readonly p99Ns: number;
}

export async function measureMicro({ name, items, run }: MicroBench): Promise<MicroResult> {
  const stats = await measure(() => {
    do_not_optimize(run());
  });
  return {
    name,
    minNs: stats.min / items,
    medianNs: stats.p50 / items,
    p99Ns: stats.p99 / items,
  };
}

/** As many copies of the frame as fit in one read of the size that the data path uses. */
export function chunkOf(frame: Buffer): { chunk: Buffer; items: number } {
  const items = Math.max(1, Math.floor(READ_BYTES / frame.length));
  return { chunk: Buffer.concat(Array.from({ length: items }, () => frame)), items };
}

const READ_BYTES = 64 * 1024;
