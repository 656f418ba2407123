/** What is asked of single nodes before and while roles change, as typed answers. */

import type { NodeEndpoint } from '../../topology/build.ts';
import { type ClusterNodeLine, parseClusterNodes } from '../../topology/cluster-nodes.ts';
import { parseInfo } from '../../topology/server-info.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';

export interface Replication {
  readonly role: 'primary' | 'replica';
  /** Bytes of the replication stream: written by a primary, applied by a replica. */
  readonly offset: number;
  /** True for a primary. */
  readonly linkUp: boolean;
  /** A full copy of the primary's data is under way. */
  readonly isSyncing: boolean;
  /** Its history has seen a change of primary since its data began. */
  readonly hasSwitched: boolean;
}

export interface ServerFacts {
  readonly version: string;
  /** New with each start of the process. */
  readonly runId: string;
  readonly uptimeSeconds: number;
}

/** Redis' own default, for accounts that may not read it. */
export const NODE_TIMEOUT_MS = 15_000;

export async function askReplication(nodes: NodeAccess, node: NodeEndpoint): Promise<Replication> {
  return replicationOf(await askInfo(nodes, node, 'replication'));
}

export async function askServer(nodes: NodeAccess, node: NodeEndpoint): Promise<ServerFacts> {
  const fields = await askInfo(nodes, node, 'server');
  return {
    version: fields.get('redis_version') ?? '',
    runId: fields.get('run_id') ?? '',
    uptimeSeconds: Number(fields.get('uptime_in_seconds') ?? 0),
  };
}

export async function askInfo(
  nodes: NodeAccess,
  node: NodeEndpoint,
  ...sections: readonly string[]
): Promise<ReadonlyMap<string, string>> {
  return parseInfo(String(await nodes.callNode(node, ['INFO', ...sections])));
}

export function replicationOf(fields: ReadonlyMap<string, string>): Replication {
  const isReplica = fields.get('role') === 'slave';
  const offset = fields.get(isReplica ? 'slave_repl_offset' : 'master_repl_offset');
  return {
    role: isReplica ? 'replica' : 'primary',
    offset: Number(offset ?? 0),
    linkUp: !isReplica || fields.get('master_link_status') === 'up',
    isSyncing: fields.get('master_sync_in_progress') === '1',
    hasSwitched: Number(fields.get('second_repl_offset') ?? -1) >= 0,
  };
}

/** The cheapest question there is about a role: it is asked every few milliseconds. */
export async function askRole(
  nodes: NodeAccess,
  node: NodeEndpoint,
): Promise<'primary' | 'replica'> {
  const reply = await nodes.callNode(node, ['ROLE']);
  return Array.isArray(reply) && String(reply[0]) === 'master' ? 'primary' : 'replica';
}

/** How the node itself sees the cluster. */
export async function askView(nodes: NodeAccess, node: NodeEndpoint): Promise<NodeView> {
  const text = String(await nodes.callNode(node, ['CLUSTER', 'NODES']));
  const { lines } = parseClusterNodes(text);
  const self = lines.find(({ myself }) => myself);
  if (self === undefined) throw new Error('CLUSTER NODES does not say which node answered');
  return { self, lines };
}

export interface NodeView {
  readonly self: ClusterNodeLine;
  readonly lines: readonly ClusterNodeLine[];
}

/**
 * Ids of the nodes that this one holds for replicas of `primaryId`; none where it holds that one for
 * no primary; null where our account may not ask.
 */
export async function askReplicasOf(
  nodes: NodeAccess,
  node: NodeEndpoint,
  primaryId: string,
): Promise<readonly string[] | null> {
  try {
    // CLUSTER REPLICAS under the name that all versions know.
    const reply = await nodes.callNode(node, ['CLUSTER', 'SLAVES', primaryId]);
    return Array.isArray(reply) ? reply.map((line) => String(line).split(' ', 1)[0] ?? '') : null;
  } catch (error) {
    if (!(error instanceof NodeCallError)) throw error;
    if (/unknown node|not a (master|primary)/i.test(error.message)) return [];
    if (MAY_NOT.has(error.failure.code)) return null;
    throw error;
  }
}

const MAY_NOT: ReadonlySet<string> = new Set(['auth', 'reply']);

export async function askNodeTimeoutMs(nodes: NodeAccess, node: NodeEndpoint): Promise<number> {
  const reply = await nodes
    .callNode(node, ['CONFIG', 'GET', 'cluster-node-timeout'])
    // Many accounts lack CONFIG: the default is the cautious guess.
    .catch(() => null);
  const value = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
  return Number.isFinite(value) && value > 0 ? value : NODE_TIMEOUT_MS;
}
