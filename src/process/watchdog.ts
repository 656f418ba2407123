/**
 * Notices children whose event loop has stopped: a stopped process (SIGSTOP), a loop that does not
 * end. Each is asked once a second, and any message of it counts as an answer. One that stays silent
 * is told of, in the log and to whoever had it watched, and much later killed: its end has it replaced
 * as any other.
 *
 * Only time during which this process itself was on time counts: when it, or the whole machine, was
 * stopped or had no processor, the silence of the others says nothing.
 */

import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../lib/log.ts';
import { killChild, sendTo } from './child-life.ts';

const TICK_MS = 1000;
const TELL_AFTER_MS = 5000;
const KILL_AFTER_MS = 30_000;

export interface WatchdogOptions {
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Hears each second how long a child has been silent that is told of, and 0 once it answers. */
export type OnSilence = (silentMs: number) => void;

interface Watched {
  /** What the log calls it. */
  readonly fields: object;
  readonly onSilence: OnSilence;
  silentMs: number;
  isTold: boolean;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #watched = new Map<ChildProcess, Watched>();
  #tickedAt = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tickedAt = this.#options.now();
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** From now on it is to answer; `fields` name it in the log. */
  watch(child: ChildProcess, fields: object, onSilence: OnSilence = () => undefined): void {
    this.#watched.set(child, { fields, onSilence, silentMs: 0, isTold: false });
  }

  forget(child: ChildProcess): void {
    this.#watched.delete(child);
  }

  /** It said something. */
  heard(child: ChildProcess): void {
    const watched = this.#watched.get(child);
    if (watched === undefined) return;
    if (watched.isTold) {
      const fields = { ...watched.fields, silentMs: Math.round(watched.silentMs) };
      this.#options.log.info(fields, 'a process answers again');
      watched.onSilence(0);
    }
    watched.silentMs = 0;
    watched.isTold = false;
  }

  /** Every {@link TICK_MS}. */
  tick(): void {
    const now = this.#options.now();
    const passedMs = Math.min(now - this.#tickedAt, TICK_MS);
    this.#tickedAt = now;
    for (const [child, watched] of this.#watched) {
      watched.silentMs += passedMs;
      if (watched.silentMs > KILL_AFTER_MS) this.#kill(child, watched);
      else {
        if (watched.silentMs > TELL_AFTER_MS && !watched.isTold) this.#tell(watched);
        if (watched.isTold) watched.onSilence(watched.silentMs);
        sendTo(child, { kind: 'ping' });
      }
    }
  }

  #tell(watched: Watched): void {
    watched.isTold = true;
    this.#options.log.warn(
      { ...watched.fields, killedAfterMs: KILL_AFTER_MS },
      'a process does not answer: it is stopped, or busy for long; its clients wait',
    );
  }

  #kill(child: ChildProcess, { fields, silentMs }: Watched): void {
    this.#watched.delete(child);
    this.#options.log.error(
      { ...fields, silentMs: Math.round(silentMs) },
      'a process has not answered for so long that it is killed and replaced',
    );
    killChild(child);
  }
}
