/** What Node applications use: ioredis, node-redis, and some that are built on them. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, ClientGroup } from '../clients.ts';
import { Toolchain } from '../toolchain.ts';

const toolchain = new Toolchain('node');

async function prepare(): Promise<void> {
  const manifests = ['package.json', 'package-lock.json'];
  const kept = await toolchain.kept(manifests, (folder) =>
    // The one package with a build step of its own works without it.
    toolchain.prepare('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], folder),
  );
  symlinkSync(join(kept, 'node_modules'), join(toolchain.folder, 'node_modules'));
}

function client(name: string, program: string, ...args: readonly string[]): Client {
  const file = join(toolchain.folder, program);
  return { name, command: (port) => [process.execPath, file, String(port), ...args] };
}

const IOREDIS = ['5', '6'].flatMap((major) =>
  ['plain', 'cluster', 'sentinel'].map((mode) =>
    client(`ioredis ${major}, ${mode}`, 'ioredis.mjs', mode, major),
  ),
);
const NODE_REDIS = [
  ['4', 'plain'],
  ['4', 'cluster'],
  ['5', 'plain'],
  ['5', 'resp3-plain'],
  ['5', 'cluster'],
  ['5', 'resp3-cluster'],
  ['6', 'plain'],
  ['6', 'resp2-plain'],
  ['6', 'cluster'],
  ['6', 'resp2-cluster'],
].map(([major = '', mode = '']) =>
  client(`node-redis ${major}, ${mode.replace('-', ' ')}`, 'redis.mjs', mode, major),
);

export const NODE: ClientGroup = {
  toolchain,
  prepare,
  clients: [
    ...IOREDIS,
    ...NODE_REDIS,
    client('BullMQ', 'bullmq.mjs'),
    client('socket.io adapter', 'socket-io.mjs', 'plain'),
    client('socket.io adapter, sharded', 'socket-io.mjs', 'sharded'),
    client('connect-redis', 'connect-redis.mjs'),
  ],
};
