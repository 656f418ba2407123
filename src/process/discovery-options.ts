/** What discovery goes by, out of the configuration. */

import type { Config } from '../config/schema.ts';
import type { DiscoveryOptions } from '../control/discovery.ts';
import type { SentinelSettings } from '../control/sentinel/sentinels.ts';
import { monotonicNow } from '../transport/node-runtime.ts';

export function discoveryOptions({
  cluster,
  upstream,
}: Config): Omit<DiscoveryOptions, 'log' | 'publish'> {
  return {
    seeds: cluster.seeds,
    username: cluster.username,
    password: cluster.password,
    connectTimeoutMs: cluster.connectTimeoutMs,
    commandTimeoutMs: cluster.commandTimeoutMs,
    refreshIntervalMs: cluster.refreshIntervalMs,
    natMap: new Map(Object.entries(cluster.natMap)),
    mode: upstream.sentinels.length > 0 ? 'standalone' : upstream.mode,
    sentinels: sentinelsOf(upstream),
    now: monotonicNow,
  };
}

function sentinelsOf(upstream: Config['upstream']): SentinelSettings | undefined {
  const { sentinels, masterName, sentinelUsername, sentinelPassword } = upstream;
  if (sentinels.length === 0) return undefined;
  return {
    endpoints: sentinels,
    masterName,
    username: sentinelUsername,
    password: sentinelPassword,
  };
}
