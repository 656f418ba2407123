/**
 * Calls that workers make for commands about the instance as a whole: what other workers know
 * (clients, counters) and what the nodes know (INFO, command documentation, modules). Every answer is
 * plain data, and questions to nodes share one.
 */

import { errorText } from '../lib/errors.ts';
import { nodeAddress, primariesOf, type SnapshotNode } from '../topology/snapshot.ts';
import type { CallServer } from './calls.ts';
import { readKeyspaceEvents, writeKeyspaceEvents } from './keyspace-events.ts';
import type { InstanceNodes } from './node-access.ts';
import { NodeCallError } from './node-client.ts';
import { INFO_FRESH_MS, NodeInfos, type NodeInfosOptions } from './node-infos.ts';
import { SharedAnswer } from './shared-answer.ts';
import { mergeClients, mergeFacts, mergeKills, silentOf } from './worker-answers.ts';

/** Documentation and modules change with an upgrade only. */
const DOCS_FRESH_MS = 60_000;
/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;

/** Registers the methods below on `calls`. */
export function registerInstanceCalls(calls: CallServer, options: NodeInfosOptions): void {
  const { nodes, now } = options;
  const infos = new NodeInfos(options);
  const docs = new SharedAnswer(now, DOCS_FRESH_MS, () => nodes.callAny(['COMMAND', 'DOCS']));
  const modules = new SharedAnswer(now, DOCS_FRESH_MS, () => nodes.callAny(['MODULE', 'LIST']));
  const databases = new SharedAnswer(now, INFO_FRESH_MS, () => readDatabases(nodes));
  const broadcast = (method: string, argument: unknown, deadlineMs: number) =>
    calls.broadcast(method, argument, Math.max(1, deadlineMs - RETURN_MS));

  calls.register('client.list', async (filter, ms) =>
    mergeClients(await broadcast('client.list.local', filter, ms)),
  );
  calls.register('client.kill', async (argument, ms) =>
    mergeKills(await broadcast('client.kill.local', argument, ms)),
  );
  calls.register('client.unblock', async (argument, ms) => {
    const { answers } = await broadcast('client.unblock.local', argument, ms);
    return answers.some(({ value }) => value === true);
  });
  calls.register('client.pause', async (argument, ms) => ({
    silent: silentOf(await broadcast('client.pause.local', argument, ms)),
  }));
  calls.register('client.unpause', async (_, ms) => ({
    silent: silentOf(await broadcast('client.unpause.local', null, ms)),
  }));
  calls.register('pubsub.counts', async (message, ms) => {
    const { answers, missing } = await broadcast('pubsub.counts.local', message, ms);
    // Null: somebody has not heard it, and must be told again.
    if (missing.length > 0) return null;
    return answers.map(({ value }) => value).filter((value) => value !== null);
  });
  calls.register('nodes.keyspace-events', () => readKeyspaceEvents(nodes));
  calls.register('nodes.keyspace-events.set', async (value) => ({
    error: await writeKeyspaceEvents(nodes, String(value)),
  }));
  calls.register('workers.info', async (_, ms) =>
    mergeFacts(await broadcast('info.local', null, ms)),
  );
  calls.register('nodes.databases', () => databases.get());
  calls.register('nodes.info', () => infos.get());
  calls.register('nodes.docs', () => docs.get());
  calls.register('nodes.modules', () => modules.get());
  calls.register('stats.reset', async (_, ms) => {
    const { missing } = await broadcast('stats.reset.local', null, ms);
    const error = await resetNodes(nodes);
    infos.forget();
    return { error: missing.length > 0 ? 'a worker did not answer in time' : error };
  });
}

/** How many databases the primary has; null where the account may not know. */
async function readDatabases(nodes: InstanceNodes): Promise<number | null> {
  const [primary] = primariesOf(nodes.snapshot());
  if (primary === undefined) throw new Error('no primary is known yet');
  try {
    const reply = await nodes.callNode(primary, ['CONFIG', 'GET', 'databases']);
    const count = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
    return Number.isInteger(count) ? count : null;
  } catch (error) {
    if (error instanceof NodeCallError && isRefusal(error)) return null;
    throw error;
  }
}

function isRefusal({ failure }: NodeCallError): boolean {
  return failure.code === 'reply' || failure.code === 'auth';
}

/** Undefined when every primary did it. */
async function resetNodes(nodes: InstanceNodes): Promise<string | undefined> {
  const primaries = primariesOf(nodes.snapshot());
  const results = await Promise.allSettled(
    primaries.map((node) => nodes.callNode(node, ['CONFIG', 'RESETSTAT'])),
  );
  const failed = results.findIndex(({ status }) => status === 'rejected');
  const result = results[failed];
  if (result?.status !== 'rejected') return undefined;
  return `${nodeAddress(primaries[failed] as SnapshotNode)}: ${errorText(result.reason)}`;
}
