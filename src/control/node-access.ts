/**
 * How others in control, and the calls of workers, ask the nodes; discovery has the connections.
 * What cannot be sent or is not answered rejects with a NodeCallError.
 */

import type { NodeEndpoint } from '../topology/build.ts';
import type { Snapshot } from '../topology/snapshot.ts';

export interface NodeAccess {
  /** One command to this node; texts as Buffers. */
  callNode(node: NodeEndpoint, command: readonly [string, ...string[]]): Promise<unknown>;
}

export interface NodeCaller {
  /** One command to whichever node answers; texts as strings. */
  callAny(command: readonly [string, ...string[]]): Promise<unknown>;
}

export interface InstanceNodes extends NodeAccess, NodeCaller {
  /** The newest picture, null before the first. */
  snapshot(): Snapshot | null;
}
