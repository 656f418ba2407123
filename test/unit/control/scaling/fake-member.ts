/** A node of a fake cluster, and what it answers of itself. */

import type { SnapshotNode } from '../../../../src/topology/snapshot.ts';

export interface FakeKey {
  readonly bytes: number;
  readonly value: string;
}

export interface FakeMember {
  readonly port: number;
  readonly node: SnapshotNode;
  /** Port of its primary; 0 for a primary. */
  primary: number;
  /** By slot: the port that it holds for the owner, 0 for nobody. */
  readonly owners: Uint16Array;
  readonly importing: Map<number, number>;
  readonly migrating: Map<number, number>;
  readonly keys: Map<number, Map<string, FakeKey>>;
  runId: string;
  hasLog: boolean;
  maxBytes: number;
  usedBytes: number;
  isDown: boolean;
  /** Ports of those that it was told to forget. */
  readonly forgets: Set<number>;
  /** It knows nobody, and nobody knows it. */
  isLone: boolean;
}

export function idOf(port: number): string {
  return String(port).padEnd(40, '0');
}

/** CLUSTER NODES as this one answers. */
export function nodesText(
  { port, owners, importing, migrating, forgets, isLone }: FakeMember,
  members: readonly FakeMember[],
): string {
  const known = members.filter((each) =>
    isLone ? each.port === port : !each.isLone && !forgets.has(each.port),
  );
  const lines = known.map((each) => {
    const isOwn = each.port === port;
    const flags = `${isOwn ? 'myself,' : ''}${each.primary === 0 ? 'master' : 'slave'}`;
    const primary = each.primary === 0 ? '-' : idOf(each.primary);
    const marks = [
      ...[...migrating].map(([slot, to]) => `[${slot}->-${idOf(to)}]`),
      ...[...importing].map(([slot, from]) => `[${slot}-<-${idOf(from)}]`),
    ];
    const tail = [...rangesOf(owners, each.port), ...(isOwn ? marks : [])].join(' ');
    return `${idOf(each.port)} h:${each.port}@1${each.port} ${flags} ${primary} 0 0 1 connected ${tail}`;
  });
  return lines.join('\n');
}

function rangesOf(owners: Uint16Array, port: number): string[] {
  const ranges: string[] = [];
  for (let from = owners.indexOf(port); from >= 0; ) {
    let end = from;
    while (owners[end] === port) end++;
    ranges.push(end - from === 1 ? String(from) : `${from}-${end - 1}`);
    from = owners.indexOf(port, end);
  }
  return ranges;
}

/** INFO. */
export function infoOf(member: FakeMember): string {
  const { primary, runId, hasLog, maxBytes, usedBytes, keys } = member;
  const count = [...keys.values()].reduce((sum, each) => sum + each.size, 0);
  const fields = [
    `role:${primary === 0 ? 'master' : 'slave'}`,
    `master_link_status:up`,
    `run_id:${runId}`,
    'redis_version:7.0.15',
    `aof_enabled:${hasLog ? 1 : 0}`,
    `maxmemory:${maxBytes}`,
    `used_memory:${usedBytes}`,
    `used_memory_dataset:${usedBytes}`,
    `db0:keys=${count},expires=0`,
  ];
  return fields.join('\r\n');
}
