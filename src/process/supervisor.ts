/**
 * The supervisor: has control and the workers started, replaced when they die and, on SIGUSR2, all
 * one by one (control-seat.ts, crew.ts); holds the listeners (SCHED_NONE: the kernel hands
 * connections to the workers, so a busy or dead supervisor stalls nobody), and relays their messages.
 * It remembers what a restarted control must know: the settings in force, the counters of workers that
 * have ended, and the nodes of the cluster, since all of them may have moved away from the seeds.
 */

import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config/schema.ts';
import type { KnownNode } from '../control/known-nodes.ts';
import { LISTEN_OPTIONS } from '../downstream/listener.ts';
import { deferred } from '../lib/deferred.ts';
import { listenError, PROXY_ERROR_CODES, ProxyError, type ProxyErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import type { MergeMemory } from '../metrics/merge.ts';
import { ControlSeat } from './control-seat.ts';
import { Crew } from './crew.ts';
import type { ChildToSupervisor, ControlStart, WorkerStart } from './messages.ts';
import { reloadAndTell, type Steering } from './steering.ts';
import { Watchdog } from './watchdog.ts';

/** On top of the drain time-out, before a child that does not end is killed. */
const STOP_GRACE_MS = 3000;

export class Supervisor implements Steering {
  /** As started, with the live settings that hold now. */
  #config: Config;
  readonly #log: Logger;
  readonly #startedAt = Date.now();
  readonly #crew: Crew;
  readonly #entry: string;
  readonly #control: ControlSeat;
  readonly #watchdog: Watchdog;
  #memory: MergeMemory | null = null;
  #nodes: readonly KnownNode[] = [];
  #port: number;
  #httpPort: number;
  #stopping = false;
  #isRolling = false;
  #mustRollAgain = false;
  /** The first worker takes clients here. */
  readonly #listening = deferred<{ host: string; port: number }>();
  readonly #startFailed = deferred<never>();

  constructor(config: Config, log: Logger, instanceId: string, count: number) {
    this.#config = config;
    this.#log = log;
    this.#port = config.port;
    this.#httpPort = config.http.port;
    this.#entry = new URL('./child.ts', import.meta.url).pathname.replace(/\.ts$/, extension());
    this.#watchdog = new Watchdog({ log, now: () => performance.now() });
    this.#crew = new Crew({
      count,
      log,
      watchdog: this.#watchdog,
      startMessage: (role) => {
        const start: WorkerStart = { ...this.#common(), role: 'worker', instanceId, ...role };
        return { kind: 'start', start };
      },
      toControl: (message) => this.#control.send(message),
      onListening: (address) => this.#listening.resolve(address),
      onFailed: (failure) => this.#fail(failure),
      onEarlyEnd: (child, reason) =>
        this.#failAfter(child, `a worker ended at its start (${reason})`),
    });
    this.#control = new ControlSeat({
      entry: this.#entry,
      log,
      begin: () => this.#controlStart(),
      hasWorkers: () => this.#crew.isServing,
      watchdog: this.#watchdog,
      onMessage: (message) => this.#onControlMessage(message),
      onEarlyEnd: (child, reason) =>
        this.#failAfter(child, `control ended at its start (${reason})`),
    });
  }

  /** `stop` gives it up: what was started ends again, and it rejects. */
  async start(stop?: AbortSignal): Promise<Running & Steering> {
    const giveUp = (): void => this.#fail({ code: 'process-died', text: 'told to stop' });
    stop?.addEventListener('abort', giveUp, { once: true });
    if (stop?.aborted === true) giveUp();
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: this.#entry, args: [], serialization: 'advanced' });
    const failed = this.#startFailed.promise;
    // It may fail before anybody waits for it.
    failed.catch(() => undefined);
    this.#watchdog.start();
    try {
      // Workers share one listener per address and port, so all must be told the same.
      if (this.#port === 0) this.#port = await kernelsChoice(this.#config.bind[0] as string);
      const httpUrl = await Promise.race([this.#control.start(), failed]);
      this.#crew.start(1);
      const address = await Promise.race([this.#listening.promise, failed]);
      for (let index = 2; index <= this.#crew.size; index++) this.#crew.start(index);
      this.#crew.isUp = true;
      this.#control.isUp = true;
      return this.#running(`${address.host}:${address.port}`, httpUrl);
    } catch (error) {
      await this.#stop();
      throw error;
    } finally {
      stop?.removeEventListener('abort', giveUp);
    }
  }

  #running(endpoint: string, httpUrl: string): Running & Steering {
    let closing: Promise<void> | null = null;
    const ended = deferred();
    const close = (): Promise<void> => {
      closing ??= this.#stop().then(ended.resolve);
      return closing;
    };
    return {
      endpoint,
      httpUrl,
      close,
      done: ended.promise,
      reload: (config) => this.reload(config),
      roll: () => this.roll(),
    };
  }

  reload(next: Config): void {
    if (this.#stopping) return;
    const config = reloadAndTell(this.#config, next, this.#log);
    if (config === null) return;
    this.#config = config;
    this.#control.send({ kind: 'reload', config });
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
    if (!(await this.#control.replace())) return false;
    this.#log.info({ workers, seconds: (Date.now() - startedAt) / 1000 }, 'all were replaced');
    return true;
  }

  /** Its clients have drainTimeoutMs to leave, then what is in flight as long again. */
  #retireMs(): number {
    return 2 * this.#config.drainTimeoutMs + STOP_GRACE_MS;
  }

  // ------------------------------------------------------------------ control

  #controlStart(): ControlStart {
    return {
      ...this.#common(),
      role: 'control',
      memory: this.#memory,
      nodes: this.#nodes,
      living: this.#crew.living(),
    };
  }

  #onControlMessage(message: ChildToSupervisor): void {
    if (message.kind === 'relay') {
      this.#crew.send(message.worker, { kind: 'relay', worker: 0, body: message.body });
    } else if (message.kind === 'http') {
      this.#httpPort = Number(new URL(message.url).port);
    } else if (message.kind === 'config') {
      // Its ports are those that the kernel chose.
      const { port, http } = this.#config;
      this.#config = { ...message.config, port, http };
    } else if (message.kind === 'memory') {
      this.#memory = message.memory;
    } else if (message.kind === 'nodes') {
      this.#nodes = message.nodes;
    } else if (message.kind === 'failed') {
      this.#fail(message);
    }
  }

  // ------------------------------------------------------------------ start and end

  #common(): Pick<WorkerStart, 'config' | 'workers' | 'startedAt'> {
    const config = {
      ...this.#config,
      port: this.#port,
      http: { ...this.#config.http, port: this.#httpPort },
    };
    return { config, workers: this.#crew.size, startedAt: this.#startedAt };
  }

  #fail(message: { readonly code: string; readonly text: string }): void {
    const error = new ProxyError(codeOf(message.code), message.text, { source: 'config' });
    this.#startFailed.reject(error);
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
    this.#watchdog.stop();
    this.#control.isEnding = true;
    this.#control.send({ kind: 'drain' });
    await this.#crew.stop(this.#config.drainTimeoutMs + STOP_GRACE_MS);
    await this.#control.stop();
  }
}

function codeOf(code: string): ProxyErrorCode {
  return PROXY_ERROR_CODES.find((known) => known === code) ?? 'process-died';
}

/** A port that is free now, for a configuration that leaves it to the kernel. */
async function kernelsChoice(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(listenError(error, { address: `${host}:0`, ...LISTEN_OPTIONS })),
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
