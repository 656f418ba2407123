/**
 * Entry of a forked process: a worker or control, as the supervisor's first message says. It ends
 * with the supervisor: a closed channel means that nobody would replace or stop it any more.
 */

import type { Config } from '../config/schema.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import type { ControlLink } from '../lib/planes.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { Control } from './control-role.ts';
import { CallChannel, type ControlToWorker, type WorkerToControl } from './messages.ts';
import { Worker } from './worker-role.ts';

export interface ChildStart {
  readonly role: 'control' | 'worker';
  readonly config: Config;
  readonly instanceId: string;
  /** 1 … workers; the same for a worker's replacement. */
  readonly slot: number;
  /** Never reused. */
  readonly generation: number;
  readonly workers: number;
}

export type SupervisorToChild =
  | { readonly kind: 'start'; readonly start: ChildStart }
  | { readonly kind: 'relay'; readonly worker: number; readonly body: unknown }
  | { readonly kind: 'hello'; readonly worker: number }
  | { readonly kind: 'gone'; readonly worker: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' };

export type ChildToSupervisor =
  /** The module is loaded. A message sent before would be lost: a cluster worker reads its channel at once. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'relay'; readonly worker: number; readonly body: unknown }
  | { readonly kind: 'listening'; readonly address: { host: string; port: number } }
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'failed'; readonly code: string; readonly text: string };

const REPORT_MS = 1000;

function tell(message: ChildToSupervisor): void {
  if (process.connected) process.send?.(message);
}

function failStart(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
  tell({ kind: 'failed', code, text: error instanceof Error ? error.message : String(error) });
}

async function runWorker(start: ChildStart, log: Logger): Promise<(m: SupervisorToChild) => void> {
  const { config, slot, workers, instanceId } = start;
  const toControl = (body: WorkerToControl): void => tell({ kind: 'relay', worker: 0, body });
  const channel = new CallChannel(toControl, (method, argument) => worker.handle(method, argument));
  const listeners: ((snapshot: Snapshot) => void)[] = [];
  const link: ControlLink<Snapshot> = {
    hint: (hint) => toControl({ kind: 'hint', hint }),
    onSnapshot: (listener) => void listeners.push(listener),
    call: (method, argument, deadlineMs) => channel.call(method, argument, deadlineMs),
  };
  const worker = new Worker({ config, workerId: slot, workers, instanceId, link, log });
  const report = (): void => {
    const { proxy } = worker;
    toControl({
      kind: 'report',
      report: worker.report(),
      connections: proxy.sessions.length,
      notReady: proxy.notReadyReason(),
    });
  };
  tell({ kind: 'listening', address: await worker.listen() });
  setInterval(report, REPORT_MS).unref();
  return (message) => {
    if (message.kind === 'relay') {
      const body = message.body as ControlToWorker;
      if (body.kind === 'snapshot') for (const listener of listeners) listener(body.snapshot);
      else if (body.kind === 'call') void channel.onCall(body);
      else if (body.kind === 'answer') channel.onAnswer(body);
      else worker.onMessage(body);
    } else if (message.kind === 'stop') {
      void worker.drain(config.drainTimeoutMs).then(() => {
        report();
        process.disconnect();
        process.exit(0);
      });
    }
  };
}

async function runControl(start: ChildStart, log: Logger): Promise<(m: SupervisorToChild) => void> {
  const { config, workers } = start;
  const control = new Control({ config, log, workers });
  const channels = new Map<number, CallChannel>();
  const toWorker = (worker: number, body: ControlToWorker): void =>
    tell({ kind: 'relay', worker, body });
  const add = (id: number): void => {
    if (channels.has(id)) return;
    const channel = new CallChannel(
      (message) => toWorker(id, message),
      (method, argument, deadlineMs) => control.calls.call(method, argument, deadlineMs),
    );
    channels.set(id, channel);
    control.addWorker({
      id,
      send: (message) => toWorker(id, message),
      call: (method, argument, deadlineMs) => channel.call(method, argument, deadlineMs),
    });
  };
  const onWorker = (id: number, body: WorkerToControl): void => {
    const channel = channels.get(id);
    if (channel === undefined) return; // It died meanwhile.
    if (body.kind === 'hint') control.onHint(body.hint);
    else if (body.kind === 'report') {
      control.onReport(id, body.report, body.connections, body.notReady);
    } else if (body.kind === 'call') void channel.onCall(body);
    else channel.onAnswer(body);
  };
  tell({ kind: 'http', url: await control.start() });
  return (message) => {
    if (message.kind === 'relay') onWorker(message.worker, message.body as WorkerToControl);
    else if (message.kind === 'hello') add(message.worker);
    else if (message.kind === 'gone') {
      channels.get(message.worker)?.abandon('the worker has died');
      channels.delete(message.worker);
      control.removeWorker(message.worker);
    } else if (message.kind === 'drain') control.startDraining();
    else if (message.kind === 'stop') {
      void control.stop().then(() => {
        process.disconnect();
        process.exit(0);
      });
    }
  };
}

/** Messages that arrive before the role runs; they are dealt with in order when it does. */
const early: SupervisorToChild[] = [];
let handle = (message: SupervisorToChild): void => {
  // What others send may overtake the start, e.g. a worker's report to a control that is new.
  if (message.kind !== 'start') {
    early.push(message);
    return;
  }
  handle = (later) => void early.push(later);
  void begin(message.start);
};

async function begin(start: ChildStart): Promise<void> {
  const log = createLogger(start.config.log).child({ role: start.role, worker: start.slot });
  try {
    const run = start.role === 'worker' ? runWorker : runControl;
    handle = await run(start, log);
    for (const message of early.splice(0)) handle(message);
  } catch (error) {
    failStart(error);
    setTimeout(() => process.exit(1), 200);
  }
}

process.on('message', (message: SupervisorToChild) => handle(message));
tell({ kind: 'loaded' });
// Signals of a terminal reach the whole group; the supervisor alone decides what they mean.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(0));
