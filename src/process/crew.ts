/**
 * The workers as the supervisor has them: one seat each, whose worker is replaced when it dies, and
 * on request by a successor that serves before it lets go. All workers share the listening sockets
 * that this process holds, so as long as one of them listens no connection is refused.
 */

import type { ChildProcess } from 'node:child_process';
import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import { ALLOCATOR_ENVIRONMENT } from '../lib/allocator.ts';
import { deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/log.ts';
import { endChild, killChild, logChildError, RestartPause, sendTo } from './child-life.ts';
import type { ChildToSupervisor, SupervisorToChild, WorkerName } from './messages.ts';
import type { Watchdog } from './watchdog.ts';

/** Client ids are a counter times 64 plus the worker's number. */
const NUMBERS = 64;
/** How many connections a worker takes before its client ids could be those of a later one. */
const CLIENTS_PER_WORKER = 2 ** 30;
/** So that ids stay below 2^53. */
const GENERATIONS = 2 ** 16;
/** How long a successor may take until it serves, milliseconds. */
const START_LIMIT_MS = 30_000;

type WorkerRole = Pick<Member, 'number' | 'firstClient' | 'isSuccessor'>;

export interface CrewOptions {
  readonly count: number;
  readonly log: Logger;
  readonly startMessage: (role: WorkerRole) => SupervisorToChild;
  readonly watchdog: Watchdog;
  readonly toControl: (message: SupervisorToChild) => void;
  readonly onListening: (address: { host: string; port: number }) => void;
  /** A worker could not start, and says why. */
  readonly onFailed: (failure: { readonly code: string; readonly text: string }) => void;
  /** A worker ended before {@link Crew.isUp}. */
  readonly onEarlyEnd: (child: ChildProcess, reason: string) => void;
}

/** One worker process. */
interface Member {
  readonly worker: ClusterWorker;
  readonly seat: Seat;
  /** 1 … 64, its own while it lives. */
  readonly number: number;
  readonly firstClient: number;
  readonly isSuccessor: boolean;
  readonly startedAt: number;
  /** It hears what is sent to it: earlier, it would be lost. */
  isLoaded: boolean;
  isServing: boolean;
  /** Its own words when it could not start. */
  failure: string;
  /** Resolves when it serves or has ended. */
  readonly decided: Promise<void>;
  readonly decide: () => void;
}

interface Seat {
  readonly index: number;
  current: Member | null;
  /** Is to take the place of `current`. */
  successor: Member | null;
  readonly pause: RestartPause;
}

export class Crew {
  /** The start is over: from now on whoever dies is replaced. */
  isUp = false;
  readonly #options: CrewOptions;
  readonly #seats: readonly Seat[];
  readonly #members = new Map<number, Member>();
  #isStopping = false;
  #forked = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#seats = Array.from({ length: options.count }, (_, i) => ({
      index: i + 1,
      current: null,
      successor: null,
      pause: new RestartPause(),
    }));
  }

  /** Starts the worker of seat `index`, 1 … count. */
  start(index: number): void {
    this.#restart(this.#seats[index - 1] as Seat);
  }

  get size(): number {
    return this.#seats.length;
  }

  /** Those that hear what they are told. */
  living(): WorkerName[] {
    return [...this.#members.values()].filter(({ isLoaded }) => isLoaded).map(nameOf);
  }

  /** Any of them serves. */
  get isServing(): boolean {
    return [...this.#members.values()].some((member) => member.isServing);
  }

  send(worker: number, message: SupervisorToChild): void {
    const member = this.#members.get(worker);
    if (member !== undefined) sendTo(member.worker.process, message);
  }

  /** Ends all of them, each after at most `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#members.values()].map((member) => this.#end(member, limitMs)));
  }

  /**
   * Puts a new worker in the place of seat `index`: it serves before the old one lets its clients
   * go, for at most `retireMs`. False, and all is as before, when it does not come to serve.
   */
  async replace(index: number, retireMs: number): Promise<boolean> {
    const { log } = this.#options;
    const seat = this.#seats[index - 1] as Seat;
    const successor = this.#forkSuccessor(seat);
    if (successor === null) return false;
    const pid = successor.worker.process.pid;
    if (!(await this.#comesToServe(seat, successor))) return false;
    const old = seat.current;
    seat.successor = null;
    seat.current = successor;
    log.info(
      { worker: successor.number, child: pid, replaces: old?.worker.process.pid },
      'the new worker serves; the old one takes no new clients and lets its own go',
    );
    if (old !== null) await this.#end(old, retireMs, 'retire');
    if (this.#isStopping) return false;
    if (seat.current === successor) return true;
    log.error({ worker: successor.number, child: pid }, 'the new worker died at once');
    return false;
  }

  #forkSuccessor(seat: Seat): Member | null {
    const number = this.#freeNumber(seat);
    if (number === null) {
      this.#options.log.error(
        `a worker is replaced by one more: at most ${NUMBERS - 1} may be set`,
      );
      return null;
    }
    const successor = this.#fork(seat, number, true);
    seat.successor = successor;
    return successor;
  }

  async #comesToServe(seat: Seat, successor: Member): Promise<boolean> {
    const { process } = successor.worker;
    const late = setTimeout(() => {
      successor.failure = `it did not serve within ${START_LIMIT_MS / 1000} s; is the cluster known?`;
      successor.decide();
    }, START_LIMIT_MS);
    await successor.decided;
    clearTimeout(late);
    if (successor.isServing && seat.successor === successor) return true;
    if (!this.#isStopping) {
      const reason = successor.failure || 'it ended at its start';
      this.#options.log.error(
        { worker: successor.number, child: process.pid, reason },
        'no successor',
      );
    }
    killChild(process);
    seat.successor = null;
    // The old one may have died meanwhile, when it was still about to be replaced.
    if (seat.current === null) this.#restartLater(seat, Date.now());
    return false;
  }

  #restart(seat: Seat): void {
    if (this.#isStopping || seat.current !== null || seat.successor !== null) return;
    seat.current = this.#fork(seat, this.#freeNumber(seat) ?? seat.index, false);
  }

  #restartLater(seat: Seat, startedAt: number): void {
    setTimeout(() => this.#restart(seat), seat.pause.next(startedAt));
  }

  /** The seat's own where it is free, else one that no seat has, else any. */
  #freeNumber({ index }: Seat): number | null {
    const taken = new Set([...this.#members.values()].map(({ number }) => number));
    const wanted = [index, ...range(this.size + 1, NUMBERS), ...range(1, this.size)];
    return wanted.find((number) => !taken.has(number)) ?? null;
  }

  #fork(seat: Seat, number: number, isSuccessor: boolean): Member {
    const worker = cluster.fork({
      ...ALLOCATOR_ENVIRONMENT,
      SLOTGATE_INTERNAL_WORKER: String(number),
    });
    const generation = Math.max(0, ++this.#forked - this.size) % GENERATIONS;
    const { promise: decided, resolve: decide } = deferred();
    const member: Member = {
      worker,
      seat,
      number,
      firstClient: generation * CLIENTS_PER_WORKER,
      isSuccessor,
      startedAt: Date.now(),
      isLoaded: false,
      isServing: false,
      failure: '',
      decided,
      decide,
    };
    this.#members.set(worker.id, member);
    worker.on('message', (message: ChildToSupervisor) => this.#onMessage(member, message));
    worker.on('error', (error) =>
      logChildError(this.#options.log, error, 'a worker could not be reached'),
    );
    worker.once('exit', (code, signal) => this.#onExit(member, signal ?? `code ${code}`));
    return member;
  }

  #onMessage(member: Member, message: ChildToSupervisor): void {
    const { worker, number } = member;
    this.#options.watchdog.heard(worker.process);
    if (message.kind === 'relay') {
      this.#options.toControl({ kind: 'relay', worker: worker.id, body: message.body });
    } else if (message.kind === 'loaded') {
      const { firstClient, isSuccessor } = member;
      sendTo(worker.process, this.#options.startMessage({ number, firstClient, isSuccessor }));
      member.isLoaded = true;
      const { watchdog, toControl } = this.#options;
      watchdog.watch(worker.process, { worker: number, child: worker.process.pid }, (silentMs) =>
        toControl({ kind: 'silent', silentMs, ...nameOf(member) }),
      );
      toControl({ kind: 'hello', ...nameOf(member) });
    } else if (message.kind === 'listening') {
      member.isServing = true;
      member.decide();
      this.#options.onListening(message.address);
    } else if (message.kind === 'failed') {
      member.failure = message.text;
      // Of a successor the end that follows tells enough.
      if (!member.isSuccessor) this.#options.onFailed(message);
    }
  }

  #onExit(member: Member, reason: string): void {
    const { worker, seat, number } = member;
    const { log } = this.#options;
    this.#members.delete(worker.id);
    this.#options.watchdog.forget(worker.process);
    this.#options.toControl({ kind: 'gone', ...nameOf(member) });
    member.isServing = false;
    member.failure ||= `it ended at its start (${reason})`;
    member.decide();
    if (seat.current !== member) return;
    seat.current = null;
    if (this.#isStopping) return;
    if (!this.isUp) {
      this.#options.onEarlyEnd(worker.process, reason);
      return;
    }
    log.error({ worker: number, child: worker.process.pid, reason }, 'worker died, replacing it');
    if (seat.successor === null) this.#restartLater(seat, member.startedAt);
  }

  /** One that is still being loaded would not hear that it is to stop, and serves nobody yet. */
  #end({ worker, isLoaded }: Member, limitMs: number, how: 'stop' | 'retire' = 'stop') {
    return endChild(worker.process, limitMs, isLoaded ? how : null);
  }
}

function nameOf({ worker, number }: Member): WorkerName {
  return { worker: worker.id, number };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
