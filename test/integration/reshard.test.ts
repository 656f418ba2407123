/** Slots are moved by hand, SETSLOT and MIGRATE, under a pipelined load: clients notice nothing. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { flushCluster, onNode, ownerOf, until } from '../support/cluster.ts';
import { Load } from '../support/load/load.ts';
import { type LoadReport, MIX } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { moveSlot, primaries, tagOfSlot } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const CLIENTS = 8;
/** Answered commands between two steps of a move, so that each step happens under load. */
const STEP_COMMANDS = 40;

let proxy: TestProxy;
let client: RespClient;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
  client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
});

afterAll(async () => {
  client?.close();
  await proxy?.close();
});

afterEach(() => flushCluster(proxy.cluster));

function expectClean(report: LoadReport): void {
  expect(report.wrong).toEqual([]);
  expect(report.broken).toEqual([]);
  expect(Object.fromEntries(report.errors)).toEqual({});
  expect(report.overtakenSingle).toBe(0);
  expect(report.uncertain).toBe(0);
}

/** Moves `slot` away and back again; returns how many keys travelled. */
async function moveThereAndBack(load: Load, slot: number, batch: number): Promise<number> {
  const { cluster } = proxy;
  const from = (await ownerOf(cluster, slot)) as LocalNode;
  const to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
  const betweenSteps = (): Promise<void> => load.progress(STEP_COMMANDS);
  const there = await moveSlot(cluster, { slot, from, to, batch, betweenSteps });
  const back = await moveSlot(cluster, { slot, from: to, to: from, batch, betweenSteps });
  return there + back;
}

async function fill(tag: string, keys: number): Promise<void> {
  const writes = Array.from({ length: keys }, (_, i) => client.call('SET', `{${tag}}f${i}`, i));
  await Promise.all(writes);
}

describe('a slot is moved by hand under load', () => {
  it('single-key commands: every client sees its own order and no error', async () => {
    const slot = 1000;
    const tags = [tagOfSlot(slot), tagOfSlot(9000)];
    await fill(tags[0] as string, 60);
    const load = await Load.start({
      name: 'single',
      port: proxy.port,
      clients: CLIENTS,
      tags,
      mix: MIX.singleKey,
      seed: 11,
    });
    await load.progress(500);
    const before = await Metrics.read(proxy.httpUrl);
    expect(await moveThereAndBack(load, slot, 2)).toBeGreaterThan(100);
    const report = await load.stop();
    expectClean(report);
    expect(report.overtakenMulti).toBe(0);
    await until('redirects show in the metrics', async () => {
      const now = await Metrics.read(proxy.httpUrl);
      const followed = (type: string): number =>
        now.sum('slotgate_redirects_total', type) - before.sum('slotgate_redirects_total', type);
      return followed('"moved"') > 0 && followed('"ask"') > 0;
    });
  });

  it('commands with several keys of the moving slot wait for their keys to be together', async () => {
    const slot = 2000;
    const tags = [tagOfSlot(slot), tagOfSlot(9001)];
    await fill(tags[0] as string, 30);
    const load = await Load.start({
      name: 'same',
      port: proxy.port,
      clients: CLIENTS,
      tags,
      mix: MIX.sameSlot,
      seed: 12,
    });
    await load.progress(500);
    await moveThereAndBack(load, slot, 3);
    const report = await load.stop();
    expectClean(report);
    // Overtaken at the moment the move became known; from then on each travels alone.
    expect(report.overtakenMulti).toBeLessThan(report.commands / 100);
  });

  it('several slots at a time, with commands split over them', async () => {
    const slots = [3000, 3001, 3002];
    const tags = [...slots.map(tagOfSlot), tagOfSlot(9002), tagOfSlot(15000)];
    const load = await Load.start({
      name: 'split',
      port: proxy.port,
      clients: CLIENTS,
      tags,
      keysPerTag: 3,
      mix: MIX.all,
      seed: 13,
    });
    await load.progress(500);
    await Promise.all(slots.map((slot) => moveThereAndBack(load, slot, 3)));
    const report = await load.stop();
    expectClean(report);
    expect(report.overtakenMulti).toBeLessThan(report.commands / 100);
  });
});

