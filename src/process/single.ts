/** All roles in one process: `workers: 1`, tests and small installs. No fork, the same interfaces. */

import type { Config } from '../config/schema.ts';
import { deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/log.ts';
import type { ControlLink, Hint } from '../lib/planes.ts';
import type { Running } from '../lib/running.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import { Control } from './control-role.ts';
import type { ControlToWorker } from './messages.ts';
import { reloadAndTell, type Steering } from './steering.ts';
import { Worker } from './worker-role.ts';

const REPORT_MS = 1000;
const WORKER_ID = 1;

export async function startSingle(
  config: Config,
  log: Logger,
  instanceId: string,
): Promise<Running & Steering> {
  let current = config;
  const control = new Control({
    config,
    log,
    workers: 1,
    onConfig: (changed) => {
      current = changed;
    },
  });
  const snapshots: ((snapshot: Snapshot) => void)[] = [];
  const link: ControlLink<Snapshot> = {
    hint: (hint: Hint) => control.onHint(hint),
    onSnapshot: (listener) => void snapshots.push(listener),
    call: (method, argument, deadlineMs) => control.calls.call(method, argument, deadlineMs),
  };
  const worker = new Worker({ config, workerId: WORKER_ID, workers: 1, instanceId, link, log });
  let reported: string | null = null;
  const deliver = (message: ControlToWorker): void => {
    if (message.kind !== 'snapshot') {
      worker.onMessage(message);
      return;
    }
    for (const listener of snapshots) listener(message.snapshot);
    // Else /readyz would say for up to a second that there is no topology yet.
    if (worker.proxy.notReadyReason() !== reported) report();
  };
  const { host, port } = await worker.listen();
  const report = (): void => {
    const { proxy } = worker;
    reported = proxy.notReadyReason();
    control.onReport(WORKER_ID, worker.report(), proxy.sessions.length, reported);
  };
  control.addWorker({
    id: WORKER_ID,
    send: deliver,
    call: async (method, argument) => worker.handle(method, argument),
  });
  let httpUrl: string;
  try {
    httpUrl = await control.start();
  } catch (error) {
    await worker.drain(0);
    throw error;
  }
  const timer = setInterval(report, REPORT_MS);
  report();
  let closing: Promise<void> | null = null;
  const ended = deferred();
  const close = async (): Promise<void> => {
    control.startDraining();
    await worker.drain(config.drainTimeoutMs);
    clearInterval(timer);
    await control.stop();
    ended.resolve();
  };
  return {
    endpoint: `${host}:${port}`,
    httpUrl,
    close: () => {
      closing ??= close();
      return closing;
    },
    done: ended.promise,
    reload: (next) => {
      const taken = reloadAndTell(current, next, log);
      if (taken !== null) void control.reload(taken);
    },
    roll: () =>
      log.warn('nothing is replaced: with one worker all is one process; set workers to 2 or more'),
  };
}
