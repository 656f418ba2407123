/**
 * What one writer knows of the keys that it writes: which values a read may show.
 *
 * Replies of one connection arrive in request order, so when a read's reply arrives every earlier
 * write of that connection has been answered and no later one has: the model is exact at that moment.
 * That holds also for a read whose connection to the node was lost: it is not repeated where a write
 * was sent behind it.
 *
 * Every value names its key, so that a reply which went to the wrong client is seen as such.
 */

/** Writes that were answered and are gone: the price of Redis' asynchronous replication. */
export interface Losses {
  /** Whether such losses are to be expected at all. */
  readonly allowed: boolean;
  count: number;
}

/** Before the first write. */
const NEVER = 0;

/** A string that one connection writes. */
export class StringModel {
  readonly key: string;
  readonly #losses: Losses;
  #sent = NEVER;
  readonly #deletions = new Set<number>([NEVER]);
  /** Writes whose effect the key may show: one after an answered write, more after others. */
  #possible: number[] = [NEVER];

  constructor(key: string, losses: Losses) {
    this.key = key;
    this.#losses = losses;
  }

  /** The number of the next write. */
  next(kind: 'set' | 'delete'): number {
    const write = ++this.#sent;
    if (kind === 'delete') this.#deletions.add(write);
    return write;
  }

  value(write: number): string {
    return `${this.key}=${write}`;
  }

  /** '' or what is wrong with the answer that this write was applied. */
  onApplied(write: number): string {
    this.#possible = [write];
    return '';
  }

  /** The write may have been applied or not. */
  onUnknown(write: number): void {
    this.#possible.push(write);
  }

  /** '' or what is wrong with the number of keys that DEL says to have removed. */
  onDeleted(write: number, removed: unknown): string {
    const before = this.#possible;
    const problem = this.onApplied(write);
    if (problem !== '') return problem;
    const fits = before.some((each) => (this.#deletions.has(each) ? 0 : 1) === removed);
    return fits || this.#losses.allowed ? '' : `DEL ${this.key} removed ${String(removed)}`;
  }

  /** '' or what is wrong with the value that this connection reads. */
  check(reply: unknown): string {
    const shown = this.#writesShowing(reply);
    if (shown.length === 0) {
      return `${this.key} shows ${JSON.stringify(reply)}, which is not its own`;
    }
    const expected = shown.filter((write) => this.#possible.includes(write));
    if (expected.length > 0) {
      this.#possible = expected;
      return '';
    }
    const last = Math.max(...this.#possible);
    const later = shown.filter((write) => write > last);
    if (later.length > 0) return `${this.key} shows write ${later.join(' or ')} before its time`;
    if (this.#losses.allowed) {
      this.#losses.count++;
      this.#possible = shown;
      return '';
    }
    return `${this.key} shows write ${shown.join(' or ')}, expected ${this.#possible.join(' or ')}`;
  }

  /** The same for a connection that does not write this key. */
  checkForeign(reply: unknown): string {
    if (this.#writesShowing(reply).length > 0) return '';
    return `${this.key} shows ${JSON.stringify(reply)} to another client`;
  }

  /** Writes sent so far that leave this value behind. */
  #writesShowing(reply: unknown): number[] {
    if (reply === null) return [...this.#deletions];
    if (typeof reply !== 'string' || !reply.startsWith(`${this.key}=`)) return [];
    const write = Number(reply.slice(this.key.length + 1));
    return write <= this.#sent && !this.#deletions.has(write) ? [write] : [];
  }
}

/** One writer's entries in an append-only list; other writers may append to it too. */
export class LogModel {
  readonly key: string;
  readonly writer: number;
  readonly isShared: boolean;
  readonly #prefix: string;
  readonly #losses: Losses;
  #sent = 0;
  readonly #acked: number[] = [];
  readonly #unknown = new Set<number>();

  constructor(options: { key: string; writer: number; isShared: boolean; losses: Losses }) {
    this.key = options.key;
    this.writer = options.writer;
    this.isShared = options.isShared;
    this.#losses = options.losses;
    this.#prefix = `${this.key}#${this.writer}:`;
  }

  next(): number {
    return ++this.#sent;
  }

  entry(id: number): string {
    return `${this.#prefix}${id}`;
  }

  onUnknown(id: number): void {
    this.#unknown.add(id);
  }

  /** '' or what is wrong with the length that RPUSH answered. */
  onPushed(id: number, length: unknown): string {
    this.#acked.push(id);
    const least = this.#losses.allowed ? 1 : this.#acked.length;
    const most = this.#acked.length + this.#unknown.size;
    if (typeof length === 'number' && length >= least && (this.isShared || length <= most)) {
      return '';
    }
    return `RPUSH ${this.key} answered ${String(length)}, expected ${least} to ${most}`;
  }

  /** '' or what is wrong with the last entry as the only writer reads it. */
  checkLast(reply: unknown): string {
    const last = this.#acked.at(-1) ?? 0;
    if (reply === null) {
      return last === 0 || this.#losses.allowed ? '' : `${this.key} is gone`;
    }
    const id = this.#idOf(reply);
    if (id === null || id > this.#sent) return `${this.key} ends with ${JSON.stringify(reply)}`;
    if (id < last) return this.#losses.allowed ? '' : `${this.key} ends with ${id}, not ${last}`;
    const isEarly = id > last && !this.#unknown.has(id);
    return isEarly ? `${this.key} ends with ${id} before its time` : '';
  }

  /** The whole list in the end: nothing twice, nothing out of order, nothing missing. */
  checkAll(entries: readonly string[]): string[] {
    const problems: string[] = [];
    const acked = new Set(this.#acked);
    const own = entries.filter((entry) => !this.isShared || entry.startsWith(this.#prefix));
    const seen = new Set<number>();
    let last = 0;
    for (const id of own.map((entry) => this.#idOf(entry))) {
      if (id === null) problems.push(`${this.key} holds a foreign entry`);
      else {
        if (seen.has(id)) problems.push(`${this.entry(id)} was applied twice`);
        else if (id < last) problems.push(`${this.entry(id)} comes after ${last}`);
        if (!acked.has(id) && !this.#unknown.has(id)) {
          problems.push(`${this.entry(id)} was refused, yet is there`);
        }
        seen.add(id);
        last = Math.max(last, id);
      }
    }
    const missing = this.#acked.filter((id) => !seen.has(id));
    if (this.#losses.allowed) this.#losses.count += missing.length;
    else if (missing.length > 0) {
      problems.push(`${this.key} lacks ${missing.length} entries, e.g. ${this.entry(missing[0]!)}`);
    }
    return problems;
  }

  #idOf(reply: unknown): number | null {
    if (typeof reply !== 'string' || !reply.startsWith(this.#prefix)) return null;
    return Number(reply.slice(this.#prefix.length));
  }
}
