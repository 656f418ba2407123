/**
 * The nodes by shard, as the HTTP API shows them: what the newest snapshot says of each, what
 * watching it has found, and what it answers right now. A node that is silent costs one patience.
 */

import { withDeadline } from '../lib/deadline.ts';
import { NO_SHARD, nodeAddress, type Snapshot, type SnapshotNode } from '../topology/snapshot.ts';
import { askInfo, replicationOf } from './failover/node-questions.ts';
import type { NodeAccess } from './node-access.ts';

export interface NodesReport {
  readonly mode: Snapshot['mode'];
  readonly epoch: number;
  readonly shards: readonly ShardReport[];
  /** Members without slots and without a primary that has some: spares, and dead former primaries. */
  readonly others: readonly NodeReport[];
}

export interface ShardReport {
  readonly shard: number;
  readonly slotCount: number;
  /** Inclusive, e.g. "0-5460" or "7". */
  readonly slotRanges: readonly string[];
  readonly primary: string;
  /** The primary first. */
  readonly nodes: readonly NodeReport[];
}

export interface NodeReport {
  readonly id: string;
  readonly address: string;
  readonly role: 'primary' | 'replica';
  /** up, suspect, down, recovering; or failed where only the cluster's own flag is known. */
  readonly state: string;
  /** What its last failure looked like, '' for none. */
  readonly evidence: string;
  readonly zone: string;
  /** How much older than its primary's its data may be, milliseconds; null where unknown. */
  readonly stalenessMs: number | null;
  /** Null when the node did not answer. */
  readonly answer: NodeAnswerReport | null;
}

export interface NodeAnswerReport {
  readonly version: string;
  readonly runId: string;
  readonly uptimeSeconds: number;
  readonly role: 'primary' | 'replica';
  readonly offset: number;
  readonly linkUp: boolean;
  readonly isSyncing: boolean;
  readonly isLoading: boolean;
}

export interface NodesReportSources {
  readonly nodes: NodeAccess & { snapshot(): Snapshot | null };
  readonly stateOf: (address: string) => { state: string; evidence: string } | undefined;
  readonly stalenessMs: (address: string) => number | null;
}

/** A node that takes longer counts as silent here. */
const PATIENCE_MS = 1000;

/** Null while nothing is known of the upstream. */
export async function reportNodes(sources: NodesReportSources): Promise<NodesReport | null> {
  const snapshot = sources.nodes.snapshot();
  if (snapshot === null) return null;
  const reports = await Promise.all(snapshot.nodes.map((node) => reportNode(node, sources)));
  const ranges = rangesByShard(snapshot);
  const placed = new Set<number>();
  const shards = snapshot.shards.map(({ primary, replicas }, shard): ShardReport => {
    const members = [primary, ...replicas];
    for (const member of members) placed.add(member);
    return {
      shard,
      slotCount: ranges[shard]?.count ?? 0,
      slotRanges: ranges[shard]?.ranges ?? [],
      primary: reports[primary]?.address ?? '',
      nodes: members.flatMap((member) => reports[member] ?? []),
    };
  });
  const others = reports.filter((_, index) => !placed.has(index));
  return { mode: snapshot.mode, epoch: snapshot.epoch, shards, others };
}

async function reportNode(node: SnapshotNode, sources: NodesReportSources): Promise<NodeReport> {
  const address = nodeAddress(node);
  const answer = await askNode(sources.nodes, node);
  const seen = sources.stateOf(address) ?? plainState(node, answer !== null);
  return {
    id: node.id,
    address,
    role: node.role,
    state: seen.state,
    evidence: seen.evidence,
    zone: node.zone,
    stalenessMs: node.role === 'replica' ? sources.stalenessMs(address) : null,
    answer,
  };
}

function plainState({ failed }: SnapshotNode, answers: boolean) {
  return { state: failed ? 'failed' : answers ? 'up' : 'down', evidence: '' };
}

/** Null when it does not answer; why, its state tells. */
async function askNode(nodes: NodeAccess, node: SnapshotNode): Promise<NodeAnswerReport | null> {
  const asked = askInfo(nodes, node).then(answerOf, () => null);
  return withDeadline(asked, PATIENCE_MS, () => null);
}

function answerOf(fields: ReadonlyMap<string, string>): NodeAnswerReport {
  const { role, offset, linkUp, isSyncing } = replicationOf(fields);
  return {
    version: fields.get('redis_version') ?? '',
    runId: fields.get('run_id') ?? '',
    uptimeSeconds: Number(fields.get('uptime_in_seconds') ?? 0),
    role,
    offset,
    linkUp,
    isSyncing,
    isLoading: fields.get('loading') === '1',
  };
}

interface Ranges {
  count: number;
  readonly ranges: string[];
}

function rangesByShard({ slots, shards }: Snapshot): readonly Ranges[] {
  const found = shards.map((): Ranges => ({ count: 0, ranges: [] }));
  for (let first = 0; first < slots.length; ) {
    const shard = slots[first] as number;
    let end = first + 1;
    while (end < slots.length && slots[end] === shard) end++;
    const own = shard === NO_SHARD ? undefined : found[shard];
    if (own !== undefined) {
      own.count += end - first;
      own.ranges.push(end - first === 1 ? String(first) : `${first}-${end - 1}`);
    }
    first = end;
  }
  return found;
}
