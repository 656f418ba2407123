/**
 * What one writer knows of the keys that it writes: which values a read may show.
 *
 * Replies of one connection arrive in request order, so when a read's reply arrives every earlier
 * write of that connection has been answered and no later one has: the model is exact at that moment.
 * Every value names its key, so that a reply which went to the wrong client is seen as such.
 */

/** Writes that were answered and are gone: the price of Redis' asynchronous replication. */
export interface Losses {
  /** Whether such losses are to be expected at all. */
  readonly allowed: boolean;
  count: number;
}

const ABSENT = 0;

/** A string that one connection writes. */
export class StringModel {
  readonly key: string;
  readonly #losses: Losses;
  #sent = 0;
  /** What the key may hold: one value after an answered write, more after an unanswered one. */
  #possible: number[] = [ABSENT];

  constructor(key: string, losses: Losses) {
    this.key = key;
    this.#losses = losses;
  }

  /** The number of the next write; `value` makes its text. */
  next(): number {
    return ++this.#sent;
  }

  value(write: number): string {
    return `${this.key}=${write}`;
  }

  onSet(write: number): void {
    this.#possible = [write];
  }

  /** The write may have been applied or not; 0 for a deletion. */
  onUnknown(write: number): void {
    this.#possible.push(write);
  }

  /** '' or what is wrong with the number of keys that DEL says to have removed. */
  onDelete(removed: unknown): string {
    const before = this.#possible;
    this.#possible = [ABSENT];
    const fits = before.some((write) => (write === ABSENT ? 0 : 1) === removed);
    return fits || this.#losses.allowed ? '' : `DEL ${this.key} removed ${String(removed)}`;
  }

  get mayExist(): boolean {
    return this.#possible.some((write) => write !== ABSENT);
  }

  get mustExist(): boolean {
    return !this.#losses.allowed && !this.#possible.includes(ABSENT);
  }

  /** '' or what is wrong with the value that this connection reads. */
  check(reply: unknown): string {
    const write = this.#writeOf(reply);
    if (write === null) return `${this.key} shows ${JSON.stringify(reply)}, which is not its own`;
    if (this.#possible.includes(write)) {
      this.#possible = [write];
      return '';
    }
    if (this.#losses.allowed && write < Math.max(...this.#possible)) {
      this.#losses.count++;
      this.#possible = [write];
      return '';
    }
    return `${this.key} shows write ${write}, expected ${this.#possible.join(' or ')}`;
  }

  /** The same for a connection that does not write this key. */
  checkForeign(reply: unknown): string {
    const write = this.#writeOf(reply);
    if (write === null) return `${this.key} shows ${JSON.stringify(reply)} to another client`;
    return write <= this.#sent ? '' : `${this.key} shows write ${write} before it was sent`;
  }

  #writeOf(reply: unknown): number | null {
    if (reply === null) return ABSENT;
    if (typeof reply !== 'string' || !reply.startsWith(`${this.key}=`)) return null;
    return Number(reply.slice(this.key.length + 1));
  }
}

/** One writer's entries in an append-only list; other writers may append to it too. */
export class LogModel {
  readonly key: string;
  readonly writer: number;
  readonly isShared: boolean;
  readonly #losses: Losses;
  #sent = 0;
  readonly #acked: number[] = [];
  readonly #unknown = new Set<number>();

  constructor(options: { key: string; writer: number; isShared: boolean; losses: Losses }) {
    this.key = options.key;
    this.writer = options.writer;
    this.isShared = options.isShared;
    this.#losses = options.losses;
  }

  next(): number {
    return ++this.#sent;
  }

  entry(id: number): string {
    return `${this.key}#${this.writer}:${id}`;
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
    if (reply === null && (last === 0 || this.#losses.allowed)) return '';
    const id = this.#idOf(reply);
    if (id === null) return `${this.key} ends with ${JSON.stringify(reply)}`;
    if (id === last || (id > last && this.#unknown.has(id))) return '';
    if (id < last && (this.#unknown.has(id) || this.#losses.allowed)) return '';
    return `${this.key} ends with ${id}, expected ${last}`;
  }

  /** The whole list in the end: nothing twice, nothing out of order, nothing missing. */
  checkAll(entries: readonly string[]): string[] {
    const problems: string[] = [];
    const acked = new Set(this.#acked);
    const prefix = `${this.key}#${this.writer}:`;
    const ids = entries
      .filter((entry) => this.isShared === false || entry.startsWith(prefix))
      .map((entry) => this.#idOf(entry));
    let last = 0;
    const seen = new Set<number>();
    for (const id of ids) {
      if (id === null) problems.push(`${this.key} holds a foreign entry`);
      else {
        if (seen.has(id)) problems.push(`${prefix}${id} was applied twice`);
        else if (id < last) problems.push(`${prefix}${id} comes after ${last}`);
        if (!acked.has(id) && !this.#unknown.has(id)) problems.push(`${prefix}${id} was refused`);
        seen.add(id);
        last = Math.max(last, id);
      }
    }
    const missing = this.#acked.filter((id) => !seen.has(id));
    if (this.#losses.allowed) this.#losses.count += missing.length;
    else if (missing.length > 0) {
      problems.push(`${prefix}${missing.slice(0, 5).join(',')} missing (${missing.length} in all)`);
    }
    return problems;
  }

  #idOf(reply: unknown): number | null {
    const prefix = `${this.key}#${this.writer}:`;
    if (typeof reply !== 'string' || !reply.startsWith(prefix)) return null;
    return Number(reply.slice(prefix.length));
  }
}
