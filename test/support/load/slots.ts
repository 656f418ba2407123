/** Slots of a real cluster: who owns them, keys that hash to them, and moving them by hand. */
import { keySlot } from '../../../src/commands/slot.ts';
import type { RespClient } from '../../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import { onNode } from '../cluster.ts';

const SLOTS = 16384;
const MIGRATE_TIMEOUT_MS = 5000;

/** A hash tag (without braces) of this slot. */
export function tagOfSlot(slot: number): string {
  for (let i = 0; ; i++) {
    const tag = `t${i.toString(36)}`;
    if (keySlot(Buffer.from(tag)) === slot) return tag;
  }
}

/** `count` hash tags of different slots that all hash into the shard's first slots. */
export function tagsOfShard(shard: number, shards: number, count: number): string[] {
  const first = Math.ceil((SLOTS / shards) * shard) + 1;
  return Array.from({ length: count }, (_, i) => tagOfSlot(first + i * 7));
}

/** One slot's way from one primary to another, as an operator would do it. */
export interface SlotMove {
  readonly slot: number;
  readonly from: LocalNode;
  readonly to: LocalNode;
  /** Keys of one MIGRATE. */
  readonly batch: number;
  /** Called after each step; the load goes on meanwhile. */
  readonly betweenSteps: () => Promise<void>;
}

/** SETSLOT IMPORTING, MIGRATING, MIGRATE in batches, SETSLOT NODE at the destination first. */
export async function moveSlot(cluster: LocalCluster, move: SlotMove): Promise<number> {
  const { slot, from, to, betweenSteps } = move;
  const source = await cluster.connect(from);
  const target = await cluster.connect(to);
  try {
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await betweenSteps();
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    await betweenSteps();
    const keys = await moveKeys(source, move);
    await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    await betweenSteps();
    await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    await betweenSteps();
    return keys;
  } finally {
    source.close();
    target.close();
  }
}

async function moveKeys(source: RespClient, move: SlotMove): Promise<number> {
  const { slot, to, batch, betweenSteps } = move;
  let moved = 0;
  for (;;) {
    const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, batch)) as string[];
    if (keys.length === 0) return moved;
    const address = [to.host, to.port, '', 0, MIGRATE_TIMEOUT_MS] as const;
    await source.call('MIGRATE', ...address, 'KEYS', ...keys);
    moved += keys.length;
    await betweenSteps();
  }
}

/** The primaries that own slots now, by their first slot. */
export async function primaries(cluster: LocalCluster): Promise<LocalNode[]> {
  const asked = cluster.nodes.find(({ pid }) => pid !== 0) as LocalNode;
  const slots = (await onNode(cluster, asked, (client) => client.call('CLUSTER', 'SLOTS'))) as [
    number,
    number,
    [string, number],
  ][];
  const ports = slots.sort((one, other) => one[0] - other[0]).map(([, , [, port]]) => port);
  return [...new Set(ports)].map(
    (port) => cluster.nodes.find((node) => node.port === port) as LocalNode,
  );
}
