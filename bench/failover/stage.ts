/** One life of a cluster with a slotgate before it; each shard loses its primary once in a life. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../src/config/schema.ts';
import { readView, type ViewedNode } from '../../src/local/cluster-view.ts';
import { type LocalCluster, startLocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { startPeer } from '../peers/start.ts';
import type { Ports } from '../ports.ts';
import { temporaryFolder } from '../proc.ts';
import { waitUntil } from '../wait.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/slotgate.js', import.meta.url));
const SETTLED_MS = 20_000;
const SLOTS = 16_384;
/** They own the last slots. */
const WITNESSES_MAX = 2;

export interface StageOptions {
  readonly shards: number;
  readonly replicas: number;
  readonly nodeTimeoutMs: number;
  readonly config: ConfigInput;
  /** One shard, and two primaries with one slot each that only vote. */
  readonly witnesses?: boolean;
  /** Lines of redis.conf. */
  readonly extraConfig?: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly cluster: LocalCluster;
  readonly port: number;
  readonly httpUrl: string;
  close(): Promise<void>;
}

export async function openStage(ports: Ports, options: StageOptions): Promise<Stage> {
  const { shards, replicas, nodeTimeoutMs, config, witnesses = false, extraConfig } = options;
  const size = { shards, replicas, nodeTimeoutMs, witnesses };
  const cluster = await startLocalCluster({ ...size, extraConfig });
  try {
    const [port, httpPort] = [await ports.take(), await ports.take()];
    const slotgate = await startSlotgate(cluster, port, httpPort, config);
    const httpUrl = `http://127.0.0.1:${httpPort}`;
    return {
      cluster,
      port,
      httpUrl,
      close: async () => {
        await slotgate.stop();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function startSlotgate(
  cluster: LocalCluster,
  port: number,
  httpPort: number,
  config: ConfigInput,
): Promise<RunningPeer> {
  const folder = temporaryFolder('slotgate');
  const file = join(folder, 'slotgate.yaml');
  const whole: ConfigInput = {
    bind: '127.0.0.1',
    workers: 1,
    hold: { timeoutMs: '30s', maxFailoverMs: '60s' },
    log: { level: 'info', format: 'json' },
    ...config,
    port,
    http: { bind: '127.0.0.1', port: httpPort },
    cluster: { seeds: cluster.seeds },
  };
  writeFileSync(file, stringify(whole));
  const args = [PROGRAM, 'serve', '-c', file];
  return startPeer({ name: 'slotgate', command: process.execPath, args, cwd: folder }, port);
}

export interface SlotRange {
  readonly firstSlot: number;
  readonly lastSlot: number;
}

/** First and last slot of a shard as the cluster is formed, but for the slots of witnesses. */
export function evenSlots(shard: number, shards: number): SlotRange {
  return {
    firstSlot: Math.floor((shard * SLOTS) / shards),
    lastSlot: Math.floor(((shard + 1) * SLOTS) / shards) - 1 - WITNESSES_MAX,
  };
}

export interface Cast {
  readonly primary: LocalNode;
  readonly replicas: readonly LocalNode[];
}

/** Who leads and who follows now, by the slot's owner, once all running followers are in step. */
export async function castOf(cluster: LocalCluster, slot: number): Promise<Cast> {
  let cast: Cast | undefined;
  await waitUntil('the shard is whole', SETTLED_MS, async () => {
    cast = await currentCast(cluster, slot);
    return cast !== undefined && cast.replicas.length > 0;
  });
  return cast as Cast;
}

async function currentCast(cluster: LocalCluster, slot: number): Promise<Cast | undefined> {
  const asked = cluster.nodes.find(({ pid }) => pid !== 0) as LocalNode;
  const client = await cluster.connect(asked);
  try {
    const view = await readView(client);
    const owner = await client.call('CLUSTER', 'SLOTS');
    const port = portOf(owner, slot);
    const byPort = (wanted: number) => cluster.nodes.find((node) => node.port === wanted);
    const primary = byPort(port);
    if (primary === undefined || primary.pid === 0) return undefined;
    const replicas = view
      .filter((node) => node.primaryId === primary.id && isUp(node))
      .flatMap((node) => byPort(node.port) ?? []);
    return { primary, replicas };
  } finally {
    client.close();
  }
}

function isUp({ flags, connected }: ViewedNode): boolean {
  return connected && !flags.some((flag) => flag.startsWith('fail'));
}

function portOf(slots: unknown, slot: number): number {
  for (const [first, last, [, port]] of slots as [number, number, [string, number]][]) {
    if (slot >= first && slot <= last) return port;
  }
  return 0;
}
