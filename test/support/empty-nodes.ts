/** Nodes in cluster mode that belong to no cluster: what scaling takes. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PlainRedis, startRedis } from './redis-server.ts';

export interface EmptyNodes {
  readonly nodes: readonly PlainRedis[];
  /** "host:port" of each. */
  readonly addresses: readonly string[];
  stop(): Promise<void>;
}

export async function startEmptyNodes(count: number): Promise<EmptyNodes> {
  const folders: string[] = [];
  const start = (): Promise<PlainRedis> => {
    const dir = mkdtempSync(join(tmpdir(), 'slotgate-node-'));
    folders.push(dir);
    return startRedis({
      dir,
      'cluster-enabled': 'yes',
      'cluster-node-timeout': '2000',
      'cluster-require-full-coverage': 'no',
      'repl-diskless-sync-delay': '0',
      'enable-debug-command': 'local',
    });
  };
  const nodes: PlainRedis[] = [];
  // One by one: each looks for a free port.
  while (nodes.length < count) nodes.push(await start());
  return {
    nodes,
    addresses: nodes.map(({ host, port }) => `${host}:${port}`),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}
