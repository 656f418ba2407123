/**
 * Restarts all nodes of a cluster, one after another, without an error for clients:
 *
 *     for each shard:  its replicas  →  a planned switch to one of them  →  the former primary
 *
 * The next node is touched only when the one before is back, and every replica of the shard follows
 * its primary and has all that was written meanwhile. Replicas come first because a process that has
 * just started carries no votes: so the switch seldom has to wait for an older election. Only a
 * replica is ever restarted, and what role a node has is asked right before: where a failover comes
 * between, the rest is done by the roles it left.
 */
import type { SwitchProgress, SwitchResult } from '../control/failover/planned.ts';
import type { NodeReport, NodesReport, ShardReport } from '../control/nodes-report.ts';
import { ProxyError } from '../lib/errors.ts';
import { type ApiClient, ApiRefusal } from './api-client.ts';

export interface RollingEvent {
  readonly step:
    | 'restarting'
    | 'back'
    | 'promoted'
    | 'waiting'
    | 'shard-done'
    | SwitchProgress['step']
    | 'switched';
  readonly shard: number;
  readonly node: string;
  readonly text: string;
}

export interface RollingOptions {
  readonly api: Pick<ApiClient, 'nodes' | 'failover'>;
  /** Ends the node's process and sees to it that a new one comes. */
  readonly restart: (node: NodeReport, shard: number) => Promise<void>;
  readonly tell: (event: RollingEvent) => void;
  /** How long one node may take to be back and in step. */
  readonly backMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

const POLL_MS = 250;
/** A switch that is refused although all is well again: the nodes need a moment to hear of it. */
const REFUSED_POLL_MS = 1000;
/** A node that keeps us waiting for longer is named. */
const WAITING_TOLD_MS = 2000;

/** @returns how many nodes were restarted */
export async function restartNodes(options: RollingOptions): Promise<number> {
  const report = await options.api.nodes();
  checkCluster(report);
  let restarted = 0;
  for (const shard of report.shards) restarted += await restartShard(shard, options);
  return restarted;
}

/**
 * All must be well before the first node is touched.
 * @throws ProxyError naming every node that is not, or that no replica could stand in for
 */
export function checkCluster(report: NodesReport): void {
  if (report.mode !== 'cluster') {
    throw unfit(
      'the upstream is no Redis Cluster: restart its nodes by the order of its Sentinels',
    );
  }
  const problems: string[] = [];
  for (const { shard, nodes } of report.shards) {
    if (nodes.length < 2) problems.push(`shard ${shard} has no replica that could take over`);
    for (const node of nodes) {
      const lack = lackOf(node);
      if (lack !== '') problems.push(`${node.address} (shard ${shard}) ${lack}`);
    }
  }
  if (problems.length > 0) throw unfit(`nothing was restarted: ${problems.join('; ')}`);
}

/** What a node still lacks of being well, '' for nothing. */
export function lackOf({ answer, state }: NodeReport): string {
  if (answer === null) return 'does not answer';
  if (answer.isLoading) return 'is loading its data';
  if (answer.isSyncing) return 'is copying the data of its primary';
  if (!answer.linkUp) return 'has no connection to its primary';
  return state === 'up' ? '' : `is ${state}`;
}

async function restartShard(shard: ShardReport, options: RollingOptions): Promise<number> {
  const members = shard.nodes.map(({ id }) => id);
  const pending = new Set(members);
  const switching = new Switching(options);
  let number = shard.shard;
  while (pending.size > 0) {
    // Roles are those of now: a failover may have come between.
    const next = chooseNext(await wholeReport(members, options), pending);
    number = next.shard.shard;
    if (next.isPrimary) {
      await switching.attempt(next);
      continue;
    }
    await restartReplica(next, members, options);
    pending.delete(next.node.id);
  }
  options.tell({ step: 'shard-done', shard: number, node: '', text: 'all its nodes are new' });
  return members.length;
}

interface Placed {
  readonly node: NodeReport;
  readonly shard: ShardReport;
  readonly isPrimary: boolean;
}

/** A replica first; a primary where only primaries are left. */
function chooseNext(report: NodesReport, pending: ReadonlySet<string>): Placed {
  const placed = [...pending].flatMap((id) => place(report, id) ?? []);
  const next = placed.find(({ isPrimary }) => !isPrimary) ?? placed[0];
  if (next === undefined) throw unfit('no node is left of those that were to be restarted');
  return next;
}

function place(report: NodesReport, id: string): Placed | undefined {
  for (const shard of report.shards) {
    const node = shard.nodes.find((one) => one.id === id);
    if (node !== undefined) return { node, shard, isPrimary: node.address === shard.primary };
  }
  return undefined;
}

async function restartReplica(
  { node, shard }: Placed,
  members: readonly string[],
  options: RollingOptions,
): Promise<void> {
  const { tell, restart } = options;
  const number = shard.shard;
  tell({ step: 'restarting', shard: number, node: node.address, text: 'restarting' });
  await restart(node, number);
  await untilBack(node, number, members, options);
  tell({ step: 'back', shard: number, node: node.address, text: 'is restarted: back and in step' });
}

/** The report in which all is well where these nodes are. */
async function wholeReport(
  members: readonly string[],
  options: RollingOptions,
): Promise<NodesReport> {
  let report: NodesReport | undefined;
  const wholeness = new Wholeness(members);
  const lack = await until(options, async () => {
    report = await options.api.nodes();
    return wholeness.lack(report);
  });
  if (lack === null && report !== undefined) return report;
  throw unfit(`${lackText(lack)}; put that right and run this again`);
}

/**
 * A new process, and the whole shard well again. Where its primary died meanwhile the new process
 * may have taken over: then it is the others that must follow and catch up.
 */
async function untilBack(
  before: NodeReport,
  number: number,
  members: readonly string[],
  options: RollingOptions,
): Promise<void> {
  const { address } = before;
  const wholeness = new Wholeness(members);
  const patience = new Patience(address, number, options);
  let isPromoted = false;
  const lack = await until(options, async () => {
    const report = await options.api.nodes();
    const found = place(report, before.id);
    const answer = found?.node.answer ?? null;
    if (answer === null) return { node: address, text: 'does not answer' };
    if (answer.runId === before.answer?.runId) {
      return { node: address, text: 'is still the process from before' };
    }
    if (found?.isPrimary === true && answer.role === 'primary' && !isPromoted) {
      isPromoted = true;
      const text = 'is restarted, and the primary of its shard now: a failover came between';
      options.tell({ step: 'promoted', shard: number, node: address, text });
    }
    const missing = wholeness.lack(report);
    patience.note(missing);
    return missing;
  });
  if (lack === null) return;
  const whose = lack.node === address ? 'its restart' : `the restart of ${address}`;
  throw new ProxyError(
    'timed-out',
    `${lackText(lack)}, ${options.backMs / 1000} s after ${whose}; put that right and run this again`,
    { source: 'upstream' },
  );
}

/** What is missing, and of which node. */
interface Lack {
  readonly node: string;
  readonly text: string;
}

function lackText(lack: Lack | null): string {
  return lack === null ? '' : `${lack.node} ${lack.text}`;
}

/** Is every shard in which one of these nodes is as it was before its first restart? */
class Wholeness {
  readonly #members: readonly string[];
  /** What a primary had written when all was first seen to follow it, by its id. */
  readonly #targets = new Map<string, number>();

