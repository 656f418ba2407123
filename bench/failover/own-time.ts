/** When the cluster itself takes writes again, seen on the nodes and not through the proxy. */

import { ReplyError, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';

const POLL_MS = 2;

export class OwnTime {
  readonly #clients: RespClient[];
  #isWatching = true;

  private constructor(clients: RespClient[]) {
    this.#clients = clients;
  }

  /** Connects to the nodes that may take over, before anything happens. */
  static async prepare(cluster: LocalCluster, heirs: readonly LocalNode[]): Promise<OwnTime> {
    return new OwnTime(await Promise.all(heirs.map((node) => cluster.connect(node))));
  }

  /** The moment of the first write that one of them took, or NaN when it was stopped before. */
  async firstWrite(key: string): Promise<number> {
    const moments = this.#clients.map(async (client) => {
      while (this.#isWatching) {
        if (await accepts(client, key)) return performance.now();
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      return Number.NaN;
    });
    const first = await Promise.race(moments);
    this.#isWatching = false;
    await Promise.all(moments);
    return first;
  }

  stop(): void {
    this.#isWatching = false;
    for (const client of this.#clients) client.close();
  }
}

async function accepts(client: RespClient, key: string): Promise<boolean> {
  try {
    return (await client.call('SET', key, '1')) === 'OK';
  } catch (error) {
    if (error instanceof ReplyError) return false; // MOVED, CLUSTERDOWN, READONLY: not yet.
    throw error;
  }
}
