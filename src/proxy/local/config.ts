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

const NODE_SETTINGS: ReadonlySet<string> = new Set(FROM_NODES.map(([name]) => name));

interface Wanted {
  /** The name as it is shown: as the client wrote it where it wrote it out. */
  readonly shown: string;
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

/** Lower-case names, in the order of the alphabet. */
function knownSettings(services: LocalServices): Map<string, string> {
  const all = new Map(FIXED);
  for (const [name, , fallback] of FROM_NODES) all.set(name, fallback);
  for (const [name, value] of services.settings.visible) all.set(name.toLowerCase(), value);
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A name that several patterns match is answered once. */
function findWanted(args: readonly Buffer[], known: ReadonlyMap<string, string>): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (let i = 2; i < args.length; i++) {
    const pattern = text(args, i);
    if (!hasGlobCharacters(pattern)) {
      const name = pattern.toLowerCase();
      if (known.has(name) && !wanted.has(name)) wanted.set(name, { shown: pattern, name });
      continue;
    }
    for (const name of known.keys()) {
      if (wanted.has(name) || !globMatches(pattern, name, { ignoreCase: true })) continue;
      wanted.set(name, { shown: name, name });
    }
  }
  return [...wanted.values()];
}

async function withNodeSettings(
  services: LocalServices,
  known: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
  const { sections } = await nodesFacts(services);
  const all = new Map(known);
  for (const [name, field] of FROM_NODES) {
    const value = sections.get('memory')?.get(field);
    if (value !== undefined) all.set(name, value);
  }
  return all;
}

function writeSettings(
  wanted: readonly Wanted[],
  values: ReadonlyMap<string, string>,
  reply: ReplyWriter,
): void {
  reply.map(wanted.length);
  for (const { shown, name } of wanted) {
    reply.bulk(shown);
    reply.bulk(values.get(name) ?? '');
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
    if (!NODE_SETTINGS.has(name) && known.get(name) === args[i + 1]?.toString()) continue;
    reply.error(setFailed(text(args, i), whyFixed(name, services)));
    return;
  }
  reply.simple('OK');
}

function setFailed(name: string, why: string): string {
  return `ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`;
}

function whyFixed(name: string, services: LocalServices): string {
  if (NODE_SETTINGS.has(name)) {
    return "it is a setting of the cluster's nodes, which slotgate does not change";
  }
  return services.settings.visible.has(name)
    ? 'it cannot change while slotgate runs; set it in the configuration and restart'
    : 'it has only this value in slotgate';
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
