/** Slotgate's own settings as control changes them: in all workers or in none. */

import { findDoubts } from '../config/check.ts';
import type { Config } from '../config/schema.ts';
import { errorText } from '../lib/errors.ts';
import type { CallServer, WorkerLink } from './calls.ts';
import type { ControlLog } from './control-log.ts';
import { type Change, changedConfig, reloadedConfig } from './live-config.ts';

/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;
const START_MS = 2000;

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
  /** Hears of each new configuration before the workers do. */
  readonly onChange: (config: Config) => void;
}

/** Registers `config.set`: a list of names and values in, {@link ConfigSetAnswer} out. */
export function registerConfigCalls(calls: CallServer, options: ConfigCallsOptions): ConfigCalls {
  const { log, onChange } = options;
  let { config } = options;
  const warn = (worker: number, reason: string): void =>
    log.warn(
      { worker, reason },
      'a worker did not take the live settings over: if it lives on, it serves by older ones ' +
        'until the next change',
    );
  /** How many workers did not say that they have it. */
  const change = async (next: Config, deadlineMs: number): Promise<number> => {
    config = next;
    onChange(next);
    const { missing } = await calls.broadcast('config.set.local', next, deadlineMs);
    for (const { worker, message } of missing) warn(worker, message);
    return missing.filter(({ reason }) => reason === 'deadline').length;
  };
  calls.register('config.set', async (changes, ms): Promise<ConfigSetAnswer> => {
    const list = changes as readonly Change[];
    const next = changedConfig(config, list);
    if ('why' in next) return next;
    const before = findDoubts(config);
    for (const doubt of findDoubts(next)) if (!before.includes(doubt)) log.warn({}, doubt);
    const silent = await change(next, ms - RETURN_MS);
    if (silent === 0) return null;
    return { name: list[0]?.name ?? '', why: `${silent} workers did not answer in time` };
  });
  return {
    onWorker: (worker) => {
      worker
        .call('config.set.local', config, START_MS)
        .catch((error: unknown) => warn(worker.id, errorText(error)));
    },
    reload: async (next) => {
      const outcome = reloadedConfig(config, next);
      // Who sent it has checked it against the same settings.
      if ('config' in outcome) await change(outcome.config, START_MS);
    },
  };
}
