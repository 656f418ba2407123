/**
 * Calls that workers make for commands about the instance as a whole: what other workers know
 * (clients, counters) and what the nodes know (INFO, command documentation, modules). Every answer is
 * plain data.
 *
 * Questions to nodes share one answer: while one is under way, and for a while after it, whoever
 * asks the same gets it, so that a thousand clients that connect at once cost one INFO per node.
 */

import {
  nodeAddress,
  primariesOf,
  type Snapshot,
  type SnapshotNode,
} from '../topology/snapshot.ts';
import type { BroadcastResult, CallServer } from './calls.ts';
import { type MergedInfo, mergeInfo } from './info-merge.ts';
import { readKeyspaceEvents, writeKeyspaceEvents } from './keyspace-events.ts';
import { NodeCallError } from './node-client.ts';

type NodeCommand = readonly [string, ...string[]];

/** The nodes as this file needs them; discovery has the connections. */
export interface InstanceNodes {
  /** The newest picture, null before the first. */
  snapshot(): Snapshot | null;
  /** One command to whichever node answers; texts as strings. Rejects when none does. */
  callAny(command: NodeCommand): Promise<unknown>;
  /** One command to this node; texts as Buffers. Rejects likewise. */
  callNode(
    node: { readonly host: string; readonly port: number },
    command: NodeCommand,
  ): Promise<unknown>;
}

export interface InstanceCallsOptions {
  readonly nodes: InstanceNodes;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export interface NodesInfoAnswer extends MergedInfo {
  readonly asked: number;
  /** Those that answered in time; others are counted as they were a short while ago, if known. */
  readonly answered: number;
}

/** How long a merged INFO is good, milliseconds. */
const INFO_FRESH_MS = 500;
/** Documentation and modules change with an upgrade only. */
const DOCS_FRESH_MS = 60_000;
/** A primary that hangs must not hold up everybody's INFO. */
const NODE_PATIENCE_MS = 250;
/** How long a silent node's last INFO stands for it. */
const LAST_INFO_MS = 60_000;
/** Left of a caller's deadline for the way back. */
const RETURN_MS = 50;

/** Registers the methods below on `calls`. */
export function registerInstanceCalls(calls: CallServer, options: InstanceCallsOptions): void {
  const { nodes, now } = options;
  const infos = new NodeInfos(options);
  const docs = new SharedAnswer(now, DOCS_FRESH_MS, () => nodes.callAny(['COMMAND', 'DOCS']));
  const modules = new SharedAnswer(now, DOCS_FRESH_MS, () => nodes.callAny(['MODULE', 'LIST']));
  const databases = new SharedAnswer(now, INFO_FRESH_MS, () => readDatabases(nodes));
  const broadcast = (method: string, argument: unknown, deadlineMs: number) =>
    calls.broadcast(method, argument, Math.max(1, deadlineMs - RETURN_MS));

  calls.register('client.list', async (filter, ms) =>
    mergeClients(await broadcast('client.list.local', filter, ms)),
  );
  calls.register('client.kill', async (argument, ms) =>
    mergeKills(await broadcast('client.kill.local', argument, ms)),
  );
  calls.register('client.unblock', async (argument, ms) => {
    const { answers } = await broadcast('client.unblock.local', argument, ms);
    return answers.some(({ value }) => value === true);
  });
  calls.register('client.pause', async (argument, ms) => ({
    silent: silentOf(await broadcast('client.pause.local', argument, ms)),
  }));
  calls.register('client.unpause', async (_, ms) => ({
    silent: silentOf(await broadcast('client.unpause.local', null, ms)),
  }));
  calls.register('pubsub.counts', async (message, ms) => {
    const { answers, missing } = await broadcast('pubsub.counts.local', message, ms);
    // Null: somebody has not heard it, and must be told again.
    if (missing.length > 0) return null;
    return answers.map(({ value }) => value).filter((value) => value !== null);
  });
  calls.register('nodes.keyspace-events', () => readKeyspaceEvents(nodes));
  calls.register('nodes.keyspace-events.set', async (value) => ({
    error: await writeKeyspaceEvents(nodes, String(value)),
  }));
  calls.register('workers.info', async (_, ms) =>
    mergeFacts(await broadcast('info.local', null, ms)),
  );
  calls.register('nodes.databases', () => databases.get());
  calls.register('nodes.info', () => infos.get());
  calls.register('nodes.docs', () => docs.get());
  calls.register('nodes.modules', () => modules.get());
  calls.register('stats.reset', async (_, ms) => {
    const { missing } = await broadcast('stats.reset.local', null, ms);
    const error = await resetNodes(nodes);
    infos.forget();
    return { error: missing.length > 0 ? 'a worker did not answer in time' : error };
  });
}

/** How many databases the primary has; null where the account may not know. */
async function readDatabases(nodes: InstanceNodes): Promise<number | null> {
  const [primary] = primariesOf(nodes.snapshot());
  if (primary === undefined) throw new Error('no primary is known yet');
  try {
    const reply = await nodes.callNode(primary, ['CONFIG', 'GET', 'databases']);
    const count = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
    return Number.isInteger(count) ? count : null;
  } catch (error) {
    if (error instanceof NodeCallError && isRefusal(error)) return null;
    throw error;
  }
}

function isRefusal({ failure }: NodeCallError): boolean {
  return failure.code === 'reply' || failure.code === 'auth';
}

/** One answer for all who ask while it is under way or fresh. A failure is not kept. */
class SharedAnswer<T> {
  readonly #now: () => number;
  readonly #freshMs: number;
  readonly #ask: () => Promise<T>;
  #running: Promise<T> | null = null;
  #last: { readonly value: T; readonly at: number } | null = null;

