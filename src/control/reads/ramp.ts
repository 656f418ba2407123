/**
 * Replicas that come back get their share of the reads in steps: they have new connections to open
 * and, often, a backlog to work off. Pure.
 */

/** A node that has been back for `afterMs` gets this part of its weight. */
export const RAMP_STEPS: readonly { readonly afterMs: number; readonly part: number }[] = [
  { afterMs: 0, part: 0.1 },
  { afterMs: 2000, part: 0.25 },
  { afterMs: 4000, part: 0.5 },
  { afterMs: 6000, part: 1 },
];

/** - new: not judged yet; out: cannot serve; a number: serves since then (monotonic ms). */
type Standing = 'new' | 'out' | number;

export class Ramp {
  readonly #standings = new Map<string, Standing>();
  #isStart = true;

  /**
   * The nodes there are now. Those of the first call start at full weight once they can serve: at the
   * start of slotgate there is nobody who could carry the load for them.
   */
  setMembers(addresses: ReadonlySet<string>): void {
    for (const address of this.#standings.keys()) {
      if (!addresses.has(address)) this.#standings.delete(address);
    }
    for (const address of addresses) {
      if (!this.#standings.has(address))
        this.#standings.set(address, this.#isStart ? 'new' : 'out');
    }
    this.#isStart = false;
  }

  /** The part of its weight that this node gets now. `isJudged`: false until anything is known. */
  part(
    address: string,
    node: { readonly isUsable: boolean; readonly isJudged: boolean },
    now: number,
  ): number {
    const standing = this.#standings.get(address) ?? 'out';
    if (!node.isUsable) {
      if (node.isJudged) this.#standings.set(address, 'out');
      return 0;
    }
    if (standing === 'new') {
      this.#standings.set(address, Number.NEGATIVE_INFINITY);
      return 1;
    }
    const since = standing === 'out' ? now : standing;
    if (standing === 'out') this.#standings.set(address, now);
    return RAMP_STEPS.findLast(({ afterMs }) => now - since >= afterMs)?.part ?? 0;
  }
}
