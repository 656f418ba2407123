/** Planned switches to and fro under load: no client may see any of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { nodesReport, post } from '../support/http-api.ts';
import { Load } from '../support/load/load.ts';
import { type LoadReport, MIX } from '../support/load/load-plan.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SHARDS = 3;
const NODE_TIMEOUT_MS = 1000;
/** Promised are 100 ms; a vote that is refused costs 4 s. In between is what a busy machine adds. */
const GAP_MS_MAX = 1500;

let proxy: TestProxy;

function expectNothingShown(report: LoadReport): void {
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(Object.fromEntries(report.errors)).toEqual({});
  expect(report.overtakenSingle + report.overtakenMulti).toBe(0);
  expect(report.uncertain).toBe(0);
  expect(report.losses.count).toBe(0);
}

/** Writers and readers of shard 0, and of all shards. */
async function startLoads(seed: number): Promise<Load[]> {
  const [first = [], second = [], third = []] = [0, 1, 2].map((shard) =>
    tagsOfShard(shard, SHARDS, 2),
  );
  const common = { port: proxy.port, depth: 4 };
  const hit = { name: `hit-${seed}`, clients: 4, tags: first, mix: MIX.sameSlot, seed };
  const all = {
    name: `all-${seed}`,
    clients: 2,
    tags: [first[0], second[0], third[0]] as string[],
    mix: MIX.all,
    seed: seed + 1,
  };
  return Promise.all([hit, all].map((load) => Load.start({ ...common, ...load })));
}

async function shard0(): Promise<{ primary: string; replicas: string[] }> {
  const { shards } = await nodesReport(proxy.httpUrl);
  const [{ primary, nodes } = { primary: '', nodes: [] }] = shards;
  return {
    primary,
    replicas: nodes.map(({ address }) => address).filter((one) => one !== primary),
  };
}

/** Every node of shard 0 is up, follows and is linked: as the API shows it. */
async function isWhole(): Promise<boolean> {
  const nodes = (await nodesReport(proxy.httpUrl)).shards[0]?.nodes ?? [];
  return nodes.every(({ answer }) => answer?.linkUp === true && !answer.isSyncing);
}

async function switchTo(to?: string) {
  const answer = await post(proxy.httpUrl, '/api/v1/failover', {
    shard: 0,
    ...(to === undefined ? {} : { to }),
  });
  return { ...answer, result: answer.last as { from?: string; to?: string; pauseMs?: number } };
}

/** Asks again until it is not refused any more; says with which reasons it was. */
async function switchWhenAllowed(to?: string) {
  const reasons = new Set<unknown>();
  let answer = await switchTo(to);
  await until('the switch is allowed', async () => {
    if (answer.status === 200) return true;
    reasons.add(answer.last.reason);
    answer = await switchTo(to);
    return false;
  });
  return { ...answer, reasons };
}

async function finish(loads: Load[], pauses: (number | undefined)[]): Promise<void> {
  for (const load of loads) await load.progress(300);
  const reports = await Promise.all(loads.map((load) => load.stop()));
  for (const report of reports) expectNothingShown(report);
  const gapMs = Math.max(...reports.map(({ longestGapMs }) => Math.round(longestGapMs)));
  process.stdout.write(
    `planned switches: pauses ${pauses.join(', ')} ms, longest gap ${gapMs} ms\n`,
  );
  expect(gapMs).toBeLessThan(GAP_MS_MAX);
}