describe('a slot that stays half moved', () => {
  const SLOT = 4000;
  const TAG = tagOfSlot(SLOT);
  const MOVED = `{${TAG}}moved`;
  const STAYED = `{${TAG}}stayed`;
  const ELSEWHERE = `{${tagOfSlot(9003)}}x`;
  let from: LocalNode;
  let to: LocalNode;
  let other: TestProxy;

  beforeEach(async () => {
    const { cluster } = proxy;
    from = (await ownerOf(cluster, SLOT)) as LocalNode;
    to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
    // It learns of the move by its own commands only.
    other = await startProxy({
      cluster,
      config: { hold: { timeoutMs: '2s' }, cluster: { refreshIntervalMs: '10m' } },
    });
    await client.call('SET', MOVED, 'm');
    await client.call('SET', STAYED, 's');
    await client.call('SET', ELSEWHERE, 'x');
    await onNode(cluster, to, (node) =>
      node.call('CLUSTER', 'SETSLOT', SLOT, 'IMPORTING', from.id),
    );
    await onNode(cluster, from, async (node) => {
      await node.call('CLUSTER', 'SETSLOT', SLOT, 'MIGRATING', to.id);
      await node.call('MIGRATE', to.host, to.port, MOVED, 0, 1000);
    });
  });

  afterEach(async () => {
    await other?.close();
    for (const [node, peer] of [
      [from, to],
      [to, from],
    ] as const) {
      await onNode(proxy.cluster, node, async (link) => {
        if (node === from) await link.call('MIGRATE', peer.host, peer.port, STAYED, 0, 1000);
      });
    }
    for (const node of [to, from]) {
      await onNode(proxy.cluster, node, (link) =>
        link.call('CLUSTER', 'SETSLOT', SLOT, 'NODE', to.id),
      );
    }
  });

  it('commands that can be split are answered at once, key by key', async () => {
    const asker = await connectResp({ host: other.host, port: other.port, timeoutMs: 30_000 });
    const started = performance.now();
    const replies = await Promise.all([
      asker.call('MGET', MOVED, STAYED),
      asker.call('MGET', STAYED, ELSEWHERE, MOVED, STAYED, `{${TAG}}none`),
      asker.call('MSET', STAYED, 's2', MOVED, 'm2'),
      asker.call('EXISTS', MOVED, STAYED, `{${TAG}}none`),
      asker.call('MSET', STAYED, 's3', ELSEWHERE, 'x3', MOVED, 'm3', `{${TAG}}new`, 'n3'),
      asker.call('MGET', MOVED, STAYED, ELSEWHERE, `{${TAG}}new`),
      asker.call('TOUCH', MOVED, STAYED),
      asker.call('DEL', `{${TAG}}new`, `{${TAG}}none`),
    ]);
    expect(replies).toEqual([
      ['m', 's'],
      ['s', 'x', 'm', 's', null],
      'OK',
      2,
      'OK',
      ['m3', 's3', 'x3', 'n3'],
      2,
      1,
    ]);
    expect(performance.now() - started).toBeLessThan(1500);
    asker.close();
  });

  it('others wait for the keys to be together, and are told to try again in the end', async () => {
    const asker = await connectResp({ host: other.host, port: other.port, timeoutMs: 30_000 });
    const union = asker.call('SINTER', MOVED, STAYED).then(String, String);
    const single = await Promise.all([asker.call('GET', MOVED), asker.call('GET', ELSEWHERE)]);
    expect(single).toEqual(['m', 'x']);
    expect(await union).toMatch(/TRYAGAIN/);
    asker.close();
  });
});
