/**
 * Servers without cluster mode: what INFO replication of one says, and the snapshot of a primary with
 * its replicas: one shard owns every slot, and nothing is refused for crossing slots. Who the
 * primary is among several answers, standalone-roles.ts decides. The nodes have no cluster ids, so
 * the caller gives each address one.
 */

import type { NatMap, NodeEndpoint } from './build.ts';
import { NO_SHARD, nodeAddress, SLOT_COUNT, type Snapshot, type SnapshotNode } from './snapshot.ts';

/** What INFO replication of one server says. Addresses are as the servers announce them. */
export interface StandaloneView {
  /** As dialled. */
  readonly asked: NodeEndpoint;
  /** Of the process that answered: one server may be reached at two addresses. '' when unknown. */
  readonly runId: string;
  readonly role: 'primary' | 'replica';
  /** The primary it follows; null for a primary. */
  readonly primary: NodeEndpoint | null;
  /** master_replid: names the history of its data; '' when unknown. */
  readonly replid: string;
  /** master_replid2: the history that it went on with when it was promoted; '' when it never was. */
  readonly formerReplid: string;
  /** Replicas that are online, as the primary knows them. */
  readonly replicas: readonly NodeEndpoint[];
}

export interface StandaloneOptions {
  readonly upstreamId: number;
  readonly epoch: number;
  readonly polledAt: number;
  readonly serverVersion: string;
  readonly unusable?: ReadonlySet<string>;
  /** A stable id for an address, 40 characters. */
  readonly idOf: (address: string) => string;
}

/** The nodes of one upstream without cluster mode, as they are dialled. */
export interface StandaloneNodes {
  readonly primary: NodeEndpoint;
  readonly replicas: readonly NodeEndpoint[];
  /** Nobody may be written to: the primary is known to be replaced, and by whom is not sure yet. */
  readonly isWithheld: boolean;
}

/** `fields` are those of INFO replication as answered by `asked`. */
export function readReplication(
  fields: ReadonlyMap<string, string>,
  asked: NodeEndpoint,
  runId = '',
): StandaloneView {
  const host = fields.get('master_host') ?? '';
  const port = Number(fields.get('master_port') ?? '0');
  const isReplica = fields.get('role') === 'slave';
  const follows = isReplica && host !== '' && port > 0;
  const former = fields.get('master_replid2') ?? '';
  return {
    asked,
    runId,
    role: isReplica ? 'replica' : 'primary',
    primary: follows ? { host, port } : null,
    replid: fields.get('master_replid') ?? '',
    // Zeros stand for "none".
    formerReplid: /^0*$/.test(former) ? '' : former,
    replicas: readReplicas(fields),
  };
}

/** Lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1`. */
function readReplicas(fields: ReadonlyMap<string, string>): NodeEndpoint[] {
  const replicas: NodeEndpoint[] = [];
  for (const [name, value] of fields) {
    if (!/^slave\d+$/.test(name)) continue;
    const parts = new Map(value.split(',').map((part) => splitPair(part)));
    const host = parts.get('ip') ?? '';
    const port = Number(parts.get('port') ?? '0');
    if (parts.get('state') === 'online' && host !== '' && port > 0) replicas.push({ host, port });
  }
  return replicas;
}

function splitPair(part: string): [string, string] {
  const equals = part.indexOf('=');
  return equals === -1 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)];
}

/** Where a server that is announced so is dialled. */
export function dialled(announced: NodeEndpoint, natMap: NatMap): NodeEndpoint {
  return natMap.get(nodeAddress(announced)) ?? announced;
}

/** Servers that a view names, as they are dialled. */
export function neighboursOf(view: StandaloneView, natMap: NatMap): NodeEndpoint[] {
  const { primary, replicas } = view;
  const announced = primary === null ? replicas : [primary, ...replicas];
  return announced.map((endpoint) => dialled(endpoint, natMap));
}

export function buildStandalone(nodes: StandaloneNodes, options: StandaloneOptions): Snapshot {
  const { primary, isWithheld } = nodes;
  const replicas = [...nodes.replicas]
    .sort((a, b) => (nodeAddress(a) < nodeAddress(b) ? -1 : 1))
    .map((replica) => buildNode(replica, 'replica', options));
  return {
    upstreamId: options.upstreamId,
    epoch: options.epoch,
    mode: 'standalone',
    crossSlotFree: true,
    nodes: [buildNode(primary, 'primary', options), ...replicas],
    shards: [{ primary: 0, replicas: replicas.map((_, index) => index + 1), configEpoch: 0 }],
    slots: new Uint16Array(SLOT_COUNT).fill(isWithheld ? NO_SHARD : 0),
    motion: new Uint8Array(SLOT_COUNT >> 3),
    polledAt: options.polledAt,
    serverVersion: options.serverVersion,
  };
}

function buildNode(
  { host, port }: NodeEndpoint,
  role: 'primary' | 'replica',
  options: StandaloneOptions,
): SnapshotNode {
  const address = nodeAddress({ host, port });
  const failed = options.unusable?.has(address) ?? false;
  return { id: options.idOf(address), host, port, role, failed, zone: '' };
}
