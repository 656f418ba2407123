/** Host and port as configuration writes them: `host:port`, IPv6 hosts in brackets. */
import { isIP } from 'node:net';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export const PORT_MAX = 65535;
const HOST_NAME_CHARS_MAX = 253;
const HOST_NAME = /^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$/i;

/** Undefined when `text` is no host:port. An IPv6 host without brackets is ambiguous, so refused. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > PORT_MAX) return undefined;
  const bracketed = match[1];
  if (bracketed !== undefined) {
    return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined;
  }
  const host = match[2] as string;
  return isHost(host) ? { host, port } : undefined;
}

/** An IP address or a host name; `999.1.1.1` is neither. */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true;
  return text.length <= HOST_NAME_CHARS_MAX && HOST_NAME.test(text) && !/^[\d.]+$/.test(text);
}

export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.host.includes(':')
    ? `[${endpoint.host}]:${endpoint.port}`
    : `${endpoint.host}:${endpoint.port}`;
}

/** True where only this machine can connect. Names other than `localhost` count as reachable. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
