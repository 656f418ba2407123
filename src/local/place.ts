/**
 * Where an embedded cluster lives: its folder and its ports. Two runs on one folder would destroy it,
 * and a folder's cluster can come up on other ports than before.
 */
import { realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeCode, ProxyError } from '../lib/errors.ts';
import { connectResp, ReplyError } from '../lib/resp-client.ts';
import {
  createTemporaryFolder,
  type FolderContents,
  moveNodes,
  openDataFolder,
  requireSameSize,
} from './data-dir.ts';
import { localError } from './errors.ts';
import { type LocalClusterOptions, nodeCount } from './options.ts';
import { allFree, consecutivePorts, freePorts, LOOPBACK } from './ports.ts';

export interface Place {
  readonly folder: string;
  /** False for a temporary folder. */
  readonly persistent: boolean;
  /** What an earlier run left in it; its nodes have been told the new ports. */
  readonly held: FolderContents | undefined;
  /** One per node. */
  readonly ports: readonly number[];
}

/** For a run that was just killed, whose nodes are still being stopped. */
const FOLDER_FREE_MS = 12_000;
const FOLDER_POLL_MS = 200;
const PROBE_MS = 2000;

/** @throws ProxyError for busy ports, or a folder that is in use or holds something else */
export async function choosePlace(options: LocalClusterOptions): Promise<Place> {
  const count = nodeCount(options);
  if (options.dataDir === undefined) {
    const ports = await choosePorts(options, count, undefined);
    return { folder: createTemporaryFolder(), persistent: false, held: undefined, ports };
  }
  const held = openDataFolder(resolve(options.dataDir));
  // As the nodes will call it.
  const folder = realpathSync(options.dataDir);
  if (held !== undefined) {
    requireSameSize(folder, held, options);
    await requireUnused(folder, held, options.password);
  }
  const ports = await choosePorts(options, count, held);
  if (held !== undefined) moveNodes(folder, held.ports, ports);
  return { folder, persistent: true, held, ports };
}

async function choosePorts(
  { nodePort, avoidPorts = [] }: LocalClusterOptions,
  count: number,
  held: FolderContents | undefined,
): Promise<readonly number[]> {
  if (nodePort !== undefined) return consecutivePorts(nodePort, count, avoidPorts);
  const isClear = held?.ports.every((port) => !avoidPorts.includes(port)) ?? false;
  if (held !== undefined && isClear && (await allFree(held.ports))) return held.ports;
  return freePorts(count, avoidPorts);
}

/**
 * Two runs on one folder would destroy it. The nodes of a run that was just killed may still be
 * stopping: those are waited for.
 * @throws ProxyError when a node of this folder keeps running
 */
async function requireUnused(
  folder: string,
  held: FolderContents,
  password: string | undefined,
): Promise<void> {
  const until = performance.now() + FOLDER_FREE_MS;
  for (;;) {
    const users = await Promise.all(held.ports.map((port) => servesFolder(port, folder, password)));
    const port = held.ports[users.indexOf(true)];
    if (port === undefined) return;
    if (performance.now() > until || isAlive(held.owner)) {
      const what = `The cluster in ${folder} is already running (a node of it is on port ${port})`;
      throw localError('usage', `${what}; stop that run, or choose another folder.`);
    }
    await delay(FOLDER_POLL_MS);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is another user's.
    return nodeCode(error) === 'EPERM';
  }
}

/** True when a node that keeps its files in `folder` listens on `port`. */
async function servesFolder(port: number, folder: string, password?: string): Promise<boolean> {
  try {
    const client = await connectResp({ host: LOOPBACK, port, password, timeoutMs: PROBE_MS });
    try {
      const reply = await client.call('CONFIG', 'GET', 'dir');
      return Array.isArray(reply) && String(reply[1]).startsWith(`${folder}${sep}`);
    } finally {
      client.close();
    }
  } catch (error) {
    // Nobody there, or something that is no node of ours.
    if (error instanceof ProxyError || error instanceof ReplyError) return false;
    throw error;
  }
}
