/**
 * What has to be remembered of shards while they are well, because it cannot be asked once their
 * primary is dead: how far it had got, whose links were up, and whom it named as its replicas.
 */

import type { ClusterView } from '../../topology/picture.ts';
import type { NodeHealth } from '../health/health-view.ts';
import type { LostPrimary } from './candidate.ts';

interface Heard extends LostPrimary {
  readonly askedAt: number;
}

/** A link that was up this long before the primary's last answer was up until its death. */
const LINK_MARGIN_MS = 2000;

export class ShardMemory {
  readonly #marginMs: number;
  readonly #primaries = new Map<string, Heard>();
  readonly #upLinks = new Map<string, { readonly replid: string; readonly askedAt: number }>();
  readonly #listed = new Map<string, ReadonlySet<string>>();

  /** `pollMs`: how often the nodes are asked for their offsets. */
  constructor(pollMs: number) {
    this.#marginMs = LINK_MARGIN_MS + 2 * pollMs;
  }

  /** Feed often: only what was fed before a death counts afterwards. */
  onHealth(nodes: readonly NodeHealth[]): void {
    for (const { id, facts } of nodes) {
      if (facts === null) continue;
      const { replid, offset, askedAt } = facts;
      if (facts.role === 'primary') this.#primaries.set(id, { replid, offset, askedAt });
      else if (facts.linkUp && !facts.isSyncing) this.#upLinks.set(id, { replid, askedAt });
    }
  }

  /** What nodes said of themselves and others: a primary's own list of its replicas counts. */
  onViews(views: readonly ClusterView[]): void {
    for (const { lines } of views) {
      const self = lines.find(({ myself }) => myself);
      if (self === undefined || self.role !== 'primary') continue;
      const replicas = lines.filter(
        (line) => line.role === 'replica' && line.primaryId === self.id && !line.handshake,
      );
      this.#listed.set(self.id, new Set(replicas.map(({ id }) => id)));
    }
  }

  /** Forgets nodes that are no more. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const map of [this.#primaries, this.#upLinks, this.#listed]) {
      for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
    }
  }

  /** The last that was heard of this primary; null: nothing. */
  lost(primaryId: string): LostPrimary | null {
    return this.#primaries.get(primaryId) ?? null;
  }

  /** The replica followed this primary until it was last heard. */
  wasUp(replicaId: string, primaryId: string): boolean {
    const link = this.#upLinks.get(replicaId);
    const primary = this.#primaries.get(primaryId);
    if (link === undefined || primary === undefined || link.replid !== primary.replid) return false;
    return link.askedAt >= primary.askedAt - this.#marginMs;
  }

  isListed(replicaId: string, primaryId: string): boolean {
    return this.#listed.get(primaryId)?.has(replicaId) === true;
  }
}
