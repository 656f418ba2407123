/** Slots are moved by hand, SETSLOT and MIGRATE, under a pipelined load: clients notice nothing. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { flushCluster, ownerOf, until } from '../support/cluster.ts';
import { Load, type LoadReport, MIX } from '../support/load/load.ts';
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
