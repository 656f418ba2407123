/** Processes that are started later find the cluster although none of the seeds is there any more. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { type BuiltProgram, buildProgram } from '../support/built-program.ts';
import { startTestCluster, until } from '../support/cluster.ts';
import { childrenOf } from '../support/load/workers.ts';
import { type MovedNode, moveNode } from '../support/moved-node.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

let program: BuiltProgram;
let cluster: LocalCluster;
let slotgate: ProxyProcess;
let moved: MovedNode | undefined;

beforeAll(async () => {
  program = await buildProgram();
  const extraConfig = { appendonly: 'yes' };
  cluster = await startTestCluster({ replicas: 0, nodeTimeoutMs: 60_000, extraConfig });
  slotgate = await startProxyProcess(
    {
      workers: 2,
      drainTimeoutMs: 500,
      cluster: { seeds: [cluster.seeds[0] as string] },
      log: { level: 'info' },
    },
    program.cli,
  );
  await until('it is ready', () => slotgate.isReady());
  moved = await moveNode(cluster, cluster.nodes[0] as LocalNode);
  await until('it is ready again', isReady);
});

afterAll(async () => {
  await slotgate?.stop();
  await moved?.stop();
  await cluster?.stop();
  program?.remove();
});

/** False also while HTTP is away. */
function isReady(): Promise<boolean> {
  return slotgate.isReady().catch(() => false);
}

function controlPid(): number {
  return childrenOf(slotgate.pid).find(({ worker }) => worker === 0)?.pid ?? 0;
}

async function isServed(key: string): Promise<void> {
  const client = await connectResp({ host: '127.0.0.1', port: slotgate.port, timeoutMs: 20_000 });
  try {
    expect(await client.call('SET', key, '1')).toBe('OK');
  } finally {
    client.close();
  }
}

async function becomesReadyWithout(pid: number): Promise<void> {
  await until('a new control runs', () => ![0, pid].includes(controlPid()));
  await until('it is ready', isReady);
  // One key in each shard, about.
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await isServed(key);
}

it('a control that takes the place of one that died', async () => {
  const pid = controlPid();
  process.kill(pid, 'SIGKILL');
  await becomesReadyWithout(pid);
});

it('and all processes that SIGUSR2 puts in the place of others', async () => {
  const pid = controlPid();
  process.kill(slotgate.pid, 'SIGUSR2');
  await until('all were replaced', () => slotgate.output.includes('all were replaced'), 60_000);
  await becomesReadyWithout(pid);
  expect(slotgate.output).not.toContain('the upstream cannot be reached');
});
