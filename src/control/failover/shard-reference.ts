/** Finds the shard or node that an operator means: by number, address or (part of) an id. Pure. */

import {
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
  type SnapshotShard,
  shardOfNode,
} from '../../topology/snapshot.ts';
import { SwitchRefused } from './switch-choice.ts';

export interface FoundShard {
  readonly index: number;
  readonly primary: SnapshotNode;
  readonly replicas: readonly SnapshotNode[];
}

/** Shorter parts of an id would soon name two nodes. */
const ID_CHARS_MIN = 6;

/** @throws SwitchRefused when there is none, or more than one */
export function findShard(snapshot: Snapshot, reference: string): FoundShard {
  const index = /^\d{1,3}$/.test(reference)
    ? Number(reference)
    : shardOfNode(snapshot, snapshot.nodes.indexOf(findNode(snapshot, reference)));
  const found = shardAt(snapshot, index);
  if (found !== undefined) return found;
  const allowed = `0 to ${snapshot.shards.length - 1}, or a node of it (host:port or id)`;
  throw new SwitchRefused('unknown-shard', `there is no shard ${reference}; allowed: ${allowed}`);
}

/** @throws SwitchRefused when there is none, or more than one */
export function findNode(snapshot: Snapshot, reference: string): SnapshotNode {
  const named = snapshot.nodes.filter((node) => isNamed(node, reference));
  const [node] = named;
  if (node !== undefined && named.length === 1) return node;
  const why = node === undefined ? 'no node of the cluster is' : 'several nodes are';
  throw new SwitchRefused(
    'unknown-node',
    `${why} called ${reference}; allowed: host:port, or ${ID_CHARS_MIN} or more characters of its id`,
  );
}

/** The shards by their number; one without a known primary is left out. */
function shardAt(snapshot: Snapshot, index: number): FoundShard | undefined {
  const shard = snapshot.shards[index];
  const primary = snapshot.nodes[shard?.primary ?? -1];
  if (shard === undefined || primary === undefined) return undefined;
  return { index, primary, replicas: replicasOf(snapshot, shard) };
}

function replicasOf(snapshot: Snapshot, { replicas }: SnapshotShard): SnapshotNode[] {
  return replicas.flatMap((at) => snapshot.nodes[at] ?? []);
}

function isNamed(node: SnapshotNode, reference: string): boolean {
  if (nodeAddress(node) === reference || node.aliases?.includes(reference) === true) return true;
  return reference.length >= ID_CHARS_MIN && node.id.startsWith(reference.toLowerCase());
}
