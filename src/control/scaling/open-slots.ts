/**
 * Slots that are half-way between two nodes, by what the nodes say themselves, and what is to be done
 * with each. Pure.
 *
 * A mark is one node's alone, and a successor does not have it: so who holds keys of a slot that is not
 * its own counts for more than who is marked.
 */

import type { ClusterNodeLine } from '../../topology/cluster-nodes.ts';

export interface PrimaryView {
  readonly id: string;
  /** Its own line: its slots and marks. */
  readonly self: ClusterNodeLine;
}

export interface OpenSlot {
  readonly slot: number;
  /** By the newest picture, '' for nobody. */
  readonly owner: string;
  /** Nodes that have it marked as importing or migrating. */
  readonly marked: readonly string[];
}

/** In the order of slots. `also`: slots that are open by somebody's word, marked or not. */
export function openSlots(
  views: readonly PrimaryView[],
  ownerOf: (slot: number) => string,
  also: readonly number[],
): OpenSlot[] {
  const marked = new Map<number, Set<string>>(also.map((slot) => [slot, new Set()]));
  for (const { id, self } of views) {
    for (const { slot } of [...self.importing, ...self.migrating]) {
      const nodes = marked.get(slot) ?? new Set();
      marked.set(slot, nodes.add(id));
    }
  }
  const slots = [...marked].sort(([a], [b]) => a - b);
  return slots.map(([slot, nodes]) => ({ slot, owner: ownerOf(slot), marked: [...nodes] }));
}

export type Repair =
  /** Nothing has left its owner: the marks go. */
  | { readonly kind: 'stable' }
  /** Keys are on their way to `to`: the rest follows. */
  | { readonly kind: 'finish'; readonly to: string }
  /** Nobody owns it: it goes to who has its keys. */
  | { readonly kind: 'adopt'; readonly to: string }
  /** Keys are on several nodes besides the owner. */
  | { readonly kind: 'torn'; readonly holders: readonly string[] };

/** `keys`: how many of the slot's keys each primary has, by id. */
export function repairOf({ owner }: OpenSlot, keys: ReadonlyMap<string, number>): Repair {
  const holders = [...keys].filter(([id, count]) => id !== owner && count > 0).map(([id]) => id);
  const [holder] = holders;
  if (holders.length > 1) return { kind: 'torn', holders };
  if (holder === undefined) return { kind: 'stable' };
  return owner === '' ? { kind: 'adopt', to: holder } : { kind: 'finish', to: holder };
}
