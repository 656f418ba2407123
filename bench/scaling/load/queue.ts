/** LPUSH by a client of the load, BLPOP by a connection of its own: every element arrives once. */

import { Arrivals } from './own-keys.ts';
import type { Step } from './own-set.ts';
import type { Tally } from './tally.ts';
import { Wire } from './wire.ts';

const END = 'end';
const LATE_MS = 10_000;
/** What is refused at once is not asked for in a busy loop. */
const ERROR_PAUSE_MS = 50;

export class Queue {
  readonly #key: string;
  readonly #tally: Tally;
  readonly #wire: Wire;
  readonly #arrivals: Arrivals;
  readonly #pushed = new Set<number>();
  #sent = 0;
  #ended: Promise<void> = Promise.resolve();

  static async open(port: number, id: number, tally: Tally): Promise<Queue> {
    const queue = new Queue(`own:queue:{${id}}`, await Wire.open(port), tally);
    queue.#ended = queue.#pop();
    return queue;
  }

  private constructor(key: string, wire: Wire, tally: Tally) {
    this.#key = key;
    this.#wire = wire;
    this.#tally = tally;
    this.#arrivals = new Arrivals(key, false);
  }

  push(): Step {
    const number = ++this.#sent;
    return {
      name: 'LPUSH',
      commands: [['LPUSH', this.#key, `${number}`]],
      judge: ([reply]) => {
        this.#pushed.add(number);
        return typeof reply === 'number' && reply > 0 ? '' : `LPUSH answered ${String(reply)}`;
      },
      onFailed: () => {},
    };
  }

  /** When nobody pushes any more: waits for what is under way. */
  async end(pusher: Wire): Promise<void> {
    await pusher.ask(['LPUSH', this.#key, END]);
    const late = new Promise<void>((resolve) => setTimeout(resolve, LATE_MS).unref());
    await Promise.race([this.#ended, late]);
    // END may have overtaken others, as the last in is the first out.
    for (;;) {
      const left = await pusher.ask(['LPOP', this.#key]);
      if (typeof left !== 'string') break;
      this.#tally.onProblem(this.#arrivals.onArrival(left));
    }
    const lost = [...this.#pushed].filter((number) => !this.#arrivals.has(number));
    if (lost.length > 0) {
      this.#tally.onProblem(`${this.#key}: lost ${lost.length} of ${this.#sent}: ${lost[0]} …`);
    }
    this.#wire.close();
  }

  async #pop(): Promise<void> {
    while (this.#wire.broken === '') {
      const reply = await this.#wire.ask(['BLPOP', this.#key, '0']);
      if (reply instanceof Error) {
        this.#tally.onError('BLPOP', reply.message);
        await new Promise((resolve) => setTimeout(resolve, ERROR_PAUSE_MS));
        continue;
      }
      const element = Array.isArray(reply) ? String(reply[1]) : '';
      if (element === END) return;
      this.#tally.onProblem(this.#arrivals.onArrival(element));
    }
  }
}
