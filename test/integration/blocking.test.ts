/**
 * Blocking commands: as on one Redis, over several slots, and with clients, slots and nodes that go.
 *
 * Over 400 lines: all of it shares one cluster, which takes longer to start than most of it to run.
 */
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
let helper: RespClient;

beforeAll(async () => {
  proxy = await startProxy({
    shards: 3,
    replicas: 1,
    config: { limits: { pinnedConnections: 300 } },
  });
  plain = await startRedis();
  helper = await connect();
});

afterAll(async () => {
  helper?.close();
  await proxy?.close();
  await plain?.stop();
});

function connect(): Promise<RespClient> {
  return connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 20_000 });
}

/** Clients that nodes hold in a blocking command, over all running nodes. */
async function blockedAtNodes(): Promise<number> {
  const counts = await Promise.all(
    proxy.cluster.nodes
      .filter(({ pid }) => pid !== 0)
      .map((node) =>
        onNode(proxy.cluster, node, async (client) => {
          const info = String(await client.call('INFO', 'clients'));
          return Number(/blocked_clients:(\d+)/.exec(info)?.[1]);
        }),
      ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function blockedAre(count: number): Promise<void> {
  return until(`${count} clients blocked at the nodes`, async () => {
    return (await blockedAtNodes()) === count;
  });
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

async function expectSame(script: readonly Step[]): Promise<void> {
  const wanted = await runScript(plain, script);
  // One that waits for ever must have come to its node before anything is pushed for it.
  const onBlocked = async (_: number, { args }: Step): Promise<void> => {
    if (!args.includes('0')) return;
    await until('it is blocked at a node', async () => (await blockedAtNodes()) > 0);
  };
  const got = await runScript(proxy, script, { expected: wanted, onBlocked });
  expect(difference(script, wanted, got)).toBe('');
}

const SCRIPTS: Readonly<Record<string, string>> = {
  'what is there comes at once': `
    0: RPUSH {a}l 1 2 3
    0: BLPOP {a}none {a}l 0
    0: BRPOP {a}l 0
    0: BLMPOP 0 2 {a}none {a}l LEFT COUNT 5
    0: ZADD {a}z 1 x 2 y 3 z
    0: BZPOPMIN {a}z 0
    0: BZPOPMAX {a}none {a}z 0
    0: BZMPOP 0 1 {a}z MIN COUNT 2`,
  'BLPOP is woken by RPUSH': `
    0: BLPOP {b}l {b}m 0
    1: RPUSH {b}m x y
    1: LRANGE {b}m 0 -1
    0: PING`,
  'BRPOPLPUSH and BLMOVE': `
    0: BRPOPLPUSH {c}src {c}dst 0
    1: LPUSH {c}src x y
    0: LRANGE {c}dst 0 -1
    0: BLMOVE {c}none {c}dst LEFT RIGHT 0
    1: RPUSH {c}none z
    0: LRANGE {c}dst 0 -1`,
  'sorted sets': `
    0: BZPOPMIN {d}z 0
    1: ZADD {d}z 5 five 1 one
    0: BZMPOP 0 1 {d}y MAX COUNT 3
    1: ZADD {d}y 5 five 1 one`,
  RESP3: `
    0: HELLO 3
    0: BZPOPMIN {e}z 0
    1: ZADD {e}z 1.5 m
    0: BLPOP {e}l 0.01
    0: XREAD BLOCK 0 STREAMS {e}x $
    1: XADD {e}x 1-1 f v`,
  'streams and groups': `
    0: XGROUP CREATE {f}x g $ MKSTREAM
    0: XREADGROUP GROUP g block BLOCK 0 STREAMS {f}x >
    1: XADD {f}x 1-1 f v
    0: XREAD COUNT 2 BLOCK 10 STREAMS {f}x 1-1
    0: XREADGROUP GROUP g block COUNT 1 STREAMS {f}x 0
    0: XREADGROUP GROUP nosuch c BLOCK 10 STREAMS {f}x >`,
  'time-outs': `
    0: BLPOP {g}l 0.02
    0: BRPOPLPUSH {g}l {g}m 0.02
    0: BZPOPMIN {g}z 0.02
    0: BLMPOP 0.02 1 {g}l LEFT
    0: XREAD BLOCK 20 STREAMS {g}x $`,
  'bad time-outs': `
    0: BLPOP {h}l x
    0: BLPOP {h}l -1
    0: BLPOP {h}l 1e400
    0: BLPOP {h}l ""
    0: BLPOP {h}l inf
    0: BLPOP {h}l nan
    0: BLPOP {h}l 1e18
    0: BLMPOP -1 1 {h}l LEFT
    0: BZMPOP x 1 {h}l MIN
    0: XREAD BLOCK -1 STREAMS {h}x $
    0: XREAD BLOCK x STREAMS {h}x $
    0: XREAD BLOCK 1.5 STREAMS {h}x $`,
  'wrong types and arguments': `
    0: SET {i}s x
    0: BLPOP {i}s 0
    0: BLPOP {i}s
    0: BLMPOP 0 0 {i}l LEFT
    0: BLMPOP 0 1 {i}l NOWHERE
    0: BZPOPMIN {i}s 0
    0: BLMOVE {i}l {i}m LEFT NOWHERE 0`,
  'a wrong type that comes later does not wake': `
    0: BLPOP {j}k 0
    1: SET {j}k string
    1: DEL {j}k
    1: RPUSH {j}k x`,
  'commands behind it wait': `
    0: BLPOP {k}l 0
    0: INCR {k}n
    0: GET {k}n
    1: GET {k}n
    1: RPUSH {k}l x`,
  'pushed and popped inside a transaction': `
    0: BLPOP {l}l 0
    1: MULTI
    1: RPUSH {l}l a
    1: LLEN {l}l
    1: EXEC
    1: LLEN {l}l`,
};

describe('as on one Redis', () => {
  it.each(Object.entries(SCRIPTS))('%s', async (_, script) => expectSame(stepsOf(script)));

  it('serves in order of arrival', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, connect));
    const popped: Promise<unknown>[] = [];
    for (const [i, client] of clients.entries()) {
      popped.push(client.call('BLPOP', '{order}l', 0));
      await blockedAre(i + 1);
    }
    await helper.call('RPUSH', '{order}l', 0, 1, 2, 3, 4);
    expect(await Promise.all(popped)).toEqual(clients.map((_, i) => ['{order}l', `${i}`]));
    for (const client of clients) client.close();
  });
});

describe('over several slots', () => {
  it('what is there comes at once, from the first key that has it', async () => {
    await helper.call('RPUSH', 'x2', 'a', 'b');
    await helper.call('RPUSH', 'x3', 'c');
    expect(await helper.call('BLPOP', 'x1', 'x2', 'x3', 0)).toEqual(['x2', 'a']);
    expect(await helper.call('BRPOP', 'x3', 'x2', 0)).toEqual(['x3', 'c']);
    expect(await helper.call('BLMPOP', 0, 3, 'x1', 'x2', 'x3', 'RIGHT', 'COUNT', 2)).toEqual([
      'x2',
      ['b'],
    ]);
    await helper.call('ZADD', 'z2', 1, 'm', 2, 'n');
    expect(await helper.call('BZPOPMIN', 'z1', 'z2', 0)).toEqual(['z2', 'm', '1']);
    expect(await helper.call('BZMPOP', 0, 2, 'z1', 'z2', 'MAX')).toEqual(['z2', [['n', '2']]]);
  });

  it('is woken by any of the keys', async () => {
    const client = await connect();
    for (const key of ['w1', 'w2', 'w3']) {
      const popped = client.call('BLPOP', 'w1', 'w2', 'w3', 0);
      await blockedAre(3);
      await helper.call('RPUSH', key, `for ${key}`);
      expect(await popped).toEqual([key, `for ${key}`]);
      await blockedAre(0);
    }
    for (const key of ['v1', 'v2']) {
      const popped = client.call('BZPOPMAX', 'v1', 'v2', 0);
      await blockedAre(2);
      await helper.call('ZADD', key, 7, 'm');
      expect(await popped).toEqual([key, 'm', '7']);
      await blockedAre(0);
    }
    client.close();
  });

  it('ends when its time is over', async () => {
    expect(await helper.call('BLPOP', 'none1', 'none2', 'none3', 0.05)).toBeNull();
    expect(await helper.call('BZPOPMIN', 'none1', 'none2', 0.05)).toBeNull();
  });

  it('gives the errors of the keys in their order', async () => {
    await helper.call('SET', 'str', 'x');
    await expect(helper.call('BLPOP', 'none1', 'str', 0)).rejects.toThrow(/^WRONGTYPE/);
    await expect(helper.call('BLMOVE', 'one', 'two', 'LEFT', 'LEFT', 0)).rejects.toThrow(
      /^CROSSSLOT/,
    );
  });

  describe('a key that becomes of another type meanwhile counts as empty, as on one Redis', () => {
    const STRING = ['SET', 'first', 'x'];
    const FREE = [['DEL', 'first', 'second']];

    it.each<[string, string[], string[][]]>([
      ['BLPOP', ['BLPOP', 'first', 'second', '0'], [['RPUSH', 'second', 'a']]],
      ['BRPOP', ['BRPOP', 'second', 'first', '0'], [['RPUSH', 'second', 'a', 'b']]],
      ['BLMPOP', ['BLMPOP', '0', '2', 'first', 'second', 'LEFT'], [['RPUSH', 'second', 'a']]],
      ['BZPOPMIN', ['BZPOPMIN', 'first', 'second', '0'], [['ZADD', 'second', '1', 'a']]],
      ['BZMPOP', ['BZMPOP', '0', '2', 'first', 'second', 'MAX'], [['ZADD', 'second', '1', 'a']]],
      ['nobody pushes', ['BLPOP', 'first', 'second', '1.5'], []],
      ['nobody adds', ['BZPOPMAX', 'first', 'second', '1.5'], []],
      [
        'it becomes a list again',
        ['BLPOP', 'first', 'second', '0'],
        [
          ['DEL', 'first'],
          ['RPUSH', 'first', 'a'],
        ],
      ],
    ])('%s', async (_, waits, pushes) => {
      const play = async (open: () => Promise<RespClient>, isBlocked: () => Promise<void>) => {
        const [waiting, other] = [await open(), await open()];
        const popped = waiting.call(...(waits as [string, ...string[]])).catch(String);
        await isBlocked();
        for (const command of [STRING, ...pushes]) {
          await other.call(...(command as [string, ...string[]]));
        }
        const reply = await popped;
        for (const command of FREE) await other.call(...(command as [string, ...string[]]));
        for (const client of [waiting, other]) client.close();
        return reply;
      };
      const isBlocked = async (): Promise<void> => {
        await until('it waits', async () => {
          const client = await plain.connect();
          const info = String(await client.call('INFO', 'clients'));
          client.close();
          return info.includes('blocked_clients:1');
        });
      };
      const wanted = await play(() => plain.connect(), isBlocked);
      expect(String(wanted)).not.toContain('WRONGTYPE');
      expect(await play(connect, () => blockedAre(2))).toEqual(wanted);
    });
  });

  it('loses and doubles nothing between many that wait', async () => {
    const keys = ['m1', 'm2', 'm3', 'm4'];
    const clients = await Promise.all(Array.from({ length: 6 }, connect));
    const total = 200;
    const got: string[] = [];
    const consume = async (client: RespClient): Promise<void> => {
      for (;;) {
        const popped = (await client.call('BLPOP', ...keys, 0)) as string[];
        if (popped[1] === 'end') return;
        got.push(popped[1] as string);
      }
    };
    const consumers = clients.map(consume);
    for (let i = 0; i < total; i++) await helper.call('RPUSH', keys[i % 4] as string, `${i}`);
    await until('all are taken', () => got.length >= total);
    for (const _ of clients) await helper.call('RPUSH', 'm1', 'end');
    await Promise.all(consumers);
    expect(got.map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: total }, (_, i) => i),
    );
    for (const client of clients) client.close();
  });
});

