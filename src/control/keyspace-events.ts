/**
 * `notify-keyspace-events`, the one setting of the nodes that clients may change through slotgate: on
 * all nodes, since replicas become primaries and each node tells of its own keys.
 */

import { errorText } from '../lib/errors.ts';
import { nodeAddress, type SnapshotNode } from '../topology/snapshot.ts';
import type { InstanceNodes } from './node-access.ts';

const KEYSPACE_EVENTS = 'notify-keyspace-events';

/** The value at whichever node answers; '' where a node does not tell. */
export async function readKeyspaceEvents(nodes: InstanceNodes): Promise<string> {
  const reply = await nodes.callAny(['CONFIG', 'GET', KEYSPACE_EVENTS]);
  return Array.isArray(reply) ? String(reply[1] ?? '') : '';
}

/** Undefined when every node that is up took it, else the error line of the first that did not. */
export async function writeKeyspaceEvents(
  nodes: InstanceNodes,
  value: string,
): Promise<string | undefined> {
  const all = (nodes.snapshot()?.nodes ?? []).filter(({ failed }) => !failed);
  const [first, ...others] = all;
  if (first === undefined) return 'ERR no node of the cluster is known yet';
  // One node judges the value, so that a wrong one changes nothing anywhere.
  const refusal = await setAt(nodes, first, value);
  if (refusal !== undefined) return refusal;
  const results = await Promise.all(others.map((node) => setAt(nodes, node, value)));
  return results.find((result) => result !== undefined);
}

async function setAt(
  nodes: InstanceNodes,
  node: SnapshotNode,
  value: string,
): Promise<string | undefined> {
  try {
    await nodes.callNode(node, ['CONFIG', 'SET', KEYSPACE_EVENTS, value]);
    return undefined;
  } catch (error) {
    const text = errorText(error);
    const said = text.indexOf('ERR ');
    return said >= 0 ? text.slice(said) : `ERR ${nodeAddress(node)}: ${text}`;
  }
}
