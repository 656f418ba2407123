/** Real clusters for tests: started before, stopped after, whatever the test does. */
import { afterAll, beforeAll } from 'vitest';
import { ReplyError, type RespClient } from '../../src/lib/resp-client.ts';
import { readFields, readView } from '../../src/local/cluster-view.ts';
import { type LocalCluster, startLocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalClusterOptions, LocalNode } from '../../src/local/options.ts';
import { findRedisServer, versionAtLeast } from '../../src/local/redis-binary.ts';

export type TestClusterOptions = Partial<LocalClusterOptions>;

const POLL_MS = 25;

/** 3 shards with 1 replica each unless told otherwise; the caller stops it. */
export function startTestCluster(options: TestClusterOptions = {}): Promise<LocalCluster> {
  const server = findRedisServer();
  // DEBUG SLEEP and the like; older servers allow it anyway and know no such setting.
  const hasDebugSwitch = server?.flavor === 'Valkey' || (server && versionAtLeast(server, 7));
  return startLocalCluster({
    shards: 3,
    replicas: 1,
    ...options,
    extraConfig: {
      ...(hasDebugSwitch ? { 'enable-debug-command': 'local' } : {}),
      ...options.extraConfig,
    },
  });
}

/** Runs `body` with a cluster of its own. */
export async function withCluster<T>(
  options: TestClusterOptions,
  body: (cluster: LocalCluster) => Promise<T>,
): Promise<T> {
  const cluster = await startTestCluster(options);
  try {
    return await body(cluster);
  } finally {
    await cluster.stop();
  }
}

/** One cluster for all tests of the surrounding `describe` or file: `const cluster = useCluster()`. */
export function useCluster(options: TestClusterOptions = {}): () => LocalCluster {
  let cluster: LocalCluster | undefined;
  beforeAll(async () => {
    cluster = await startTestCluster(options);
  });
  afterAll(() => cluster?.stop());
  return () => {
    if (cluster === undefined) throw new Error('the cluster is there only while tests run');
    return cluster;
  };
}

/** One question to one node, on a connection of its own. */
export async function onNode<T>(
  cluster: LocalCluster,
  node: LocalNode,
  question: (client: RespClient) => Promise<T>,
): Promise<T> {
  const client = await cluster.connect(node);
  try {
    return await question(client);
  } finally {
    client.close();
  }
}

/** Which node owns `slot` now, as `asked` (by default any running node) sees it. */
export async function ownerOf(
  cluster: LocalCluster,
  slot: number,
  asked?: LocalNode,
): Promise<LocalNode | undefined> {
  const node = asked ?? cluster.nodes.find(({ pid }) => pid !== 0);
  if (node === undefined) return undefined;
  return onNode(cluster, node, async (client) => {
    const slots = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const port = slots.find(([first, last]) => slot >= first && slot <= last)?.[2][1];
    return cluster.nodes.find((candidate) => candidate.port === port);
  });
}

/** The nodes that follow `primary` now, as it sees it. */
export async function replicasOf(cluster: LocalCluster, primary: LocalNode): Promise<LocalNode[]> {
  const view = await onNode(cluster, primary, readView);
  const ids = view.filter(({ primaryId }) => primaryId === primary.id).map(({ id }) => id);
  return cluster.nodes.filter(({ id }) => ids.includes(id));
}

/** Waits until the replicas of `primary` have applied all that it has written so far. */
export async function replicasCaughtUp(cluster: LocalCluster, primary: LocalNode): Promise<void> {
  const replicas = await replicasOf(cluster, primary);
  const offset = async (node: LocalNode, field: string): Promise<number> => {
    const fields = await onNode(cluster, node, (client) => {
      return readFields(client, 'INFO', 'replication');
    });
    return Number(fields.get(field) ?? -1);
  };
  const target = await offset(primary, 'master_repl_offset');
  await until(`replicas at offset ${target}`, async () => {
    const offsets = await Promise.all(replicas.map((node) => offset(node, 'slave_repl_offset')));
    return offsets.every((own) => own >= target);
  });
}

/** Empties all primaries. */
export async function flushCluster(cluster: LocalCluster): Promise<void> {
  for (const node of cluster.nodes) {
    await onNode(cluster, node, (client) => client.call('FLUSHALL')).catch((error: unknown) => {
      if (!(error instanceof ReplyError && error.code === 'READONLY')) throw error;
    });
  }
}

/**
 * Asks until the answer is yes.
 * @throws Error naming `what` after `timeoutMs` milliseconds
 */
export async function until(
  what: string,
  question: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await question())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
