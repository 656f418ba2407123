/** Scripts that say MOVED or LOADING themselves run once; those that are refused so are sent again. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespArgument, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { moveSlot, primaries, tagOfSlot } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const WORDS = ['MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'READONLY'];
const LIBRARY = `#!lua name=lib
redis.register_function('say', function(keys, args)
  redis.call('INCR', keys[1])
  return redis.error_reply(args[1])
end)`;
const SAY = "redis.call('INCR', KEYS[1]) return redis.error_reply(ARGV[1])";

let proxy: TestProxy;
let client: RespClient;
const opened: RespClient[] = [];

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
  client = await connect();
  await client.call('FUNCTION', 'LOAD', LIBRARY);
  await client.call('SCRIPT', 'LOAD', SAY);
});

afterAll(async () => {
  for (const each of opened) each.close();
  await proxy?.close();
});

async function connect(): Promise<RespClient> {
  const each = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
  opened.push(each);
  return each;
}

type Command = [RespArgument, ...RespArgument[]];

/** The error line, or the reply. */
function attempt(on: RespClient, ...args: Command): Promise<unknown> {
  return on.call(...args).catch((error: Error) => error.message);
}

async function retries(): Promise<number> {
  return (await Metrics.read(proxy.httpUrl)).sum('slotgate_retries_total');
}

function sha1(body: string): string {
  return createHash('sha1').update(body).digest('hex');
}

/** The words as a script may say them: made up, and as a node would. */
async function linesOf(word: string): Promise<string[]> {
  if (word !== 'MOVED' && word !== 'ASK') return [`${word} x`];
  const [, other] = (await primaries(proxy.cluster)) as LocalNode[];
  return [`${word} 1 6.6.6.6:1`, `${word} 1 ${other?.host}:${other?.port}`];
}

describe.each(WORDS)('a script that says %s itself', (word) => {
  it.each([
    ['EVAL', SAY],
    ['EVALSHA', sha1(SAY)],
    ['FCALL', 'say'],
  ])('by %s runs once, and its client hears it', async (name, what) => {
    const before = await retries();
    for (const line of await linesOf(word)) {
      const key = `{${word}}${name}${line}`;
      const replies = await Promise.all([
        client.call('SET', key, 10),
        attempt(client, name, what, 1, key, line),
        client.call('GET', key),
      ]);
      expect(replies).toEqual(['OK', line, '11']);
    }
    expect(await retries()).toBe(before);
  });
});

it('many such scripts at once concern nobody else', async () => {
  const before = await Metrics.read(proxy.httpUrl);
  const clients = await Promise.all(Array.from({ length: 10 }, connect));
  const says = clients.flatMap((each, i) =>
    WORDS.map((word) => attempt(each, 'EVAL', SAY, 1, `{v}${i}`, `${word} 1 6.6.6.6:1`)),
  );
  const others = Array.from({ length: 50 }, (_, i) => client.call('SET', `{v}o${i}`, i));
  expect(new Set(await Promise.all(others))).toEqual(new Set(['OK']));
  expect((await Promise.all(says)).length).toBe(10 * WORDS.length);
  const after = await Metrics.read(proxy.httpUrl);
  for (const family of [
    'slotgate_retries_total',
    'slotgate_holds_total',
    'slotgate_redirects_total',
  ]) {
    expect([family, after.sum(family)]).toEqual([family, before.sum(family)]);
  }
  expect(await client.call('GET', '{v}0')).toBe(String(WORDS.length));
});

describe('while their slot is moved', () => {
  const SLOT = 5000;
  const TAG = tagOfSlot(SLOT);
  const BOTH = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])";

  it('scripts with several keys run once each, and nobody sees an error', async () => {
    const PAIRS = 12;
    for (let i = 0; i < PAIRS; i++) {
      await client.call('MSET', `{${TAG}}a${i}`, 0, `{${TAG}}b${i}`, 0);
    }
    let isOver = false;
    let served = 0;
    const errors: string[] = [];
    const run = async (on: RespClient, first: number): Promise<void> => {
      for (let i = first; !isOver; i++) {
        const keys = [`{${TAG}}a${i % PAIRS}`, `{${TAG}}b${i % PAIRS}`];
        const what = i % 2 === 0 ? ['EVAL', BOTH] : ['EVALSHA', sha1(BOTH)];
        const reply = await attempt(on, ...(what as Command), 2, ...keys);
        if (typeof reply === 'number') served++;
        else errors.push(String(reply));
      }
    };
    await client.call('SCRIPT', 'LOAD', BOTH);
    const running = (await Promise.all([connect(), connect(), connect()])).map(run);
    // A step may part the keys of a pair, for which all clients wait then.
    const betweenSteps = async (): Promise<void> => {
      const [from, tried] = [served, await retries()];
      await until('scripts are served or wait', async () => {
        return served >= from + 10 || errors.length > 0 || (await retries()) >= tried + 20;
      });
    };
    const from = (await ownerOf(proxy.cluster, SLOT)) as LocalNode;
    const to = (await primaries(proxy.cluster)).find((node) => node !== from) as LocalNode;
    await moveSlot(proxy.cluster, { slot: SLOT, from, to, batch: 3, betweenSteps });
    await moveSlot(proxy.cluster, { slot: SLOT, from: to, to: from, batch: 1, betweenSteps });
    isOver = true;
    await Promise.all(running);
    expect(errors).toEqual([]);
    for (const side of ['a', 'b']) {
      const names = Array.from({ length: PAIRS }, (_, i) => `{${TAG}}${side}${i}`);
      const values = (await client.call('MGET', ...names)) as string[];
      expect(values.reduce((sum, value) => sum + Number(value), 0)).toBe(served);
    }
  });

  it('a script that waits for its keys to be together may say the same afterwards', async () => {
    const slot = 5001;
    const [one, two] = [`{${tagOfSlot(slot)}}1`, `{${tagOfSlot(slot)}}2`] as const;
    await client.call('MSET', one, 0, two, 0);
    const from = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const to = (await primaries(proxy.cluster)).find((node) => node !== from) as LocalNode;
    const migrate = (key: string): Promise<unknown> =>
      onNode(proxy.cluster, from, (on) => on.call('MIGRATE', to.host, to.port, key, 0, 5000));
    await onNode(proxy.cluster, to, (on) =>
      on.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id),
    );
    await onNode(proxy.cluster, from, (on) =>
      on.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id),
    );
    await migrate(one);
    const waiting = attempt(client, 'EVAL', SAY, 2, one, two, 'TRYAGAIN mine');
    await until('it was turned away', async () => (await retries()) > 0);
    await migrate(two);
    expect(await waiting).toBe('TRYAGAIN mine');
    expect(await client.call('GET', one)).toBe('1');
    for (const node of [to, from]) {
      await onNode(proxy.cluster, node, (on) => on.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id));
    }
  });
});
