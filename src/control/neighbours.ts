/**
 * Which nodes a poll should ask next: every primary that anybody names, and the replicas of a
 * primary that does not answer (one of them may be its successor, and knows first).
 */

import { dialAddress, type NatMap, type NodeEndpoint } from '../topology/build.ts';
import type { ClusterView, Picture } from '../topology/picture.ts';
import { nodeAddress } from '../topology/snapshot.ts';

export class Neighbours {
  readonly #natMap: NatMap;
  readonly #idOf = new Map<string, string>();
  readonly #replicasOf = new Map<string, Map<string, NodeEndpoint>>();
  readonly #primaries = new Map<string, NodeEndpoint>();
  readonly #lost = new Set<string>();

  constructor(picture: Picture | null, natMap: NatMap) {
    this.#natMap = natMap;
    for (const node of picture?.nodes ?? []) {
      this.#add(node.id, dialAddress(node, natMap), node.role, node.primaryId);
    }
  }

  primaries(): NodeEndpoint[] {
    return [...this.#primaries.values()];
  }

  /** Nodes to ask because of what `view` says. */
  onView(view: ClusterView): NodeEndpoint[] {
    const next: NodeEndpoint[] = [];
    for (const line of view.lines) {
      if (line.handshake || line.noAddress || line.port === 0) continue;
      const host = line.host === '' ? view.askedHost : line.host;
      const announced = line.host !== '';
      const { hostname, port } = line;
      const endpoint = dialAddress({ host, port, hostname, announced }, this.#natMap);
      this.#add(line.id, endpoint, line.role, line.primaryId);
      if (line.role === 'primary') next.push(endpoint);
      else if (this.#lost.has(line.primaryId)) next.push(endpoint);
    }
    return next;
  }

  /** Nodes to ask because `address` did not answer. */
  onSilence(address: string): NodeEndpoint[] {
    const id = this.#idOf.get(address);
    if (id === undefined) return [];
    this.#lost.add(id);
    return [...(this.#replicasOf.get(id)?.values() ?? [])];
  }

  #add(id: string, endpoint: NodeEndpoint, role: 'primary' | 'replica', primaryId: string): void {
    const address = nodeAddress(endpoint);
    this.#idOf.set(address, id);
    if (role === 'primary') {
      this.#primaries.set(address, endpoint);
      return;
    }
    const replicas = this.#replicasOf.get(primaryId);
    if (replicas === undefined) this.#replicasOf.set(primaryId, new Map([[address, endpoint]]));
    else replicas.set(address, endpoint);
  }
}
