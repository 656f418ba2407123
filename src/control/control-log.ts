/** What control asks of a logger (pino fits), and how it keeps a standing reason from flooding it. */

export interface ControlLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const REPEAT_AFTER_MS = 60_000;
const KEYS_MAX = 1000;

/** Lets one line per key through in {@link REPEAT_AFTER_MS}. */
export class RareLog {
  readonly #log: ControlLog;
  readonly #now: () => number;
  readonly #loggedAt = new Map<string, number>();

  constructor(log: ControlLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** True when the line was let through. */
  warn(key: string, fields: object, message: string): boolean {
    const isTold = this.#mayTell(key);
    if (isTold) this.#log.warn(fields, message);
    return isTold;
  }

  info(key: string, fields: object, message: string): void {
    if (this.#mayTell(key)) this.#log.info(fields, message);
  }

  #mayTell(key: string): boolean {
    const now = this.#now();
    const before = this.#loggedAt.get(key);
    if (before !== undefined && now - before < REPEAT_AFTER_MS) return false;
    if (this.#loggedAt.size >= KEYS_MAX) this.#loggedAt.clear();
    this.#loggedAt.set(key, now);
    return true;
  }
}
