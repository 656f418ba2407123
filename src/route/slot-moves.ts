/**
 * Slots that control moves at this moment, and between whom. Only these two may own such a slot:
 * another owner is the successor of one that died, and a successor does not know of the move (Redis up
 * to 7.0 keeps the marks of a slot in motion on one node alone). It would answer nil for keys that have
 * left already, so nobody serves the slot until control has marked it again and said so.
 */

interface Move {
  readonly from: number;
  readonly to: number;
  readonly isMarked: boolean;
}

export class SlotMoves {
  readonly #moves = new Map<number, Move>();

  /** Indexes of nodes; `isMarked`: the nodes themselves know of it. */
  begin(slots: readonly number[], from: number, to: number, isMarked: boolean): void {
    const move = { from, to, isMarked };
    for (const slot of slots) this.#moves.set(slot, move);
  }

  end(slots: readonly number[]): void {
    for (const slot of slots) this.#moves.delete(slot);
  }

  /** Every slot that is being moved. */
  get slots(): number[] {
    return [...this.#moves.keys()];
  }

  /** May this node be the owner, as far as moves go? */
  allows(slot: number, owner: number): boolean {
    if (this.#moves.size === 0) return true;
    const move = this.#moves.get(slot);
    return move === undefined || move.from === owner || move.to === owner;
  }

  /** MOTION of the slot as control's word has it; `known` where it has none. */
  motionOf(slot: number, known: number): number {
    if (this.#moves.size === 0) return known;
    const move = this.#moves.get(slot);
    if (move === undefined) return known;
    return move.isMarked ? MOTION.marked : MOTION.announced;
  }
}

/** How far a slot is on its way. */
export const MOTION = {
  rest: 0,
  /** A node redirects what has left, or may say TRYAGAIN. */
  marked: 1,
  /** The nodes are about to be told: no replica is to read it any more. */
  announced: 2,
} as const;
