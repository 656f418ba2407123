/**
 * Models of keys that one client alone writes, over one connection: what each reply, and the key at
 * the end, must be. Replies come in the order of their commands, so a model is told of them in that
 * order and needs no clock. A write that was answered with an error may be applied or not. Pure.
 */

import type { Reply } from '../../load/client.ts';

/** A key, or a field, whose last write counts. */
export class OwnValue {
  readonly #name: string;
  #possible: (string | null)[] = [null];

  constructor(name: string) {
    this.#name = name;
  }

  /** It has never had a value. */
  get isNew(): boolean {
    return this.#possible.length === 1 && this.#possible[0] === null;
  }

  /** It has one of several values, as a write failed or it expires. */
  get isUnsure(): boolean {
    return this.#possible.length > 1;
  }

  onWritten(value: string): void {
    this.#possible = [value];
  }

  onFailed(value: string): void {
    this.#possible.push(value);
  }

  /** It may be gone from now on, though it was written. */
  onExpiring(): void {
    this.#possible.push(null);
  }

  /** '' or what is wrong. */
  judge(reply: Reply | undefined): string {
    const value = reply === undefined ? null : reply;
    if (this.#possible.some((each) => each === value)) return '';
    return `${this.#name} is ${short(value)}, not ${this.#possible.map(short).join(' or ')}`;
  }
}

/** Numbers 1, 2, 3 …, counted by a counter, appended to a list or a stream, or both. */
export class OwnLog {
  readonly #name: string;
  #sent = 0;
  #count = 0;
  /** Failed since the last count that was seen. */
  #slack = 0;
  readonly #failed = new Set<number>();

  constructor(name: string) {
    this.#name = name;
  }

  next(): number {
    return ++this.#sent;
  }

  onFailed(number: number): void {
    this.#failed.add(number);
    this.#slack++;
  }

  /** The count after one more was added, or after none; '' or what is wrong. */
  judgeCount(reply: Reply | undefined, added: 0 | 1): string {
    const least = this.#count + added;
    const most = least + this.#slack;
    const count = typeof reply === 'string' ? Number(reply) : (reply ?? 0);
    if (typeof count !== 'number' || !(count >= least && count <= most)) {
      if (typeof count === 'number') this.#count = count;
      return `${this.#name} counts ${short(reply)}, not ${least}${most > least ? ` to ${most}` : ''}`;
    }
    this.#count = count;
    this.#slack = 0;
    return '';
  }

  /** All that was ever appended, in order: every number once; '' or what is wrong first. */
  judgeAll(elements: readonly string[]): string {
    let next = 1;
    for (const element of elements) {
      const number = Number(element);
      while (next < number && this.#failed.has(next)) next++;
      if (number !== next) {
        const what = number < next ? 'is there twice or out of order' : `came, ${next} is lost`;
        return `${this.#name}: ${element} ${what} (${elements.length} of ${this.#sent})`;
      }
      if (number > this.#sent) return `${this.#name}: ${element} was never sent`;
      next++;
    }
    while (this.#failed.has(next)) next++;
    if (next > this.#sent) return '';
    return `${this.#name}: ${next} to ${this.#sent} are lost at its end`;
  }
}

/** Numbers that arrive elsewhere, in any order: queues and channels. */
export class Arrivals {
  readonly #name: string;
  readonly #isOrdered: boolean;
  readonly #arrived = new Set<number>();
  #last = 0;

  constructor(name: string, isOrdered: boolean) {
    this.#name = name;
    this.#isOrdered = isOrdered;
  }

  onArrival(text: string): string {
    const number = Number(text);
    if (this.#arrived.has(number)) return `${this.#name}: ${text} came twice`;
    this.#arrived.add(number);
    const isLate = number < this.#last;
    this.#last = number;
    return this.#isOrdered && isLate ? `${this.#name}: ${text} came late` : '';
  }

  has(number: number): boolean {
    return this.#arrived.has(number);
  }
}

function short(value: unknown): string {
  const text = value instanceof Error ? `error ${value.message}` : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.slice(0, 80);
}
