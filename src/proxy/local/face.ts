/** The face that the proxy shows: one Redis Cluster node that owns every slot. */

import { BUILTIN_VERSION } from '../../commands/builtin.ts';
import type { Session } from '../../downstream/session.ts';
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
  const port = settings.announcePort || local.port || settings.port;
  const busPort = port + BUS_PORT_OFFSET <= PORT_MAX ? port + BUS_PORT_OFFSET : port;
  return { host, port, busPort };
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
