/**
 * The end of a turn of the event loop: sessions whose gate has opened go on, then every lane and
 * every session that got bytes is written once.
 *
 * What slotgate answers itself may take long. A session whose commands have done so gives the turn
 * back between two of them and goes on in the next one, so that others are served in between.
 */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import type { Runtime } from '../transport/transport.ts';
import type { Lane } from '../upstream/lane.ts';
import type { Request } from './request.ts';
import type { Retries } from './retries.ts';

/** What commands answered here may take together in one turn before sessions give it back. */
const SHARE_MS = 5;
/** What one session's may take in any turn: clients with quick commands wait for nobody. */
const OWN_SHARE_MS = 0.5;

export class Turn {
  #scheduled = false;
  #lanes: Lane<Request>[] = [];
  #sessions: Session[] = [];
  #runnable: Session[] = [];
  #spareLanes: Lane<Request>[] = [];
  #spareSessions: Session[] = [];
  #retries: Retries | null = null;
  /** Sessions that have given this turn back. */
  #resting: Session[] = [];
  /** What commands answered here have taken in this turn. */
  #spentMs = 0;
  /** The session of the newest of them, and what its share of that is. */
  #spender: Session | null = null;
  #ownMs = 0;
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

  /** A command of this session was answered here, which took so long. */
  spent(session: Session, ms: number): void {
    if (this.#spender !== session) {
      this.#spender = session;
      this.#ownMs = 0;
    }
    this.#ownMs += ms;
    this.#spentMs += ms;
    if (this.#spentMs <= SHARE_MS || this.#ownMs <= OWN_SHARE_MS) return;
    session.gate |= GATE.turn;
    this.#resting.push(session);
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
    this.#spentMs = 0;
    this.#spender = null;
    if (this.#resting.length > 0) this.#wake();
  }

  /** They go on at the end of the next turn, when others' bytes have been read. */
  #wake(): void {
    const resting = this.#resting;
    this.#resting = [];
    for (const session of resting) session.open(GATE.turn);
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
