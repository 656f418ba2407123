/**
 * CONFIG GET, SET and RESETSTAT. What is shown is slotgate's own configuration under Redis' names
 * where there is one, the settings of the nodes that tools ask for, and fixed answers for what a
 * proxy has not (it saves nothing).
 */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { SYNTAX_ERROR, text, word } from './arguments.ts';
import { askControl, CONTROL_DEADLINE_MS, CONTROL_PATIENCE_MS, fieldOf } from './asking-control.ts';
import type { LocalCall, LocalHandler, LocalServices } from './context.ts';
import { Glob, hasGlobCharacters } from './glob.ts';
import { nodesFacts } from './instance-facts.ts';
import { longPatterns } from './limits.ts';

/** Redis' names with the answer that is always true here. */
const FIXED: readonly (readonly [name: string, value: string])[] = [
  ['appendfsync', 'everysec'],
  ['appendonly', 'no'],
  // Of subscribers it is true; other clients are bounded by slotgate's own limits.
  [
    'client-output-buffer-limit',
    'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
  ],
  ['daemonize', 'no'],
  ['databases', '1'],
  ['latency-monitor-threshold', '0'],
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

/** Each node has its own, and clients may change it on all of them. */
const KEYSPACE_EVENTS = 'notify-keyspace-events';

/** One in cluster mode, else as many as the primary has. */
const DATABASES = 'databases';

const NODE_SETTINGS: ReadonlySet<string> = new Set(FROM_NODES.map(([name]) => name));

/** Every process gets what is set, and those that start later. */
const VALUE_BYTES_MAX = 64 * 1024;
const TOO_LARGE = 'its value is too large; allowed: at most 64 KB';

/** No answer is not a no: it is done in its turn when control, or a node, goes on. */
const MAY_HOLD = 'it may still take effect, see CONFIG GET';

/** Its turn came too late; control was not asked. */
const NOT_DONE = 'those before it took too long; it was not done, try again';

/** Settings that are not shown. Control says why CONFIG SET does not change them. */
export const SECRET_SETTINGS: readonly string[] = [
  'requirepass',
  'cluster.password',
  'upstream.sentinelPassword',
];

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
  const patterns = args.slice(2);
  const tooLong = longPatterns('CONFIG GET', patterns);
  if (tooLong !== null) {
    reply.error(tooLong);
    return undefined;
  }
  const known = knownSettings(services);
  const wanted = findWanted(patterns, known);
  const fromNodes = wanted.some(({ name }) => NODE_SETTINGS.has(name));
  const ofEvents = wanted.some(({ name }) => name === KEYSPACE_EVENTS);
  const ofDatabases =
    wanted.some(({ name }) => name === DATABASES) && services.snapshot()?.mode === 'standalone';
  if (!fromNodes && !ofEvents && !ofDatabases) {
    writeSettings(wanted, known, reply);
    return undefined;
  }
  return withNodeSettings(services, known, { fromNodes, ofEvents, ofDatabases }).then((all) =>
    writeSettings(wanted, all, reply),
  );
}

/** slotgate's own settings that match, as PROXY CONFIG GET answers. */
export function writeVisible(
  { settings: { visible } }: LocalServices,
  patterns: readonly Buffer[],
  reply: ReplyWriter,
): void {
  const tooLong = longPatterns('PROXY CONFIG GET', patterns);
  if (tooLong !== null) {
    reply.error(tooLong);
    return;
  }
  const own = [...visible].map(([name, value]) => [name.toLowerCase(), { name, value }] as const);
  const known = new Map(own.sort(([a], [b]) => (a < b ? -1 : 1)));
  writeSettings(findWanted(patterns, known), known, reply);
}

