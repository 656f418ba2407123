/**
 * The face that the proxy shows: a Redis Cluster node that owns every slot, or shares them with the
 * other slotgates that are announced. Or a single Redis (`face: standalone`).
 */

import { createHash } from 'node:crypto';

import { BUILTIN_VERSION } from '../../commands/builtin.ts';
import type { Session } from '../../downstream/session.ts';
import { SLOT_COUNT } from '../../topology/snapshot.ts';
import type { LocalServices } from './context.ts';

/** Nodes talk to each other on the client port plus this; nobody can on ours. */
const BUS_PORT_OFFSET = 10_000;
const PORT_MAX = 65_535;
/** Where a stream has no address of its own: better a guess than the empty host, on which clients loop. */
const FALLBACK_HOST = '127.0.0.1';

export interface Face {
  /** An address or a host name, without brackets; never empty. */
  readonly host: string;
  readonly port: number;
  readonly busPort: number;
}

/** What the cluster's nodes run, for clients that look; the oldest where they differ. */
export function serverVersion(services: LocalServices): string {
  return services.snapshot()?.serverVersion || BUILTIN_VERSION;
}

/** Where this client should connect: what is announced, else where it has connected to. */
export function faceFor(session: Session, services: LocalServices): Face {
  const { settings } = services;
  const local = splitAddress(session.stream.localAddress);
  const host = settings.announceHost || local.host || FALLBACK_HOST;
  // Whoever asks on the Sentinel port is sent to the other one.
  const isSentinel = settings.sentinelPort !== 0 && local.port === settings.sentinelPort;
  const own = isSentinel ? settings.port : local.port || settings.port;
  return withBusPort(host, settings.announcePort || own);
}

function withBusPort(host: string, port: number): Face {
  const busPort = port + BUS_PORT_OFFSET <= PORT_MAX ? port + BUS_PORT_OFFSET : port;
  return { host, port, busPort };
}

/** One of the nodes that cluster-aware clients see. */
export interface FaceNode extends Face {
  /** 40 hex digits. */
  readonly id: string;
  readonly isMyself: boolean;
  /** Slots [first, last]. */
  readonly first: number;
  readonly last: number;
}

/**
 * In the same order with the same ids on every slotgate that is configured alike, so that clients
 * find one picture wherever they ask. Exactly one is the one that answers.
 */
export function faceNodes(session: Session, services: LocalServices): FaceNode[] {
  const own = faceFor(session, services);
  const { announceProxies, nodeId } = services.settings;
  if (announceProxies.length === 0) {
    return [{ ...own, id: nodeId, isMyself: true, first: 0, last: SLOT_COUNT - 1 }];
  }
  const names = [...new Map(announceProxies.map((each) => [nameOf(each), each])).entries()];
  names.sort(([a], [b]) => (a < b ? -1 : 1));
  const myself = indexOfMyself(
    names.map(([, each]) => each),
    own,
  );
  const share = SLOT_COUNT / names.length;
  return names.map(([name, { host, port }], i) => ({
    ...withBusPort(host, port),
    id: createHash('sha1').update(`slotgate ${name}`).digest('hex'),
    isMyself: i === myself,
    first: Math.round(i * share),
    last: Math.round((i + 1) * share) - 1,
  }));
}

function nameOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host}:${port}`;
}

/** By address; else by port, as behind NAT; else the first: some node must be the one that answers. */
function indexOfMyself(
  nodes: readonly { readonly host: string; readonly port: number }[],
  own: Face,
): number {
  const exact = nodes.findIndex((node) => nameOf(node) === nameOf(own));
  if (exact >= 0) return exact;
  return Math.max(
    0,
    nodes.findIndex(({ port }) => port === own.port),
  );
}

/** Slots that a shard serves, as the newest picture has it. */
export function coveredSlots(services: LocalServices): number {
  const snapshot = services.snapshot();
  if (snapshot === null) return 0;
  let covered = 0;
  for (const shard of snapshot.slots) if (shard < snapshot.shards.length) covered++;
  return covered;
}

/** "host:port", IPv6 hosts in brackets; an IPv4 address that came in through IPv6 is shown as IPv4. */
function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  if (colon < 0) return { host: '', port: 0 };
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = Number(address.slice(colon + 1));
  return { host: host.replace(/^::ffff:(?=\d+\.)/i, ''), port: Number.isInteger(port) ? port : 0 };
}
