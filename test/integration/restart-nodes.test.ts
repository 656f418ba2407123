/** All nodes of a cluster are restarted under load, by both commands: no client may see it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { until } from '../support/cluster.ts';
import { nodesReport } from '../support/http-api.ts';
import { Load } from '../support/load/load.ts';
import { MIX } from '../support/load/load-plan.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SHARDS = 3;

let proxy: TestProxy;

async function cli(...args: string[]) {
  const said = { out: '', err: '' };
  const { exitCode } = await runCli([...args, '--url', proxy.httpUrl], {
    env: {},
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
  });
  return { exitCode, ...said };
}

async function runIds(): Promise<string[]> {
  const { shards } = await nodesReport(proxy.httpUrl);
  return shards.flatMap(({ nodes }) => nodes.map(({ answer }) => answer?.runId ?? ''));
}

async function isWhole(): Promise<boolean> {
  const { shards } = await nodesReport(proxy.httpUrl);
  const nodes = shards.flatMap((shard) => shard.nodes);
  return (
    nodes.length === SHARDS * 2 &&
    nodes.every(({ state, answer }) => {
      return state === 'up' && answer?.linkUp === true && !answer.isSyncing;
    })
  );
}

function startLoad(seed: number): Promise<Load> {
  const tags = Array.from({ length: SHARDS }, (_, shard) => tagsOfShard(shard, SHARDS, 1)).flat();
  const name = `restart-${seed}`;
  return Load.start({ port: proxy.port, clients: 4, depth: 4, tags, mix: MIX.all, seed, name });
}

async function expectNothingSeen(load: Load): Promise<void> {
  await load.progress(300);
  const report = await load.stop();
  process.stdout.write(`rolling restart: longest gap ${Math.round(report.longestGapMs)} ms\n`);
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(Object.fromEntries(report.errors)).toEqual({});
  expect(report.uncertain + report.losses.count).toBe(0);
}

beforeAll(async () => {
  proxy = await startProxy({
    shards: SHARDS,
    replicas: 1,
    cluster: { nodeTimeoutMs: 1000, heal: true },
    // Nodes that are restarted also serve reads until they go.
    config: { reads: { weights: { primary: 50, replica: 50 } } },
  });
  await until('all is well', isWhole);
});
afterAll(() => proxy?.close());

describe('every node is a new process afterwards, and no client has seen an error', () => {
  it('slotgate local restart-nodes', async () => {
    const before = await runIds();
    const load = await startLoad(61);
    await load.progress(200);
    const { exitCode, out, err } = await cli('local', 'restart-nodes');
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toContain('6 nodes are new\n');
    const after = await runIds();
    expect(after.filter((id) => before.includes(id))).toEqual([]);
    await expectNothingSeen(load);
  });

  it("slotgate restart-nodes with the operator's command", async () => {
    const before = await runIds();
    const load = await startLoad(62);
    await load.progress(200);
    const { exitCode, out } = await cli(
      'restart-nodes',
      '--exec',
      'redis-cli -h {host} -p {port} shutdown nosave',
      '-o',
      'json',
    );
    expect(exitCode).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line)).at(-1)).toEqual({ done: true, nodes: 6 });
    const after = await runIds();
    expect(after.filter((id) => before.includes(id))).toEqual([]);
    await expectNothingSeen(load);
  });

  it('a command that fails stops the run before anything is lost', async () => {
    const before = await runIds();
    const { exitCode, err } = await cli('restart-nodes', '--exec', 'sh -c "echo no; exit 3"');
    expect(exitCode).toBe(1);
    expect(err).toMatch(/\(sh\) ended with exit code 3, its output ends:\nno\n/);
    expect(await runIds()).toEqual(before);
  });
});
