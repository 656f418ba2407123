/** Readers of what Sentinels answer and publish. Pure. */

import type { NodeEndpoint } from '../../topology/build.ts';

/** `[ip, port]` of SENTINEL GET-MASTER-ADDR-BY-NAME; null where the name is not known there. */
export function readAddress(reply: unknown): NodeEndpoint | null {
  if (!Array.isArray(reply) || reply.length < 2) return null;
  return endpoint(String(reply[0]), String(reply[1]));
}

/** A list of instances as SENTINEL REPLICAS, SENTINELS and MASTERS have it. */
export function readInstances(reply: unknown): ReadonlyMap<string, string>[] {
  return Array.isArray(reply) ? reply.map(readFields) : [];
}

/** Names and values in turn. */
export function readFields(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(reply)) return fields;
  for (let at = 0; at + 1 < reply.length; at += 2) {
    fields.set(String(reply[at]), String(reply[at + 1]));
  }
  return fields;
}

/** Null for an instance whose address is not known yet. */
export function instanceAddress(fields: ReadonlyMap<string, string>): NodeEndpoint | null {
  return endpoint(fields.get('ip') ?? '', fields.get('port') ?? '');
}

function endpoint(host: string, port: string): NodeEndpoint | null {
  return host !== '' && Number(port) > 0 ? { host, port: Number(port) } : null;
}

/** The name of the primary whose affair an event is; '' when it cannot be read. */
export function masterOf(channel: string, message: string): string {
  const words = message.split(' ');
  if (channel === '+switch-master') return words[0] ?? '';
  // `<type> <name> <ip> <port>`, and for all but a primary ` @ <primary> <ip> <port>`.
  return (words[0] === 'master' ? words[1] : words[words.indexOf('@') + 1]) ?? '';
}
