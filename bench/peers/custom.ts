/**
 * Any other program that speaks Redis, from the environment: PEER_ENVOY='envoy … {port} … {cluster}'.
 */

import { temporaryFolder } from '../proc.ts';
import type { PeerContext, PeerDefinition } from './peer.ts';
import { startPeer } from './start.ts';

const PREFIX = 'PEER_';

export function customPeers(
  context: PeerContext,
  environment: Readonly<Record<string, string | undefined>>,
): PeerDefinition[] {
  return Object.entries(environment)
    .filter(([key, template]) => key.startsWith(PREFIX) && (template ?? '') !== '')
    .map(([key, template]) =>
      customPeer(context, key.slice(PREFIX.length).toLowerCase(), template as string),
    );
}

function customPeer(
  { backends, ports }: PeerContext,
  name: string,
  template: string,
): PeerDefinition {
  return {
    name,
    setting: 'given by the environment',
    overCluster: template.includes('{cluster}'),
    unavailable: () =>
      template.includes('{port}') ? '' : `${PREFIX}${name.toUpperCase()} does not say {port}`,
    version: async () => 'unknown',
    async start() {
      const port = await ports.take();
      const places: Record<string, string> = { port: `${port}`, dir: temporaryFolder(name) };
      if (template.includes('{cluster}')) places.cluster = addresses(await backends.cluster());
      if (template.includes('{servers}')) places.servers = addresses(await backends.plain());
      const command = fillTemplate(template, places);
      return startPeer({ name, command: 'sh', args: ['-c', `exec ${command}`] }, port);
    },
  };
}

/** Replaces each `{place}` that is known and leaves the rest, which may be the shell's. */
export function fillTemplate(template: string, places: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, place: string) => places[place] ?? whole);
}

function addresses(nodes: readonly { readonly port: number }[]): string {
  return nodes.map((node) => `127.0.0.1:${node.port}`).join(',');
}
