/**
 * The supervisor: forks control and the workers, replaces those that die, holds the listeners
 * (SCHED_NONE: the kernel hands connections to the workers, so a busy or dead supervisor stalls
 * nobody), and relays their messages. It does nothing else.
 */

import { type ChildProcess, fork } from 'node:child_process';
import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config/schema.ts';
import { ALLOCATOR_ENVIRONMENT } from '../lib/allocator.ts';
import { listenError, PROXY_ERROR_CODES, ProxyError, type ProxyErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import type { ChildStart, ChildToSupervisor, SupervisorToChild } from './child.ts';

const RESTART_FIRST_MS = 100;
const RESTART_MAX_MS = 5000;
/** A child that has lived this long had a good start: the next restart is quick again. */
const STEADY_MS = 10_000;
/** On top of the drain time-out, before a child that does not end is killed. */
const STOP_GRACE_MS = 3000;

interface Child {
  readonly process: ChildProcess;
  readonly startedAt: number;
}

export class Supervisor {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #instanceId: string;
  readonly #count: number;
  #control: Child | null = null;
  /** Slot number 1 … count → the worker in it. */
  readonly #workers = new Map<number, ClusterWorker>();
  /** Those that hear what is sent to them: earlier, it would be lost. */
  readonly #loaded = new WeakSet<ChildProcess>();
  readonly #failures = new Map<number, number>();
  #port: number;
  #httpPort: number;
  #stopping = false;
  #listening: (address: { host: string; port: number }) => void = () => {};
  #httpReady: (url: string) => void = () => {};
  #startFailed: (error: Error) => void = () => {};
  #isUp = false;

  constructor(config: Config, log: Logger, instanceId: string, count: number) {
    this.#config = config;
    this.#log = log;
    this.#instanceId = instanceId;
    this.#count = count;
    this.#port = config.port;
    this.#httpPort = config.http.port;
  }

  async start(): Promise<Running> {
    const entry = new URL('./child.ts', import.meta.url).pathname.replace(/\.ts$/, extension());
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: entry, args: [], serialization: 'advanced' });
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
      this.#forkControl(entry);
      const httpUrl = await Promise.race([http, failed]);
      this.#forkWorker(1);
      const address = await Promise.race([listening, failed]);
      for (let slot = 2; slot <= this.#count; slot++) this.#forkWorker(slot);
      this.#isUp = true;
      return this.#running(`${address.host}:${address.port}`, httpUrl);
    } catch (error) {
      await this.#stop();
      throw error;
    }
  }

  #running(endpoint: string, httpUrl: string): Running {
    let closing: Promise<void> | null = null;
    let finished: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const close = (): Promise<void> => {
      closing ??= this.#stop().then(finished);
      return closing;
    };
    return { endpoint, httpUrl, close, done };
  }

  #startMessage(role: 'control' | 'worker', slot: number, generation: number): SupervisorToChild {
    const config = {
      ...this.#config,
      port: this.#port,
      http: { ...this.#config.http, port: this.#httpPort },
    };
    const start: ChildStart = {
      role,
      config,
      instanceId: this.#instanceId,
      slot,
      generation,
      workers: this.#count,
    };
    return { kind: 'start', start };
  }

  #forkControl(entry: string): void {
    const child = fork(entry, [], { serialization: 'advanced', stdio: 'inherit' });
    const control: Child = { process: child, startedAt: Date.now() };
    this.#control = control;
    child.on('message', (message) => this.#onControlMessage(child, message as ChildToSupervisor));
    child.on('error', (error) => this.#log.error({ err: error }, 'control could not be reached'));
    child.once('exit', (code, signal) => {
      if (this.#control === control) this.#control = null;
      if (this.#stopping) return;
      const reason = signal ?? `code ${code}`;
      if (!this.#isUp) {
        this.#failAfter(child, `control ended at its start (${reason})`);
        return;
      }
      this.#log.error({ pid: child.pid, reason }, 'control died; workers serve on, restarting it');
      this.#later(0, control.startedAt, () => this.#forkControl(entry));
    });
  }

  #forkWorker(slot: number): void {
    const worker = cluster.fork({
      ...ALLOCATOR_ENVIRONMENT,
      SLOTGATE_INTERNAL_WORKER: String(slot),
    });
    const startedAt = Date.now();
    this.#workers.set(slot, worker);
    worker.on('message', (message: ChildToSupervisor) =>
      this.#onWorkerMessage(worker, slot, message),
    );
    worker.on('error', (error) => this.#log.error({ err: error }, 'a worker could not be reached'));
    worker.once('exit', (code, signal) => {
      if (this.#workers.get(slot) === worker) this.#workers.delete(slot);
      this.#toControl({ kind: 'gone', worker: worker.id });
      if (this.#stopping) return;
      const reason = signal ?? `code ${code}`;
      if (!this.#isUp) {
        this.#failAfter(worker.process, `a worker ended at its start (${reason})`);
        return;
      }
      this.#log.error(
        { worker: slot, pid: worker.process.pid, reason },
        'worker died, replacing it',
      );
      this.#later(slot, startedAt, () => this.#forkWorker(slot));
    });
  }

  #introduce(worker: ClusterWorker): void {
    this.#toControl({ kind: 'hello', worker: worker.id });
  }

  /** Restarts at once after a steady life, ever slower after deaths in a row. */
  #later(slot: number, startedAt: number, restart: () => void): void {
    const steady = Date.now() - startedAt > STEADY_MS;
    const failures = steady ? 0 : (this.#failures.get(slot) ?? 0) + 1;
    this.#failures.set(slot, failures);
    const pause = failures === 0 ? 0 : Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** failures);
    setTimeout(() => {
      if (!this.#stopping) restart();
    }, pause);
  }

  #toControl(message: SupervisorToChild): void {
    const child = this.#control?.process;
    if (child?.connected === true) child.send(message);
  }

  #onWorkerMessage(worker: ClusterWorker, slot: number, message: ChildToSupervisor): void {
    if (message.kind === 'loaded') {
      worker.send(this.#startMessage('worker', slot, worker.id));
      this.#loaded.add(worker.process);
      this.#introduce(worker);
    } else if (message.kind === 'relay') {
      this.#toControl({ kind: 'relay', worker: worker.id, body: message.body });
    } else if (message.kind === 'listening') {
      this.#listening(message.address);
    } else if (message.kind === 'failed') {
      this.#fail(message);
    }
  }

  #onControlMessage(child: ChildProcess, message: ChildToSupervisor): void {
    if (message.kind === 'loaded') {
      this.#loaded.add(child);
      child.send(this.#startMessage('control', 0, 0));
      for (const worker of this.#workers.values()) {
        if (this.#loaded.has(worker.process)) this.#introduce(worker);
      }
    } else if (message.kind === 'relay') {
      const worker = cluster.workers?.[message.worker];
      if (worker?.isConnected() === true)
        worker.send({ kind: 'relay', worker: 0, body: message.body });
    } else if (message.kind === 'http') {
      this.#httpPort = Number(new URL(message.url).port);
      this.#httpReady(message.url);
    } else if (message.kind === 'failed') {
      this.#fail(message);
    }
  }

  #fail(message: { readonly code: string; readonly text: string }): void {
    const error = new ProxyError(codeOf(message.code), message.text, { source: 'config' });
    this.#startFailed(error);
    if (this.#isUp) this.#log.error({ code: message.code }, message.text);
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
    const limit = this.#config.drainTimeoutMs + STOP_GRACE_MS;
    const workers = [...this.#workers.values()];
    await Promise.all(workers.map((worker) => this.#end(worker.process, limit)));
    const control = this.#control?.process;
    if (control !== undefined) await this.#end(control, STOP_GRACE_MS);
  }

  /** One that is still being loaded would not hear that it is to stop, and serves nobody yet. */
  #end(child: ChildProcess, limitMs: number): Promise<void> {
    return endChild(child, limitMs, this.#loaded.has(child));
  }
}

function endChild(child: ChildProcess, limitMs: number, mayAsk: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    if (mayAsk && child.connected) child.send({ kind: 'stop' } satisfies SupervisorToChild);
    else child.kill('SIGKILL');
  });
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
