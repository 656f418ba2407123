/**
 * Settings that CONFIG SET changes while slotgate runs: read as the configuration reads them, sent
 * to all workers, and to each worker that starts later. They last until control ends: the file
 * stays as it is.
 */

import { checkSource, findConflicts } from '../config/check.ts';
import { type Config, configSchema } from '../config/schema.ts';
import { setAt, valueAt } from '../config/source.ts';
import { flagSource } from '../config/text-source.ts';

/** What every part of slotgate reads anew each time it needs it. */
export const LIVE_SETTINGS: ReadonlySet<string> = new Set([
  'timeout',
  'maxclients',
  'protected-mode',
  'heartbeatMs',
  'cluster.commandTimeoutMs',
  'commands.deny',
  'hold.timeoutMs',
  'hold.maxRequests',
  'hold.maxBytes',
  'retry.sentWrites',
  'limits.pinnedConnections',
  'limits.slowReaderSeconds',
  'limits.sharedReplyBudget',
]);

/** A setting by its dotted name, as text. */
export interface Change {
  readonly name: string;
  readonly value: string;
}

export interface Refused {
  readonly name: string;
  readonly why: string;
}

const RESTART = 'it cannot change while slotgate runs; set it in the configuration and restart';

/** The configuration with these changes, or the first one that cannot be. Pure. */
export function changedConfig(config: Config, changes: readonly Change[]): Config | Refused {
  const fixed = changes.find(({ name }) => !LIVE_SETTINGS.has(name));
  if (fixed !== undefined) return { name: fixed.name, why: RESTART };
  const next = structuredClone(config);
  for (const { name, value } of changes) {
    const parsed = parseSetting(name, value);
    if ('why' in parsed) return parsed;
    setAt(next as unknown as Record<string, unknown>, name.split('.'), parsed.value);
  }
  const conflict = findConflicts(next)[0];
  if (conflict === undefined) return next;
  return { name: changes[0]?.name ?? '', why: conflict.message };
}

function parseSetting(name: string, text: string): { readonly value: unknown } | Refused {
  // CONFIG GET shows lists with blanks between their items.
  const value = name === 'commands.deny' ? text.trim().replace(/[\s,]+/g, ',') : text;
  if (name === 'commands.deny' && value === '') return { value: [] };
  const source = flagSource([{ flag: name, path: name, value }]);
  const problem = checkSource(source)[0];
  if (problem !== undefined) return { name, why: problem.message };
  return { value: valueAt(configSchema.parse(source.tree), name.split('.')) };
}
