/**
 * CONFIG GET, SET and RESETSTAT. What is shown is slotgate's own configuration under Redis' names
 * where there is one, the settings of the nodes that tools ask for, and fixed answers for what a
 * proxy has not (it saves nothing).
 */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { SYNTAX_ERROR, text, word } from './arguments.ts';
import { askControl, CONTROL_PATIENCE_MS, fieldOf } from './asking-control.ts';
import type { LocalCall, LocalHandler, LocalServices } from './context.ts';
import { globMatches, hasGlobCharacters } from './glob.ts';
import { nodesFacts } from './instance-facts.ts';

/** Redis' names with the answer that is always true here. */
const FIXED: readonly (readonly [name: string, value: string])[] = [
  ['appendfsync', 'everysec'],
  ['appendonly', 'no'],
  ['cluster-enabled', 'yes'],
  ['daemonize', 'no'],
  ['databases', '1'],
  ['latency-monitor-threshold', '0'],
  ['notify-keyspace-events', ''],
  ['replica-read-only', 'yes'],
  ['save', ''],
  ['slave-read-only', 'yes'],
  ['tls-port', '0'],
];

/** Settings of the nodes: their field in INFO memory, and the answer when no node says. */
const FROM_NODES: readonly (readonly [name: string, field: string, fallback: string])[] = [
  ['maxmemory', 'maxmemory', '0'],
  ['maxmemory-policy', 'maxmemory_policy', 'noeviction'],
];

/** Redis' names for settings that have another name here. */
const ALIASES: readonly (readonly [name: string, ours: string])[] = [
  ['proto-max-bulk-len', 'limits.maxBulkBytes'],
];

const NODE_SETTINGS: ReadonlySet<string> = new Set(FROM_NODES.map(([name]) => name));

/** Settings by lower-case name. */
type Settings = ReadonlyMap<string, Setting>;

interface Setting {
  /** As it is written in the configuration. */
  readonly name: string;
  readonly value: string;
}

interface Wanted {
  /** The name as it is shown: as the client wrote it where it wrote it out. */
  readonly shown: string;
  /** Lower case. */
  readonly name: string;
}

function get({ args, services }: LocalCall, reply: ReplyWriter): void | Promise<void> {
  const known = knownSettings(services);
  const wanted = findWanted(args, known);
  if (!wanted.some(({ name }) => NODE_SETTINGS.has(name))) {
    writeSettings(wanted, known, reply);
    return undefined;
  }
  return withNodeSettings(services, known).then((all) => writeSettings(wanted, all, reply));
}

/** In the order of the alphabet. */
function knownSettings({ settings: { visible } }: LocalServices): Map<string, Setting> {
  const all = new Map(FIXED);
  for (const [name, , fallback] of FROM_NODES) all.set(name, fallback);
  for (const [name, ours] of ALIASES) {
    const value = visible.get(ours);
    if (value !== undefined) all.set(name, value);
  }
  for (const [name, value] of visible) all.set(name, value);
  const known = [...all].map(([name, value]) => [name.toLowerCase(), { name, value }] as const);
  return new Map(known.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A name that several patterns match is answered once. */
function findWanted(args: readonly Buffer[], known: Settings): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (let i = 2; i < args.length; i++) {
    const pattern = text(args, i);
    if (!hasGlobCharacters(pattern)) {
      const name = pattern.toLowerCase();
      if (known.has(name) && !wanted.has(name)) wanted.set(name, { shown: pattern, name });
      continue;
    }
    for (const [name, { name: shown }] of known) {
      if (wanted.has(name) || !globMatches(pattern, name, { ignoreCase: true })) continue;
      wanted.set(name, { shown, name });
    }
  }
  return [...wanted.values()];
}

async function withNodeSettings(services: LocalServices, known: Settings): Promise<Settings> {
  const { sections } = await nodesFacts(services);
  const all = new Map(known);
  for (const [name, field] of FROM_NODES) {
    const value = sections.get('memory')?.get(field);
    if (value !== undefined) all.set(name, { name, value });
  }
  return all;
}

function writeSettings(wanted: readonly Wanted[], known: Settings, reply: ReplyWriter): void {
  reply.map(wanted.length);
  for (const { shown, name } of wanted) {
    reply.bulk(shown);
    reply.bulk(known.get(name)?.value ?? '');
  }
}

/**
 * Nothing can change while slotgate runs; setting what already holds is no change, so scripts that
 * make sure of a value go on.
 */
function set({ args, services }: LocalCall, reply: ReplyWriter): void {
  if (args.length % 2 !== 0) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const known = knownSettings(services);
  const seen = new Set<string>();
  for (let i = 2; i < args.length; i += 2) {
    const shown = text(args, i);
    const name = word(args, i);
    if (!known.has(name)) {
      reply.error(`ERR Unknown option or number of arguments for CONFIG SET - '${shown}'`);
      return;
    }
    if (seen.has(name)) {
      reply.error(setFailed(shown, 'duplicate parameter'));
      return;
    }
    seen.add(name);
  }
  for (let i = 2; i < args.length; i += 2) {
    const name = word(args, i);
    if (!NODE_SETTINGS.has(name) && known.get(name)?.value === args[i + 1]?.toString()) continue;
    reply.error(setFailed(text(args, i), whyFixed(name)));
    return;
  }
  reply.simple('OK');
}

function setFailed(name: string, why: string): string {
  return `ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`;
}

function whyFixed(name: string): string {
  if (NODE_SETTINGS.has(name)) {
    return "it is a setting of the cluster's nodes, which slotgate does not change";
  }
  return FIXED.some(([fixed]) => fixed === name)
    ? 'it has only this value in slotgate'
    : 'it cannot change while slotgate runs; set it in the configuration and restart';
}

async function resetStat({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answer = await askControl(services, 'stats.reset', null, CONTROL_PATIENCE_MS);
  const error = answer.ok ? fieldOf(answer.value, 'error') : answer.reason;
  if (typeof error === 'string') reply.error(`ERR CONFIG RESETSTAT failed: ${error}`);
  else reply.simple('OK');
}

export const CONFIG_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'config|get': get,
  'config|set': set,
  'config|resetstat': resetStat,
};
