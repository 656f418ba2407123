/** A number that only one client counts up: by exactly one with each command that was applied. */

export class CounterModel {
  #low = 0;
  #high = 0;

  onUncertain(): void {
    this.#high++;
  }

  /** '' or what is wrong with the value after a command that was applied. */
  onCounted(value: unknown): string {
    const [low, high] = [this.#low + 1, this.#high + 1];
    if (typeof value !== 'number' || value < low || value > high) {
      if (typeof value === 'number') this.#low = this.#high = value;
      return `counted to ${String(value)}, expected ${low} to ${high}`;
    }
    this.#low = this.#high = value;
    return '';
  }

  /** '' or what is wrong with the value that is there. */
  check(value: unknown): string {
    const number = value === null ? 0 : Number(value);
    if (number >= this.#low && number <= this.#high) return '';
    return `is ${String(value)}, expected ${this.#low} to ${this.#high}`;
  }
}
