/** How many commands of one name each node has executed, by its own INFO commandstats. */
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import { onNode } from '../cluster.ts';

export async function callsOf(
  cluster: LocalCluster,
  nodes: readonly LocalNode[],
  command: string,
): Promise<number[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const stats = await onNode(cluster, node, (client) => client.call('INFO', 'commandstats'));
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(stats))?.[1] ?? 0);
    }),
  );
}
