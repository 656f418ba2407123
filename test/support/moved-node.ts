/** A node of a test's cluster that is started again at another port, as a container's manager does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { freePorts, LOOPBACK } from '../../src/local/ports.ts';
import { ensureRedisServer } from '../../src/local/redis-binary.ts';
import { onNode, until } from './cluster.ts';

export interface MovedNode {
  readonly port: number;
  readonly address: string;
  stop(): Promise<void>;
}

/** From the same folder, so with the same id and data. The old process has ended before. */
export async function startElsewhere(node: LocalNode): Promise<MovedNode> {
  const server = ensureRedisServer(() => undefined);
  const [port = 0] = await freePorts(1);
  const folder = dirname(node.logFile);
  const child = spawn(server.path, [join(folder, 'redis.conf'), '--port', String(port)], {
    argv0: server.argv0,
    cwd: folder,
    stdio: 'ignore',
  });
  await once(child, 'spawn');
  return {
    port,
    address: `${LOOPBACK}:${port}`,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Kills the node, starts it elsewhere, and waits until the others know it there. */
export async function moveNode(cluster: LocalCluster, node: LocalNode): Promise<MovedNode> {
  await cluster.kill(node, 'SIGKILL');
  const moved = await startElsewhere(node);
  const others = cluster.nodes.filter(({ pid }) => pid !== 0);
  const knows = async (other: LocalNode): Promise<boolean> =>
    String(await onNode(cluster, other, (client) => client.call('CLUSTER', 'NODES'))).includes(
      `${node.id} ${moved.address}@`,
    );
  await until(`all know ${node.id} at ${moved.address}`, async () => {
    return (await Promise.all(others.map(knows))).every(Boolean);
  });
  await until(`${moved.address} serves`, async () => {
    const client = await connectResp({ host: LOOPBACK, port: moved.port });
    try {
      return /cluster_state:ok/.test(String(await client.call('CLUSTER', 'INFO')));
    } finally {
      client.close();
    }
  });
  return moved;
}
