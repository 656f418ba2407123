/**
 * Where clients show what they can do: a real cluster whose shards have a replica each, and slotgate
 * as a process with two workers, so that what one client says reaches another through both.
 */
import { keySlot } from '../../src/commands/slot.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import { ownerOf, startTestCluster, until } from '../support/cluster.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const NODE_TIMEOUT_MS = 2000;
const WORKERS = 2;

export class Stage {
  readonly cluster: LocalCluster;
  readonly proxy: ProxyProcess;

  private constructor(cluster: LocalCluster, proxy: ProxyProcess) {
    this.cluster = cluster;
    this.proxy = proxy;
  }

  /** Ready for clients: all slots have an owner. */
  static async open(config: ConfigInput = {}): Promise<Stage> {
    const cluster = await startTestCluster({ nodeTimeoutMs: NODE_TIMEOUT_MS });
    try {
      return new Stage(cluster, await openProxy(cluster, config));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get port(): number {
    return this.proxy.port;
  }

  /** kill -9 for the primary of `key`; resolves when its replica has been promoted by vote. */
  async killPrimaryOf(key: string): Promise<void> {
    const slot = keySlot(key);
    const primary = await ownerOf(this.cluster, slot);
    if (primary === undefined) throw new Error(`nobody owns slot ${slot}`);
    await this.cluster.kill(primary, 'SIGKILL');
    await until('a replica is promoted', async () => {
      const owner = await ownerOf(this.cluster, slot);
      return owner !== undefined && owner.port !== primary.port;
    });
  }

  async close(): Promise<void> {
    await this.proxy.stop();
    await this.cluster.stop();
  }
}

/** One more slotgate in front of the cluster; the caller stops it. */
export async function openProxy(
  cluster: LocalCluster,
  config: ConfigInput = {},
): Promise<ProxyProcess> {
  const proxy = await startProxyProcess({
    workers: WORKERS,
    ...config,
    cluster: { seeds: cluster.seeds, ...config.cluster },
  });
  try {
    await until('slotgate is ready', () => proxy.isReady());
  } catch (error) {
    await proxy.stop('SIGKILL');
    throw error;
  }
  return proxy;
}
