/** A redis-server with no proxy before it: what the hop through a proxy is compared with. */

import type { PeerContext, PeerDefinition } from './peer.ts';

export function directPeer({ backends }: PeerContext): PeerDefinition {
  return {
    name: 'direct',
    setting: 'one redis-server, no proxy',
    overCluster: false,
    unavailable: () => '',
    version: () => backends.version(),
    async start() {
      const { port, process } = await backends.single();
      // Shared with nobody, but stopped with the backends and not before.
      return { port, pids: () => [process.pid], stop: async () => {} };
    },
  };
}
