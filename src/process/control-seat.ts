/**
 * The control process as the supervisor has it: started again when it dies, and on request replaced
 * by one that is loaded and finds the cluster before the old one ends, and begins where that left off.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { type Deferred, deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/log.ts';
import { endChild, killChild, logChildError, RestartPause, sendTo } from './child-life.ts';
import type { ChildToSupervisor, ControlStart, SupervisorToChild } from './messages.ts';
import type { Watchdog } from './watchdog.ts';

/** How long a new control process may take to be loaded. */
const LOAD_LIMIT_MS = 30_000;
const FIND_LIMIT_MS = 30_000;
/** Those that are killed together are known to be dead within this time. */
const TOGETHER_MS = 100;
/** How long one that is told to stop may take, before it is killed. */
const STOP_LIMIT_MS = 3000;

export interface ControlSeatOptions {
  /** The module that a child runs. */
  readonly entry: string;
  readonly log: Logger;
  /** Tells it what it is to be. */
  readonly begin: () => ControlStart;
  readonly watchdog: Watchdog;
  /** Does any worker serve? */
  readonly hasWorkers: () => boolean;
  /** How long a successor may look for the cluster, milliseconds; default: half a minute. */
  readonly findLimitMs?: number;
  /** All that it says but what is about its own life. */
  readonly onMessage: (message: ChildToSupervisor) => void;
  /** It ended before {@link ControlSeat.isUp}. */
  readonly onEarlyEnd: (child: ChildProcess, reason: string) => void;
}

interface ControlChild {
  readonly process: ChildProcess;
  readonly startedAt: number;
  /** It hears what is sent to it: earlier, it would be lost. */
  isLoaded: boolean;
  /** Ends when it is loaded or has ended. */
  readonly decided: Deferred<void>;
  hasFound: boolean;
  /** Ends when it has found the cluster, or has ended. */
  readonly looked: Deferred<void>;
}

export class ControlSeat {
  /** The start is over: from now on it is started again when it dies. */
  isUp = false;
  /** Nobody is started again from now on. */
  isEnding = false;
  readonly #options: ControlSeatOptions;
  #current: ControlChild | null = null;
  /** Those that are not (or no more) the one that messages go to. */
  readonly #others = new Set<ControlChild>();
  readonly #pause = new RestartPause();
  #serving = deferred<string>();

  constructor(options: ControlSeatOptions) {
    this.#options = options;
  }

  /** Resolves with HTTP's address once it serves; never when it fails, see `onEarlyEnd`. */
  start(): Promise<string> {
    this.#begin();
    return this.#serving.promise;
  }

  #begin(): void {
    const control = this.#fork();
    this.#current = control;
    void control.decided.promise.then(() => this.#commission(control));
  }

