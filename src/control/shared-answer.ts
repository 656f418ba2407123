/**
 * One answer for all who ask while it is under way or fresh, so that a thousand clients that connect
 * at once cost one question. A failure is not kept.
 */

export class SharedAnswer<T> {
  readonly #now: () => number;
  readonly #freshMs: number;
  readonly #ask: () => Promise<T>;
  #running: Promise<T> | null = null;
  #last: { readonly value: T; readonly at: number } | null = null;

  constructor(now: () => number, freshMs: number, ask: () => Promise<T>) {
    this.#now = now;
    this.#freshMs = freshMs;
    this.#ask = ask;
  }

  async get(): Promise<T> {
    const last = this.#last;
    if (last !== null && this.#now() - last.at < this.#freshMs) return last.value;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  forget(): void {
    this.#last = null;
  }

  async #run(): Promise<T> {
    const value = await this.#ask();
    this.#last = { value, at: this.#now() };
    return value;
  }
}
