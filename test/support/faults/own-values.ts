/** Keys that one client alone writes: what a read, or an INCR, may answer at each moment. */
import { type Losses, StringModel } from '../load/models.ts';
import type { AppendChecker } from './append-checker.ts';

/** Acknowledged writes whose ages can still be told. */
const KEPT = 64;

/** Of one key: which acknowledged writes a dead primary took along. */
class OwnLosses implements Losses {
  count = 0;
  /** Milliseconds before the death, one per lost write. */
  readonly agesMs: number[] = [];
  readonly #checker: AppendChecker;
  readonly #shard: number;
  readonly #acked: { readonly write: number; readonly at: number }[] = [];

  constructor(checker: AppendChecker, shard: number) {
    this.#checker = checker;
    this.#shard = shard;
  }

  get allowed(): boolean {
    return this.#checker.diedSince(this.#shard, this.#acked.at(-1)?.at ?? 0);
  }

  onAcked(write: number, at: number): void {
    this.#acked.push({ write, at });
    if (this.#acked.length > KEPT) this.#acked.shift();
  }

  /** All that was acknowledged after `write` is gone. */
  lostAfter(write: number): void {
    for (let last = this.#acked.at(-1); last !== undefined && last.write > write; ) {
      this.agesMs.push(this.#checker.ageAtDeath(this.#shard, last.at));
      this.#acked.pop();
      last = this.#acked.at(-1);
    }
  }
}

/** A string; each SET writes the next number behind the key's name. */
export class OwnString {
  readonly key: string;
  readonly shard: number;
  readonly #model: StringModel;
  readonly #losses: OwnLosses;
  readonly #checker: AppendChecker;

  constructor(key: string, checker: AppendChecker, shard: number) {
    this.key = key;
    this.shard = shard;
    this.#checker = checker;
    this.#losses = new OwnLosses(checker, shard);
    this.#model = new StringModel(key, this.#losses);
  }

  get agesMs(): readonly number[] {
    return this.#losses.agesMs;
  }

  next(): number {
    return this.#model.next('set');
  }

  value(write: number): string {
    return this.#model.value(write);
  }

  onAcked(write: number, now: number): void {
    this.#complain(this.#model.onApplied(write));
    this.#losses.onAcked(write, now);
  }

  onUnknown(write: number): void {
    this.#model.onUnknown(write);
  }

  onRead(reply: unknown): void {
    const before = this.#losses.count;
    this.#complain(this.#model.check(reply));
    if (this.#losses.count === before) return;
    this.#losses.lostAfter(
      typeof reply === 'string' ? Number(reply.slice(this.key.length + 1)) : 0,
    );
  }

  #complain(problem: string): void {
    if (problem !== '') this.#checker.complain(problem);
  }
}

/** A counter: INCR must answer one more than before, or up to one more for each of unknown fate. */
export class OwnCounter {
  readonly key: string;
  readonly shard: number;
  readonly #checker: AppendChecker;
  readonly #losses: OwnLosses;
  #value = 0;
  #unknown = 0;
  #ackedAt = 0;

  constructor(key: string, checker: AppendChecker, shard: number) {
    this.key = key;
    this.shard = shard;
    this.#checker = checker;
    this.#losses = new OwnLosses(checker, shard);
  }

  get agesMs(): readonly number[] {
    return this.#losses.agesMs;
  }

  onUnknown(): void {
    this.#unknown++;
  }

  onIncremented(reply: unknown, now: number): void {
    this.#onValue(reply, 1);
    this.#ackedAt = now;
    this.#losses.onAcked(this.#value, now);
  }

  onRead(reply: unknown): void {
    this.#onValue(reply === null ? 0 : Number(reply), 0);
  }

  #onValue(reply: unknown, added: number): void {
    const least = this.#value + added;
    const most = least + this.#unknown;
    if (typeof reply !== 'number' || !Number.isInteger(reply) || reply < 0 || reply > most) {
      this.#checker.complain(`${this.key} is ${String(reply)}, expected ${least} to ${most}`);
    } else if (reply < least) {
      if (this.#checker.diedSince(this.shard, this.#ackedAt)) {
        this.#losses.lostAfter(reply - added);
      } else {
        this.#checker.complain(`${this.key} fell to ${reply}, expected ${least} to ${most}`);
      }
    }
    // Seen or not, those of unknown fate are in this value now.
    this.#unknown = 0;
    if (typeof reply === 'number') this.#value = reply;
  }
}
