/**
 * Slotgate's own settings as control changes them, one change after another as they come: each is
 * judged against the newest configuration, whether workers have confirmed that or not, and whoever is
 * told of it hears of it in this order, so that the last change holds everywhere. Every worker is
 * told, and each that does not confirm in time is named in the log. Such a worker is slow or stopped,
 * mostly, and takes them when it runs again; the log says that, too.
 */

import { isDeepStrictEqual } from 'node:util';
import { findDoubts } from '../config/check.ts';
import type { Config } from '../config/schema.ts';
import { withDeadline } from '../lib/deadline.ts';
import { errorText } from '../lib/errors.ts';
import type { CallServer, WorkerLink } from './calls.ts';
import type { ControlLog } from './control-log.ts';
import { unknownCommands } from './denied-names.ts';
import { type Change, changedConfig, reloadedConfig } from './live-config.ts';

/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;
const START_MS = 2000;
/** A late word is still heard for this long; a worker that stands still is replaced after half of it. */
const LATE_MS = 60_000;
const NAMES_LOGGED = 10;
const MAY_HOLD = 'it may still take effect, see CONFIG GET';

/** Null: done. */
export type ConfigSetAnswer = null | { readonly name: string; readonly why: string };

export interface ConfigCalls {
  /** Tells a worker that has just come what holds now: a change may have been made without it. */
  onWorker(worker: WorkerLink): void;
  /** Takes the live settings of a configuration over that was read anew. */
  reload(next: Config): Promise<void>;
}

export interface ConfigCallsOptions {
  readonly config: Config;
  readonly log: ControlLog;
  /** Hears of each new configuration before the workers do; of one that is as before, nothing. */
  readonly onChange: (config: Config) => void;
}

/** Registers `config.set`: a list of names and values in, {@link ConfigSetAnswer} out. */
export function registerConfigCalls(calls: CallServer, options: ConfigCallsOptions): ConfigCalls {
  const { log, onChange } = options;
  let { config } = options;
  const tell = (worker: WorkerLink, ms: number): Promise<boolean> => {
    const isThere = (): boolean => calls.workers.some(({ id }) => id === worker.id);
    return tellWorker(worker, config, ms, { log, isThere });
  };
  /** How many workers have not confirmed it in time. */
  const change = async (next: Config, deadlineMs: number): Promise<number> => {
    if (!isDeepStrictEqual(config, next)) {
      config = next;
      onChange(next);
    }
    // Also of what holds already: a worker may still be about to take it, or have failed to.
    const told = await Promise.all(calls.workers.map((worker) => tell(worker, deadlineMs)));
    return told.filter((isConfirmed) => !isConfirmed).length;
  };
  calls.register('config.set', async (changes, ms): Promise<ConfigSetAnswer> => {
    const list = changes as readonly Change[];
    const next = changedConfig(config, list);
    if ('why' in next) return next;
    warnOfDoubts(config, next, log);
    const missing = await change(next, ms - RETURN_MS);
    if (missing === 0) return null;
    const who = missing === 1 ? '1 worker has' : `${missing} workers have`;
    return { name: list[0]?.name ?? '', why: `${who} not confirmed it yet: ${MAY_HOLD}` };
  });
  return {
    onWorker: (worker) => void tell(worker, START_MS),
    reload: async (next) => {
      const outcome = reloadedConfig(config, next);
      // Who sent it has checked it against the same settings.
      if ('config' in outcome) await change(outcome.config, START_MS);
    },
  };
}

/** Of those that `before` did not give rise to. */
function warnOfDoubts(before: Config, next: Config, log: ControlLog): void {
  const known = findDoubts(before);
  for (const doubt of findDoubts(next)) if (!known.includes(doubt)) log.warn({}, doubt);
  const denied = new Set(before.commands.deny);
  const unknown = unknownCommands(next.commands.deny.filter((name) => !denied.has(name)));
  if (unknown.length === 0) return;
  log.warn(
    { names: unknown.slice(0, NAMES_LOGGED), count: unknown.length },
    'commands.deny names commands that no Redis knows without a module',
  );
}

/**
 * False when the worker lives and has not said within `ms` that it has them; what it says later goes
 * to the log.
 */
async function tellWorker(
  worker: WorkerLink,
  config: Config,
  ms: number,
  { log, isThere }: { readonly log: ControlLog; readonly isThere: () => boolean },
): Promise<boolean> {
  const fields = { worker: worker.id };
  const toldAt = performance.now();
  const answer = askWorker(worker, config);
  const onFailure = (reason: string): boolean => {
    // The one that takes its place starts with the new ones.
    if (!isThere()) return true;
    log.warn(
      { ...fields, reason },
      'a worker did not take the live settings over and serves by older ones: make the change ' +
        'again, or replace the workers (SIGUSR2)',
    );
    return false;
  };
  const inTime = await withDeadline(answer, ms, () => null);
  if (inTime === '') return true;
  if (inTime !== null) return onFailure(inTime);
  log.warn(
    { ...fields, waitedMs: ms },
    'a worker has not confirmed the live settings yet: it takes them when it runs again, and one ' +
      'that stands still is replaced',
  );
  void answer.then((late) => {
    const afterMs = Math.round(performance.now() - toldAt);
    if (late === '') log.info({ ...fields, afterMs }, 'a worker took the live settings over late');
    else onFailure(late);
  });
  return false;
}

/** '' or why it did not take them. */
async function askWorker(worker: WorkerLink, config: Config): Promise<string> {
  try {
    await worker.call('config.set.local', config, LATE_MS);
    return '';
  } catch (error) {
    return errorText(error);
  }
}
