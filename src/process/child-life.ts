/**
 * How the supervisor reaches and ends children, how soon it starts those again that ended, and what
 * `ps` calls each of them: the log gives a child's id, and the title says which it is.
 */

import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../lib/log.ts';
import type { SupervisorToChild } from './messages.ts';

const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 5000;
/** A child that has lived this long had a good start: the next restart is quick again. */
const STEADY_MS = 10_000;

export function serverTitle(workers: number): string {
  return workers === 1 ? 'slotgate' : 'slotgate: supervisor';
}

/** `worker`: its number, undefined for control. */
export function childTitle(worker: string | undefined): string {
  return worker === undefined ? 'slotgate: control' : `slotgate: worker ${worker}`;
}

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

/** What sending to a process that has ended, or is about to, fails with. */
const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ERR_IPC_CHANNEL_CLOSED']);

/** Nothing comes of it when the child has ended: its exit is told on its own. */
export function sendTo(child: ChildProcess, message: SupervisorToChild): void {
  if (!child.connected) return;
  child.send(message, (error) => {
    if (error !== null && !isGone(error)) child.emit('error', error);
  });
}

/** Node's own messages to a child have nobody else who hears that they did not arrive. */
export function logChildError(log: Logger, error: Error, text: string): void {
  if (isGone(error)) log.debug({ err: error }, text);
  else log.error({ err: error }, text);
}

function isGone(error: Error & { readonly code?: unknown }): boolean {
  return GONE.has(String(error.code));
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
    if (how !== null && child.connected) sendTo(child, { kind: how });
    else child.kill('SIGKILL');
  });
}
