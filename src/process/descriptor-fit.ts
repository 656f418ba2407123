/**
 * Fits `maxclients` to the limit of open files, as Redis does: clients beyond it are refused in
 * words instead of by a failure somewhere.
 */

import { type Config, workerCountOf } from '../config/schema.ts';
import type { ControlLog } from '../control/control-log.ts';
import { connectionsWithin, limitFor } from '../lib/descriptors.ts';

/** The configuration with as many clients as `limit` carries in all workers together. */
export function fitDescriptors(
  config: Config,
  limit: number,
  log: Pick<ControlLog, 'warn'>,
): Config {
  const workers = workerCountOf(config);
  const isSingle = workers === 1;
  const fitting = connectionsWithin(limit, isSingle) * workers;
  const { maxclients } = config;
  if (maxclients <= fitting) return config;
  const needed = limitFor(Math.ceil(maxclients / workers), isSingle);
  log.warn(
    { openFiles: limit, neededOpenFiles: needed, maxclients, loweredTo: fitting },
    `each process may open ${limit} files (ulimit -n), too few for maxclients ${maxclients}: it is ` +
      `lowered to ${fitting}. Raise the limit to ${needed}, or lower maxclients`,
  );
  return { ...config, maxclients: fitting };
}
