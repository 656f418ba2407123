/**
 * Asks the replicas of a primary in trouble for their role every few milliseconds, so that a
 * successor is known as soon as it is elected, whoever brought that about: waiting for the next
 * poll of the topology would cost clients the time between two polls.
 */

import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import { askRole } from './node-questions.ts';
import type { NodeRef } from './promotion.ts';

const GAP_MS = 15;
/** A shard that stays without a primary for this long is asked less often. */
const FAST_MS = 60_000;
const SLOW_GAP_MS = 250;
/** A replica that fails is left out for this long: each question may cost a connection. */
const FAILED_PAUSE_MS = 250;

export interface WatchOptions {
  readonly nodes: NodeAccess;
  readonly now: () => number;
  /** Read anew each time: replicas come and go. */
  readonly replicas: () => readonly NodeRef[];
  /** May be called again for as long as the watch goes on. */
  readonly onPrimary: (node: NodeRef) => void;
}

export class SuccessionWatch {
  readonly #options: WatchOptions;
  readonly #startedAt: number;
  /** Node ids with a question under way. */
  readonly #asking = new Set<string>();
  readonly #pausedUntil = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    this.#tick();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  readonly #tick = (): void => {
    const now = this.#options.now();
    for (const replica of this.#options.replicas()) {
      if (this.#asking.has(replica.id)) continue;
      if (now < (this.#pausedUntil.get(replica.id) ?? 0)) continue;
      void this.#ask(replica);
    }
    const gapMs = now - this.#startedAt < FAST_MS ? GAP_MS : SLOW_GAP_MS;
    this.#timer = setTimeout(this.#tick, gapMs);
  };

  async #ask(replica: NodeRef): Promise<void> {
    const { nodes, now, onPrimary } = this.#options;
    this.#asking.add(replica.id);
    try {
      const role = await askRole(nodes, replica);
      if (role === 'primary' && !this.#isStopped) onPrimary(replica);
    } catch (error) {
      if (!(error instanceof NodeCallError)) throw error;
      this.#pausedUntil.set(replica.id, now() + FAILED_PAUSE_MS);
    } finally {
      this.#asking.delete(replica.id);
    }
  }
}
