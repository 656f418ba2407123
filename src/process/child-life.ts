/** How the supervisor ends children, and how soon it starts those again that ended by themselves. */

import type { ChildProcess } from 'node:child_process';
import type { SupervisorToChild } from './messages.ts';

const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 5000;
/** A child that has lived this long had a good start: the next restart is quick again. */
const STEADY_MS = 10_000;

/** At once after a steady life, ever slower after deaths in a row. */
export class RestartPause {
  #failures = 0;

  /** Milliseconds until the next start; `startedAt`: of the child that has ended. */
  next(startedAt: number): number {
    this.#failures = Date.now() - startedAt > STEADY_MS ? 0 : this.#failures + 1;
    if (this.#failures === 0) return 0;
    return Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** this.#failures);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

export function killChild(child: ChildProcess): void {
  if (!hasEnded(child)) child.kill('SIGKILL');
}

/** Asks it to end (`how`; null: it would not hear), and kills it after `limitMs`. */
export function endChild(
  child: ChildProcess,
  limitMs: number,
  how: 'stop' | 'retire' | null,
): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(child)) {
      resolve();
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    if (how !== null && child.connected) child.send({ kind: how } satisfies SupervisorToChild);
    else child.kill('SIGKILL');
  });
}