  constructor(members: readonly string[]) {
    this.#members = members;
  }

  lack(report: NodesReport): Lack | null {
    const shards = new Set<ShardReport>();
    for (const id of this.#members) {
      const found = place(report, id);
      if (found === undefined) return lackOfUnplaced(report, id);
      shards.add(found.shard);
    }
    for (const shard of shards) {
      const lack = lackOfShard(shard) ?? this.#lag(shard);
      if (lack !== null) return lack;
    }
    return null;
  }

  #lag(shard: ShardReport): Lack | null {
    const primary = shard.nodes.find(({ address }) => address === shard.primary);
    if (primary === undefined) return null;
    const target = this.#targets.get(primary.id) ?? primary.answer?.offset ?? 0;
    this.#targets.set(primary.id, target);
    const late = shard.nodes.find(({ answer }) => (answer?.offset ?? 0) < target);
    if (late === undefined) return null;
    return { node: late.address, text: 'has not caught up with its primary' };
  }
}

/** A primary whose slots another has taken stands outside all shards until it follows. */
function lackOfUnplaced(report: NodesReport, id: string): Lack {
  const node = report.others.find((one) => one.id === id);
  if (node === undefined) return { node: id, text: 'is no longer a member of the cluster' };
  return { node: node.address, text: lackOf(node) || 'follows no primary' };
}

