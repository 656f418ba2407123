/** The composition root: from a configuration to a running slotgate, in one process or several. */

import { randomBytes } from 'node:crypto';
import { type Config, workerCountOf } from './config/schema.ts';
import { descriptorLimit } from './lib/descriptors.ts';
import type { Logger } from './lib/log.ts';
import type { Running } from './lib/running.ts';
import { fitDescriptors } from './process/descriptor-fit.ts';
import type { Steering } from './process/steering.ts';

export interface StartOptions {
  readonly log: Logger;
  readonly configFile?: string;
  /** Gives up a start under way: it rejects then. */
  readonly stop?: AbortSignal;
}

/** Rejects with a ProxyError when it cannot start (a port is taken …). */
export async function startServer(
  wanted: Config,
  { log, stop }: StartOptions,
): Promise<Running & Steering> {
  const config = fitDescriptors(wanted, descriptorLimit(), log);
  const workers = workerCountOf(config);
  // Our node id as cluster-aware clients see it, new at each start.
  const instanceId = randomBytes(20).toString('hex');
  if (workers === 1) {
    const { startSingle } = await import('./process/single.ts');
    return startSingle(config, log, instanceId);
  }
  const { Supervisor } = await import('./process/supervisor.ts');
  return new Supervisor(config, log, instanceId, workers).start(stop);
}