describe('clients that go', () => {
  it.each([
    ['one key', ['{gone}l'], 1],
    ['several slots', ['gone1', 'gone2', 'gone3'], 3],
  ] as const)('%s: what is pushed afterwards stays', async (_, keys, blocked) => {
    for (let i = 0; i < 20; i++) {
      const client = await connect();
      client.call('BLPOP', ...keys, 0).catch(() => undefined);
      await blockedAre(blocked);
      client.close();
      // At the very moment that the client is seen to go.
      await helper.call('RPUSH', keys[0], 'kept');
      await until('it is in the list', async () => (await helper.call('LLEN', keys[0])) === 1);
      await blockedAre(0);
      expect(await helper.call('LPOP', keys[0])).toBe('kept');
    }
  });

  it('a node that is told of it before it has read the command', async () => {
    const slot = keySlot(Buffer.from('{early}l'));
    const owner = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const client = await connect();
    // Its connection to the node is kept for the next one that waits.
    expect(await client.call('BLPOP', '{early}l', 0.01)).toBeNull();
    process.kill(owner.pid, 'SIGSTOP');
    const before = helper.call('GET', '{early}s');
    try {
      client.call('BLPOP', '{early}l', 0).catch(() => undefined);
      await until('it waits', async () => {
        return (await metric('slotgate_downstream_blocked_clients')) === 1;
      });
      client.close();
      await until('it has left', async () => {
        return (await metric('slotgate_downstream_blocked_clients')) === 0;
      });
    } finally {
      process.kill(owner.pid, 'SIGCONT');
    }
    await before;
    await until('no connection is lent', async () => {
      return (await metric('slotgate_upstream_pinned_connections')) === 0;
    });
    await blockedAre(0);
  });

  it('sorted sets and BLMPOP likewise', async () => {
    for (const [command, ...rest] of [
      ['BZPOPMIN', '{gz}z', 0],
      ['BZMPOP', 0, 1, '{gz}z', 'MAX', 'COUNT', 5],
    ] as const) {
      const client = await connect();
      client.call(command, ...rest).catch(() => undefined);
      await blockedAre(1);
      client.close();
      await helper.call('ZADD', '{gz}z', 1, 'a', 2, 'b');
      await until('both are there', async () => (await helper.call('ZCARD', '{gz}z')) === 2);
      expect(await helper.call('ZRANGE', '{gz}z', 0, -1, 'WITHSCORES')).toEqual([
        'a',
        '1',
        'b',
        '2',
      ]);
      await helper.call('DEL', '{gz}z');
    }
    const client = await connect();
    client.call('BLMPOP', 0, 1, '{gz}l', 'LEFT', 'COUNT', 2).catch(() => undefined);
    await blockedAre(1);
    client.close();
    await helper.call('RPUSH', '{gz}l', 'a', 'b', 'c');
    await until('all are there', async () => (await helper.call('LLEN', '{gz}l')) === 3);
    expect(await helper.call('LRANGE', '{gz}l', 0, -1)).toEqual(['a', 'b', 'c']);
  });
});

