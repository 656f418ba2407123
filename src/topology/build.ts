/**
 * A merged picture becomes the {@link Snapshot} that workers use. The result depends on its
 * arguments alone: same picture, same snapshot, whatever order the nodes answered in.
 */

import type { Picture, PictureNode } from './picture.ts';
import {
  NO_SHARD,
  nodeAddress,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
  type SnapshotShard,
} from './snapshot.ts';

export interface NodeEndpoint {
  readonly host: string;
  readonly port: number;
}

/** Announced "host:port" (IPv6 in brackets) to the address that can be dialled from here. */
export type NatMap = ReadonlyMap<string, NodeEndpoint>;

export interface BuildOptions {
  readonly upstreamId: number;
  readonly epoch: number;
  readonly polledAt: number;
  readonly serverVersion: string;
  readonly natMap?: NatMap;
  /** Availability zone or host name by node id, where CLUSTER SHARDS told one. */
  readonly zones?: ReadonlyMap<string, string>;
  /** Dialled addresses ("host:port") that control found dead, such as refused connections. */
  readonly unusable?: ReadonlySet<string>;
}

const NO_MAPPING: NatMap = new Map();
const NONE: ReadonlySet<string> = new Set();

export function buildSnapshot(picture: Picture, options: BuildOptions): Snapshot {
  const nodes = picture.nodes.map((node) => buildNode(node, options));
  const claims = shardClaims(picture);
  const order = [...claims.keys()];
  const shards = order.map((primary) => buildShard(picture, primary, claims.get(primary) ?? 0));
  return {
    upstreamId: options.upstreamId,
    epoch: options.epoch,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards,
    slots: slotsByShard(picture, order),
    motion: motionBits(picture),
    polledAt: options.polledAt,
    serverVersion: options.serverVersion,
  };
}

export type AnnouncedAddress = Pick<PictureNode, 'host' | 'port' | 'hostname' | 'announced'>;

/** Where to dial a node: its announced address through the NAT map, or the one we asked. */
export function dialAddress(node: AnnouncedAddress, natMap: NatMap = NO_MAPPING): NodeEndpoint {
  if (!node.announced) return { host: node.host, port: node.port };
  const byHostname =
    node.hostname === ''
      ? undefined
      : natMap.get(nodeAddress({ host: node.hostname, port: node.port }));
  const mapped = natMap.get(nodeAddress(node)) ?? byHostname;
  return mapped ?? { host: node.host, port: node.port };
}

function buildNode(node: PictureNode, options: BuildOptions): SnapshotNode {
  const { host, port } = dialAddress(node, options.natMap);
  const address = nodeAddress({ host, port });
  const aliases = announcedAddresses(node).filter((alias) => alias !== address);
  return {
    id: node.id,
    host,
    port,
    role: node.role,
    failed: node.failed || (options.unusable ?? NONE).has(address),
    zone: options.zones?.get(node.id) ?? (node.availabilityZone || node.hostname),
    ...(aliases.length === 0 ? {} : { aliases }),
  };
}

function announcedAddresses(node: PictureNode): string[] {
  const aliases = node.announced ? [nodeAddress(node)] : [];
  if (node.hostname !== '') aliases.push(nodeAddress({ host: node.hostname, port: node.port }));
  return aliases;
}

/**
 * Primaries with the config epoch of their claim: those that own a slot by their lowest slot, then
 * by id; after them those that own none but import one: keys that were moved ahead of their slot
 * are found there. The map's order is the shards' order.
 */
function shardClaims(picture: Picture): Map<number, number> {
  const claims = new Map<number, number>();
  picture.owners.forEach((owner, slot) => {
    if (owner === NO_SHARD) return;
    const epoch = picture.epochs[slot] as number;
    claims.set(owner, Math.max(epoch, claims.get(owner) ?? 0));
  });
  picture.nodes.forEach((node, index) => {
    const imports = node.role === 'primary' && node.importing.length > 0;
    if (imports && !node.failed && !claims.has(index)) claims.set(index, node.configEpoch);
  });
  return claims;
}

function buildShard(picture: Picture, primary: number, configEpoch: number): SnapshotShard {
  const { id } = picture.nodes[primary] as PictureNode;
  const replicas: number[] = [];
  picture.nodes.forEach((node, index) => {
    if (node.role === 'replica' && node.primaryId === id) replicas.push(index);
  });
  return { primary, replicas, configEpoch };
}

function slotsByShard(picture: Picture, order: readonly number[]): Uint16Array {
  const shardOf = new Map(order.map((primary, shard) => [primary, shard]));
  return picture.owners.map((owner) => shardOf.get(owner) ?? NO_SHARD);
}

/**
 * The marks that a silent node was last seen with hold until it has failed and others own what it did:
 * it may never be seen again, and who succeeds it has marks of its own.
 */
function motionBits(picture: Picture): Uint8Array {
  const bits = new Uint8Array(SLOT_COUNT >> 3);
  for (const [index, { failed, importing, migrating }] of picture.nodes.entries()) {
    const marks = importing.length + migrating.length;
    if (marks === 0 || (failed && !picture.owners.includes(index))) continue;
    for (const { slot } of [...importing, ...migrating]) {
      bits[slot >> 3] = (bits[slot >> 3] as number) | (1 << (slot & 7));
    }
  }
  return bits;
}
