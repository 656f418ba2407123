/**
 * CLIENT PAUSE in one worker. While it is in force every session carries GATE.pause; a command that
 * it concerns stays in its session's backlog and goes on when the time is over or UNPAUSE comes.
 * Commands in flight and clients that block already are left as they are.
 */

import { type CommandTable, FLAG } from '../commands/table.ts';
import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import type { Runtime } from '../transport/transport.ts';

export type PauseMode = 'all' | 'write';

export interface PauseView {
  readonly table: CommandTable;
  readonly sessions: readonly Session[];
  readonly runtime: Runtime;
}

/** Not flagged as writes, yet they reach replicas or may: Redis' own may_replicate. */
export const MAY_REPLICATE = new Set([
  'pfcount',
  'publish',
  'spublish',
  'eval',
  'evalsha',
  'fcall',
]);
/** What ends a pause must not wait for its end. (In Redis it does when everything is paused.) */
const ENDS_IT = new Set(['client|pause', 'client|unpause']);

export class Pause {
  readonly #view: PauseView;
  #mode: PauseMode | null = null;
  #until = 0;
  #stopTimer: () => void = () => undefined;

  constructor(view: PauseView) {
    this.#view = view;
  }

  get mode(): PauseMode | null {
    return this.#mode;
  }

  /** A second pause can only make the first one longer or stricter, as in Redis. */
  begin(mode: PauseMode, ms: number): void {
    const { runtime, sessions } = this.#view;
    const now = runtime.now();
    this.#until = Math.max(this.#until, now + ms);
    this.#mode = this.#mode === 'all' ? 'all' : mode;
    for (const session of sessions) this.onOpen(session);
    this.#stopTimer();
    this.#stopTimer = runtime.every(Math.max(1, Math.ceil(this.#until - now)), () => this.end());
  }

  end(): void {
    this.#stopTimer();
    this.#stopTimer = () => undefined;
    this.#mode = null;
    this.#until = 0;
    for (const session of this.#view.sessions) {
      session.gate &= ~GATE.pause;
      session.open(GATE.paused);
    }
  }

  /** A new session, or one that was there when the pause began. */
  onOpen(session: Session): void {
    if (this.#mode !== null) session.gate |= GATE.pause;
  }

  /** Must this command wait? `id` is the subcommand's; `writes`: EXEC of a transaction that does. */
  holds(id: number, writes: boolean): boolean {
    const { table } = this.#view;
    const name = table.names[id] as string;
    if (this.#mode === null) return false;
    if (this.#mode === 'all') return !ENDS_IT.has(name);
    return writes || ((table.flags[id] as number) & FLAG.write) !== 0 || MAY_REPLICATE.has(name);
  }
}
