/** MULTI, EXEC, DISCARD and WATCH: as on one Redis, byte for byte, and through moved slots and failover. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../src/commands/slot.ts';
import type { RespClient } from '../../src/lib/resp-client.ts';
import { connectResp } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, until } from '../support/cluster.ts';
import { moveSlot, primaries } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { difference, runScript, type Step, stepsOf } from '../support/sessions/script.ts';

let proxy: TestProxy;
let plain: PlainRedis;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 1 });
  plain = await startRedis();
});

afterAll(async () => {
  await proxy?.close();
  await plain?.stop();
});

function connect(): Promise<RespClient> {
  return connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 20_000 });
}

async function expectSame(script: readonly Step[]): Promise<void> {
  const wanted = await runScript(plain, script);
  const got = await runScript(proxy, script, { expected: wanted });
  expect(difference(script, wanted, got)).toBe('');
}

const SCRIPTS: Readonly<Record<string, string>> = {
  'a plain transaction': `
    0: MULTI
    0: SET {a}k 1
    0: INCR {a}k
    0: GET {a}k
    1: GET {a}k
    0: EXEC
    0: GET {a}k`,
  'an empty one': `
    0: MULTI
    0: EXEC`,
  discarded: `
    0: MULTI
    0: SET {b}k 1
    0: DISCARD
    0: GET {b}k
    0: EXEC
    0: DISCARD`,
  misuse: `
    0: EXEC
    0: DISCARD
    0: MULTI
    0: MULTI
    0: WATCH {c}k
    0: SET {c}k 1
    0: EXEC
    0: UNWATCH`,
  'errors at queue time abort it': `
    0: MULTI
    0: SET {d}k
    0: SET {d}k 1
    0: EXEC
    0: GET {d}k
    0: MULTI
    0: NOSUCHCOMMAND x
    0: EXEC
    0: MULTI
    0: CLIENT NOSUCH
    0: EXEC`,
  'errors inside EXEC do not': `
    0: SET {e}s abc
    0: MULTI
    0: INCR {e}s
    0: LPUSH {e}s x
    0: SET {e}t 1
    0: EXEC
    0: GET {e}t`,
  'the proxy answers some of it': `
    0: MULTI
    0: PING
    0: SET {f}k 1
    0: ECHO hello
    0: CLIENT SETNAME inner
    0: GET {f}k
    0: CLIENT GETNAME
    0: PING again
    0: EXEC
    0: CLIENT GETNAME`,
  'the proxy answers all of it': `
    0: MULTI
    0: PING
    0: ECHO hello
    0: SELECT 0
    0: EXEC`,
  RESP3: `
    0: HELLO 3 SETNAME x
    0: RESET
    0: MULTI
    0: SADD {g}s a
    0: SMEMBERS {g}s
    0: HSET {g}h f v
    0: HGETALL {g}h
    0: EXEC`,
  'blocking commands do not block in it': `
    0: MULTI
    0: BLPOP {h}l 0
    0: RPUSH {h}l a b
    0: BLPOP {h}l 0
    0: BLMOVE {h}l {h}m LEFT LEFT 0
    0: BZPOPMIN {h}z 0
    0: XREAD BLOCK 0 STREAMS {h}x $
    0: EXEC`,
  'watched and untouched': `
    0: SET {i}k 1
    0: WATCH {i}k
    0: GET {i}k
    0: MULTI
    0: INCR {i}k
    0: EXEC
    0: GET {i}k`,
  'watched and touched': `
    0: SET {j}k 1
    0: WATCH {j}k {j}other
    0: GET {j}k
    1: SET {j}k 5
    0: MULTI
    0: INCR {j}k
    0: EXEC
    0: GET {j}k
    0: MULTI
    0: INCR {j}k
    0: EXEC`,
  'touched by itself': `
    0: WATCH {k}k
    0: SET {k}k 1
    0: MULTI
    0: GET {k}k
    0: EXEC`,
  'unwatched, discarded, watched again': `
    0: WATCH {l}k
    0: UNWATCH
    1: SET {l}k 1
    0: MULTI
    0: GET {l}k
    0: EXEC
    0: WATCH {l}k
    0: MULTI
    0: DISCARD
    1: SET {l}k 2
    0: MULTI
    0: GET {l}k
    0: EXEC
    0: WATCH {l}k
    0: RESET
    1: SET {l}k 3
    0: MULTI
    0: GET {l}k
    0: EXEC`,
  'an empty watched one': `
    0: WATCH {m}k
    1: SET {m}k 1
    0: MULTI
    0: EXEC
    0: WATCH {m}k
    0: MULTI
    0: EXEC`,
  'RESET and QUIT act at once': `
    0: MULTI
    0: SET {n}k 1
    0: RESET
    0: GET {n}k
    1: MULTI
    1: SET {n}k 1
    1: QUIT`,
  'reply modes and AUTH inside': `
    0: MULTI
    0: AUTH a b c d
    0: EXEC`,
};

describe('as on one Redis', () => {
  it.each(Object.entries(SCRIPTS))('%s', async (_, script) => expectSame(stepsOf(script)));
});

describe('over shards', () => {
  it('keys of two slots are refused at queue time, and EXEC with them', async () => {
    const client = await connect();
    await client.call('MULTI');
    expect(await client.call('SET', 'one', '1')).toBe('QUEUED');
    await expect(client.call('SET', 'two', '2')).rejects.toThrow(/^CROSSSLOT/);
    await expect(client.call('EXEC')).rejects.toThrow(/^EXECABORT/);
    expect(await client.call('EXISTS', 'one', 'two')).toBe(0);
    client.close();
  });

  it('connection state is never changed at a node from inside EXEC', async () => {
    const client = await connect();
    for (const text of ['SUBSCRIBE x', 'HELLO 3', 'CLIENT REPLY OFF', 'KEYS *']) {
      const args = text.split(' ') as [string, ...string[]];
      await client.call('MULTI');
      await expect(client.call(...args)).rejects.toThrow(/^ERR/);
      await expect(client.call('EXEC')).rejects.toThrow(/^EXECABORT/);
    }
    client.close();
  });

  it('a pipeline of transactions and single commands keeps its order', async () => {
    const client = await connect();
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) => [
        client.call('MULTI'),
        client.call('INCR', '{p}n'),
        client.call('APPEND', '{p}log', `${i},`),
        client.call('EXEC'),
        client.call('INCR', '{p}n'),
        client.call('SET', `other:${i}`, i),
      ]).flat(),
    );
    const counts = replies.filter((_, i) => i % 6 === 3 || i % 6 === 4);
    expect(counts.map((reply) => (Array.isArray(reply) ? reply[0] : reply))).toEqual(
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    client.close();
  });
});

describe('while slots move', () => {
  const slot = keySlot(Buffer.from('{mv}'));

  /** Runs `body` at each step of a move of the slot, there and back. */
  async function duringMove(body: () => Promise<void>): Promise<void> {
    const from = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const to = (await primaries(proxy.cluster)).find((node) => node !== from) as LocalNode;
    const move = { slot, batch: 1, betweenSteps: body };
    await moveSlot(proxy.cluster, { ...move, from, to });
    await moveSlot(proxy.cluster, { ...move, from: to, to: from });
  }

  it('transactions succeed all the while', async () => {
    const client = await connect();
    for (let i = 0; i < 5; i++) await client.call('SET', `{mv}${i}`, 0);
    let done = 0;
    await duringMove(async () => {
      const [, , , replies] = await Promise.all([
        client.call('MULTI'),
        client.call('INCR', '{mv}0'),
        client.call('INCR', '{mv}0'),
        client.call('EXEC'),
      ]);
      done++;
      expect(replies).toEqual([done * 2 - 1, done * 2]);
    });
    expect(done).toBeGreaterThan(8);
    client.close();
  });

  it('a watched one gives nil or succeeds, never a redirect', async () => {
    const client = await connect();
    await client.call('SET', '{mv}w', 0);
    let applied = 0;
    await duringMove(async () => {
      await client.call('WATCH', '{mv}w');
      const value = Number(await client.call('GET', '{mv}w'));
      await client.call('MULTI');
      await client.call('SET', '{mv}w', value + 1);
      if ((await client.call('EXEC')) !== null) applied++;
    });
    expect(Number(await client.call('GET', '{mv}w'))).toBe(applied);
    expect(applied).toBeGreaterThan(0);
    client.close();
  });

  it('a watch across a move of its slot gives nil', async () => {
    const client = await connect();
    await client.call('SET', '{mv}w', 0);
    await client.call('WATCH', '{mv}w');
    await duringMove(async () => undefined);
    await client.call('MULTI');
    await client.call('SET', '{mv}w', 'lost update');
    expect(await client.call('EXEC')).toBeNull();
    client.close();
  });
});

