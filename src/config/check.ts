/** Holds a tree of settings against the schema and puts what is wrong into words. */
import type { z } from 'zod';
import { isLoopback } from './endpoint.ts';
import { fieldAt, sectionAt } from './fields.ts';
import { nearName } from './near-key.ts';
import { type Problem, showValue } from './problems.ts';
import { CONFIG_FIELDS, type Config, configSchema } from './schema.ts';
import { type Source, valueAt } from './source.ts';

type Issue = z.core.$ZodIssue;

/** What zod says where nothing was said. */
const WORDLESS = 'Invalid input';
const BY_PLACE = new Intl.Collator('en', { numeric: true });

/** Every problem of one source by itself, so that a bad value shows even where another wins. */
export function checkSource(source: Source): Problem[] {
  const problems = [...source.problems, ...droppedKeys(source)];
  const result = configSchema.safeParse(source.tree);
  const seen = new Set<string>();
  for (const issue of result.error?.issues ?? []) {
    for (const problem of problemsOf(issue, source)) {
      const line = `${problem.where} ${problem.message}`;
      if (!seen.has(line)) problems.push(problem);
      seen.add(line);
    }
  }
  return problems.sort((a, b) => BY_PLACE.compare(a.where, b.where));
}

/** The schema passes over this one key of a map, so it would be accepted and not hold. */
function droppedKeys(source: Source): Problem[] {
  const maps = CONFIG_FIELDS.fields.filter(({ kind }) => kind === 'map');
  const keys = maps.map(({ path }) => [...path, '__proto__']);
  const dropped = keys.filter((path) => valueAt(source.tree, path) !== undefined);
  return dropped.map((path) => badValue({ code: 'invalid_key', path }, source));
}

function problemsOf(issue: Issue, source: Source): Problem[] {
  if (issue.code !== 'unrecognized_keys') return [badValue(issue, source)];
  return issue.keys.map((key) => ({
    from: source.from,
    where: source.locate([...issue.path, key], 'key'),
    message: unknownKey(issue.path, key),
  }));
}

function badValue(
  issue: {
    readonly code: string;
    readonly path: readonly PropertyKey[];
    readonly message?: string;
  },
  source: Source,
): Problem {
  const isKey = issue.code === 'invalid_key';
  const found = isKey ? issue.path.at(-1) : valueAt(source.tree, issue.path);
  const field = fieldAt(CONFIG_FIELDS, issue.path);
  const keys = sectionAt(CONFIG_FIELDS, issue.path)?.keys ?? [];
  const allowed = field?.allowed ?? `a section with the keys ${keys.join(', ')}`;
  // Only a custom issue carries words of ours; zod's own say less than `allowed` does.
  const why = issue.code === 'custom' && issue.message !== WORDLESS ? ` (${issue.message})` : '';
  const shown = field?.secret === true ? 'this value' : showValue(found);
  const wrong = found === null ? 'the value is missing' : `${shown} is not allowed${why}`;
  return {
    from: source.from,
    where: source.locate(issue.path, isKey ? 'key' : 'value'),
    message: `${dotted(issue.path, isKey)}: ${wrong}; allowed: ${allowed}`,
  };
}

function unknownKey(path: readonly PropertyKey[], key: string): string {
  const keys = sectionAt(CONFIG_FIELDS, path)?.keys ?? [];
  const where = path.length === 0 ? '' : ` in ${path.join('.')}`;
  const nested = nestedForm(path, key);
  if (nested !== undefined) {
    return `unknown key ${JSON.stringify(key)}${where}; in a file sections are nested: ${nested}`;
  }
  const near = nearName(key, keys) ?? elsewhere(key);
  const hint = near === undefined ? '' : ` did you mean ${JSON.stringify(near)}?`;
  return `unknown key ${JSON.stringify(key)}${where};${hint} allowed: ${keys.join(', ')}`;
}

/** `hold.timeoutMs: 5s`, as flags and this program's own words have it, is `hold: { timeoutMs: 5s }`. */
function nestedForm(path: readonly PropertyKey[], key: string): string | undefined {
  const keys = key.split('.');
  const isSetting = fieldAt(CONFIG_FIELDS, [...path, ...keys]) !== undefined;
  if (keys.length < 2 || !isSetting) return undefined;
  return keys.reduceRight(
    (below, name) => (below === '' ? `${name}: …` : `${name}: { ${below} }`),
    '',
  );
}

/** The right name in the wrong section: `seeds` at the top is `cluster.seeds`. */
function elsewhere(key: string): string | undefined {
  const found = CONFIG_FIELDS.fields.filter((field) => field.path.at(-1) === key);
  return found.length === 1 ? found[0]?.path.join('.') : undefined;
}

