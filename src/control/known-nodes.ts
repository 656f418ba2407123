/**
 * The nodes that a control process before this one knew last. They are asked besides the seeds until
 * there is a picture: every node may have moved since the seeds were written down.
 */

import type { NodeEndpoint } from '../topology/build.ts';
import type { ClusterView } from '../topology/picture.ts';
import { nodeAddress, type Snapshot } from '../topology/snapshot.ts';

export interface KnownNode extends NodeEndpoint {
  /** The 40-character id; without cluster mode the one that its address gives. */
  readonly id: string;
}

export function knownNodesOf({ nodes }: Snapshot): KnownNode[] {
  return nodes.map(({ id, host, port }) => ({ id, host, port }));
}

export class KnownNodes {
  readonly endpoints: readonly NodeEndpoint[];
  readonly #ids: ReadonlySet<string>;
  readonly #addresses: ReadonlySet<string>;

  constructor(nodes: readonly KnownNode[]) {
    this.endpoints = nodes;
    this.#ids = new Set(nodes.map(({ id }) => id));
    this.#addresses = new Set(nodes.map(nodeAddress));
  }

  /**
   * A node of another cluster lives by now at an address that was known. Nobody but us has named it,
   * so what it says counts for nothing.
   */
  isStranger(
    { askedHost, askedPort, lines }: ClusterView,
    seeds: readonly NodeEndpoint[],
  ): boolean {
    const asked = nodeAddress({ host: askedHost, port: askedPort });
    if (!this.#addresses.has(asked)) return false;
    if (seeds.some((seed) => nodeAddress(seed) === asked)) return false;
    return lines.some(({ myself, id }) => myself && !this.#ids.has(id));
  }
}
