/** MEMORY over all primaries: STATS summed, DOCTOR and MALLOC-STATS node by node, PURGE everywhere. */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { askPrimaries, pairsOf, paragraphs, textOf } from './asking-nodes.ts';
import type { LocalCall, LocalHandler } from './context.ts';

/** Whole numbers are numbers, those with a fraction come as text; "db.0" is a table of its own. */
type Stat = number | { readonly fraction: number } | Map<string, Stat>;

function statsOf(value: unknown): Map<string, Stat> {
  return new Map(pairsOf(value).map(([name, each]) => [name, statOf(each)]));
}

function statOf(value: unknown): Stat {
  if (typeof value === 'number') return value;
  return Array.isArray(value) ? statsOf(value) : { fraction: Number(textOf(value)) };
}

/** Amounts add up; of ratios the worst is shown, except where the sums give the true one. */
export function mergeStats(nodes: readonly Map<string, Stat>[]): Map<string, Stat> {
  const merged = new Map<string, Stat>();
  for (const node of nodes) {
    for (const [name, stat] of node) {
      const before = merged.get(name);
      merged.set(name, before === undefined ? stat : combine(before, stat));
    }
  }
  return merged;
}

function combine(a: Stat, b: Stat): Stat {
  if (typeof a === 'number') return typeof b === 'number' ? a + b : a;
  if (a instanceof Map) return b instanceof Map ? mergeStats([a, b]) : a;
  if (typeof b === 'number' || b instanceof Map) return a;
  return { fraction: Math.max(a.fraction, b.fraction) };
}

const PARTS: Readonly<Record<string, (stat: (name: string) => number) => number>> = {
  'dataset.percentage': (stat) =>
    (100 * stat('dataset.bytes')) / (stat('total.allocated') - stat('startup.allocated')),
  'peak.percentage': (stat) => (100 * stat('total.allocated')) / stat('peak.allocated'),
  'allocator-fragmentation.ratio': (stat) => stat('allocator.active') / stat('allocator.allocated'),
  'allocator-rss.ratio': (stat) => stat('allocator.resident') / stat('allocator.active'),
};

function recompute(stats: Map<string, Stat>): void {
  const stat = (name: string): number => Number(stats.get(name));
  for (const [name, ratio] of Object.entries(PARTS)) {
    const fraction = ratio(stat);
    if (stats.has(name) && Number.isFinite(fraction)) stats.set(name, { fraction });
  }
  const each = (stat('total.allocated') - stat('startup.allocated')) / stat('keys.count');
  if (stats.has('keys.bytes-per-key') && Number.isFinite(each)) {
    stats.set('keys.bytes-per-key', Math.floor(each));
  }
}

function writeStats(stats: ReadonlyMap<string, Stat>, reply: ReplyWriter): void {
  reply.map(stats.size);
  for (const [name, stat] of stats) {
    reply.bulk(name);
    if (typeof stat === 'number') reply.integer(stat);
    else if (stat instanceof Map) writeStats(stat, reply);
    else reply.double(stat.fraction);
  }
}

async function stats({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answers = await askPrimaries(services, ['MEMORY', 'STATS']);
  if (typeof answers === 'string') {
    reply.error(answers);
    return;
  }
  const merged = mergeStats(answers.map(({ value }) => statsOf(value)));
  recompute(merged);
  writeStats(merged, reply);
}

async function purge({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answers = await askPrimaries(services, ['MEMORY', 'PURGE']);
  if (typeof answers === 'string') reply.error(answers);
  else reply.simple('OK');
}

function words(subcommand: string): LocalHandler {
  return async ({ services }: LocalCall, reply: ReplyWriter): Promise<void> => {
    const answers = await askPrimaries(services, ['MEMORY', subcommand]);
    if (typeof answers === 'string') reply.error(answers);
    else reply.verbatim(paragraphs(answers));
  };
}

export const MEMORY_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'memory|stats': stats,
  'memory|purge': purge,
  'memory|doctor': words('DOCTOR'),
  'memory|malloc-stats': words('MALLOC-STATS'),
};