describe('bounds', () => {
  it('refuses beyond limits.pinnedConnections, and goes on when some are free again', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, connect));
    const waiting = clients.map((client, i) => client.call('BLPOP', `{bound${i}}l`, 0));
    await blockedAre(300);
    await expect(helper.call('BLPOP', '{bound}l', 0)).rejects.toThrow(/limits\.pinnedConnections/);
    await expect(helper.call('BLPOP', 'b1', 'b2', 0)).rejects.toThrow(/limits\.pinnedConnections/);
    await Promise.all(clients.map((_, i) => helper.call('RPUSH', `{bound${i}}l`, i)));
    expect(await Promise.all(waiting)).toEqual(clients.map((_, i) => [`{bound${i}}l`, `${i}`]));
    expect(await helper.call('BLPOP', '{bound}l', 0.01)).toBeNull();
    for (const client of clients) client.close();
  });
});

describe('a slotgate that ends', () => {
  it('lets waiting clients go at once, and takes no element along', async () => {
    const other = await startProxy({ cluster: proxy.cluster, config: { drainTimeoutMs: '20s' } });
    const clients = await Promise.all(
      Array.from({ length: 10 }, () =>
        connectResp({ host: other.host, port: other.port, timeoutMs: 20_000 }),
      ),
    );
    const waiting = clients.map((client, i) =>
      i % 2 === 0
        ? client.call('BLPOP', '{ending}l', 0).catch(() => null)
        : client.call('BLPOP', 'ending1', 'ending2', 0).catch(() => null),
    );
    await blockedAre(5 + 2 * 5);
    const before = performance.now();
    const closing = other.close();
    // In the middle of it: what is popped now was popped for nobody.
    await helper.call('RPUSH', '{ending}l', 'a', 'b', 'c');
    await helper.call('RPUSH', 'ending2', 'd');
    await closing;
    expect(performance.now() - before).toBeLessThan(10_000);
    const delivered = (await Promise.all(waiting)).filter((reply) => reply !== null);
    await blockedAre(0);
    const left = (await helper.call('LRANGE', '{ending}l', 0, -1)) as string[];
    const left2 = (await helper.call('LRANGE', 'ending2', 0, -1)) as string[];
    expect(left.length + left2.length + delivered.length).toBe(4);
    await helper.call('DEL', '{ending}l', 'ending2');
  });
});

