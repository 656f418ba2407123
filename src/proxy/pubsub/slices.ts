/**
 * Work on thousands of subscriptions, a slice in each turn of the event loop, so that other clients
 * are served in between. A job whose client has left ends itself.
 */

import type { ProxyCore } from '../core.ts';

/** Subscriptions that one turn deals with: about 2 ms. */
export const SLICE = 250;

/** It yields how many subscriptions it has dealt with, or is about to deal with at once. */
export type Job = Generator<number, void>;

export class Slices {
  readonly #proxy: ProxyCore;
  /** What brings commands to their end and makes room goes before what is only begun. */
  readonly #ends: Job[] = [];
  readonly #beginnings: Job[] = [];
  readonly #run = (): void => this.#onTurn();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** A job of `size` subscriptions: at once where that is short. */
  add(job: Job, size: number, isBeginning: boolean): void {
    if (size <= SLICE) {
      while (job.next().done !== true);
      return;
    }
    const isFirst = this.#isEmpty;
    (isBeginning ? this.#beginnings : this.#ends).push(job);
    if (isFirst) this.#proxy.runtime.afterTurn(this.#run);
  }

  get #isEmpty(): boolean {
    return this.#ends.length === 0 && this.#beginnings.length === 0;
  }

  #onTurn(): void {
    this.#proxy.time = this.#proxy.runtime.now();
    let left = SLICE;
    while (left > 0 && !this.#isEmpty) {
      const jobs = this.#ends.length > 0 ? this.#ends : this.#beginnings;
      const job = jobs[0] as Job;
      const step = job.next();
      if (step.done === true) jobs.splice(jobs.indexOf(job), 1);
      else left -= step.value;
    }
    if (!this.#isEmpty) this.#proxy.runtime.afterTurn(this.#run);
  }
}
