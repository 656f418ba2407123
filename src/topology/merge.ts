/**
 * Several nodes' views of one cluster become one picture.
 *
 * A node's own line ("myself") is the truth about what that node claims; what others say counts
 * only for nodes that did not answer. Per slot the claim with the highest config epoch wins, as
 * between the nodes themselves. Epochs come from votes, so a partitioned or stale node cannot
 * outbid the majority; what it says about *others*, and about who belongs to the cluster, is used
 * only when no better view (cluster_state:ok, all slots covered) is at hand.
 */

import type { ClusterNodeLine } from './cluster-nodes.ts';
import { NodeTable } from './node-table.ts';
import type { ClusterView, Picture, PictureNode, RankedView } from './picture.ts';
import { NO_SHARD, SLOT_COUNT } from './snapshot.ts';

/** Null when no view tells which node it comes from, so nothing can be believed. */
export function mergeViews(
  views: readonly ClusterView[],
  previous: Picture | null = null,
): Picture | null {
  const ranked = rankViews(views);
  if (ranked.length === 0) return null;
  const table = new NodeTable(ranked, previous);
  const nodes = table.nodes();
  const claims = new Claims(nodes);
  for (let index = 0; index < nodes.length; index++) {
    for (const line of table.claimingLines((nodes[index] as PictureNode).id)) {
      claims.add(index, line);
    }
  }
  if (previous !== null) keepNewerClaims(claims, previous, table);
  return { nodes, owners: claims.owners, epochs: claims.epochs };
}

/** One view per node, each with its rank; views without a "myself" line are left out. */
function rankViews(views: readonly ClusterView[]): RankedView[] {
  const byId = new Map<string, RankedView>();
  for (const view of views) {
    const self = view.lines.find((line) => line.myself);
    if (self === undefined) continue;
    const rank = (view.stateOk ? 2 : 0) + (coversAllSlots(view.lines) ? 1 : 0);
    const known = byId.get(self.id);
    if (known === undefined || known.rank <= rank) byId.set(self.id, { ...view, self, rank });
  }
  return [...byId.values()];
}

function coversAllSlots(lines: readonly ClusterNodeLine[]): boolean {
  let covered = 0;
  for (const { slots } of lines) {
    for (let at = 0; at < slots.length; at += 2) {
      covered += (slots[at + 1] as number) - (slots[at] as number) + 1;
    }
  }
  return covered >= SLOT_COUNT;
}

class Claims {
  readonly owners = new Uint16Array(SLOT_COUNT).fill(NO_SHARD);
  readonly epochs = new Float64Array(SLOT_COUNT).fill(-1);
  readonly nodes: readonly PictureNode[];

  constructor(nodes: readonly PictureNode[]) {
    this.nodes = nodes;
  }

  add(index: number, line: ClusterNodeLine): void {
    const { slots, configEpoch } = line;
    for (let at = 0; at < slots.length; at += 2) {
      const to = slots[at + 1] as number;
      for (let slot = slots[at] as number; slot <= to; slot++) this.#bid(slot, index, configEpoch);
    }
  }

  /**
   * Of two nodes with one epoch, the one with the smaller id moves on to a new epoch
   * (clusterHandleConfigEpochCollision), so it is the one that will win. Nodes bid ordered by id.
   */
  #bid(slot: number, index: number, epoch: number): void {
    if (epoch > (this.epochs[slot] as number)) this.set(slot, index, epoch);
  }

  set(slot: number, index: number, epoch: number): void {
    this.owners[slot] = index;
    this.epochs[slot] = epoch;
  }
}

/**
 * A slot does not go back to an older claim only because the newer owner did not answer this
 * time: the nodes that did answer may not have heard of it yet. Nor is the owner's newest epoch
 * forgotten because they know an older one, else that claim would win the next time.
 */
function keepNewerClaims(claims: Claims, previous: Picture, table: NodeTable): void {
  const indexOf = new Map(claims.nodes.map((node, index) => [node.id, index]));
  const trust = new PreviousTrust(claims, table);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const before = previous.owners[slot] as number;
    if (before === NO_SHARD) continue;
    const epoch = previous.epochs[slot] as number;
    if ((claims.epochs[slot] as number) >= epoch) continue;
    const { id } = previous.nodes[before] as PictureNode;
    const index = indexOf.get(id);
    if (index === undefined) continue;
    if (trust.hasReleased(id, slot)) continue;
    claims.set(slot, index, epoch);
  }
}

/** Tells whether the previous owner of a slot has given it up. */
class PreviousTrust {
  readonly #table: NodeTable;
  readonly #majorityAnswered: boolean;
  readonly #credited = new Map<string, Uint8Array>();

  constructor(claims: Claims, table: NodeTable) {
    this.#table = table;
    const voters = new Set(claims.owners);
    voters.delete(NO_SHARD);
    let heard = 0;
    for (const voter of voters) {
      if (table.hasSoundView((claims.nodes[voter] as PictureNode).id)) heard++;
    }
    this.#majorityAnswered = heard * 2 > voters.size;
  }

  /**
   * Its own answer lacks the slot; or it is silent, and a majority of the primaries answered
   * without one of them crediting it (slots re-assigned by hand need not get a new epoch).
   */
  hasReleased(id: string, slot: number): boolean {
    if (this.#table.hasOwnView(id)) return true;
    if (!this.#majorityAnswered) return false;
    let credited = this.#credited.get(id);
    if (credited === undefined) {
      credited = creditedSlots(this.#table.claimingLines(id));
      this.#credited.set(id, credited);
    }
    return credited[slot] === 0;
  }
}

function creditedSlots(lines: readonly ClusterNodeLine[]): Uint8Array {
  const credited = new Uint8Array(SLOT_COUNT);
  for (const { slots } of lines) {
    for (let at = 0; at < slots.length; at += 2) {
      credited.fill(1, slots[at] as number, (slots[at + 1] as number) + 1);
    }
  }
  return credited;
}
