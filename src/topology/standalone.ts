/**
 * The snapshot of a server without cluster mode: one shard owns every slot, and nothing is
 * refused for crossing slots. Its nodes have no cluster ids, so the caller gives each address one.
 */

import type { NatMap, NodeEndpoint } from './build.ts';
import { nodeAddress, SLOT_COUNT, type Snapshot, type SnapshotNode } from './snapshot.ts';

/** What INFO replication of one server says. */
export interface StandaloneView {
  readonly asked: NodeEndpoint;
  readonly role: 'primary' | 'replica';
  /** The primary it follows; null for a primary. */
  readonly primary: NodeEndpoint | null;
  /** Replicas that are online, as the primary knows them. */
  readonly replicas: readonly NodeEndpoint[];
}

export interface StandaloneOptions {
  readonly upstreamId: number;
  readonly epoch: number;
  readonly polledAt: number;
  readonly serverVersion: string;
  readonly natMap?: NatMap;
  readonly unusable?: ReadonlySet<string>;
  /** A stable id for an address, 40 characters. */
  readonly idOf: (address: string) => string;
}

/** `fields` are those of INFO replication as answered by `asked`. */
export function readReplication(
  fields: ReadonlyMap<string, string>,
  asked: NodeEndpoint,
): StandaloneView {
  const host = fields.get('master_host') ?? '';
  const port = Number(fields.get('master_port') ?? '0');
  const follows = fields.get('role') === 'slave' && host !== '' && port > 0;
  return {
    asked,
    role: fields.get('role') === 'slave' ? 'replica' : 'primary',
    primary: follows ? { host, port } : null,
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

/**
 * Which of the answers is the upstream: the present primary while it says so itself, else the
 * first that says so in the order given (the seeds' order). Null when only replicas answered.
 */
export function choosePrimary(
  views: readonly StandaloneView[],
  order: readonly string[],
  present: string,
): StandaloneView | null {
  const primaries = views.filter((view) => view.role === 'primary');
  const rank = (view: StandaloneView): number => {
    const address = nodeAddress(view.asked);
    if (address === present) return -1;
    const at = order.indexOf(address);
    return at === -1 ? order.length : at;
  };
  return primaries.sort((a, b) => rank(a) - rank(b))[0] ?? null;
}

export function buildStandalone(view: StandaloneView, options: StandaloneOptions): Snapshot {
  const replicas = view.replicas.map((replica) =>
    buildNode(options.natMap?.get(nodeAddress(replica)) ?? replica, 'replica', options),
  );
  return {
    upstreamId: options.upstreamId,
    epoch: options.epoch,
    mode: 'standalone',
    crossSlotFree: true,
    nodes: [buildNode(view.asked, 'primary', options), ...replicas],
    shards: [{ primary: 0, replicas: replicas.map((_, index) => index + 1), configEpoch: 0 }],
    slots: new Uint16Array(SLOT_COUNT),
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
