/**
 * When slots began and ended to change their owners, and which did: seen at the nodes, from outside,
 * so that it means the same for every mover.
 */

import { membership, onPort, ownersBy } from './membership.ts';

const POLL_MS = 100;

export interface Motion {
  readonly slots: number;
  /** Of the data set, by its planned sizes. */
  readonly bytes: number;
  /** From before the first slot had moved until the last had. */
  readonly seconds: number;
}

export class MotionWatch {
  readonly #ports: readonly number[];
  readonly #before: Uint16Array;
  #last: Uint16Array;
  #isRunning = true;
  #lastQuietAt = performance.now();
  #lastChangeAt = 0;
  #ended: Promise<void> = Promise.resolve();

  static async start(seed: number): Promise<MotionWatch> {
    const { owners, shards } = await membership(seed);
    const watch = new MotionWatch(
      shards.filter(({ slots }) => slots > 0).map(({ primary }) => primary.port),
      owners,
    );
    watch.#ended = watch.#run();
    return watch;
  }

  private constructor(ports: readonly number[], owners: Uint16Array) {
    this.#ports = ports;
    this.#before = owners;
    this.#last = owners;
  }

  /** `seed`: a member after the change. */
  async stop(seed: number, bytesBySlot: Float64Array): Promise<Motion> {
    this.#isRunning = false;
    await this.#ended;
    const { owners } = await membership(seed);
    let [slots, bytes] = [0, 0];
    for (const [slot, owner] of owners.entries()) {
      if (owner === this.#before[slot]) continue;
      slots++;
      bytes += bytesBySlot[slot] as number;
    }
    const seconds = Math.max(0, this.#lastChangeAt - this.#lastQuietAt) / 1000;
    return { slots, bytes, seconds };
  }

  /** The givers hear of a change first; in turn, so that each is hardly ever asked. */
  async #run(): Promise<void> {
    for (let turn = 0; this.#isRunning; turn++) {
      const port = this.#ports[turn % this.#ports.length] as number;
      const askedAt = performance.now();
      const owners = await onPort(port, ownersBy).catch(() => undefined);
      // A node that was just taken out knows nothing of slots any more.
      if (owners?.every((owner) => owner !== 0)) this.#onOwners(owners, askedAt);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #onOwners(owners: Uint16Array, askedAt: number): void {
    if (same(owners, this.#last)) {
      if (this.#lastChangeAt === 0) this.#lastQuietAt = askedAt;
      return;
    }
    this.#lastChangeAt = performance.now();
    this.#last = owners;
  }
}

function same(a: Uint16Array, b: Uint16Array): boolean {
  return a.every((owner, slot) => owner === b[slot]);
}
