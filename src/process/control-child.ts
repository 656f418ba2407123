/** Control as a process of its own: the workers reach it, and it them, through the supervisor. */

import { Discovery } from '../control/discovery.ts';
import { withDeadline } from '../lib/deadline.ts';
import { deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/log.ts';
import { Control } from './control-role.ts';
import { discoveryOptions } from './discovery-options.ts';
import {
  CallChannel,
  type CallMessage,
  type ChildRole,
  type ChildToSupervisor,
  type ControlStart,
  type ControlToWorker,
  REPORT_CALL,
  type SupervisorToChild,
  type WorkerName,
  type WorkerToControl,
} from './messages.ts';

/** How long a successor waits for what it needs to go on as its predecessor did, milliseconds. */
const TAKE_OVER_MS = 500;
/** How long it may finish the answers that it owes when it is told to stop. */
const FINISH_MS = 500;
const FORGET_MS = 1000;

export function controlChild(
  { config, workers, memory, nodes, living }: ControlStart,
  log: Logger,
  tell: (message: ChildToSupervisor) => void,
): ChildRole {
  const channels = new Map<number, CallChannel>();
  /** Calls that came before the cluster was known, from workers that a control before had told. */
  let early: (() => void)[] | null = living.length > 0 ? [] : null;
  const takeEarly = (): void => {
    const calls = early ?? [];
    early = null;
    for (const take of calls) take();
  };
  const known = deferred();
  /** Calls of workers that are not answered yet. */
  let owed = 0;
  let paid = deferred();
  const control = new Control({
    config,
    log,
    workers,
    memory: memory ?? undefined,
    known: nodes,
    onConfig: (next) => tell({ kind: 'config', config: next }),
    onMemory: (next) => tell({ kind: 'memory', memory: next }),
    onNodes: (next) => tell({ kind: 'nodes', nodes: next }),
    onKnown: () => {
      takeEarly();
      known.resolve();
    },
  });

  const toWorker = (worker: number, body: ControlToWorker): void =>
    tell({ kind: 'relay', worker, body });
  const add = ({ worker: id }: WorkerName): CallChannel => {
    const known = channels.get(id);
    if (known !== undefined) return known;
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
    return channel;
  };
  const answer = async (channel: CallChannel, call: CallMessage): Promise<void> => {
    owed++;
    await channel.onCall(call);
    if (--owed === 0) paid.resolve();
  };
  const onWorker = (id: number, body: WorkerToControl): void => {
    const channel = channels.get(id);
    if (channel === undefined) return; // It died meanwhile.
    if (body.kind === 'hint') control.onHint(body.hint);
    else if (body.kind === 'report') {
      control.onReport(id, body.report, body.connections, body.notReady);
    } else if (body.kind === 'answer') channel.onAnswer(body);
    else if (early === null) void answer(channel, body);
    else early.push(() => void answer(channel, body));
  };
  const remove = ({ worker: id, number }: WorkerName): void => {
    channels.get(id)?.abandon('the worker has died');
    channels.delete(id);
    control.removeWorker(id);
    // What its clients were subscribed to; one that does not hear it has ended itself.
    void control.calls.broadcast('pubsub.forget.local', number, FORGET_MS);
  };
  const stop = async (): Promise<void> => {
    takeEarly();
    paid = deferred();
    if (owed > 0) await inTime(FINISH_MS, paid.promise);
    await control.stop();
    process.disconnect();
    process.exit(0);
  };
  return {
    onMessage: (message: SupervisorToChild) => {
      if (message.kind === 'relay') onWorker(message.worker, message.body as WorkerToControl);
      else if (message.kind === 'hello') add(message);
      else if (message.kind === 'gone') remove(message);
      else if (message.kind === 'silent') {
        control.onSilence(message.worker, { worker: message.number, silentMs: message.silentMs });
      } else if (message.kind === 'reload') void control.reload(message.config);
      else if (message.kind === 'drain') control.startDraining();
      else if (message.kind === 'stop') void stop();
    },
    start: async () => {
      // Without them the first sums of the counters would be too small.
      const reports = living.map((name) => add(name).call(REPORT_CALL, null, TAKE_OVER_MS));
      const ready = Promise.all([Promise.allSettled(reports), inTime(TAKE_OVER_MS, known.promise)]);
      const url = await control.start(living.length > 0 ? ready : undefined);
      takeEarly();
      tell({ kind: 'http', url });
    },
  };
}

/** Resolves once a control that started like this would know the cluster. */
export async function scout({ config, nodes }: ControlStart, log: Logger): Promise<void> {
  const found = deferred();
  const discovery = new Discovery({
    ...discoveryOptions(config),
    known: nodes,
    // What it finds is no change: the old one has told it.
    log: {
      debug: (fields, message) => log.debug(fields, message),
      info: (fields, message) => log.debug(fields, message),
      warn: (fields, message) => log.warn(fields, message),
      error: (fields, message) => log.error(fields, message),
    },
    publish: ({ shards }) => {
      if (shards.length > 0) found.resolve();
    },
  });
  discovery.start();
  await found.promise;
  await discovery.stop();
}

/** Ends with the work or after `ms`, whichever is first. */
function inTime(ms: number, work: Promise<void>): Promise<void> {
  return withDeadline(work, ms, () => undefined);
}
