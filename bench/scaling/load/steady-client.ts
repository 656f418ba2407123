/**
 * One client of the steady load. It is an open loop: what to send and when is decided by its clock
 * alone, and a slow reply keeps nothing back, so that a pause is felt by all that falls into it.
 */

import type { Reply } from '../../load/client.ts';
import { getAll, OwnSet, type Step, setAll } from './own-set.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';
import { Wire } from './wire.ts';

/** Hash tags of each client, so slots that it works on. */
const TAGS = 8;
/** More than this unanswered and a client skips its turn, rather than to fill the memory. */
const UNANSWERED_MAX = 2000;
const ANSWERED_WITHIN_MS = 30_000;

/** What else a client does, besides work on its own keys. */
export interface MoreSteps {
  /** Undefined: nothing of the kind for this client. */
  readonly queue: (() => Step) | undefined;
  readonly publish: (() => Step) | undefined;
  readonly readData: ((random: Random) => Step) | undefined;
}

export interface SteadyClientOptions {
  readonly id: number;
  readonly port: number;
  /** Commands a second. */
  readonly rate: number;
  readonly random: Random;
  readonly tally: Tally;
  readonly more: MoreSteps;
}

export class SteadyClient {
  readonly #options: SteadyClientOptions;
  readonly #wire: Wire;
  /** Hash tags of its own keys. */
  readonly tags: readonly string[];
  readonly #sets: readonly OwnSet[];
  #timer: NodeJS.Timeout | undefined;
  #due = 0;

  static async open(options: SteadyClientOptions): Promise<SteadyClient> {
    return new SteadyClient(options, await Wire.open(options.port));
  }

  private constructor(options: SteadyClientOptions, wire: Wire) {
    this.#options = options;
    this.#wire = wire;
    this.tags = Array.from({ length: TAGS }, (_, i) => `${options.id}.${i}`);
    this.#sets = this.tags.map((tag) => new OwnSet(tag));
  }

  start(): void {
    this.#due = performance.now();
    this.#plan();
  }

  /** Resolves when all is answered, or will not be. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#quiet();
  }

  /** Reads all its keys once more and closes. */
  async lookBack(): Promise<void> {
    for (const set of this.#sets) for (const step of set.lookBack()) this.#send(step);
    await this.#quiet();
    this.#wire.close();
  }

  #plan(): void {
    // Twice the mean at most: neither in step with others nor ever silent for long.
    this.#due += this.#options.random.next() * (2000 / this.#options.rate);
    this.#timer = setTimeout(() => this.#onDue(), Math.max(0, this.#due - performance.now()));
  }

  #onDue(): void {
    if (this.#wire.broken !== '') return;
    if (this.#wire.unanswered < UNANSWERED_MAX) this.#send(this.#choose());
    else this.#options.tally.skipped++;
    this.#plan();
  }

  #send(step: Step): void {
    const { tally } = this.#options;
    const { phase } = tally;
    const sentAt = performance.now();
    this.#wire.send(step.commands, (replies) => {
      tally.onAnswer(phase, step.name, performance.now() - sentAt);
      const error = replies.find((reply): reply is Error => reply instanceof Error);
      if (error === undefined) return tally.onProblem(this.#judge(step, replies));
      tally.onError(step.name, (replies.at(-1) as Error).message ?? error.message);
      step.onFailed();
    });
  }

  #judge(step: Step, replies: readonly Reply[]): string {
    const problem = step.judge(replies);
    return problem === '' ? '' : `client ${this.#options.id}, ${step.name}: ${problem}`;
  }

  async #quiet(): Promise<void> {
    const { id, tally } = this.#options;
    const deadline = performance.now() + ANSWERED_WITHIN_MS;
    while (this.#wire.unanswered > 0 && this.#wire.broken === '') {
      if (performance.now() > deadline) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { broken, unanswered } = this.#wire;
    if (unanswered > 0) tally.onProblem(`client ${id}: ${unanswered} batches were never answered`);
    if (broken !== '') tally.onProblem(`client ${id} lost its connection: ${broken}`);
  }

  #choose(): Step {
    const { random, more } = this.#options;
    const set = random.pick(this.#sets);
    const dice = random.int(100);
    if (dice < 18) return set.get();
    if (dice < 30) return set.set();
    if (dice < 36) return getAll(this.#some());
    if (dice < 40) return setAll(this.#some());
    if (dice < 48) return set.increment();
    if (dice < 54) return set.setField(random);
    if (dice < 59) return set.score(random);
    if (dice < 63) return set.append();
    if (dice < 68) return set.block();
    if (dice < 73) return set.script();
    if (dice < 75) return set.setExpiring();
    if (dice < 77) return set.getExpiring();
    if (dice < 82) return more.queue?.() ?? set.push();
    if (dice < 86) return more.publish?.() ?? set.push();
    if (dice < 96) return more.readData?.(random) ?? set.get();
    return set.push();
  }

  /** Three different ones, so that no key stands twice in a command. */
  #some(): OwnSet[] {
    const first = this.#options.random.int(TAGS);
    return [0, 2, 5].map((step) => this.#sets[(first + step) % TAGS] as OwnSet);
  }
}