  constructor(now: () => number, freshMs: number, ask: () => Promise<T>) {
    this.#now = now;
    this.#freshMs = freshMs;
    this.#ask = ask;
  }

  async get(): Promise<T> {
    const last = this.#last;
    if (last !== null && this.#now() - last.at < this.#freshMs) return last.value;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  forget(): void {
    this.#last = null;
  }

  async #run(): Promise<T> {
    const value = await this.#ask();
    this.#last = { value, at: this.#now() };
    return value;
  }
}

/** INFO of all primaries, merged. */
class NodeInfos {
  readonly #options: InstanceCallsOptions;
  readonly #shared: SharedAnswer<NodesInfoAnswer>;
  /** By node id: what it said last. */
  readonly #last = new Map<string, { readonly text: string; readonly at: number }>();

  constructor(options: InstanceCallsOptions) {
    this.#options = options;
    this.#shared = new SharedAnswer(options.now, INFO_FRESH_MS, () => this.#ask());
  }

  get(): Promise<NodesInfoAnswer> {
    return this.#shared.get();
  }

  /** What was said before is not true any more. */
  forget(): void {
    this.#last.clear();
    this.#shared.forget();
  }

  async #ask(): Promise<NodesInfoAnswer> {
    const asked = primariesOf(this.#options.nodes.snapshot());
    const texts = await Promise.all(asked.map((node) => this.#askNode(node)));
    const known = new Set(asked.map(({ id }) => id));
    for (const id of this.#last.keys()) if (!known.has(id)) this.#last.delete(id);
    const answered = texts.filter((text) => text !== null).length;
    const all = asked.flatMap((node, i) => texts[i] ?? this.#recent(node) ?? []);
    return { asked: asked.length, answered, ...mergeInfo(all) };
  }

  /** Null when it does not answer in time: INFO goes without it, and says so. */
  async #askNode(node: SnapshotNode): Promise<string | null> {
    const { nodes, now } = this.#options;
    const asking = nodes.callNode(node, ['INFO']).then(
      (reply) => {
        const text = String(reply);
        this.#last.set(node.id, { text, at: now() });
        return text;
      },
      () => null,
    );
    return withinPatience(asking);
  }

  #recent({ id }: SnapshotNode): string | undefined {
    const last = this.#last.get(id);
    return last !== undefined && this.#options.now() - last.at < LAST_INFO_MS
      ? last.text
      : undefined;
  }
}

/** The promise must not reject; what comes late is left to it. */
async function withinPatience<T>(work: Promise<T | null>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, NODE_PATIENCE_MS, null);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined when every primary did it. */
async function resetNodes(nodes: InstanceNodes): Promise<string | undefined> {
  const primaries = primariesOf(nodes.snapshot());
  const results = await Promise.allSettled(
    primaries.map((node) => nodes.callNode(node, ['CONFIG', 'RESETSTAT'])),
  );
  const failed = results.findIndex(({ status }) => status === 'rejected');
  const result = results[failed];
  if (result?.status !== 'rejected') return undefined;
  return `${nodeAddress(primaries[failed] as SnapshotNode)}: ${messageOf(result.reason)}`;
}

/** A worker that has gone has no clients left; one that is silent may have. */
function silentOf({ missing }: BroadcastResult): number {
  return missing.filter(({ reason }) => reason === 'deadline').length;
}

function mergeClients(result: BroadcastResult): { clients: unknown[]; silent: number } {
  const clients = result.answers.flatMap(({ value }) => (Array.isArray(value) ? value : []));
  const idOf = (client: unknown): number => Number(fieldOf(client, 'id'));
  return { clients: clients.sort((a, b) => idOf(a) - idOf(b)), silent: silentOf(result) };
}

function mergeKills(result: BroadcastResult): { killed: number; silent: number } {
  const counts = result.answers.map(({ value }) => (typeof value === 'number' ? value : 0));
  return { killed: counts.reduce((a, b) => a + b, 0), silent: silentOf(result) };
}

type Numbers = Record<string, number>;

interface MergedFacts {
  readonly workers: number;
  readonly sums: Numbers;
  readonly peaks: Numbers;
  readonly errors: Numbers;
  readonly commands: Record<string, number[]>;
}

function mergeFacts({ answers }: BroadcastResult): MergedFacts {
  const merged: MergedFacts = {
    workers: answers.length,
    sums: {},
    peaks: {},
    errors: {},
    commands: {},
  };
  const add = (a: number, b: number): number => a + b;
  for (const { value } of answers) {
    combine(merged.sums, fieldOf(value, 'sums'), add);
    combine(merged.peaks, fieldOf(value, 'peaks'), Math.max);
    combine(merged.errors, fieldOf(value, 'errors'), add);
    for (const [name, cells] of entriesOf(fieldOf(value, 'commands'))) {
      if (!Array.isArray(cells)) continue;
      const before = merged.commands[name] ?? [];
      merged.commands[name] = cells.map((cell, at) => Number(cell) + (before[at] ?? 0));
    }
  }
  return merged;
}

function combine(into: Numbers, from: unknown, by: (a: number, b: number) => number): void {
  for (const [name, value] of entriesOf(from)) {
    if (typeof value === 'number') into[name] = by(into[name] ?? 0, value);
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
