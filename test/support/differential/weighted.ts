/** Names drawn by their weights. */
import type { Prng } from '../sim/prng.ts';

export class Weighted {
  readonly #names: readonly string[];
  /** Cumulated weight up to and with each name. */
  readonly #upTo: number[] = [];

  constructor(names: readonly string[], weightOf: (name: string) => number) {
    this.#names = names;
    let total = 0;
    for (const name of names) {
      total += weightOf(name);
      this.#upTo.push(total);
    }
  }

  pick(prng: Prng): string {
    const at = prng.range(0, this.#upTo.at(-1) ?? 0);
    let low = 0;
    let high = this.#names.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#upTo[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    return this.#names[low] as string;
  }
}
