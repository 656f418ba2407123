/** A whole slotgate in this very process, over a real cluster, for integration tests. */
import { type Config, type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { type Logger, silentLogger } from '../../src/lib/log.ts';
import type { Running } from '../../src/lib/running.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { startServer } from '../../src/main.ts';
import { startTestCluster, type TestClusterOptions, until } from './cluster.ts';

export interface TestProxyOptions {
  /** Default 3. */
  readonly shards?: number;
  /** Per shard. Default 0. */
  readonly replicas?: number;
  /** As in a configuration file; over the defaults, free ports and one worker. */
  readonly config?: ConfigInput;
  /** Further options of a cluster of its own, or a running one, which `close` then leaves alone. */
  readonly cluster?: TestClusterOptions | LocalCluster;
  /** Default: says nothing. */
  readonly log?: Logger;
}

export interface TestProxy {
  readonly host: string;
  readonly port: number;
  readonly httpUrl: string;
  readonly cluster: LocalCluster;
  readonly config: Config;
  readonly running: Running;
  /** Stops the proxy, then the cluster that was started for it. */
  close(): Promise<void>;
}

/** Resolves once the proxy is ready: all slots have an owner. */
export async function startProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
  const { shards = 3, replicas = 0, cluster: given = {} } = options;
  const isOwn = !('seeds' in given);
  const cluster = isOwn ? await startTestCluster({ shards, replicas, ...given }) : given;
  const stopCluster = async (): Promise<void> => {
    if (isOwn) await cluster.stop();
  };
  try {
    const config = proxyConfig(cluster, options.config);
    const running = await startServer(config, { log: options.log ?? silentLogger() });
    const close = async (): Promise<void> => {
      await running.close();
      await stopCluster();
    };
    try {
      await until('the proxy is ready', () => isReady(running.httpUrl));
    } catch (error) {
      await running.close();
      throw error;
    }
    const colon = running.endpoint.lastIndexOf(':');
    return {
      host: running.endpoint.slice(0, colon),
      port: Number(running.endpoint.slice(colon + 1)),
      httpUrl: running.httpUrl,
      cluster,
      config,
      running,
      close,
    };
  } catch (error) {
    await stopCluster();
    throw error;
  }
}

/** The defaults with `cluster` as seeds, free ports, one worker, and a short drain. */
export function proxyConfig(cluster: LocalCluster, overrides: ConfigInput = {}): Config {
  const { password } = cluster;
  return configSchema.parse({
    port: 0,
    workers: 1,
    drainTimeoutMs: '2s',
    ...overrides,
    http: { port: 0, ...overrides.http },
    cluster: {
      seeds: cluster.seeds,
      ...(password === undefined ? {} : { password }),
      ...overrides.cluster,
    },
  });
}

async function isReady(httpUrl: string): Promise<boolean> {
  const response = await fetch(new URL('/readyz', httpUrl));
  await response.arrayBuffer();
  return response.status === 200;
}
