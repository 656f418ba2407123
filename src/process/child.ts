/**
 * Entry of a forked process: a worker or control, as the supervisor's first message says. It ends
 * with the supervisor: a closed channel means that nobody would replace or stop it any more.
 */

import { errorText } from '../lib/errors.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { childTitle } from './child-life.ts';
import type {
  ChildRole,
  ChildStart,
  ChildToSupervisor,
  ControlStart,
  SupervisorToChild,
} from './messages.ts';

process.title = childTitle(process.env.SLOTGATE_INTERNAL_WORKER);

// Signals of a terminal reach the whole group; the supervisor alone decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) {
  process.on(signal, () => {});
}

function tell(message: ChildToSupervisor): void {
  // Without somebody who hears of failures, one would end this process with a stack trace.
  if (process.connected) process.send?.(message, undefined, undefined, ignore);
}

/** The supervisor has ended: so does this process, when its channel closes. */
function ignore(): void {}

function failStart(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
  tell({ kind: 'failed', code, text: errorText(error) });
}

/** Messages that arrive before the role is there; they are dealt with in order when it is. */
const early: SupervisorToChild[] = [];
let handle = (message: SupervisorToChild): void => {
  // What others send may overtake the start, e.g. a worker's report to a control that is new.
  if (message.kind === 'start') void begin(message.start);
  else if (message.kind === 'scout') void look(message.start);
  // It serves nobody yet.
  else if (message.kind === 'stop' || message.kind === 'retire') process.exit(0);
  else early.push(message);
};

async function look(start: ControlStart): Promise<void> {
  const { scout } = await loadControl();
  try {
    await scout(start, logOf(start));
    tell({ kind: 'found' });
  } catch (error) {
    failStart(error);
    setTimeout(() => process.exit(1), 200);
  }
}

function logOf(start: ChildStart): Logger {
  const worker = start.role === 'worker' ? start.number : 0;
  return createLogger(start.config.log).child({ role: start.role, worker });
}

async function begin(start: ChildStart): Promise<void> {
  const log = logOf(start);
  try {
    const role = await roleOf(start, log);
    handle = (message) => role.onMessage(message);
    const starting = role.start();
    for (const message of early.splice(0)) handle(message);
    await starting;
  } catch (error) {
    failStart(error);
    setTimeout(() => process.exit(1), 200);
  }
}

/** A role loads its own part of the program only. */
const loadWorker = () => import('./worker-child.ts');
const loadControl = () => import('./control-child.ts');

async function roleOf(start: ChildStart, log: Logger): Promise<ChildRole> {
  if (start.role === 'worker') return (await loadWorker()).workerChild(start, log, tell);
  return (await loadControl()).controlChild(start, log, tell);
}

process.on('disconnect', () => process.exit(0));
// A program that cannot be loaded ends here, before it has taken anything over.
await (process.env.SLOTGATE_INTERNAL_WORKER === undefined ? loadControl() : loadWorker());
process.on('message', (message: SupervisorToChild) => {
  if (message.kind === 'ping') tell({ kind: 'pong' });
  else handle(message);
});
tell({ kind: 'loaded' });
