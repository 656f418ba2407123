/**
 * The seeds: names that lead to the cluster. They are kept as names and resolved again whenever
 * they are needed, since a cluster restarted elsewhere keeps its names and not its addresses.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { withDeadline } from '../lib/deadline.ts';

import type { NodeEndpoint } from '../topology/build.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import { type NodeFailure, nodeFailure } from './node-failure.ts';

/** All addresses of one host name; rejects as dns.lookup does. */
export type Resolver = (host: string) => Promise<readonly string[]>;

export interface ResolvedSeeds {
  /** In the order of the seeds, without repetition. */
  readonly endpoints: readonly NodeEndpoint[];
  /** By seed "host:port". */
  readonly failures: ReadonlyMap<string, NodeFailure>;
}

export const systemResolver: Resolver = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
};

export async function resolveSeeds(
  seeds: readonly NodeEndpoint[],
  resolve: Resolver,
  timeoutMs: number,
): Promise<ResolvedSeeds> {
  const failures = new Map<string, NodeFailure>();
  const endpoints = new Map<string, NodeEndpoint>();
  const results = await Promise.allSettled(
    seeds.map(({ host }) => resolveHost(host, resolve, timeoutMs)),
  );
  seeds.forEach((seed, index) => {
    const result = results[index] as PromiseSettledResult<readonly string[]>;
    if (result.status === 'rejected') {
      failures.set(nodeAddress(seed), nodeFailure(result.reason));
      return;
    }
    for (const host of result.value) {
      const endpoint = { host, port: seed.port };
      endpoints.set(nodeAddress(endpoint), endpoint);
    }
  });
  return { endpoints: [...endpoints.values()], failures };
}

async function resolveHost(
  host: string,
  resolve: Resolver,
  timeoutMs: number,
): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  // A name server that is gone takes the system's resolver many seconds to give up on.
  return withDeadline(resolve(host), timeoutMs, () => {
    throw Object.assign(new Error('name lookup timed out'), { code: 'EAI_AGAIN' });
  });
}
