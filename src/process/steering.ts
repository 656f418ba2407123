/** What can be asked of a slotgate that runs: a configuration read anew, new processes. */

import type { Config } from '../config/schema.ts';
import { type Refused, type Reloaded, reloadedConfig } from '../control/live-config.ts';
import { descriptorLimit } from '../lib/descriptors.ts';
import type { Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import { fitDescriptors } from './descriptor-fit.ts';

export interface Steering {
  /** Takes over what may change while it runs, and tells in the log what may not. */
  reload(config: Config): void;
  /** Replaces all processes but the first by new ones, of the program that is on disk now. */
  roll(): void;
}

/** Servers that a test puts in its place need not be steered. */
export type SteeredRunning = Running & Partial<Steering>;

/**
 * The configuration that is to hold from now on, told in the log; null: it cannot. Control hears of
 * one without a change, too: CONFIG SET may be changing what `running` does not have yet.
 */
export function reloadAndTell(running: Config, read: Config, log: Logger): Config | null {
  const next = fitDescriptors(read, descriptorLimit(), log);
  const outcome: Reloaded | Refused = reloadedConfig(running, next);
  if ('why' in outcome) {
    log.error(
      { setting: outcome.name, reason: outcome.why },
      'the configuration was not taken over; the old one stays in force',
    );
    return null;
  }
  const { config, changed, fixed } = outcome;
  if (changed.length > 0) log.info({ changed }, 'the configuration was read again');
  else log.info('the configuration was read again: nothing that can change now has changed');
  if (fixed.length > 0)
    log.warn({ settings: fixed }, 'changed in the configuration: needs a restart');
  return config;
}
