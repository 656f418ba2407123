/**
 * Settings that change while slotgate runs, by CONFIG SET or by a configuration that is read anew:
 * sent to all workers, and to each process that starts later. What CONFIG SET changed lasts until
 * the configuration is read anew or slotgate ends: the file stays as it is.
 */

import { isDeepStrictEqual } from 'node:util';
import { checkSource, findConflicts } from '../config/check.ts';
import type { FieldKind } from '../config/fields.ts';
import { ENTRIES_MAX, TOO_MANY } from '../config/leaves.ts';
import { CONFIG_FIELDS, type Config, configSchema } from '../config/schema.ts';
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
  'hold.maxFailoverMs',
  'hold.minGapMs',
  'hold.dryRun',
  'writes.wait.replicas',
  'writes.wait.timeoutMs',
  'retry.sentWrites',
  'retry.uncertain',
  'limits.pinnedConnections',
  'limits.subscriptions',
  'limits.slowReaderSeconds',
  'limits.sharedReplyBudget',
  'reads.replicas',
  'reads.weights.primary',
  'reads.weights.replica',
  'reads.nodeWeights',
  'reads.zone',
  'reads.nodeZones',
  'reads.zoneWeights',
  'reads.consistency',
  'reads.maxStalenessMs',
  'reads.whenPrimaryDown',
  'reads.pollMs',
  'health.pingIntervalMs',
  'health.pingTimeoutMs',
  'health.downAfter',
  'health.upAfter',
  'failover.mode',
  'failover.confirmMs',
  'failover.takeover',
  'failover.maxReplicaLagBytes',
  'failover.replace',
  'failover.replaceAfterMs',
  'scaling.batchMs',
  'scaling.dutyPercent',
  'scaling.windowMs',
  'scaling.parallel',
  'scaling.bigKeyBytes',
]);

/** Taken over with a configuration that is read anew, and by nothing that a client says. */
const RELOADED_SETTINGS: ReadonlySet<string> = new Set(['cluster.username', 'cluster.password']);

/** CONFIG GET and SET write them as `key=value,…`. */
export const MAP_SETTINGS = settingsOfKind('map');

const MANY: ReadonlySet<string> = new Set([...MAP_SETTINGS, ...settingsOfKind('list')]);

function settingsOfKind(wanted: FieldKind): ReadonlySet<string> {
  const fields = CONFIG_FIELDS.fields.filter(({ kind }) => kind === wanted);
  return new Set(fields.map(({ path }) => path.join('.')));
}

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
const RELOAD =
  'CONFIG SET does not change it: set it in the configuration and send SIGHUP to slotgate';
const STRICTER_ONLY =
  'CONFIG SET only makes it stricter, since any client may say it: change it in the configuration ' +
  'file (or environment, or flags) and send SIGHUP to slotgate';

/** The configuration with these changes, or the first one that cannot be. Pure. */
export function changedConfig(config: Config, changes: readonly Change[]): Config | Refused {
  const fixed = changes.find(({ name }) => !LIVE_SETTINGS.has(name));
  if (fixed !== undefined) return { name: fixed.name, why: whyFixed(fixed.name) };
  const next = structuredClone(config);
  for (const { name, value } of changes) {
    const parsed = parseSetting(name, value);
    if ('why' in parsed) return parsed;
    setAt(next as unknown as Record<string, unknown>, name.split('.'), parsed.value);
  }
  const conflict = findConflicts(next)[0];
  if (conflict !== undefined) return { name: changes[0]?.name ?? '', why: conflict.message };
  const name = loosened(config, next);
  return name === null ? next : { name, why: STRICTER_ONLY };
}

/** Why CONFIG SET does not change a setting, and what does. */
export function whyFixed(name: string): string {
  return RELOADED_SETTINGS.has(name) ? RELOAD : RESTART;
}

/** A protection that `next` gives up or weakens; null: none. */
function loosened(config: Config, next: Config): string | null {
  if (config['protected-mode'] && !next['protected-mode']) return 'protected-mode';
  const deny = new Set(next.commands.deny);
  const isKept = (name: string): boolean =>
    deny.has(name) || deny.has(name.split('|', 1)[0] as string);
  return config.commands.deny.every(isKept) ? null : 'commands.deny';
}

/** What becomes of a configuration that was read anew. */
export interface Reloaded {
  /** The one that runs, with the live settings of the new one. */
  readonly config: Config;
  /** Live settings that have another value now. */
  readonly changed: readonly string[];
  /** Settings that differ and stay as they are until a restart. */
  readonly fixed: readonly string[];
}

/** Takes the live settings of `next` over, all of them or none. Pure. */
export function reloadedConfig(running: Config, next: Config): Reloaded | Refused {
  const config = structuredClone(running);
  const changed: string[] = [];
  const fixed: string[] = [];
  for (const { path } of CONFIG_FIELDS.fields) {
    const value = valueAt(next, path);
    if (isDeepStrictEqual(valueAt(running, path), value)) continue;
    const name = path.join('.');
    if (!LIVE_SETTINGS.has(name) && !RELOADED_SETTINGS.has(name)) fixed.push(name);
    else {
      changed.push(name);
      setAt(config as unknown as Record<string, unknown>, path, structuredClone(value));
    }
  }
  // Each was right by itself; what is new may not go with what stays.
  const conflict = findConflicts(config)[0];
  if (conflict === undefined) return { config, changed, fixed };
  const why = fixed.length === 0 ? '' : ` (${fixed.join(', ')} would need a restart)`;
  return { name: conflict.path.join('.'), why: conflict.message + why };
}

function parseSetting(name: string, text: string): { readonly value: unknown } | Refused {
  // CONFIG GET shows lists with blanks between their items.
  const value = name === 'commands.deny' ? text.trim().replace(/[\s,]+/g, ',') : text;
  if (name === 'commands.deny' && value === '') return { value: [] };
  if (MAP_SETTINGS.has(name) && value.trim() === '') return { value: {} };
  // Before each of them is looked at: any client may send them, and control has more to do.
  if (MANY.has(name) && value.split(',').length > ENTRIES_MAX) {
    return { name, why: `${TOO_MANY}; allowed: at most ${ENTRIES_MAX}` };
  }
  const source = flagSource([{ flag: name, path: name, value }]);
  const problem = checkSource(source)[0];
  if (problem !== undefined) return { name, why: problem.message };
  return { value: valueAt(configSchema.parse(source.tree), name.split('.')) };
}
