/** Who pushed what and who took it: every element of one group of queues. */
import type { Report } from './report.ts';

interface Entry {
  state: 'sent' | 'acked' | 'uncertain';
  readonly key: string;
  readonly at: number;
  taken: string[];
}

export class Ledger {
  readonly group: string;
  readonly #report: Report;
  readonly #entries = new Map<string, Entry>();
  #acked = 0;
  #takenCount = 0;
  /** Elements that pops of which nobody knows could have taken. */
  uncertainPops = 0;
  /** Clients that were reset while an element could be on its way to them. */
  vanished = 0;

  constructor(group: string, report: Report) {
    this.group = group;
    this.#report = report;
  }

  /** Pushed and not taken, as far as is known. */
  get backlog(): number {
    return this.#acked - this.#takenCount;
  }

  onPush(id: string, key: string): void {
    const at = Math.round(this.#report.now());
    this.#entries.set(id, { state: 'sent', key, at, taken: [] });
  }

  onPushed(id: string, state: 'acked' | 'uncertain'): void {
    const entry = this.#entries.get(id) as Entry;
    entry.state = state;
    if (state === 'acked') this.#acked++;
  }

  onTaken(id: string, key: string, by: string): void {
    const entry = this.#entries.get(id);
    const who = `${this.group}: ${by}`;
    if (entry === undefined) {
      this.#report.complain(who, `took ${id}, which nobody pushed`);
      return;
    }
    if (entry.key !== key) this.#report.complain(who, `took ${id} from ${key}, not ${entry.key}`);
    entry.taken.push(`${by} at ${Math.round(this.#report.now())} ms`);
    if (entry.taken.length > 1) {
      this.#report.complain(who, `${id} was taken ${entry.taken.length} times: ${entry.taken}`);
    } else if (entry.state !== 'uncertain') {
      this.#takenCount++;
    }
  }

  /** Acknowledged and never taken. */
  missing(): string[] {
    return [...this.#entries]
      .filter(([, { state, taken }]) => state === 'acked' && taken.length === 0)
      .map(([id, { key, at }]) => `${id} (${key}, pushed at ${at} ms)`);
  }

  /** After the queues are empty. */
  settle(): void {
    const report = this.#report;
    const missing = this.missing();
    const mayMiss = this.uncertainPops + this.vanished;
    report.count(`${this.group} taken`, this.#takenCount);
    if (missing.length > 0) report.count(`${this.group} missing`, missing.length);
    if (missing.length > mayMiss) {
      const sources = `${this.uncertainPops} by UNCERTAIN pops, ${this.vanished} with clients`;
      const shown = missing.slice(0, 10).join(', ');
      report.complain(
        this.group,
        `${missing.length} elements are lost (explained: at most ${sources}): ${shown}`,
      );
    }
  }
}