function lackOfShard({ nodes, primary }: ShardReport): Lack | null {
  for (const node of nodes) {
    const lack = lackOf(node);
    if (lack !== '') return { node: node.address, text: lack };
    // Right after a switch the picture, or the former primary itself, may still be as before.
    const role = node.address === primary ? 'primary' : 'replica';
    if (node.answer?.role !== role) return { node: node.address, text: `is no ${role} yet` };
  }
  return null;
}

/** Says once what another node keeps us waiting with, where it does not pass by itself soon. */
class Patience {
  readonly #own: string;
  readonly #shard: number;
  readonly #options: RollingOptions;
  #text = '';
  #since = 0;
  #isTold = false;

  constructor(own: string, shard: number, options: RollingOptions) {
    this.#own = own;
    this.#shard = shard;
    this.#options = options;
  }

  note(lack: Lack | null): void {
    const { now, tell } = this.#options;
    const text = lackText(lack);
    if (text !== this.#text) {
      this.#text = text;
      this.#since = now();
    }
    if (lack === null || lack.node === this.#own || this.#isTold) return;
    if (now() - this.#since < WAITING_TOLD_MS) return;
    this.#isTold = true;
    tell({ step: 'waiting', shard: this.#shard, node: lack.node, text: `${lack.text}: waiting` });
  }
}

/** The planned switch of one shard, tried until it is allowed; roles are looked at before each. */
class Switching {
  readonly #options: RollingOptions;
  #giveUpAt = 0;

  constructor(options: RollingOptions) {
    this.#options = options;
  }

  /** Returns when it is done, or when it is time to look again. */
  async attempt({ node, shard: { shard } }: Placed): Promise<void> {
    const { api, tell, now, pause, backMs } = this.#options;
    try {
      const step = (progress: SwitchProgress): void => tell({ shard, ...progress });
      const result = await api.failover({ shard: node.id }, step);
      this.#giveUpAt = 0;
      tell({ step: 'switched', shard, node: result.to, text: switchedText(result) });
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      const { retryAfterSeconds } = error;
      if (retryAfterSeconds === undefined) {
        if (this.#giveUpAt === 0) this.#giveUpAt = now() + backMs;
        if (!PASSING.has(error.reason) || now() > this.#giveUpAt) throw error;
      }
      tell({ step: 'waiting', shard, node: '', text: error.message });
      await pause(retryAfterSeconds === undefined ? REFUSED_POLL_MS : retryAfterSeconds * 1000);
    }
  }
}

function switchedText({ from, pauseMs }: SwitchResult): string {
  return `took over from ${from}, clients waited up to ${pauseMs} ms`;
}

/** Reasons that pass by themselves soon after a replica came back. */
const PASSING = new Set([
  'unlisted',
  'unheard',
  'silent',
  'link-down',
  'syncing',
  'busy',
  'no-majority',
]);

/** Asks until nothing is missing, or the time is over; resolves with the last answer. */
async function until(
  { now, pause, backMs }: RollingOptions,
  lack: () => Promise<Lack | null>,
): Promise<Lack | null> {
  const giveUpAt = now() + backMs;
  for (;;) {
    const missing = await lack();
    if (missing === null || now() > giveUpAt) return missing;
    await pause(POLL_MS);
  }
}

function unfit(message: string): ProxyError {
  return new ProxyError('usage', `restart-nodes: ${message}`, { source: 'control' });
}
