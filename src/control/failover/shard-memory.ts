/**
 * What has to be remembered of shards while they are well, because it cannot be asked once their
 * primary is dead: how far it had got, whose links were up, and whom it named as its replicas.
 */

import type { ClusterView } from '../../topology/picture.ts';
import type { NodeHealth, ReplicationFacts } from '../health/health-view.ts';
import type { LostPrimary } from './candidate.ts';

interface Heard extends LostPrimary {
  readonly askedAt: number;
}

interface Link {
  /** Of the primary it was to. */
  readonly replid: string;
  /** Monotonic ms at which the answer was asked for that said it is down; null while it is up. */
  readonly downAt: number | null;
}

export class ShardMemory {
  readonly #primaries = new Map<string, Heard>();
  readonly #links = new Map<string, Link>();
  readonly #listed = new Map<string, ReadonlySet<string>>();

  /** Feed often: only what was fed before a death counts afterwards. */
  onHealth(nodes: readonly NodeHealth[]): void {
    for (const { id, facts } of nodes) {
      if (facts === null) continue;
      const { replid, offset, askedAt } = facts;
      if (facts.role === 'primary') this.#primaries.set(id, { replid, offset, askedAt });
      else this.#onReplica(id, facts);
    }
  }

  #onReplica(id: string, { linkUp, isSyncing, replid, askedAt }: ReplicationFacts): void {
    const known = this.#links.get(id);
    if (linkUp && !isSyncing) this.#links.set(id, { replid, downAt: null });
    else if (known?.downAt === null) this.#links.set(id, { ...known, downAt: askedAt });
  }

  /**
   * What nodes said of themselves and others: a primary's own list of its replicas counts, but for
   * those with cluster-replica-no-failover, which are not to be promoted without an operator.
   */
  onViews(views: readonly ClusterView[]): void {
    for (const { lines } of views) {
      const self = lines.find(({ myself }) => myself);
      if (self === undefined || self.role !== 'primary') continue;
      const replicas = lines.filter(
        ({ role, primaryId, handshake, noFailover }) =>
          role === 'replica' && primaryId === self.id && !handshake && !noFailover,
      );
      this.#listed.set(self.id, new Set(replicas.map(({ id }) => id)));
    }
  }

  /** Forgets nodes that are no more. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const map of [this.#primaries, this.#links, this.#listed]) {
      for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
    }
  }

  /** The last that was heard of this primary; null: nothing. */
  lost(primaryId: string): LostPrimary | null {
    return this.#primaries.get(primaryId) ?? null;
  }

  /** The replica's link did not break before this primary was last heard. */
  wasUp(replicaId: string, primaryId: string): boolean {
    const link = this.#links.get(replicaId);
    const primary = this.#primaries.get(primaryId);
    if (link === undefined || primary === undefined || link.replid !== primary.replid) return false;
    return link.downAt === null || link.downAt >= primary.askedAt;
  }

  isListed(replicaId: string, primaryId: string): boolean {
    return this.#listed.get(primaryId)?.has(replicaId) === true;
  }
}
