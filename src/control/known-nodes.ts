/**
 * The nodes that a control process before this one knew last. They are asked besides the seeds until
 * there is a picture: every node may have moved since the seeds were written down. Their ids tell which
 * of several clusters is ours (strays.ts).
 */

import type { NodeEndpoint } from '../topology/build.ts';
import type { Snapshot } from '../topology/snapshot.ts';

export interface KnownNode extends NodeEndpoint {
  /** The 40-character id; without cluster mode the one that its address gives. */
  readonly id: string;
}

export function knownNodesOf({ nodes, shards }: Snapshot): KnownNode[] {
  // Nodes that own nothing are no cluster to come back to.
  if (shards.length === 0) return [];
  return nodes.map(({ id, host, port }) => ({ id, host, port }));
}
