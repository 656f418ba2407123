/**
 * The end of a turn of the event loop: sessions whose gate has opened go on, then every lane and
 * every session that got bytes is written once.
 */

import type { Session } from '../downstream/session.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import type { Runtime } from '../transport/transport.ts';
import type { Lane } from '../upstream/lane.ts';
import type { Request } from './request.ts';
import type { Retries } from './retries.ts';

export class Turn {
  #scheduled = false;
  #lanes: Lane<Request>[] = [];
  #sessions: Session[] = [];
  #runnable: Session[] = [];
  #spareLanes: Lane<Request>[] = [];
  #spareSessions: Session[] = [];
  #retries: Retries | null = null;
  readonly #runtime: Runtime;
  readonly #beforeFlush: (lane: Lane<Request>) => void;
  readonly #end = (): void => this.#onEnd();

  /** `beforeFlush`: a durable lane is about to be written. */
  constructor(runtime: Runtime, beforeFlush: (lane: Lane<Request>) => void) {
    this.#runtime = runtime;
    this.#beforeFlush = beforeFlush;
  }

  laneDirty(lane: Lane<Request>): void {
    this.#lanes.push(lane);
    if (!this.#scheduled) this.#schedule();
  }

  sessionDirty(session: Session): void {
    this.#sessions.push(session);
    if (!this.#scheduled) this.#schedule();
  }

  sessionRunnable(session: Session): void {
    this.#runnable.push(session);
    if (!this.#scheduled) this.#schedule();
  }

  /** Parked requests may go on: they are tried once at the end of the turn. */
  later(retries: Retries): void {
    this.#retries = retries;
    if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#runtime.afterTurn(this.#end);
  }

  #onEnd(): void {
    this.#scheduled = false;
    const retries = this.#retries;
    if (retries !== null) {
      this.#retries = null;
      retries.run();
    }
    if (this.#runnable.length > 0) this.#runBacklogs();
    const lanes = this.#lanes;
    this.#lanes = this.#spareLanes;
    for (const lane of lanes) {
      if ((lane.options.kind & LANE_KIND.durable) !== 0) this.#beforeFlush(lane);
      lane.flush();
    }
    lanes.length = 0;
    this.#spareLanes = lanes;
    const sessions = this.#sessions;
    this.#sessions = this.#spareSessions;
    const now = sessions.length > 0 ? this.#runtime.now() : 0;
    for (const session of sessions) session.flush(now);
    sessions.length = 0;
    this.#spareSessions = sessions;
  }

  #runBacklogs(): void {
    const runnable = this.#runnable;
    this.#runnable = [];
    for (const session of runnable) {
      session.runnable = false;
      session.runBacklog();
    }
  }
}