/** In the order of the alphabet. */
function knownSettings({ settings: { visible, face } }: LocalServices): Map<string, Setting> {
  const all = new Map(FIXED);
  all.set('cluster-enabled', face === 'cluster' ? 'yes' : 'no');
  for (const [name, , fallback] of FROM_NODES) all.set(name, fallback);
  all.set(KEYSPACE_EVENTS, '');
  for (const [name, ours] of ALIASES) {
    const value = visible.get(ours);
    if (value !== undefined) all.set(name, value);
  }
  for (const [name, value] of visible) all.set(name, value);
  const known = [...all].map(([name, value]) => [name.toLowerCase(), { name, value }] as const);
  return new Map(known.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A name that several patterns match is answered once. */
function findWanted(patterns: readonly Buffer[], known: Settings): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (let i = 0; i < patterns.length; i++) {
    const pattern = text(patterns, i);
    if (!hasGlobCharacters(pattern)) {
      const name = pattern.toLowerCase();
      if (known.has(name) && !wanted.has(name)) wanted.set(name, { shown: pattern, name });
      continue;
    }
    const glob = new Glob(pattern, { ignoreCase: true });
    for (const [name, { name: shown }] of known) {
      if (wanted.has(name) || !glob.matches(name)) continue;
      wanted.set(name, { shown, name });
    }
  }
  return [...wanted.values()];
}

interface WantedFromNodes {
  readonly fromNodes: boolean;
  readonly ofEvents: boolean;
  readonly ofDatabases: boolean;
}

async function withNodeSettings(
  services: LocalServices,
  known: Settings,
  { fromNodes, ofEvents, ofDatabases }: WantedFromNodes,
): Promise<Settings> {
  const all = new Map(known);
  if (ofEvents) {
    const answer = await askControl(services, 'nodes.keyspace-events', null, CONTROL_DEADLINE_MS);
    const value = answer.ok ? String(answer.value) : '';
    all.set(KEYSPACE_EVENTS, { name: KEYSPACE_EVENTS, value });
  }
  if (ofDatabases) {
    const answer = await askControl(services, 'nodes.databases', null, CONTROL_DEADLINE_MS);
    if (answer.ok && typeof answer.value === 'number') {
      all.set(DATABASES, { name: DATABASES, value: String(answer.value) });
    }
  }
  if (!fromNodes) return all;
  const { sections } = await nodesFacts(services);
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
 * Changes what may change while slotgate runs, all of it or nothing. Setting what already holds is
 * no change, so scripts that make sure of a value go on; of live settings control judges that, which
 * has every change in the order in which they came. Keyspace events are set at the nodes.
 */
function set({ args, services }: LocalCall, reply: ReplyWriter): void | Promise<void> {
  if (args.length % 2 !== 0) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const known = knownSettings(services);
  const seen = new Set<string>();
  for (let i = 2; i < args.length; i += 2) {
    const shown = text(args, i);
    const name = word(args, i);
    if (!known.has(name) && secretName(name) === null) {
      reply.error(`ERR Unknown option or number of arguments for CONFIG SET - '${shown}'`);
      return;
    }
    if ((args[i + 1]?.length ?? 0) > VALUE_BYTES_MAX) {
      reply.error(setFailed(shown, TOO_LARGE));
      return;
    }
    if (seen.has(name)) {
      reply.error(setFailed(shown, 'duplicate parameter'));
      return;
    }
    seen.add(name);
  }
  const changes: Change[] = [];
  for (let i = 2; i < args.length; i += 2) {
    const name = word(args, i);
    if (name === KEYSPACE_EVENTS) continue;
    const value = args[i + 1]?.toString() ?? '';
    const own = ownName(name, services);
    // What this worker knows of a live one may be older than a change that is under way.
    const isSettled = !NODE_SETTINGS.has(name) && !services.settings.live.has(own ?? '');
    if (isSettled && known.get(name)?.value === value) continue;
    if (own === null) {
      reply.error(setFailed(text(args, i), whyFixed(name)));
      return;
    }
    changes.push({ name: own, value });
  }
  const setsEvents = seen.has(KEYSPACE_EVENTS);
  if (changes.length > 0) {
    return change(services, changes, reply).then((isDone) => {
      if (!isDone) return undefined;
      if (setsEvents) return setKeyspaceEvents(args, services, reply);
      return reply.simple('OK');
    });
  }
  if (setsEvents) return setKeyspaceEvents(args, services, reply);
  reply.simple('OK');
}

interface Change {
  /** As in the configuration. */
  readonly name: string;
  readonly value: string;
}

/** Null for what has no setting of slotgate's behind it. */
function ownName(name: string, { settings: { visible } }: LocalServices): string | null {
  for (const own of visible.keys()) if (own.toLowerCase() === name) return own;
  const secret = secretName(name);
  if (secret !== null) return secret;
  return ALIASES.find(([alias]) => alias === name)?.[1] ?? null;
}

function secretName(name: string): string | null {
  return SECRET_SETTINGS.find((own) => own.toLowerCase() === name) ?? null;
}

/** Of each worker's changes the last, done or not. */
const lastOf = new WeakMap<LocalServices, Promise<boolean>>();

/** One at a time, so that many do not keep control from its other work. False: the error is written. */
function change(
  services: LocalServices,
  changes: readonly Change[],
  reply: ReplyWriter,
): Promise<boolean> {
  const { runtime } = services;
  const cameAt = runtime.now();
  const whenBefore = async (): Promise<boolean> => {
    if (runtime.now() - cameAt < CONTROL_PATIENCE_MS) return changeNow(services, changes, reply);
    reply.error(`ERR CONFIG SET failed: ${NOT_DONE}`);
    return false;
  };
  const before = lastOf.get(services);
  const done = before === undefined ? whenBefore() : before.then(whenBefore, whenBefore);
  lastOf.set(services, done);
  return done;
}

async function changeNow(
  services: LocalServices,
  changes: readonly Change[],
  reply: ReplyWriter,
): Promise<boolean> {
  const answer = await askControl(services, 'config.set', changes, CONTROL_PATIENCE_MS);
  if (!answer.ok) {
    reply.error(`ERR CONFIG SET failed: ${answer.reason}: ${MAY_HOLD}`);
    return false;
  }
  if (answer.value === null) return true;
  const name = String(fieldOf(answer.value, 'name'));
  reply.error(setFailed(name, String(fieldOf(answer.value, 'why'))));
  return false;
}

async function setKeyspaceEvents(
  args: readonly Buffer[],
  services: LocalServices,
  reply: ReplyWriter,
): Promise<void> {
  let value = '';
  for (let i = 2; i < args.length; i += 2) {
    if (word(args, i) === KEYSPACE_EVENTS) value = text(args, i + 1);
  }
  const answer = await askControl(
    services,
    'nodes.keyspace-events.set',
    value,
    CONTROL_PATIENCE_MS,
  );
  const error = answer.ok ? fieldOf(answer.value, 'error') : `ERR ${answer.reason}: ${MAY_HOLD}`;
  if (typeof error === 'string') reply.error(error);
  else reply.simple('OK');
}

function setFailed(name: string, why: string): string {
  return `ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`;
}

function whyFixed(name: string): string {
  if (NODE_SETTINGS.has(name)) {
    return "it is a setting of the cluster's nodes, which slotgate does not change";
  }
  return 'it has only this value in slotgate';
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
