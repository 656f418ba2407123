/**
 * What a node says of its own slots at the very moment of a page: the line "myself" of CLUSTER
 * NODES, asked for in one transaction with SCAN.
 */

import { parseClusterNodes } from '../../topology/cluster-nodes.ts';
import { ALL_SLOTS, NO_SLOTS, SlotSet } from './slot-set.ts';

export interface OwnView {
  readonly nodeId: string;
  readonly configEpoch: number;
  /** Slots all of whose keys are here: owned, and not in motion. */
  readonly whole: SlotSet;
  /** Owned and on their way to another node: slot → that node's id. */
  readonly leaving: ReadonlyMap<number, string>;
  /** Not owned yet and on their way here: slot → the id of the node they come from. */
  readonly arriving: ReadonlyMap<number, string>;
}

/** Null when the text has no such line, or it cannot be read. */
export function readOwnView(nodesText: string): OwnView | null {
  const raw = nodesText.split('\n').find((line) => /^\S+ \S+ \S*myself/.test(line));
  if (raw === undefined) return null;
  const [line] = parseClusterNodes(raw).lines;
  if (line === undefined) return null;
  const leaving = new Map(line.migrating.map(({ slot, nodeId }) => [slot, nodeId]));
  const arriving = new Map(line.importing.map(({ slot, nodeId }) => [slot, nodeId]));
  const owned = line.role === 'primary' ? SlotSet.of(slotsIn(line.slots)) : NO_SLOTS;
  const moving = SlotSet.of([...leaving.keys(), ...arriving.keys()]);
  return {
    nodeId: line.id,
    configEpoch: line.configEpoch,
    whole: owned.without(moving),
    leaving,
    arriving,
  };
}

function* slotsIn(ranges: readonly number[]): Generator<number> {
  for (let at = 0; at < ranges.length; at += 2) {
    const to = ranges[at + 1] as number;
    for (let slot = ranges[at] as number; slot <= to; slot++) yield slot;
  }
}

/** A server without cluster mode has everything. */
export function wholeView(nodeId: string): OwnView {
  const nothing: ReadonlyMap<number, string> = new Map();
  return { nodeId, configEpoch: 0, whole: ALL_SLOTS, leaving: nothing, arriving: nothing };
}
