/**
 * Restarts all nodes of a cluster, one after another, without an error for clients:
 *
 *     for each shard:  its replicas  →  a planned switch to one of them  →  the former primary
 *
 * The next node is touched only when the one before is back, follows its primary and has all that
 * was written meanwhile. Replicas come first because a process that has just started carries no
 * votes: so the switch seldom has to wait for an older election. Only a replica is ever restarted,
 * and what role a node has is asked right before.
 */
import type { SwitchProgress, SwitchResult } from '../control/failover/planned.ts';
import type { NodeReport, NodesReport, ShardReport } from '../control/nodes-report.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ApiClient, ApiRefusal } from './api-client.ts';
import { switchWhenAllowed } from './failover.ts';

export interface RollingEvent {
  readonly step:
    | 'restarting'
    | 'back'
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
  const { tell } = options;
  // By the primary's id: numbers follow the slots, and these do not change here.
  const primaryId = idOf(shard, shard.primary);
  const replicas = shard.nodes.filter(({ id }) => id !== primaryId);
  for (const { id } of replicas) await restartReplica(id, options);
  await switchShard(shard.shard, primaryId, options);
  await restartReplica(primaryId, options);
  tell({ step: 'shard-done', shard: shard.shard, node: '', text: 'all its nodes are new' });
  return shard.nodes.length;
}

function idOf(shard: ShardReport, address: string): string {
  return shard.nodes.find((node) => node.address === address)?.id ?? '';
}

interface Placed {
  readonly node: NodeReport;
  readonly shard: ShardReport;
}

async function restartReplica(id: string, options: RollingOptions): Promise<void> {
  const { tell, restart } = options;
  const { node, shard } = await findReplica(id, options);
  const number = shard.shard;
  tell({ step: 'restarting', shard: number, node: node.address, text: 'restarting' });
  await restart(node, number);
  await untilBack(node, options);
  tell({ step: 'back', shard: number, node: node.address, text: 'is restarted: back and in step' });
}

/** Right after a switch the former primary may still be shown as one. */
async function findReplica(id: string, options: RollingOptions): Promise<Placed> {
  let found: Placed | undefined;
  const why = await until(options, async () => {
    found = place(await options.api.nodes(), id);
    if (found === undefined) return 'is no longer a member of the cluster';
    if (found.node.role !== 'replica' || found.node.answer?.role !== 'replica') {
      return 'is a primary, which is never restarted';
    }
    const unwell = found.shard.nodes.find((node) => lackOf(node) !== '');
    return unwell === undefined ? '' : `must wait: ${unwell.address} ${lackOf(unwell)}`;
  });
  if (why === '' && found !== undefined) return found;
  throw unfit(`${found?.node.address ?? id} ${why}; put that right and run this again`);
}

function place(report: NodesReport, id: string): Placed | undefined {
  for (const shard of report.shards) {
    const node = shard.nodes.find((one) => one.id === id);
    if (node !== undefined) return { node, shard };
  }
  return undefined;
}

/** A new process, that follows, and has what its primary had written when it came back. */
async function untilBack(before: NodeReport, options: RollingOptions): Promise<void> {
  let target = Number.POSITIVE_INFINITY;
  const why = await until(options, async () => {
    const found = place(await options.api.nodes(), before.id);
    const answer = found?.node.answer ?? null;
    if (found === undefined || answer === null) return 'does not answer';
    if (answer.runId === before.answer?.runId) return 'is still the process from before';
    if (answer.role !== 'replica') return 'came back as a primary';
    const lack = lackOf(found.node);
    if (lack !== '') return lack;
    if (answer.offset >= target) return '';
    const primary = found.shard.nodes.find(({ address }) => address === found.shard.primary);
    if (target === Number.POSITIVE_INFINITY) target = primary?.answer?.offset ?? target;
    return 'has not caught up with its primary';
  });
  if (why === '') return;
  throw new ProxyError(
    'timed-out',
    `${before.address} ${why}, ${options.backMs / 1000} s after its restart; put that right and run this again`,
    { source: 'upstream' },
  );
}

async function switchShard(
  shard: number,
  primaryId: string,
  options: RollingOptions,
): Promise<void> {
  const { api, tell, now, pause } = options;
  const giveUpAt = now() + options.backMs;
  for (;;) {
    try {
      const result = await switchWhenAllowed(
        api,
        { shard: primaryId },
        {
          waits: true,
          step: (progress) => tell({ shard, ...progress }),
          waiting: ({ message }) => tell({ step: 'waiting', shard, node: '', text: message }),
        },
        pause,
      );
      tell({ step: 'switched', shard, node: result.to, text: switchedText(result) });
      return;
    } catch (error) {
      if (!isPassing(error) || now() > giveUpAt) throw error;
      tell({ step: 'waiting', shard, node: '', text: error.message });
      await pause(REFUSED_POLL_MS);
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

function isPassing(error: unknown): error is ApiRefusal {
  return error instanceof Error && 'reason' in error && PASSING.has(String(error.reason));
}

/** Asks until the answer is '', or the time is over; resolves with the last answer. */
async function until(
  { now, pause, backMs }: RollingOptions,
  lack: () => Promise<string>,
): Promise<string> {
  const giveUpAt = now() + backMs;
  for (;;) {
    const why = await lack();
    if (why === '' || now() > giveUpAt) return why;
    await pause(POLL_MS);
  }
}

function unfit(message: string): ProxyError {
  return new ProxyError('usage', `restart-nodes: ${message}`, { source: 'control' });
}
