/**
 * The supervisor: forks control and the workers, replaces those that die and, on SIGUSR2, all of
 * them one by one; holds the listeners (SCHED_NONE: the kernel hands connections to the workers, so
 * a busy or dead supervisor stalls nobody), and relays their messages. It remembers what a restarted
 * control must know: the settings in force, and the counters of workers that have ended.
 */

import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config/schema.ts';
import { listenError, PROXY_ERROR_CODES, ProxyError, type ProxyErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import type { MergeMemory } from '../metrics/merge.ts';
import { endChild, killChild, RestartPause } from './child-life.ts';
import { Crew } from './crew.ts';
import type { ChildStart, ChildToSupervisor, SupervisorToChild } from './messages.ts';
import { reloadAndTell, type Steering } from './steering.ts';

/** On top of the drain time-out, before a child that does not end is killed. */
const STOP_GRACE_MS = 3000;
/** How long a new control process may take to be loaded. */
const LOAD_LIMIT_MS = 30_000;

interface ControlChild {
  readonly process: ChildProcess;
  readonly startedAt: number;
  /** It hears what is sent to it: earlier, it would be lost. */
  isLoaded: boolean;
  /** Resolves when it is loaded or has ended. */
  readonly decided: Promise<void>;
}

export class Supervisor implements Steering {
  /** As started, with the live settings that hold now. */
  #config: Config;
  readonly #log: Logger;
  readonly #startedAt = Date.now();
  readonly #crew: Crew;
  readonly #entry: string;
  #control: ControlChild | null = null;
  /** Of control processes that are not (or no more) the one that messages go to. */
  readonly #otherControls = new Set<ControlChild>();
  readonly #controlPause = new RestartPause();
  #memory: MergeMemory | null = null;
  #port: number;
  #httpPort: number;
  #stopping = false;
  #isRolling = false;
  #mustRollAgain = false;
  #listening: (address: { host: string; port: number }) => void = () => {};
  #httpReady: (url: string) => void = () => {};
  #startFailed: (error: Error) => void = () => {};

  constructor(config: Config, log: Logger, instanceId: string, count: number) {
    this.#config = config;
    this.#log = log;
    this.#port = config.port;
    this.#httpPort = config.http.port;
    this.#entry = new URL('./child.ts', import.meta.url).pathname.replace(/\.ts$/, extension());
    this.#crew = new Crew({
      count,
      log,
      startMessage: (role) => this.#startMessage({ role: 'worker', instanceId, ...role }),
      toControl: (message) => this.#toControl(message),
      onListening: (address) => this.#listening(address),
      onFailed: (failure) => this.#fail(failure),
      onEarlyEnd: (child, reason) =>
        this.#failAfter(child, `a worker ended at its start (${reason})`),
    });
  }

  async start(): Promise<Running & Steering> {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: this.#entry, args: [], serialization: 'advanced' });
    const failed = new Promise<never>((_, reject) => {
      this.#startFailed = reject;
    });
    const http = new Promise<string>((resolve) => {
      this.#httpReady = resolve;
    });
    const listening = new Promise<{ host: string; port: number }>((resolve) => {
      this.#listening = resolve;
    });
    try {
      // Workers share one listener per address and port, so all must be told the same.
      if (this.#port === 0) this.#port = await kernelsChoice(this.#config.bind[0] as string);
      this.#startControl();
      const httpUrl = await Promise.race([http, failed]);
      this.#crew.start(1);
      const address = await Promise.race([listening, failed]);
      for (let index = 2; index <= this.#crew.size; index++) this.#crew.start(index);
      this.#crew.isUp = true;
      return this.#running(`${address.host}:${address.port}`, httpUrl);
    } catch (error) {
      await this.#stop();
      throw error;
    }
  }

  #running(endpoint: string, httpUrl: string): Running & Steering {
    let closing: Promise<void> | null = null;
    let finished: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const close = (): Promise<void> => {
      closing ??= this.#stop().then(finished);
      return closing;
    };
    return {
      endpoint,
      httpUrl,
      close,
      done,
      reload: (config) => this.reload(config),
      roll: () => this.roll(),
    };
  }

  reload(next: Config): void {
    if (this.#stopping) return;
    const config = reloadAndTell(this.#config, next, this.#log);
    if (config === this.#config) return;
    this.#config = config;
    this.#toControl({ kind: 'reload', config });
  }

  /** Asked for again while it goes on, it is done once more after. */
  roll(): void {
    if (this.#stopping) return;
    if (this.#isRolling) {
      if (!this.#mustRollAgain)
        this.#log.info('processes are being replaced: once more after this');
      this.#mustRollAgain = true;
      return;
    }
    this.#isRolling = true;
    this.#rollAll().then(
      (isDone) => {
        this.#isRolling = false;
        const again = isDone && this.#mustRollAgain;
        this.#mustRollAgain = false;
        if (again) this.roll();
      },
      (error: unknown) => {
        this.#isRolling = false;
        this.#log.error({ err: error }, 'replacing processes failed');
      },
    );
  }

  async #rollAll(): Promise<boolean> {
    const startedAt = Date.now();
    const workers = this.#crew.size;
    this.#log.info({ workers }, 'replacing all workers, one by one, then control');
    for (let index = 1; index <= workers; index++) {
      const isDone = await this.#crew.replace(index, this.#retireMs());
      if (this.#stopping) return false;
      if (!isDone) {
        this.#log.error(
          { replaced: index - 1, workers },
          'processes are no further replaced: the others go on as they are',
        );
        return false;
      }
      this.#log.info({ replaced: index, workers }, 'a worker was replaced');
    }
    if (!(await this.#replaceControl())) return false;
    this.#log.info({ workers, seconds: (Date.now() - startedAt) / 1000 }, 'all were replaced');
    return true;
  }

  /** Its clients have drainTimeoutMs to leave, then what is in flight as long again. */
  #retireMs(): number {
    return 2 * this.#config.drainTimeoutMs + STOP_GRACE_MS;
  }

  // ------------------------------------------------------------------ control

  #startControl(): void {
    const control = this.#forkControl();
    this.#control = control;
    void control.decided.then(() => this.#commission(control));
  }

  /** Tells it what it is to be; what was sent to it meanwhile waits in it for that. */
  #commission(control: ControlChild): void {
    if (!control.isLoaded || this.#control !== control) return;
    const message = this.#startMessage({
      role: 'control',
      memory: this.#memory,
      living: this.#crew.living(),
    });
    if (control.process.connected) control.process.send(message);
  }

  #forkControl(): ControlChild {
    const child = fork(this.#entry, [], { serialization: 'advanced', stdio: 'inherit' });
    let decide = (): void => {};
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const control: ControlChild = {
      process: child,
      startedAt: Date.now(),
      isLoaded: false,
      decided,
    };
    child.on('message', (message: ChildToSupervisor) => {
      if (message.kind === 'loaded') {
        control.isLoaded = true;
        decide();
      } else this.#onControlMessage(message);
    });
    child.on('error', (error) => this.#log.error({ err: error }, 'control could not be reached'));
    child.once('exit', (code, signal) => {
      control.isLoaded = false;
      decide();
      this.#onControlExit(control, signal ?? `code ${code}`);
    });
    return control;
  }

  #onControlExit(control: ControlChild, reason: string): void {
    this.#otherControls.delete(control);
    if (this.#control !== control) return;
    this.#control = null;
    if (this.#stopping) return;
    const { process, startedAt } = control;
    if (!this.#crew.isUp) {
      this.#failAfter(process, `control ended at its start (${reason})`);
      return;
    }
    this.#log.error({ pid: process.pid, reason }, 'control died; workers serve on, restarting it');
    setTimeout(() => {
      if (!this.#stopping && this.#control === null) this.#startControl();
    }, this.#controlPause.next(startedAt));
  }

  /** The new one is loaded before the old one ends, and begins where that one left off. */
  async #replaceControl(): Promise<boolean> {
    const next = this.#forkControl();
    this.#otherControls.add(next);
    const late = setTimeout(() => killChild(next.process), LOAD_LIMIT_MS);
    await next.decided;
    clearTimeout(late);
    if (this.#stopping) return false;
    if (!next.isLoaded) {
      this.#log.error(
        { pid: next.process.pid },
        'the new control did not start: the old one stays',
      );
      return false;
    }
    this.#otherControls.delete(next);
    const old = this.#control;
    this.#control = next;
    if (old !== null) {
      this.#otherControls.add(old);
      await endChild(old.process, STOP_GRACE_MS, old.isLoaded ? 'stop' : null);
    }
    const serving = new Promise<unknown>((resolve) => {
      this.#httpReady = resolve;
      next.process.once('exit', resolve);
    });
    this.#commission(next);
    await serving;
    if (this.#stopping || this.#control !== next) return false;
    this.#log.info({ pid: next.process.pid, replaces: old?.process.pid }, 'control was replaced');
    return true;
  }

  #toControl(message: SupervisorToChild): void {
    this.#sendTo(this.#control, message);
    if (!isAnswer(message)) return;
    // One that is about to end still finishes what it was asked for.
    for (const control of this.#otherControls) this.#sendTo(control, message);
  }

  #sendTo(control: ControlChild | null, message: SupervisorToChild): void {
    if (control?.isLoaded === true && control.process.connected) control.process.send(message);
  }

  #onControlMessage(message: ChildToSupervisor): void {
    if (message.kind === 'relay') {
      this.#crew.send(message.worker, { kind: 'relay', worker: 0, body: message.body });
    } else if (message.kind === 'http') {
      this.#httpPort = Number(new URL(message.url).port);
      this.#httpReady(message.url);
    } else if (message.kind === 'config') {
      // Its ports are those that the kernel chose.
      const { port, http } = this.#config;
      this.#config = { ...message.config, port, http };
    } else if (message.kind === 'memory') {
      this.#memory = message.memory;
    } else if (message.kind === 'failed') {
      this.#fail(message);
    }
  }

  // ------------------------------------------------------------------ start and end

  #startMessage(role: RoleStart): SupervisorToChild {
    const config = {
      ...this.#config,
      port: this.#port,
      http: { ...this.#config.http, port: this.#httpPort },
    };
    const workers = this.#crew.size;
    return { kind: 'start', start: { ...role, config, workers, startedAt: this.#startedAt } };
  }

  #fail(message: { readonly code: string; readonly text: string }): void {
    const error = new ProxyError(codeOf(message.code), message.text, { source: 'config' });
    this.#startFailed(error);
    if (this.#crew.isUp) this.#log.error({ code: message.code }, message.text);
  }

  /** The start has failed, unless the child's own last words say why. */
  #failAfter(child: ChildProcess, text: string): void {
    const fail = (): void => this.#fail({ code: 'process-died', text });
    if (child.connected) child.once('disconnect', fail);
    else fail();
  }

  /** Drains the workers, then ends control; kills what does not end in time. */
  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#toControl({ kind: 'drain' });
    await this.#crew.stop(this.#config.drainTimeoutMs + STOP_GRACE_MS);
    const controls = [...this.#otherControls, ...(this.#control === null ? [] : [this.#control])];
    await Promise.all(
      controls.map(({ process, isLoaded }) =>
        endChild(process, STOP_GRACE_MS, isLoaded ? 'stop' : null),
      ),
    );
  }
}

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** A {@link ChildStart} without what is the same for all. */
type RoleStart = Without<ChildStart, 'config' | 'workers' | 'startedAt'>;

function isAnswer(message: SupervisorToChild): boolean {
  return message.kind === 'relay' && (message.body as { kind?: unknown }).kind === 'answer';
}

function codeOf(code: string): ProxyErrorCode {
  return PROXY_ERROR_CODES.find((known) => known === code) ?? 'process-died';
}

/** A port that is free now, for a configuration that leaves it to the kernel. */
async function kernelsChoice(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(listenError(error, { address: `${host}:0`, option: '--bind' })),
    );
    server.listen({ host, port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** Compiled files run as .js, under tsx as .ts. */
function extension(): string {
  return import.meta.url.endsWith('.ts') ? '.ts' : '.js';
}
