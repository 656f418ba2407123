/**
 * INFO of several primaries as that of one: each field by what it means. A field that nobody has
 * heard of is summed where it is a number; the first node's word stands where it is not.
 */

export interface DatabaseInfo {
  readonly keys: number;
  readonly expires: number;
  /** Milliseconds, over the keys that expire. */
  readonly avgTtl: number;
}

export interface MergedInfo {
  /** By lower-case section name; fields in the order of the first node that has them. */
  readonly sections: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** "db0" and so on. */
  readonly keyspace: Readonly<Record<string, DatabaseInfo>>;
}

/** Sections that differ by process and mean nothing when merged, and those merged by others. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'server',
  'clients',
  'modules',
  'commandstats',
  'errorstats',
  'latencystats',
  'cluster',
  'keyspace',
]);

export function mergeInfo(texts: readonly string[]): MergedInfo {
  const sections = new Map<string, Map<string, string[]>>();
  const databases = new Map<string, DatabaseInfo>();
  for (const text of texts) {
    for (const { section, field, value } of infoLines(text)) {
      if (section === 'keyspace') addDatabase(databases, field, value);
      if (LEFT_OUT.has(section)) continue;
      const fields = entryOf(sections, section, () => new Map<string, string[]>());
      entryOf(fields, field, () => []).push(value);
    }
  }
  return {
    sections: Object.fromEntries(
      [...sections].map(([name, fields]) => [name, Object.fromEntries(mergeFields(fields))]),
    ),
    keyspace: Object.fromEntries(databases),
  };
}

function entryOf<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}

interface InfoLine {
  readonly section: string;
  readonly field: string;
  readonly value: string;
}

function* infoLines(text: string): Generator<InfoLine> {
  let section = '';
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd();
    const colon = line.indexOf(':');
    if (line.startsWith('# ')) section = line.slice(2).toLowerCase();
    else if (colon > 0) {
      yield { section, field: line.slice(0, colon), value: line.slice(colon + 1) };
    }
  }
}

/** `db0:keys=5,expires=1,avg_ttl=900`; newer servers add more. */
function addDatabase(databases: Map<string, DatabaseInfo>, name: string, value: string): void {
  const parts = new Map(value.split(',').map((part) => part.split('=') as [string, string]));
  const number = (field: string): number => Number(parts.get(field)) || 0;
  const before = databases.get(name) ?? { keys: 0, expires: 0, avgTtl: 0 };
  const expires = before.expires + number('expires');
  const ttls = before.avgTtl * before.expires + number('avg_ttl') * number('expires');
  databases.set(name, {
    keys: before.keys + number('keys'),
    expires,
    avgTtl: expires === 0 ? 0 : ttls / expires,
  });
}

function mergeFields(fields: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  const merged = new Map<string, string>();
  for (const [name, values] of fields) merged.set(name, mergeField(name, values));
  for (const name of merged.keys()) {
    const bytes = name.endsWith('_human') ? merged.get(name.slice(0, -'_human'.length)) : undefined;
    if (bytes !== undefined) merged.set(name, humanBytes(Number(bytes)));
  }
  return merged;
}

/** States and moments: the sum of those of several nodes would mean nothing, the worst does. */
const LARGEST =
  /^(loading|async_loading|aof_enabled|latest_fork_usec|total_system_memory|.*_running|.*_active)$|_(in_progress|scheduled|sec|age|ratio)$/;
const SMALLEST = /^rdb_last_save_time$/;

function mergeField(name: string, values: readonly string[]): string {
  const first = values[0] as string;
  if (name.endsWith('_status')) return values.find((value) => value !== 'ok') ?? first;
  if (values.every(isPercent) || name.endsWith('_perc')) return largest(values);
  if (!values.every(isNumber)) return first;
  // One node without a limit makes the whole unlimited.
  if (name === 'maxmemory' && values.includes('0')) return '0';
  if (SMALLEST.test(name)) return String(Math.min(...values.map(Number)));
  return LARGEST.test(name) ? largest(values) : total(values);
}

function isNumber(value: string): boolean {
  return /^-?\d+(\.\d+)?$/.test(value);
}

function isPercent(value: string): boolean {
  return /^-?\d+(\.\d+)?%$/.test(value);
}

function largest(values: readonly string[]): string {
  return values.reduce((a, b) => (Number.parseFloat(b) > Number.parseFloat(a) ? b : a));
}

/** With as many decimals as the first has. */
function total(values: readonly string[]): string {
  const decimals = (values[0] as string).split('.')[1]?.length ?? 0;
  return values.reduce((sum, value) => sum + Number(value), 0).toFixed(decimals);
}

/** As Redis writes it: 512B, 1.50K, 2.06M, 23.54G. */
export function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  const units = ['K', 'M', 'G', 'T', 'P'];
  let size = bytes;
  let unit = '';
  for (const next of units) {
    if (size < 1024) break;
    size /= 1024;
    unit = next;
  }
  return `${size.toFixed(2)}${unit}`;
}
