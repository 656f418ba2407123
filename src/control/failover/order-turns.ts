/**
 * One order to take over at a time: two replicas that stand for election in the same epoch take each
 * other's votes, and the loser may not stand again for 4 x cluster-node-timeout. Of several that
 * wait the one with the lowest id is first, so that all instances go the same way.
 */

/** So that those that come together are seen together. */
const GATHER_MS = 5;
/** An election takes up to 0.1 s; one that takes longer than this is not waited for. */
const HELD_MAX_MS = 1000;

export class OrderTurns {
  readonly #waiting = new Map<string, () => void>();
  #holder: string | null = null;
  #grant: NodeJS.Timeout | null = null;
  #expiry: NodeJS.Timeout | null = null;

  /** Resolves when it is this primary's turn; pair it with {@link leave}. */
  enter(id: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#grantSoon();
    });
  }

  /** Its turn is over, or it does not want it any more: then {@link enter} resolves. */
  leave(id: string): void {
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
    if (this.#holder !== id) return;
    this.#holder = null;
    if (this.#expiry !== null) clearTimeout(this.#expiry);
    this.#grantSoon();
  }

  #grantSoon(): void {
    if (this.#holder !== null || this.#grant !== null || this.#waiting.size === 0) return;
    this.#grant = setTimeout(() => {
      this.#grant = null;
      this.#grantNow();
    }, GATHER_MS);
  }

  #grantNow(): void {
    const [id] = [...this.#waiting.keys()].sort();
    if (id === undefined) return;
    const begin = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#holder = id;
    this.#expiry = setTimeout(() => this.leave(id), HELD_MAX_MS);
    begin?.();
  }
}
