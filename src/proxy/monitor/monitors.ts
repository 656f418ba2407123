/**
 * MONITOR in one worker, which plays two parts. It *watches* for those of its clients that said
 * MONITOR: it asks control again and again to have the commands of all workers shown, and writes
 * what comes. And it *is watched*: while control's lease runs, its sessions carry GATE.trace and
 * each command becomes a line, sent to control in batches. A lease that nobody renews runs out, so
 * a worker or control that dies leaves no tracing behind.
 */

import type { CommandTable } from '../../commands/table.ts';
import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { ControlCalls } from '../../lib/planes.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import type { Runtime } from '../../transport/transport.ts';
import { hasArity } from '../arity.ts';
import { monitorLine } from './line.ts';

/** How often a worker with monitors asks for the lease. */
const RENEW_MS = 1000;
const CALL_DEADLINE_MS = 2000;
/** Characters that may wait for control; more are dropped, and the monitors are told. */
const BATCH_MAX = 4 * 1024 * 1024;

export interface MonitorsView {
  readonly table: CommandTable;
  readonly sessions: readonly Session[];
  readonly runtime: Runtime;
  readonly link: ControlCalls;
  readonly limits: { readonly replyHardLimit: number };
}

export class Monitors {
  readonly #view: MonitorsView;
  readonly #watching = new Set<Session>();
  /** Those that have their +OK. */
  readonly #greeted = new WeakSet<Session>();
  #stopRenewing: () => void = () => undefined;
  #stopLease: () => void = () => undefined;
  #traces = false;
  #batch = '';
  #dropped = 0;
  #isSending = false;
  #isScheduled = false;

  constructor(view: MonitorsView) {
    this.#view = view;
  }

  /** Clients of this worker that monitor. */
  get count(): number {
    return this.#watching.size;
  }

  // ------------------------------------------------------------------ watching

  /** Resolves when all workers show their commands; rejects when control does not answer. */
  async add(session: Session): Promise<void> {
    this.#watching.add(session);
    try {
      await this.#renew();
    } catch (error) {
      this.remove(session);
      throw error;
    }
    if (this.#watching.size !== 1 || !this.#watching.has(session)) return;
    this.#stopRenewing();
    this.#stopRenewing = this.#view.runtime.every(RENEW_MS, () => {
      // Control that is away for a moment is asked again; without it there is nothing to show.
      this.#renew().catch(() => undefined);
    });
  }

  remove(session: Session): void {
    session.gate &= ~GATE.monitor;
    this.#greeted.delete(session);
    if (!this.#watching.delete(session) || this.#watching.size > 0) return;
    this.#stopRenewing();
    this.#stopRenewing = () => undefined;
    // If control does not hear it, the lease runs out.
    this.#renew().catch(() => undefined);
  }

  #renew(): Promise<unknown> {
    return this.#view.link.call('monitor.watch', null, CALL_DEADLINE_MS);
  }

  /** Lines of any worker: whole RESP replies, one character each byte. */
  feed(lines: string): void {
    if (this.#watching.size === 0) return;
    const bytes = Buffer.from(lines, 'latin1');
    const limit = this.#view.limits.replyHardLimit;
    for (const session of [...this.#watching]) {
      if ((session.gate & GATE.closing) !== 0 || !this.#isGreeted(session)) continue;
      session.interject(bytes, 0, bytes.length);
      if (session.out.size > limit) session.stream.destroy();
    }
  }

  /** Nothing is in flight beside a MONITOR, so its +OK is out when nothing is. */
  #isGreeted(session: Session): boolean {
    if (this.#greeted.has(session)) return true;
    if (session.pending > 0) return false;
    this.#greeted.add(session);
    return true;
  }

  // ------------------------------------------------------------------ being watched

  /** Commands are shown for so many milliseconds from now on; 0: no longer. */
  lease(ms: number): void {
    this.#stopLease();
    this.#stopLease = () => undefined;
    this.#setTracing(ms > 0);
    if (ms > 0) this.#stopLease = this.#view.runtime.every(ms, () => this.lease(0));
  }

  #setTracing(traces: boolean): void {
    if (this.#traces === traces) return;
    this.#traces = traces;
    for (const session of this.#view.sessions) {
      if (traces) session.gate |= GATE.trace;
      else session.gate &= ~GATE.trace;
    }
  }

  onOpen(session: Session): void {
    if (this.#traces) session.gate |= GATE.trace;
  }

  /** A command that is about to be carried out, or queued; `id` is the subcommand's. */
  trace(session: Session, id: number, args: readonly Buffer[]): void {
    if (session.shownAt === session.commands || !this.#isShown(id, args.length)) return;
    session.shownAt = session.commands;
    if (this.#batch.length > BATCH_MAX) {
      this.#dropped++;
      return;
    }
    const { runtime } = this.#view;
    const client = {
      address: session.stream.remoteAddress,
      database: databaseOf(session.laneKind),
    };
    const line = monitorLine(runtime.wallClock(), client, args);
    this.#batch += `+${line}\r\n`;
    if (this.#isScheduled || this.#isSending) return;
    this.#isScheduled = true;
    runtime.afterTurn(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  /** As Redis: nothing administrative, nothing that it would refuse before carrying it out. */
  #isShown(id: number, argc: number): boolean {
    const { table } = this.#view;
    const info = table.info(id);
    if (info === undefined || info.flags.includes('admin')) return false;
    return hasArity(info.arity, argc);
  }

  /** One batch at a time: while control is busy the next one grows. */
  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#batch !== '') {
      const lines = this.#batch + this.#gap();
      this.#batch = '';
      this.#dropped = 0;
      try {
        await this.#view.link.call('monitor.lines', lines, CALL_DEADLINE_MS);
      } catch {
        // Control is away, and nobody would see the lines: the lease runs out.
        this.#batch = '';
      }
    }
    this.#isSending = false;
  }

  #gap(): string {
    if (this.#dropped === 0) return '';
    return `+# slotgate: ${this.#dropped} commands are not shown, they came too fast\r\n`;
  }
}
