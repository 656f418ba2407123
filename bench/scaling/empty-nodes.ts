/** Nodes in cluster mode that belong to no cluster yet. */

import { findRedisServer, versionAtLeast } from '../../src/local/redis-binary.ts';
import type { Ports } from '../ports.ts';
import { type ManagedProcess, startProcess, temporaryFolder } from '../proc.ts';
import { waitUntil } from '../wait.ts';
import { onPort } from './membership.ts';

const START_MS = 20_000;

export interface EmptyNode {
  readonly port: number;
  readonly process: ManagedProcess;
}

export async function startEmptyNodes(
  ports: Ports,
  count: number,
  nodeTimeoutMs: number,
  extraConfig: Readonly<Record<string, string>>,
): Promise<EmptyNode[]> {
  const server = findRedisServer();
  if (server === undefined) throw new Error('there is no redis-server here');
  const nodes: EmptyNode[] = [];
  for (let i = 0; i < count; i++) {
    const port = await ports.takeWithBus();
    const settings = {
      port: `${port}`,
      bind: '127.0.0.1',
      dir: temporaryFolder('node'),
      save: '',
      appendonly: 'no',
      'cluster-enabled': 'yes',
      'cluster-node-timeout': `${nodeTimeoutMs}`,
      ...(versionAtLeast(server, 7) ? extraConfig : {}),
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const { path: command, argv0 } = server;
    nodes.push({
      port,
      process: await startProcess({ name: 'redis-server', command, args, argv0 }),
    });
  }
  for (const { port } of nodes) {
    await waitUntil(`node ${port} answers`, START_MS, async () => {
      return (await onPort(port, (client) => client.call('PING'))) === 'PONG';
    });
  }
  return nodes;
}
