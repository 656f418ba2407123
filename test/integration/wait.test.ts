/** WAIT: counts the replicas that have what this session wrote, whichever shards that went to. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../src/commands/slot.ts';
import { connectResp, type RespArgument, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasOf, until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

let proxy: TestProxy;
let client: RespClient;
const opened: RespClient[] = [];

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 1, cluster: { nodeTimeoutMs: 60_000 } });
  client = await connect();
});

afterAll(async () => {
  for (const each of opened) each.close();
  await proxy?.close();
});

async function connect(): Promise<RespClient> {
  const each = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 20_000 });
  opened.push(each);
  return each;
}

function attempt(on: RespClient, ...args: [RespArgument, ...RespArgument[]]): Promise<unknown> {
  return on.call(...args).catch((error: Error) => error.message);
}

async function primaryOf(tag: string): Promise<LocalNode> {
  return (await ownerOf(proxy.cluster, keySlot(Buffer.from(tag)))) as LocalNode;
}

/** Runs `body` while the tag's replicas are stopped: they acknowledge nothing. */
async function withReplicaStopped(tag: string, body: () => Promise<void>): Promise<void> {
  const replicas = await replicasOf(proxy.cluster, await primaryOf(tag));
  for (const { pid } of replicas) process.kill(pid, 'SIGSTOP');
  try {
    await body();
  } finally {
    for (const { pid } of replicas) process.kill(pid, 'SIGCONT');
  }
}

/** Connections lent to sessions now. */
async function pinned(): Promise<number> {
  const text = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
  const line = /^slotgate_upstream_pinned_connections(?:\{.*\})? (\d+)/m.exec(text);
  return Number(line?.[1]);
}

// Three tags of three shards.
const TAGS = ['a', 'b', 'c'];

describe('WAIT', () => {
  it('uses tags of different shards in this file', async () => {
    const owners = await Promise.all(TAGS.map(primaryOf));
    expect(new Set(owners.map(({ port }) => port)).size).toBe(3);
  });

  it('counts the replica of the shard that was written', async () => {
    for (let i = 0; i < 10; i++) {
      await client.call('SET', '{a}k', i);
      expect(await client.call('WAIT', 1, 5000)).toBe(1);
    }
    await Promise.all(TAGS.map((tag) => client.call('SET', `{${tag}}k`, 1)));
    expect(await client.call('WAIT', 1, 5000)).toBe(1);
    expect(await client.call('WAIT', 0, 0)).toBe(1);
  });

  it('does not count a replica that has not the write', async () => {
    await withReplicaStopped('a', async () => {
      await client.call('SET', '{a}k', 'unseen');
      const from = performance.now();
      expect(await client.call('WAIT', 1, 300)).toBe(0);
      expect(performance.now() - from).toBeGreaterThanOrEqual(290);
      // What is still unmet is asked again, though nothing was written since.
      expect(await client.call('WAIT', 1, 100)).toBe(0);
      // The least of several shards.
      await client.call('SET', '{b}k', 1);
      expect(await client.call('WAIT', 1, 100)).toBe(0);
    });
    expect(await client.call('WAIT', 1, 5000)).toBe(1);
  });

  it('is not held up by a shard that this session did not write', async () => {
    await withReplicaStopped('a', async () => {
      const other = await connect();
      await other.call('SET', '{b}k', 1);
      expect(await other.call('WAIT', 1, 5000)).toBe(1);
    });
  });

  it.each([
    ['a split MSET', ['MSET', '{a}1', 'x', '{b}1', 'x']],
    ['a script', ['EVAL', "return redis.call('SET', KEYS[1], 1)", 1, '{a}1']],
    ['a command to all primaries', ['FLUSHALL']],
  ] as const)('knows the shards of %s', async (_, command) => {
    await withReplicaStopped('a', async () => {
      const other = await connect();
      await other.call(...(command as unknown as [string]));
      expect(await other.call('WAIT', 1, 100)).toBe(0);
    });
  });

  it('knows the shards of a transaction and of a blocking pop', async () => {
    await client.call('DEL', '{a}list');
    await client.call('RPUSH', '{a}list', 'x', 'y');
    await withReplicaStopped('a', async () => {
      const popping = await connect();
      expect(await popping.call('BLPOP', '{a}list', 1)).toEqual(['{a}list', 'x']);
      expect(await popping.call('WAIT', 1, 100)).toBe(0);
      const other = await connect();
      await other.call('MULTI');
      await other.call('SET', '{a}1', 1);
      await other.call('EXEC');
      expect(await other.call('WAIT', 1, 100)).toBe(0);
    });
  });

  it('without a time-out ends when the replica is back', async () => {
    const waiting: Promise<unknown>[] = [];
    await withReplicaStopped('a', async () => {
      await client.call('SET', '{a}k', 'late');
      waiting.push(client.call('WAIT', 1, 0));
      await until('a connection is lent', async () => (await pinned()) === 1);
    });
    expect(await Promise.all(waiting)).toEqual([1]);
  });

  it('of a client that leaves frees its connection', async () => {
    await withReplicaStopped('a', async () => {
      const leaving = await connect();
      await leaving.call('SET', '{a}k', 1);
      void attempt(leaving, 'WAIT', 1, 0);
      await until('it waits', () => pinned().then((n) => n === 1));
      leaving.close();
      await until('nothing is lent', () => pinned().then((n) => n === 0));
    });
  });

  it('has the errors of Redis', async () => {
    expect(await attempt(client, 'WAIT', 'x', 1)).toBe(
      'ERR value is not an integer or out of range',
    );
    expect(await attempt(client, 'WAIT', 1, 'x')).toBe(
      'ERR timeout is not an integer or out of range',
    );
    expect(await attempt(client, 'WAIT', 1, '1.5')).toBe(
      'ERR timeout is not an integer or out of range',
    );
    expect(await attempt(client, 'WAIT', 0, -1)).toBe('ERR timeout is negative');
    expect(await attempt(client, 'WAIT', 1)).toBe(
      "ERR wrong number of arguments for 'wait' command",
    );
    expect(await client.call('WAIT', -1, 10)).toBe(1);
  });

  it('does not block inside MULTI', async () => {
    await client.call('MULTI');
    await client.call('SET', '{a}k', 1);
    await client.call('WAIT', 100, 0);
    const replies = (await client.call('EXEC')) as unknown[];
    expect(replies[0]).toBe('OK');
    expect(typeof replies[1]).toBe('number');
  });

  it('counts nobody when the primary that took the write is replaced meanwhile', async () => {
    const primary = await primaryOf('c');
    const [replica] = await replicasOf(proxy.cluster, primary);
    const other = await connect();
    await other.call('SET', '{c}k', 'moved');
    const waiting = other.call('WAIT', 5, 0);
    await until('it waits', () => pinned().then((n) => n === 1));
    await onNode(proxy.cluster, replica as LocalNode, (on) => on.call('CLUSTER', 'FAILOVER'));
    expect(await waiting).toBe(0);
    await until(
      'the new primary serves',
      async () => (await attempt(client, 'SET', '{c}k', 2)) === 'OK',
    );
    await until('its replica follows', async () => {
      await client.call('SET', '{c}k', 3);
      return (await client.call('WAIT', 1, 500)) === 1;
    });
  });
});
