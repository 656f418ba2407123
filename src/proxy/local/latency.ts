/** LATENCY over all primaries: spikes by event, what the nodes advise, histograms by command. */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { text } from './arguments.ts';
import { listOf, numberOf } from './asking-control.ts';
import { askPrimaries, type NodeAnswer, pairsOf, paragraphs, textOf } from './asking-nodes.ts';
import type { LocalCall, LocalHandler, LocalServices } from './context.ts';

/** Samples that a node keeps of one event, and that one answer has at most. */
const SAMPLES_MAX = 160;

/** Asks, and writes the answer unless a node failed. */
function merged(
  command: (args: readonly Buffer[]) => readonly string[],
  write: (answers: readonly NodeAnswer[], reply: ReplyWriter, args: readonly Buffer[]) => void,
): LocalHandler {
  return async ({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> => {
    const answers = await askPrimaries(services, command(args));
    if (typeof answers === 'string') reply.error(answers);
    else write(answers, reply, args);
  };
}

interface Spike {
  readonly event: string;
  readonly at: number;
  readonly latestMs: number;
  readonly maxMs: number;
}

const latest = merged(
  () => ['LATENCY', 'LATEST'],
  (answers, reply) => {
    const spikes = new Map<string, Spike>();
    for (const { value } of answers) {
      for (const each of listOf(value)) {
        const [name, at, latestMs, maxMs] = listOf(each);
        const spike = {
          event: textOf(name),
          at: numberOf(at),
          latestMs: numberOf(latestMs),
          maxMs: numberOf(maxMs),
        };
        const before = spikes.get(spike.event);
        spikes.set(spike.event, before === undefined ? spike : newerOf(before, spike));
      }
    }
    reply.array(spikes.size);
    for (const { event, at, latestMs, maxMs } of spikes.values()) {
      reply.array(4);
      reply.bulk(event);
      reply.integer(at);
      reply.integer(latestMs);
      reply.integer(maxMs);
    }
  },
);

function newerOf(a: Spike, b: Spike): Spike {
  return { ...(b.at > a.at ? b : a), maxMs: Math.max(a.maxMs, b.maxMs) };
}

const history = merged(
  (args) => ['LATENCY', 'HISTORY', text(args, 2)],
  (answers, reply) => {
    const samples = answers
      .flatMap(({ value }) => listOf(value).map((each) => listOf(each).map(numberOf)))
      .sort(([a = 0], [b = 0]) => a - b)
      .slice(-SAMPLES_MAX);
    reply.array(samples.length);
    for (const [at = 0, ms = 0] of samples) {
      reply.array(2);
      reply.integer(at);
      reply.integer(ms);
    }
  },
);

/** Of all nodes together, as each keeps its own. */
const reset = merged(
  (args) => ['LATENCY', 'RESET', ...args.slice(2).map((_, i) => text(args, i + 2))],
  (answers, reply) =>
    reply.integer(answers.reduce((total, { value }) => total + numberOf(value), 0)),
);

const doctor = merged(
  () => ['LATENCY', 'DOCTOR'],
  (answers, reply) => reply.verbatim(paragraphs(answers)),
);

/** A node without samples of the event answers an error, which is no failure while another has some. */
async function graph({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const event = text(args, 2);
  const having = await nodesWith(services, event);
  if (typeof having === 'string') {
    reply.error(having);
    return;
  }
  if (having.length === 0) {
    reply.error(`ERR No samples available for event '${event}'`);
    return;
  }
  reply.verbatim(paragraphs(having.map(({ address, value }) => ({ address, value: bars(value) }))));
}

async function nodesWith(services: LocalServices, event: string): Promise<NodeAnswer[] | string> {
  const answers = await askPrimaries(services, ['LATENCY', 'HISTORY', event]);
  if (typeof answers === 'string') return answers;
  return answers.filter(({ value }) => listOf(value).length > 0);
}

const BAR_WIDTH = 50;

/** One line a sample: its time, its milliseconds, a bar. */
function bars(history: unknown): string {
  const samples = listOf(history).map((each) => listOf(each).map(numberOf));
  const highest = Math.max(1, ...samples.map(([, ms = 0]) => ms));
  return samples
    .map(([at = 0, ms = 0]) => {
      const bar = '#'.repeat(Math.max(1, Math.round((ms / highest) * BAR_WIDTH)));
      return `${new Date(at * 1000).toISOString().slice(0, 19)}Z ${bar} ${ms} ms\n`;
    })
    .join('');
}

interface Histogram {
  calls: number;
  /** Cumulative counts by the bucket's upper bound in microseconds, a list per node. */
  readonly counts: (readonly (readonly [bound: number, count: number])[])[];
}

const histogram = merged(
  (args) => ['LATENCY', 'HISTOGRAM', ...args.slice(2).map((_, i) => text(args, i + 2))],
  (answers, reply) => {
    const byCommand = new Map<string, Histogram>();
    for (const { value } of answers) {
      for (const [command, fields] of pairsOf(value)) addHistogram(byCommand, command, fields);
    }
    reply.map(byCommand.size);
    for (const [command, { calls, counts }] of byCommand) {
      const buckets = sumCumulative(counts);
      reply.bulk(command);
      reply.map(2);
      reply.bulk('calls');
      reply.integer(calls);
      reply.bulk('histogram_usec');
      reply.map(buckets.length);
      for (const [bound, count] of buckets) {
        reply.integer(bound);
        reply.integer(count);
      }
    }
  },
);

function addHistogram(all: Map<string, Histogram>, command: string, fields: unknown): void {
  const named = new Map(pairsOf(fields));
  const list = listOf(named.get('histogram_usec')).map(numberOf);
  const buckets: [number, number][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) {
    buckets.push([list[i] as number, list[i + 1] as number]);
  }
  const into = all.get(command) ?? { calls: 0, counts: [] };
  into.calls += numberOf(named.get('calls'));
  into.counts.push(buckets);
  all.set(command, into);
}

/** A node names only buckets in which it has calls: between them its count stays what it was. */
export function sumCumulative(
  nodes: readonly (readonly (readonly [bound: number, count: number])[])[],
): [bound: number, count: number][] {
  const bounds = [...new Set(nodes.flatMap((node) => node.map(([bound]) => bound)))];
  return bounds
    .sort((a, b) => a - b)
    .map((bound) => {
      const upTo = nodes.map((node) => node.findLast(([own]) => own <= bound)?.[1] ?? 0);
      return [bound, upTo.reduce((a, b) => a + b, 0)];
    });
}

export const LATENCY_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'latency|latest': latest,
  'latency|history': history,
  'latency|reset': reset,
  'latency|graph': graph,
  'latency|doctor': doctor,
  'latency|histogram': histogram,
};
