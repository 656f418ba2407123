/** A worker as a process of its own: what the supervisor and control say to it, and what it says. */

import type { Logger } from '../lib/log.ts';
import type { ControlLink } from '../lib/planes.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import {
  CallChannel,
  type ChildRole,
  type ChildToSupervisor,
  type ControlToWorker,
  REPORT_CALL,
  type WorkerStart,
  type WorkerToControl,
} from './messages.ts';
import { Worker } from './worker-role.ts';

const REPORT_MS = 1000;
/** How long a successor waits to be told what the others know. */
const ADOPT_MS = 1000;

export function workerChild(
  start: WorkerStart,
  log: Logger,
  tell: (message: ChildToSupervisor) => void,
): ChildRole {
  const { config, isSuccessor } = start;
  const toControl = (body: WorkerToControl): void => tell({ kind: 'relay', worker: 0, body });
  const channel = new CallChannel(toControl, (method, argument) =>
    method === REPORT_CALL ? report() : worker.handle(method, argument),
  );
  const listeners: ((snapshot: Snapshot) => void)[] = [];
  const link: ControlLink<Snapshot> = {
    hint: (hint) => toControl({ kind: 'hint', hint }),
    onSnapshot: (listener) => void listeners.push(listener),
    call: (method, argument, deadlineMs) => channel.call(method, argument, deadlineMs),
  };
  const worker = new Worker({ ...start, workerId: start.number, link, log });
  const known = new Promise<void>((resolve) => link.onSnapshot(() => resolve()));
  let isRetiring = false;
  let reported: string | null = null;
  const report = (): void => {
    const { proxy } = worker;
    reported = proxy.notReadyReason();
    toControl({
      kind: 'report',
      report: worker.report(),
      connections: proxy.sessions.length,
      // Its successor serves: that this one ends says nothing about the whole.
      notReady: isRetiring ? '' : reported,
    });
  };
  const end = async (patienceMs: number): Promise<void> => {
    isRetiring = patienceMs > 0;
    await worker.drain(config.drainTimeoutMs, patienceMs);
    report();
    process.disconnect();
    process.exit(0);
  };
  /** What EVALSHA needs after a failover: those who know it may all be replaced. */
  const adoptScripts = async (): Promise<void> => {
    try {
      const bodies = (await channel.call('scripts.all', null, ADOPT_MS)) as readonly string[];
      for (const text of bodies) {
        const body = Buffer.from(text, 'latin1');
        worker.proxy.scripts.memory.remember(body, 0, body.length);
      }
    } catch (error) {
      log.warn({ err: error }, 'scripts of the other workers are not known here');
    }
  };
  const onSnapshot = (snapshot: Snapshot): void => {
    for (const listener of listeners) listener(snapshot);
    // Else /readyz would say for up to a second that there is no topology yet. One that has not
    // reported yet does not take clients either.
    if (reported !== null && worker.proxy.notReadyReason() !== reported) report();
  };
  const onControl = (body: ControlToWorker): void => {
    if (body.kind === 'snapshot') onSnapshot(body.snapshot);
    else if (body.kind === 'call') void channel.onCall(body);
    else if (body.kind === 'answer') channel.onAnswer(body);
    else worker.onMessage(body);
  };
  return {
    onMessage: (message) => {
      if (message.kind === 'relay') onControl(message.body as ControlToWorker);
      else if (message.kind === 'retire') void end(config.drainTimeoutMs);
      else if (message.kind === 'stop') void end(0);
    },
    start: async () => {
      if (isSuccessor) {
        await known;
        await adoptScripts();
      }
      tell({ kind: 'listening', address: await worker.listen() });
      report();
      setInterval(report, REPORT_MS).unref();
    },
  };
}
