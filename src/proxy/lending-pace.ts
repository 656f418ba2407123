/**
 * When a connection to a node may be opened that is to be lent. Once one did not come about, clients
 * wait, and one that nobody asked for is tried at a time, after pauses that grow as those of shared
 * lanes do: the node may serve all that is there and take nothing new (maxclients), and hundreds of
 * clients may wait.
 */

import { backoffMs } from '../lib/backoff.ts';
import { LANE } from '../upstream/lane.ts';

interface Attempt {
  readonly state: number;
}

export class LendingPace {
  /** In a row. */
  #failures = 0;
  #retryAt = 0;
  #attempt: Attempt | null = null;

  /** The last did not come about: clients must wait. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Is it time to try one more? */
  mayTry(now: number): boolean {
    const state = this.#attempt?.state ?? LANE.closed;
    return now >= this.#retryAt && (state === LANE.ready || state === LANE.closed);
  }

  onTry(attempt: Attempt): void {
    this.#attempt = attempt;
  }

  onReady(): void {
    this.#failures = 0;
    this.#retryAt = 0;
  }

  /** Those that were under way together count once. */
  onFailure(now: number, random: number): void {
    if (now < this.#retryAt) return;
    this.#failures++;
    this.#retryAt = now + backoffMs(this.#failures, random);
  }
}