function dotted(path: readonly PropertyKey[], isKey: boolean): string {
  return (isKey ? path.slice(0, -1) : path)
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`,
    )
    .join('');
}

/** A conflict between settings that are each allowed. */
export interface Conflict {
  /** The setting to point at. */
  readonly path: readonly string[];
  readonly message: string;
}

/** What an answer of a node and its way to the workers may take, in milliseconds. */
const ROUND_TRIP_MS = 50;

/** What cannot work, each rule with its reason. */
export function findConflicts(config: Config): Conflict[] {
  const { limits, cluster, hold, reads, upstream } = config;
  const stalenessMin = 2 * reads.pollMs + ROUND_TRIP_MS;
  const rules: [boolean, readonly string[], string][] = [
    [
      config.port !== 0 && config.port === config.http.port && sharesAddress(config),
      ['http', 'port'],
      `http.port and port are both ${config.port} on the same address; allowed: two different ports`,
    ],
    [
      config['sentinel-port'] !== 0 &&
        [config.port, config.http.port].includes(config['sentinel-port']),
      ['sentinel-port'],
      `sentinel-port is ${config['sentinel-port']}, as port or http.port; allowed: a port of its own, or 0`,
    ],
    [
      limits.maxBulkBytes > limits.maxRequestBytes,
      ['limits', 'maxBulkBytes'],
      'limits.maxBulkBytes is larger than limits.maxRequestBytes: no such argument could ever be sent',
    ],
    [
      limits.replyHighWater > limits.replyHardLimit,
      ['limits', 'replyHighWater'],
      'limits.replyHighWater is larger than limits.replyHardLimit: clients would be cut before they are slowed down',
    ],
    [
      cluster.username !== '' && cluster.password === '',
      ['cluster', 'username'],
      'cluster.username needs cluster.password (any text for a user with nopass)',
    ],
    [
      upstream.sentinels.length > 0 && upstream.mode === 'cluster',
      ['upstream', 'sentinels'],
      'upstream.sentinels is set, but upstream.mode is cluster: Sentinels watch servers without cluster mode; set upstream.mode to standalone, or leave upstream.sentinels empty',
    ],
    [
      upstream.sentinelUsername !== '' && upstream.sentinelPassword === '',
      ['upstream', 'sentinelUsername'],
      'upstream.sentinelUsername needs upstream.sentinelPassword (any text for a user with nopass)',
    ],
    [
      hold.timeoutMs > 0 && (hold.maxRequests === 0 || hold.maxBytes === 0),
      ['hold', 'timeoutMs'],
      'hold.timeoutMs is set, but hold.maxRequests or hold.maxBytes is 0: nothing could be held; to turn holding off set hold.timeoutMs to 0',
    ],
    [
      reads.maxStalenessMs < stalenessMin,
      ['reads', 'maxStalenessMs'],
      `reads.maxStalenessMs is ${reads.maxStalenessMs}, but with reads.pollMs ${reads.pollMs} a replica that keeps up may look ${stalenessMin} ms old; allowed: at least ${stalenessMin}, or a smaller reads.pollMs`,
    ],
  ];
  return rules.filter(([broken]) => broken).map(([, path, message]) => ({ path, message }));
}

function sharesAddress(config: Config): boolean {
  const all = (host: string) => host === '0.0.0.0' || host === '::';
  const other = config.http.bind;
  return config.bind.some((host) => host === other || all(host) || all(other));
}

/** What works, but hardly as meant. */
export function findDoubts(config: Config): string[] {
  const { cluster, hold, reads, health } = config;
  const open = config.requirepass === '' && !config.bind.every(isLoopback);
  const rules: [boolean, string][] = [
    [
      open && config['protected-mode'],
      'clients from other machines will be refused: set requirepass (or protected-mode: false)',
    ],
    [
      open && !config['protected-mode'],
      'anyone who can reach this machine can read and change all data: set requirepass',
    ],
    [
      hold.timeoutMs > 0 && hold.timeoutMs < cluster.refreshIntervalMs,
      'hold.timeoutMs is shorter than cluster.refreshIntervalMs: a failover may outlast the hold',
    ],
    [
      hold.maxFailoverMs < hold.timeoutMs,
      'hold.maxFailoverMs is shorter than hold.timeoutMs: commands wait no longer than the former',
    ],
    [
      config.drainTimeoutMs < hold.timeoutMs,
      'drainTimeoutMs is shorter than hold.timeoutMs: a stop may cut off commands that are held',
    ],
    [
      config.heartbeatMs >= cluster.commandTimeoutMs,
      'heartbeatMs is no less than cluster.commandTimeoutMs: commands time out before a dead connection is noticed',
    ],
    [
      servesFromReplicas(config) && reads.consistency === 'primary',
      'replicas have a weight, but reads.consistency: primary lets them serve reads only where a connection asks for it',
    ],
    [
      reads.zone === '' && Object.keys(reads.nodeZones).length > 0,
      'reads.nodeZones is set, but reads.zone is not: no node is preferred',
    ],
    [
      health.pingIntervalMs > health.pingTimeoutMs * 10,
      'health.pingIntervalMs is more than ten times health.pingTimeoutMs: a node that hangs is noticed late',
    ],
  ];
  return rules.filter(([doubtful]) => doubtful).map(([, message]) => message);
}

/** Does any replica have a weight of its own, of its zone or of its role? Nodes' may be a primary's. */
function servesFromReplicas({ reads }: Config): boolean {
  const zones = Object.values(reads.zoneWeights);
  return reads.weights.replica > 0 || zones.some((weight) => weight > 0);
}