  /** Tells it what it is to be; what was sent to it meanwhile waits in it for that. */
  #commission(control: ControlChild): void {
    if (!control.isLoaded || this.#current !== control) return;
    sendTo(control.process, { kind: 'start', start: this.#options.begin() });
  }

  #fork(): ControlChild {
    const { entry, log } = this.#options;
    const child = fork(entry, [], { serialization: 'advanced', stdio: 'inherit' });
    const control: ControlChild = {
      process: child,
      startedAt: Date.now(),
      isLoaded: false,
      decided: deferred(),
      hasFound: false,
      looked: deferred(),
    };
    child.on('message', (message: ChildToSupervisor) => this.#onMessage(control, message));
    child.on('error', (error) => logChildError(log, error, 'control could not be reached'));
    child.once('exit', (code, signal) => {
      control.isLoaded = false;
      control.decided.resolve();
      control.looked.resolve();
      this.#options.watchdog.forget(child);
      this.#onExit(control, signal ?? `code ${code}`);
    });
    return control;
  }

  #onMessage(control: ControlChild, message: ChildToSupervisor): void {
    const { watchdog, onMessage } = this.#options;
    const { process } = control;
    watchdog.heard(process);
    if (message.kind === 'loaded') {
      control.isLoaded = true;
      watchdog.watch(process, { role: 'control', child: process.pid });
      control.decided.resolve();
    } else if (message.kind === 'found') {
      control.hasFound = true;
      control.looked.resolve();
    } else if (message.kind !== 'pong') onMessage(message);
    if (message.kind === 'http') this.#serving.resolve(message.url);
  }

  #onExit(control: ControlChild, reason: string): void {
    this.#others.delete(control);
    if (this.#current !== control) return;
    this.#current = null;
    if (this.isEnding) return;
    const { process, startedAt } = control;
    if (!this.isUp) {
      this.#options.onEarlyEnd(process, reason);
      return;
    }
    setTimeout(() => this.#tellDeath(process.pid, reason), TOGETHER_MS);
    setTimeout(() => {
      if (!this.isEnding && this.#current === null) this.#begin();
    }, this.#pause.next(startedAt));
  }

  #tellDeath(child: number | undefined, reason: string): void {
    const { log, hasWorkers } = this.#options;
    const others = hasWorkers() ? 'workers serve on' : 'no worker serves';
    log.error({ child, reason }, `control died; ${others}, restarting it`);
  }

  /** False when the new one does not come to serve; one that does not find the cluster changes nothing. */
  async replace(): Promise<boolean> {
    const { log } = this.#options;
    const next = this.#fork();
    this.#others.add(next);
    if (!(await this.#isLoadedInTime(next)) || !(await this.#findsCluster(next))) return false;
    this.#others.delete(next);
    const old = this.#current;
    this.#current = next;
    if (old !== null) {
      this.#others.add(old);
      await endControl(old);
    }
    const serving = deferred<string>();
    this.#serving = serving;
    next.process.once('exit', () => serving.resolve(''));
    this.#commission(next);
    await serving.promise;
    if (this.isEnding || this.#current !== next) return false;
    const pids = { child: next.process.pid, replaces: old?.process.pid };
    log.info(pids, 'control was replaced');
    return true;
  }

  async #isLoadedInTime(next: ControlChild): Promise<boolean> {
    const late = setTimeout(() => killChild(next.process), LOAD_LIMIT_MS);
    await next.decided.promise;
    clearTimeout(late);
    if (this.isEnding || next.isLoaded) return !this.isEnding;
    this.#stays(next, 'the new control did not start: the old one stays');
    return false;
  }

  /** The old one knows it: a cluster that only the new one does not find is no reason to be blind. */
  async #findsCluster(next: ControlChild): Promise<boolean> {
    const { begin, findLimitMs = FIND_LIMIT_MS } = this.#options;
    sendTo(next.process, { kind: 'scout', start: begin() });
    const late = setTimeout(next.looked.resolve, findLimitMs);
    await next.looked.promise;
    clearTimeout(late);
    if (next.hasFound && next.isLoaded && !this.isEnding) return true;
    if (!this.isEnding) {
      this.#stays(next, 'the new control does not find the cluster: the old one stays');
    }
    killChild(next.process);
    return false;
  }

  #stays({ process }: ControlChild, why: string): void {
    this.#options.log.error({ child: process.pid }, why);
  }

  send(message: SupervisorToChild): void {
    tell(this.#current, message);
    if (!isAnswer(message)) return;
    // One that is about to end still finishes what it was asked for.
    for (const control of this.#others) tell(control, message);
  }

  async stop(): Promise<void> {
    this.isEnding = true;
    const controls = [...this.#others, ...(this.#current === null ? [] : [this.#current])];
    await Promise.all(controls.map(endControl));
  }
}

function tell(control: ControlChild | null, message: SupervisorToChild): void {
  if (control?.isLoaded === true) sendTo(control.process, message);
}

/** One that is still being loaded would not hear that it is to stop, and serves nobody yet. */
function endControl({ process, isLoaded }: ControlChild): Promise<void> {
  return endChild(process, STOP_LIMIT_MS, isLoaded ? 'stop' : null);
}

function isAnswer(message: SupervisorToChild): boolean {
  return message.kind === 'relay' && (message.body as { kind?: unknown }).kind === 'answer';
}