describe('one replica', () => {
  beforeAll(async () => {
    proxy = await startProxy({
      shards: SHARDS,
      replicas: 1,
      cluster: { nodeTimeoutMs: NODE_TIMEOUT_MS },
    });
    await until('shard 0 is whole', isWhole);
  });
  afterAll(() => proxy?.close());

  it('to and fro, and then only after the wait that it names', async () => {
    const before = await shard0();
    const [replica = ''] = before.replicas;
    const loads = await startLoads(41);
    for (const load of loads) await load.progress(200);
    for (const load of loads) load.restartGap();

    const there = await switchTo();
    expect(there).toMatchObject({ status: 200, result: { done: true, to: replica } });
    expect(there.lines.map(({ step }) => step)).toEqual([
      'chosen',
      'held',
      'promoted',
      'released',
      undefined,
    ]);
    await until('the old primary follows', isWhole);
    const back = await switchTo(before.primary);
    expect(back).toMatchObject({ status: 200, result: { done: true, to: before.primary } });
    expect((await shard0()).primary).toBe(before.primary);

    await until('the replica follows again', isWhole);
    const early = await switchTo();
    expect(early.status).toBe(409);
    expect(early.last).toMatchObject({
      reason: expect.stringMatching(/^(switched|elected)-lately$/),
      detail: expect.stringMatching(/: wait [1-4] s/),
      retryAfterSeconds: expect.any(Number),
    });
    const late = await switchWhenAllowed();
    expect(late.reasons).toContain('elected-lately');
    expect(late.result.to).toBe(replica);
    await finish(
      loads,
      [there, back, late].map(({ result }) => result.pauseMs),
    );
  });

  it('refuses what cannot be, and says what can', async () => {
    const { primary } = await shard0();
    expect(await switchTo(primary)).toMatchObject({
      status: 409,
      last: { reason: 'not-a-replica' },
    });
    const unknown = await post(proxy.httpUrl, '/api/v1/failover', { shard: 9 });
    expect(unknown).toMatchObject({
      status: 404,
      last: { detail: 'there is no shard 9; allowed: 0 to 2, or a node of it (host:port or id)' },
    });
  });

  it('refuses while slots are on their way', async () => {
    const { cluster } = proxy;
    const { shards } = await nodesReport(proxy.httpUrl);
    const [own, other] = shards.map(({ primary }) =>
      cluster.nodes.find(({ host, port }) => `${host}:${port}` === primary),
    );
    if (own === undefined || other === undefined) throw new Error('two primaries are needed');
    const client = await cluster.connect(own);
    await client.call('CLUSTER', 'SETSLOT', 5, 'MIGRATING', other.id);
    expect(await switchTo()).toMatchObject({ status: 409, last: { reason: 'in-motion' } });
    await client.call('CLUSTER', 'SETSLOT', 5, 'STABLE');
    client.close();
  });

  it('blocked clients, transactions and watched keys get through it as well', async () => {
    const [tag = ''] = tagsOfShard(0, SHARDS, 1);
    const connect = () => connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
    const [blocked, worker] = await Promise.all([connect(), connect()]);
    const popped = blocked.call('BLPOP', `{${tag}}list`, 0);
    await until('it is blocked', async () => {
      const clients = String(await worker.call('CLIENT', 'LIST'));
      return clients.includes('cmd=blpop');
    });
    let isSwitching = true;
    const transactions = (async () => {
      let done = 0;
      while (isSwitching) {
        await worker.call('WATCH', `{${tag}}count`);
        await worker.call('MULTI');
        await worker.call('INCR', `{${tag}}count`);
        // Nil where the watch was lost with the primary's role: nothing ran then.
        if ((await worker.call('EXEC')) !== null) done++;
      }
      return done;
    })();
    const { result } = await switchWhenAllowed();
    expect(result).toMatchObject({ done: true });
    isSwitching = false;
    const done = await transactions;
    expect(Number(await worker.call('GET', `{${tag}}count`))).toBe(done);
    await worker.call('RPUSH', `{${tag}}list`, 'value');
    expect(await popped).toEqual([`{${tag}}list`, 'value']);
    blocked.close();
    worker.close();
  });

  it('the API shows how far each node is', async () => {
    await until('all is told', async () => {
      const nodes = (await nodesReport(proxy.httpUrl)).shards.flatMap((shard) => shard.nodes);
      return nodes.every(({ role, state, stalenessMs, answer }) => {
        const isTold = state === 'up' && answer !== null && answer.offset > 0;
        return isTold && (role === 'primary' ? stalenessMs === null : stalenessMs !== null);
      });
    });
  });
});

describe('two replicas, which serve reads', () => {
  beforeAll(async () => {
    proxy = await startProxy({
      shards: SHARDS,
      replicas: 2,
      cluster: { nodeTimeoutMs: NODE_TIMEOUT_MS },
      config: { reads: { weights: { primary: 50, replica: 50 } } },
    });
    await until('shard 0 is whole', isWhole);
  });
  afterAll(() => proxy?.close());

  it('passes over the one that was elected lately', async () => {
    const before = await shard0();
    const loads = await startLoads(51);
    for (const load of loads) await load.progress(200);
    for (const load of loads) load.restartGap();
    const [first = '', second = ''] = before.replicas;
    const pauses: (number | undefined)[] = [];
    for (const to of [first, before.primary, second]) {
      await until('all follow', isWhole);
      const { result } = await switchWhenAllowed(to);
      expect(result).toMatchObject({ done: true, to });
      pauses.push(result.pauseMs);
    }
    await until('all follow', isWhole);
    // Elected a moment ago: only one that was not may be next.
    const next = await switchWhenAllowed();
    expect(next.result.from).toBe(second);
    pauses.push(next.result.pauseMs);
    await finish(loads, pauses);
  });
});
