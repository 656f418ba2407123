/** A node that hangs, and a network that loses, cuts, resets or adds: others are not concerned. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectResp, ReplyError, type RespReply } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { ownerOf, startTestCluster, until } from '../support/cluster.ts';
import { FaultProxy } from '../support/load/fault-proxy.ts';
import { Load } from '../support/load/load.ts';
import { type LoadReport, MIX, type Mix } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SHARDS = 3;
/** Nothing is ever promoted here. */
const NODE_TIMEOUT_MS = 60_000;
const OTHERS_GAP_MS = 1000;
const HIT_TAGS = tagsOfShard(0, SHARDS, 2);
const OTHER_TAGS = [1, 2].flatMap((shard) => tagsOfShard(shard, SHARDS, 2));

let cluster: LocalCluster;
let node: LocalNode;

beforeAll(async () => {
  cluster = await startTestCluster({
    shards: SHARDS,
    replicas: 0,
    nodeTimeoutMs: NODE_TIMEOUT_MS,
  });
  node = (await ownerOf(cluster, 1)) as LocalNode;
});

afterAll(() => cluster?.stop());

function expectRight(report: LoadReport): void {
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(report.overtakenSingle + report.overtakenMulti).toBe(0);
}

function expectNoErrors(report: LoadReport): void {
  expectRight(report);
  expect(Object.fromEntries(report.errors)).toEqual({});
}

async function counter(httpUrl: string, family: string, labels = ''): Promise<number> {
  return (await Metrics.read(httpUrl)).sum(family, labels);
}

describe('a primary under SIGSTOP', () => {
  const TIMEOUT_MS = 400;
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      cluster,
      config: { heartbeatMs: 100, cluster: { commandTimeoutMs: TIMEOUT_MS } },
    });
  });

  afterEach(() => cluster.kill(node, 'SIGCONT'));
  afterAll(() => proxy?.close());

  it('commands for other shards are answered while its own are pending', async () => {
    const client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
    const others = await Load.start({
      name: 'others',
      port: proxy.port,
      clients: 4,
      tags: OTHER_TAGS,
      mix: MIX.all,
      seed: 31,
    });
    await others.progress(500);
    await client.call('SET', `{${HIT_TAGS[0]}}w`, 'before');
    others.restartGap();
    await cluster.kill(node, 'SIGSTOP');
    let isPending = true;
    const pending = client.call('SET', `{${HIT_TAGS[0]}}w`, 'during').finally(() => {
      isPending = false;
    });
    const answer = pending.then(String, String);
    await others.progress(300);
    expect(isPending).toBe(true);
    expect(await answer).toMatch(/UNCERTAIN No answer from .*commandTimeoutMs/);
    await others.progress(1000);
    const report = await others.stop();
    expectNoErrors(report);
    expect(report.uncertain).toBe(0);
    expect(report.longestGapMs).toBeLessThan(OTHERS_GAP_MS);
    client.close();
  });

  it('late replies reach nobody: after SIGCONT every answer is right again', async () => {
    const closed = await counter(proxy.httpUrl, 'slotgate_upstream_lanes_closed_total');
    const load = await Load.start({
      name: 'late',
      port: proxy.port,
      clients: 8,
      tags: HIT_TAGS,
      mix: MIX.sameSlot,
      seed: 32,
    });
    await load.progress(500);
    for (let round = 1; round <= 3; round++) {
      await cluster.kill(node, 'SIGSTOP');
      const uncertain = load.report.uncertain;
      // The same clients go on asking; each of these commands runs out of time as well, and each
      // read before it is sent once more first.
      await until('commands run out of time', () => load.report.uncertain > uncertain + 24);
      await cluster.kill(node, 'SIGCONT');
      await load.progress(1500);
    }
    const report = await load.stop();
    expectRight(report);
    for (const error of report.errors.keys()) {
      expect(error).toMatch(/^(GET|MGET|LINDEX): ERR No answer from .*commandTimeoutMs/);
    }
    await until('the metrics show the time-outs', async () => {
      return (await counter(proxy.httpUrl, 'slotgate_command_timeouts_total')) >= report.uncertain;
    });
    const now = await Metrics.read(proxy.httpUrl);
    expect(now.sum('slotgate_upstream_desync_alarms_total')).toBe(0);
    // Each time writes were uncertain on a connection that was silent as a whole.
    expect(now.sum('slotgate_upstream_lanes_closed_total')).toBeGreaterThanOrEqual(closed + 3);
  });
});

