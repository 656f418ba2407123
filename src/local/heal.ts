/**
 * Brings an embedded node back whose process ended by itself.
 *
 * Without persistence a primary comes back empty. If it did so before a replica was promoted, the
 * replica would copy the emptiness and the shard's data would be gone. So the replicas get time to
 * take over first; where the cluster has no majority to vote with (one or two shards, or more primaries
 * dead than alive), the freshest replica is told to, which is safe because we are the parent that saw
 * the processes end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errorText, ProxyError } from '../lib/errors.ts';
import { ReplyError, type RespClient } from '../lib/resp-client.ts';
import { readFields, readView, type ViewedNode } from './cluster-view.ts';
import type { LocalLog, LocalNode } from './options.ts';

/** What healing needs of the cluster. */
export interface Healable {
  readonly persistent: boolean;
  readonly nodes: readonly LocalNode[];
  connect(node: LocalNode, timeoutMs?: number): Promise<RespClient>;
  restart(node: LocalNode): Promise<void>;
}

export interface HealOptions {
  readonly signal: AbortSignal;
  readonly say: LocalLog;
  /** Milliseconds; as measured for a node-timeout of 2000, with reserve. For tests. */
  readonly times?: Partial<HealTimes>;
}

export interface HealTimes {
  /**
   * Before a persistent node is started again: well within the time that slotgate gives it to come
   * back (failover.confirmMs), or a replica would be promoted just when it serves again.
   */
  readonly restartMs: number;
  /** Left to the proxy and to the nodes' votes, before a take-over is ordered. */
  readonly votesMs: number;
  /** After which the node is started in any case. */
  readonly giveUpMs: number;
  /** Between attempts to start it, doubled each time. */
  readonly retryMs: number;
}

const TIMES: HealTimes = { restartMs: 250, votesMs: 6000, giveUpMs: 20_000, retryMs: 2000 };
const POLL_MS = 200;
const RETRY_MAX_MS = 60_000;
const CALL_MS = 1000;

/** Never rejects; gives up when `signal` is aborted. */
export async function healNode(
  cluster: Healable,
  node: LocalNode,
  options: HealOptions,
): Promise<void> {
  const { signal, say } = options;
  const times = { ...TIMES, ...options.times };
  const name = `${node.host}:${node.port}`;
  try {
    if (cluster.persistent) await delay(times.restartMs, undefined, { signal });
    else await untilSucceeded(cluster, node, times, options);
  } catch (error) {
    if (signal.aborted) return;
    say(`Node ${name}: ${errorText(error)}`, 'warn');
  }
  for (let waitMs = times.retryMs; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
    try {
      await cluster.restart(node);
      say(`Node ${name} is back.`, 'info');
      return;
    } catch (error) {
      if (signal.aborted) return;
      say(`Node ${name} could not be started again: ${errorText(error)}`, 'warn');
      // Rejects only when aborted, which the loop's condition sees.
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Waits until the dead node owns no slots that a replica of its could take over. */
async function untilSucceeded(
  cluster: Healable,
  node: LocalNode,
  times: HealTimes,
  { signal, say }: HealOptions,
): Promise<void> {
  const start = performance.now();
  let ordered = false;
  for (;;) {
    const view = await anyView(cluster, node);
    const own = view.find(({ id }) => id === node.id);
    const replicas = view.filter(({ primaryId }) => primaryId === node.id);
    if (own === undefined || own.lowestSlot < 0 || replicas.length === 0) return;
    const waited = performance.now() - start;
    if (waited > times.giveUpMs) {
      say(
        `No replica took over from ${node.host}:${node.port} in time: it starts again, empty, and ` +
          'what its shard held is gone.',
        'error',
      );
      return;
    }
    if (!ordered && waited > times.votesMs && !hasMajority(cluster, view)) {
      ordered = await orderTakeover(cluster, replicas);
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Can the primaries that are alive elect anybody? */
function hasMajority({ nodes }: Healable, view: readonly ViewedNode[]): boolean {
  const voters = view.filter(({ lowestSlot }) => lowestSlot >= 0);
  const alive = voters.filter(({ id }) => nodes.some((node) => node.id === id && node.pid !== 0));
  return alive.length > voters.length / 2;
}

/** The cluster as the first other node that answers sees it; empty when none does. */
async function anyView(cluster: Healable, dead: LocalNode): Promise<ViewedNode[]> {
  for (const node of cluster.nodes) {
    if (node.index === dead.index || node.pid === 0) continue;
    const view = await ask(cluster, node, readView);
    if (view !== undefined) return view;
  }
  return [];
}

/** Tells the replica with the most data to take over; false when none could be told. */
async function orderTakeover(cluster: Healable, replicas: readonly ViewedNode[]): Promise<boolean> {
  let best: LocalNode | undefined;
  let bestOffset = -1;
  for (const { id } of replicas) {
    const node = cluster.nodes.find((candidate) => candidate.id === id);
    if (node === undefined || node.pid === 0) continue;
    const fields = await ask(cluster, node, (client) => readFields(client, 'INFO', 'replication'));
    const offset = Number(fields?.get('slave_repl_offset') ?? -1);
    if (offset > bestOffset) [best, bestOffset] = [node, offset];
  }
  if (best === undefined) return false;
  const reply = await ask(cluster, best, (client) =>
    client.call('CLUSTER', 'FAILOVER', 'TAKEOVER'),
  );
  return reply !== undefined;
}

/** Undefined when the node does not answer: the next poll sees more. */
async function ask<T>(
  cluster: Healable,
  node: LocalNode,
  question: (client: RespClient) => Promise<T>,
): Promise<T | undefined> {
  let client: RespClient | undefined;
  try {
    client = await cluster.connect(node, CALL_MS);
    return await question(client);
  } catch (error) {
    if (error instanceof ProxyError || error instanceof ReplyError) return undefined;
    throw error;
  } finally {
    client?.close();
  }
}
