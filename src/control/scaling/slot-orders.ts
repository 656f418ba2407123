/** CLUSTER SETSLOT for many slots of one node, in one piece. */

import { nodeAddress, type SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeCommand } from '../node-client.ts';
import { MoveFailed, type MoverNodes } from './move-parties.ts';

/** `words` follow CLUSTER SETSLOT and the slot. @throws MoveFailed for the first that is refused */
export async function setSlots(
  nodes: MoverNodes,
  node: SnapshotNode,
  slots: readonly number[],
  ...words: readonly string[]
): Promise<void> {
  if (slots.length === 0) return;
  const results = await nodes.batch(
    node,
    slots.map((slot): NodeCommand => ['CLUSTER', 'SETSLOT', String(slot), ...words]),
  );
  results.forEach(({ error }, at) => {
    if (error === '') return;
    const order = ['CLUSTER SETSLOT', slots[at], ...words].join(' ');
    throw new MoveFailed(`${nodeAddress(node)} refused ${order}: ${error}`);
  });
}