describe('a network at fault', () => {
  const HEARTBEAT_MS = 150;
  let faults: FaultProxy;
  let proxy: TestProxy;

  beforeEach(async () => {
    faults = await FaultProxy.start(node);
    proxy = await startProxy({
      cluster,
      config: {
        heartbeatMs: HEARTBEAT_MS,
        cluster: {
          natMap: { [`${node.host}:${node.port}`]: `127.0.0.1:${faults.port}` },
        },
      },
    });
  });

  afterEach(async () => {
    await proxy?.close();
    await faults?.close();
  });

  /** A load on the shard behind the fault proxy, once its lane is known as one. */
  async function startHit(name: string, clients: number, depth: number, mix: Mix): Promise<Load> {
    const load = await Load.start({
      name,
      port: proxy.port,
      clients,
      depth,
      tags: HIT_TAGS,
      mix,
      seed: 33,
    });
    await load.progress(200);
    await until('the lane has had a heartbeat', () => faults.lanes > 0);
    return load;
  }

  function alarms(): Promise<number> {
    return counter(proxy.httpUrl, 'slotgate_upstream_desync_alarms_total');
  }

  it('a connection goes silent while new ones work: it is given up, and traffic resumes', async () => {
    const load = await startHit('black', 4, 8, MIX.sameSlot);
    expect(faults.blackhole()).toBeGreaterThan(0);
    load.restartGap();
    await load.progress(1000);
    const report = await load.stop();
    expectNoErrors(report);
    expect(report.uncertain).toBeLessThanOrEqual(4 * 8);
    // Far below the command time-out of five seconds.
    expect(report.longestGapMs).toBeLessThan(2500);
    await until('the new lane beats', () => faults.lanes > 0);
  });

  it('connections are reset again and again: nothing is applied twice', async () => {
    const load = await startHit('reset', 8, 16, MIX.sameSlot);
    for (let round = 0; round < 8; round++) {
      faults.reset();
      await load.progress(400);
    }
    const report = await load.stop();
    expectNoErrors(report);
    expect(report.uncertain).toBeGreaterThan(0);
    expect(report.uncertain).toBeLessThanOrEqual(8 * 8 * 16);
  });

  it('replies arrive byte by byte: all are right', async () => {
    const load = await startHit('sliced', 4, 8, MIX.sameSlot);
    faults.isSlicing = true;
    await load.progress(1500);
    faults.isSlicing = false;
    const report = await load.stop();
    expectNoErrors(report);
    expect(report.uncertain).toBe(0);
  });

  it('a reply that nobody asked for: the lane goes, the alarm sounds, no value is wrong', async () => {
    const client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
    const key = `{${HIT_TAGS[0]}}idle`;
    await client.call('SET', key, 'right');
    for (const surplus of ['+SURPLUS\r\n', '$5\r\nwrong\r\n', '$', ':1\r\n:2\r\n', '\0']) {
      await until('a lane is open', () => faults.lanes > 0);
      const before = await alarms();
      expect(faults.inject(surplus)).toBe(1);
      await until('the alarm sounds', async () => (await alarms()) > before);
      expect(await client.call('GET', key)).toBe('right');
    }
    client.close();
  });

  it('the same in the middle of traffic: it is found within a heartbeat', async () => {
    const before = await alarms();
    const load = await startHit('surplus', 4, 8, MIX.reads);
    faults.inject('$-1\r\n');
    await until('the alarm sounds', async () => (await alarms()) > before);
    await load.stop();
    // What was shown until then may be another command's reply; from here on all is right.
    const after = await startHit('after', 4, 8, MIX.sameSlot);
    await after.progress(500);
    expectNoErrors(await after.stop());
  });

  it('every command has exactly one reply, whatever happens', async () => {
    const client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
    const key = `{${HIT_TAGS[0]}}n`;
    await client.call('SET', key, 0);
    await until('a lane is open', () => faults.lanes > 0);
    const calls: Promise<RespReply>[] = [];
    for (let i = 0; i < 2000; i++) {
      const call = client.call('INCR', key).catch((error: ReplyError) => error);
      calls.push(call);
      if (i % 200 === 100) {
        await call;
        faults.reset();
      }
    }
    let unknown = 0;
    let last = 0;
    for (const reply of await Promise.all(calls)) {
      if (reply instanceof ReplyError) {
        expect(reply.code).toBe('UNCERTAIN');
        unknown++;
      } else {
        expect(reply).toBeGreaterThan(last);
        last = reply as number;
      }
    }
    const total = Number(await client.call('GET', key));
    expect(total).toBeGreaterThanOrEqual(2000 - unknown);
    expect(total).toBeLessThanOrEqual(2000);
    client.close();
  });
});
