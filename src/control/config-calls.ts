/** CONFIG SET as control carries it out: slotgate's own settings, in all workers or in none. */

import type { Config } from '../config/schema.ts';
import type { CallServer, WorkerLink } from './calls.ts';
import { type Change, changedConfig } from './live-config.ts';

/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;
const START_MS = 2000;

/** Null: done. */
export type ConfigSetAnswer = null | { readonly name: string; readonly why: string };

export interface ConfigCalls {
  /** Tells a worker that has just started what was changed since slotgate started. */
  onWorker(worker: WorkerLink): void;
}

/** Registers `config.set`: a list of names and values in, {@link ConfigSetAnswer} out. */
export function registerConfigCalls(calls: CallServer, initial: Config): ConfigCalls {
  let config = initial;
  calls.register('config.set', async (changes, ms): Promise<ConfigSetAnswer> => {
    const list = changes as readonly Change[];
    const next = changedConfig(config, list);
    if ('why' in next) return next;
    config = next;
    const { missing } = await calls.broadcast('config.set.local', next, ms - RETURN_MS);
    const silent = missing.filter(({ reason }) => reason === 'deadline').length;
    if (silent === 0) return null;
    return { name: list[0]?.name ?? '', why: `${silent} workers did not answer in time` };
  });
  return {
    onWorker: (worker) => {
      if (config === initial) return;
      // One that dies at once is replaced, and its successor is told.
      worker.call('config.set.local', config, START_MS).catch(() => undefined);
    },
  };
}
