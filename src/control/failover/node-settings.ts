/**
 * Settings of the nodes that decide about a promotion, learnt while they live and asked rarely.
 * What an account may not read is taken as the cautious value.
 */

import type { SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import { askNodeTimeoutMs, NODE_TIMEOUT_MS } from './node-questions.ts';

interface Known {
  readonly askedAt: number;
  readonly persists: boolean;
  readonly nodeTimeoutMs: number;
}

const ASK_AGAIN_MS = 60_000;

export class NodeSettings {
  readonly #nodes: NodeAccess;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Set<string>();

  constructor(nodes: NodeAccess, now: () => number) {
    this.#nodes = nodes;
    this.#now = now;
  }

  /** Would this node have its data again after a restart? True where that is unknown. */
  persists(id: string): boolean {
    return this.#known.get(id)?.persists ?? true;
  }

  /** cluster-node-timeout as this node has it. */
  nodeTimeoutMs(id: string): number {
    return this.#known.get(id)?.nodeTimeoutMs ?? NODE_TIMEOUT_MS;
  }

  /** Asks those that are new or were asked long ago; the others are forgotten. Never rejects. */
  async refresh(primaries: readonly SnapshotNode[]): Promise<void> {
    const ids = new Set(primaries.map(({ id }) => id));
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    await Promise.all(primaries.map((node) => this.#refreshOne(node)));
  }

  async #refreshOne(node: SnapshotNode): Promise<void> {
    const known = this.#known.get(node.id);
    const isFresh = known !== undefined && this.#now() - known.askedAt < ASK_AGAIN_MS;
    if (isFresh || node.failed || this.#asking.has(node.id)) return;
    this.#asking.add(node.id);
    try {
      const persists = await this.#askPersists(node);
      const nodeTimeoutMs = await askNodeTimeoutMs(this.#nodes, node);
      this.#known.set(node.id, { askedAt: this.#now(), persists, nodeTimeoutMs });
    } catch (error) {
      // A node that does not answer now is asked again with the next snapshot.
      if (!(error instanceof NodeCallError)) throw error;
    } finally {
      this.#asking.delete(node.id);
    }
  }

  async #askPersists(node: SnapshotNode): Promise<boolean> {
    const [save, appendOnly] = await Promise.all([
      this.#askSetting(node, 'save'),
      this.#askSetting(node, 'appendonly'),
    ]);
    return save !== '' || appendOnly !== 'no';
  }

  /** Null where the account may not read it. */
  async #askSetting(node: SnapshotNode, name: string): Promise<string | null> {
    try {
      const reply = await this.#nodes.callNode(node, ['CONFIG', 'GET', name]);
      return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : null;
    } catch (error) {
      if (error instanceof NodeCallError && isRefused(error)) return null;
      throw error;
    }
  }
}

/** The node answered, and said no. */
function isRefused({ failure }: NodeCallError): boolean {
  return failure.code === 'auth' || failure.code === 'reply';
}
