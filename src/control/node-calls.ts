/**
 * Commands that a worker has control run on every primary, or on every node, for answers that are
 * merged over them: SLOWLOG, LATENCY, MEMORY. Replies go back as they came, texts as Buffers.
 */

import { withDeadline } from '../lib/deadline.ts';
import { errorText } from '../lib/errors.ts';
import { nodeAddress, primariesOf, type SnapshotNode } from '../topology/snapshot.ts';
import type { CallServer } from './calls.ts';
import type { InstanceNodes } from './node-access.ts';

/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;

export interface NodeReply {
  readonly id: string;
  /** "host:port" */
  readonly address: string;
  readonly value: unknown;
  /** Why there is no value; '' when there is one. */
  readonly error: string;
}

/** Registers `nodes.primaries` and `nodes.all`: the command's words in, a reply per node out. */
export function registerNodeCalls(calls: CallServer, nodes: InstanceNodes): void {
  const askAll = (asked: readonly SnapshotNode[], words: unknown, ms: number) =>
    Promise.all(asked.map((node) => ask(nodes, node, commandOf(words), ms - RETURN_MS)));
  calls.register('nodes.primaries', (words, ms) =>
    askAll(primariesOf(nodes.snapshot()), words, ms),
  );
  calls.register('nodes.all', (words, ms) => askAll(nodes.snapshot()?.nodes ?? [], words, ms));
}

function commandOf(words: unknown): readonly [string, ...string[]] {
  if (!Array.isArray(words) || words.length === 0) throw new Error('no command was given');
  return words.map(String) as [string, ...string[]];
}

async function ask(
  nodes: InstanceNodes,
  node: SnapshotNode,
  command: readonly [string, ...string[]],
  ms: number,
): Promise<NodeReply> {
  const { id } = node;
  const address = nodeAddress(node);
  try {
    const value = await withDeadline(nodes.callNode(node, command), ms, () => {
      throw new Error('did not answer in time');
    });
    return { id, address, value, error: '' };
  } catch (error) {
    return { id, address, value: null, error: errorText(error) };
  }
}
