/** A cluster with replicas, empty nodes beside it, and a slotgate of two workers before it. */

import { openStage } from '../failover/stage.ts';
import type { Ports } from '../ports.ts';
import { type EmptyNode, startEmptyNodes } from './empty-nodes.ts';
import { onPort, settled } from './membership.ts';
import type { Scene, Size } from './mover.ts';

const NODE_TIMEOUT_MS = 5000;
const WORKERS = 2;
/** Digests of values are asked for by DEBUG. */
const EXTRA_CONFIG = { 'enable-debug-command': 'local' };
const SLOTS = '16384';

export interface ScalingStage extends Scene {
  readonly port: number;
  close(): Promise<void>;
}

/** As many nodes as the largest of the sizes needs. */
export async function openScalingStage(
  ports: Ports,
  start: Size,
  sizes: readonly Size[],
): Promise<ScalingStage> {
  const nodes = ({ shards, replicas }: Size): number => shards * (replicas + 1);
  const more = Math.max(0, ...sizes.map(nodes)) - nodes(start);
  const stage = await openStage(ports, {
    ...start,
    nodeTimeoutMs: NODE_TIMEOUT_MS,
    extraConfig: EXTRA_CONFIG,
    config: {
      workers: WORKERS,
      reads: { weights: { primary: 100, replica: 100 } },
      log: { level: 'info', format: 'json' },
    },
  });
  let empty: EmptyNode[] = [];
  const close = async (): Promise<void> => {
    await stage.close();
    await Promise.all(empty.map(({ process }) => process.stop()));
  };
  try {
    empty = await startEmptyNodes(ports, Math.max(0, more), NODE_TIMEOUT_MS, EXTRA_CONFIG);
    const all = [...stage.cluster.nodes, ...empty].map((node) => node.port);
    const scene = { ports: all, httpUrl: stage.httpUrl, seed: () => memberOf(all) };
    await settled(await scene.seed());
    return { ...scene, port: stage.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first node that knows of all slots. */
async function memberOf(ports: readonly number[]): Promise<number> {
  for (const port of ports) {
    const info = String(await onPort(port, (client) => client.call('CLUSTER', 'INFO')));
    if (info.includes(`cluster_slots_assigned:${SLOTS}\r`)) return port;
  }
  throw new Error('no node knows of all slots');
}