describe('slots and nodes that go', () => {
  const slot = keySlot(Buffer.from('{mv}l'));

  it('a waiter follows its slot, there and back', async () => {
    const client = await connect();
    const from = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const to = (await primaries(proxy.cluster)).find((node) => node !== from) as LocalNode;
    await helper.call('SET', '{mv}other', 1);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      const popped = client.call('BLPOP', '{mv}l', 0);
      await blockedAre(1);
      const betweenSteps = async (): Promise<void> => undefined;
      await moveSlot(proxy.cluster, { slot, from: one, to: other, batch: 10, betweenSteps });
      await helper.call('RPUSH', '{mv}l', other.id);
      expect(await popped).toEqual(['{mv}l', other.id]);
    }
    client.close();
  });

  it('a push in the middle of the move wakes it', async () => {
    const client = await connect();
    const from = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const to = (await primaries(proxy.cluster)).find((node) => node !== from) as LocalNode;
    const popped = client.call('BLPOP', '{mv}l', 0);
    await blockedAre(1);
    let pushed = false;
    const betweenSteps = async (): Promise<void> => {
      // The first step is IMPORTING alone; from the second on the source says ASK.
      if (pushed) return;
      pushed = true;
      await helper.call('GET', '{mv}missing');
    };
    await moveSlot(proxy.cluster, { slot, from, to, batch: 10, betweenSteps });
    await helper.call('RPUSH', '{mv}l', 'v');
    expect(await popped).toEqual(['{mv}l', 'v']);
    client.close();
  });

  it('CLUSTER FAILOVER: it waits on at the new primary with the time that is left', async () => {
    const client = await connect();
    const owner = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const replica = proxy.cluster.nodes.find(
      (node) => node.shard === owner.shard && node !== owner,
    );
    const popped = client.call('BLPOP', '{mv}l', 15);
    const timed = client.call('PING');
    await blockedAre(1);
    await onNode(proxy.cluster, replica as LocalNode, (node) => node.call('CLUSTER', 'FAILOVER'));
    await until('the replica is primary', async () => {
      return (await ownerOf(proxy.cluster, slot, replica)) === replica;
    });
    await helper.call('RPUSH', '{mv}l', 'after');
    expect(await popped).toEqual(['{mv}l', 'after']);
    expect(await timed).toBe('PONG');
    client.close();
  });

  it('nothing is left behind', async () => {
    await until('no connection is lent', async () => {
      return (await metric('slotgate_upstream_pinned_connections')) === 0;
    });
    await blockedAre(0);
    await until('no client counts as blocked', async () => {
      return (await metric('slotgate_downstream_blocked_clients')) === 0;
    });
  });
});
