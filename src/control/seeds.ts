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
  /** The seed "host:port" that an address comes from. */
  readonly names: ReadonlyMap<string, string>;
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
  const names = new Map<string, string>();
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
      names.set(nodeAddress(endpoint), nodeAddress(seed));
    }
  });
  return { endpoints: [...endpoints.values()], names, failures };
}

export interface SeedBookOptions {
  readonly seeds: readonly NodeEndpoint[];
  readonly resolve?: Resolver;
  readonly connectTimeoutMs: number;
}

/** What the seeds' names mean, as resolved last. */
export class SeedBook {
  readonly #options: SeedBookOptions;
  #resolved: ResolvedSeeds = { endpoints: [], names: new Map(), failures: new Map() };
  #resolving: Promise<void> | null = null;

  constructor(options: SeedBookOptions) {
    this.#options = options;
  }

  get endpoints(): readonly NodeEndpoint[] {
    return this.#resolved.endpoints;
  }

  get failures(): ReadonlyMap<string, NodeFailure> {
    return this.#resolved.failures;
  }

  /** An address as the operator knows it: with the name that led to it. */
  describe(address: string): string {
    const name = this.#resolved.names.get(address) ?? address;
    return name === address ? address : `${name} (${address})`;
  }

  /** Resolves them again; only one look-up at a time. */
  refresh(): Promise<void> {
    const { seeds, resolve = systemResolver, connectTimeoutMs } = this.#options;
    this.#resolving ??= resolveSeeds(seeds, resolve, connectTimeoutMs).then((resolved) => {
      this.#resolving = null;
      // While a name does not resolve, what it meant before may still be right.
      if (resolved.endpoints.length > 0 || this.endpoints.length === 0) this.#resolved = resolved;
    });
    return this.#resolving;
  }

  /** Resolves when no look-up is under way. */
  async settled(): Promise<void> {
    await this.#resolving;
  }
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