describe('when the primary dies', () => {
  it('a watch is broken, a transaction behind it goes through at the new primary', async () => {
    const client = await connect();
    await client.call('SET', '{dead}k', 1);
    const owner = (await ownerOf(proxy.cluster, keySlot(Buffer.from('{dead}k')))) as LocalNode;
    await onNode(proxy.cluster, owner, (node) => node.call('WAIT', 1, 5000));
    await client.call('WATCH', '{dead}k');
    await client.call('MULTI');
    await client.call('INCR', '{dead}k');
    process.kill(owner.pid, 'SIGKILL');
    // Nil when the death is known before EXEC is sent; else nobody can say what became of it.
    const end = await client.call('EXEC').catch((error: Error) => error.message);
    expect(end === null || /^UNCERTAIN/.test(String(end)), String(end)).toBe(true);
    // The dead node has applied nothing, so the first that is acknowledged gives 2.
    await until('a transaction is acknowledged', async () => {
      await client.call('MULTI');
      await client.call('INCR', '{dead}k');
      const reply = await client.call('EXEC').catch((error: Error) => error.message);
      if (/^UNCERTAIN/.test(String(reply))) return false;
      expect(reply).toEqual([2]);
      return true;
    });
    client.close();
  });

  it('no pinned connection is left', async () => {
    await until('no connection is lent', async () => {
      const text = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
      return /^slotgate_upstream_pinned_connections 0$/m.test(text);
    });
  });
});
