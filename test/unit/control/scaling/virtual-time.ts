/** A clock that goes on when nothing else can. */

export class VirtualTime {
  now = 0;
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  readonly pause = (ms: number): Promise<void> =>
    new Promise((wake) => {
      this.#sleepers.push({ at: this.now + ms, wake });
    });

  /** Time passes until it is so. */
  async untilSo(isSo: () => boolean): Promise<void> {
    await this.until(new Promise(() => undefined), isSo);
  }

  /** Time passes, from one sleeper to the next, until `work` is over or `isSo` is. */
  async until<T>(work: Promise<T>, isSo: () => boolean = () => false): Promise<T | undefined> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    for (;;) {
      await new Promise(setImmediate);
      if (isOver) return work;
      if (isSo()) return undefined;
      const [first] = this.#sleepers.sort((one, other) => one.at - other.at);
      if (first === undefined) throw new Error('nothing goes on any more');
      this.#sleepers.shift();
      this.now = Math.max(this.now, first.at);
      first.wake();
    }
  }
}
