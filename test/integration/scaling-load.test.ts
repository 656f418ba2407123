/**
 * The load by which scaling is judged: it sees nothing wrong while slots are moved and all is well,
 * and it notices each kind of harm that is done behind its back.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DataSet, strayKeys } from '../../bench/scaling/data-set.ts';
import { SteadyLoad } from '../../bench/scaling/load/steady-load.ts';
import { keySlot } from '../../src/commands/slot.ts';
import type { RespArgument, RespReply } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { flushCluster, onNode, ownerOf, until } from '../support/cluster.ts';
import { moveSlot, primaries } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const CLIENTS = 12;
const RATE = 400;
const SLOTS_MOVED = 12;
const STEP_COMMANDS = 10;
/** Few clients, so that each key is soon in use. */
const FEW = { clients: 2, rate: 1000 };

type Command = [string, ...RespArgument[]];

let proxy: TestProxy;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
});

afterAll(() => proxy?.close());

afterEach(() => flushCluster(proxy.cluster));

function startLoad(size: typeof FEW, data?: DataSet): Promise<SteadyLoad> {
  return SteadyLoad.start({
    port: proxy.port,
    ...size,
    seed: 3,
    // Nodes drop the subscribers of a sharded channel when its slot leaves: messages are lost.
    hasSharded: false,
    ...(data === undefined ? {} : { readData: data.read.bind(data) }),
  });
}

function answered(load: SteadyLoad, commands: number): Promise<void> {
  const target = load.commands + commands;
  return until(`${commands} more commands`, () => load.commands >= target);
}

/** At the node that owns the key, where the proxy does not see it. */
async function behindItsBack(key: string, command: Command): Promise<RespReply> {
  const owner = (await ownerOf(proxy.cluster, keySlot(key))) as LocalNode;
  return onNode(proxy.cluster, owner, (client) => client.call(...command));
}

describe('the load of scaling', () => {
  it('finds all as it must be after slots were moved under it', async () => {
    const { cluster } = proxy;
    const data = new DataSet(300, 1e6);
    await data.fill(proxy.port);
    const seed = (cluster.nodes[0] as LocalNode).port;
    await data.remember(seed);
    const load = await startLoad({ clients: CLIENTS, rate: RATE }, data);
    await answered(load, 300);
    const ownSlots = load.slots.slice(0, SLOTS_MOVED);
    const dataSlots = data.keys.slice(0, SLOTS_MOVED).map(({ name }) => keySlot(name));
    for (const slot of new Set([...ownSlots, ...dataSlots])) {
      const from = (await ownerOf(cluster, slot)) as LocalNode;
      const to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
      const betweenSteps = (): Promise<void> => answered(load, STEP_COMMANDS);
      await moveSlot(cluster, { slot, from, to, batch: 3, betweenSteps });
    }
    const report = await load.end();
    expect(Object.fromEntries(report.errorTexts)).toEqual({});
    expect(report.problemTexts).toEqual([]);
    expect(report.skipped).toBe(0);
    expect(report.commands).toBeGreaterThan(1000);
    expect(await data.differences(seed)).toEqual([]);
    expect(await strayKeys(seed)).toEqual([]);
  });

  it.each<[string, string, (key: string) => Command, RegExp]>([
    ['a lost element', 'own:list:{1.0}', (key) => ['LPOP', key], /(is|are) lost/],
    ['a doubled element', 'own:stream:{1.0}', (key) => ['XADD', key, '*', 'n', '1'], /1 is there/],
    ['a lost count', 'own:counter:{1.0}', (key) => ['DECR', key], /counts/],
    ['a lost hash', 'own:hash:{1.0}', (key) => ['DEL', key], /hash:\{1\.0\} \d+ is null/],
    ['a lost member', 'own:zset:{1.0}', (key) => ['ZPOPMIN', key], /zset:\{1\.0\} \d+ is null/],
    ['a string of old', 'own:string:{1.0}', (key) => ['SET', key, '0'], /string:\{1\.0\} is "0"/],
    ['half a transaction', 'own:blocks:{1.0}', (key) => ['RPOP', key], /EXEC|lost at its end/],
    ['an element popped elsewhere', 'own:queue:{0}', (key) => ['LPUSH', key, '1'], /came twice/],
  ])('notices %s', async (_what, key, harm, problem) => {
    const load = await startLoad(FEW);
    await answered(load, 800);
    await load.pause();
    await behindItsBack(key, harm(key));
    const { problemTexts } = await load.end();
    expect(problemTexts.join('\n')).toMatch(problem);
  });

  it('notices a changed value, a lost key and a lost group', async () => {
    const seed = (proxy.cluster.nodes[0] as LocalNode).port;
    const data = new DataSet(60, 100_000);
    await data.fill(proxy.port);
    await data.remember(seed);
    const [string, hash, , , , stream] = data.keys.map(({ name }) => name) as string[];
    await behindItsBack(string as string, ['APPEND', string as string, 'x']);
    await behindItsBack(hash as string, ['DEL', hash as string]);
    await behindItsBack(stream as string, ['XGROUP', 'DESTROY', stream as string, 'readers']);
    const wrong = (await data.differences(seed)).join('\n');
    expect(wrong).toContain(`string ${string} has another value`);
    expect(wrong).toContain(`hash ${hash} is lost`);
    expect(wrong).toContain(`${stream}: [[]`);
  });
});
