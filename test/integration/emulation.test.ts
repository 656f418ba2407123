/**
 * Commands over keys of several slots, run in steps: as on one Redis, and nothing is lost on the way.
 *
 * Over 400 lines: all of it shares one cluster, which takes longer to start than most of it to run.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../src/commands/slot.ts';
import { connectResp, type RespArgument, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { splitArray } from '../../src/resp/array-parts.ts';
import { onNode, ownerOf, until } from '../support/cluster.ts';
import {
  ALL_KEYS,
  type Call,
  fillCalls,
  MAKERS,
  randomCall,
  UNORDERED,
} from '../support/emulation/calls.ts';
import { moveSlot, primaries } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw-client.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { FrameClient } from '../support/sessions/frame-client.ts';
import { Prng } from '../support/sim/prng.ts';

const CALLS = 1500;
const SEED = Number(process.env.SLOTGATE_TEST_DIFF_SEED ?? 1);
/** Between two servers' clocks, and what the steps take. */
const TTL_TOLERANCE_MS = 3000;

let proxy: TestProxy;
/** Over the same cluster. */
let small: TestProxy;
let off: TestProxy;
let plain: PlainRedis;
let client: RespClient;

beforeAll(async () => {
  proxy = await startProxy({ config: { crossSlot: { emulate: true } } });
  const { cluster } = proxy;
  small = await startProxy({ cluster, config: { crossSlot: { emulate: true, maxBytes: '16kb' } } });
  off = await startProxy({ cluster });
  plain = await startRedis();
  client = await connect(proxy);
});

afterAll(async () => {
  client?.close();
  await off?.close();
  await small?.close();
  await proxy?.close();
  await plain?.stop();
});

function connect(target: TestProxy): Promise<RespClient> {
  return connectResp({ host: target.host, port: target.port, timeoutMs: 20_000 });
}

async function temporaries(): Promise<string[]> {
  return (await client.call('KEYS', '*slotgate:tmp*')) as string[];
}

function shown(call: readonly RespArgument[]): string {
  return call
    .map((arg) => JSON.stringify(Buffer.isBuffer(arg) ? arg.toString('latin1') : arg).slice(0, 60))
    .join(' ');
}

/** Elements in an order of their own where Redis promises none. */
function comparable(call: Call, reply: Buffer): string {
  if (!UNORDERED.has(call[0]) || reply[0] === 45) return reply.toString('latin1');
  const parts = splitArray(reply, 0, reply.length).map((part) => part.toString('latin1'));
  return `${reply.subarray(0, 1)}${parts.sort().join('')}`;
}

const READ_BY_TYPE: Readonly<Record<string, (key: RespArgument) => Call>> = {
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  list: (key) => ['LRANGE', key, '0', '-1'],
  string: (key) => ['GET', key],
};

async function shownValue(side: FrameClient, key: RespArgument): Promise<string> {
  const type = (await side.ask(['TYPE', key])).toString('latin1', 1).trim();
  const read = READ_BY_TYPE[type]?.(key);
  if (read === undefined) return type;
  const reply = await side.ask(read);
  const sorted = type === 'set' ? ['SUNION'] : [''];
  return `${type} ${comparable(sorted as [string], reply)}`;
}

async function ttlOf(side: FrameClient, key: RespArgument): Promise<number> {
  return Number((await side.ask(['PTTL', key])).toString('latin1', 1));
}

describe.each([2, 3] as const)('random calls with RESP%i', (protocol) => {
  it('have the replies and leave the values and TTLs that a single Redis has', async () => {
    const random = new Prng(SEED * 10 + protocol);
    const [ours, theirs] = await Promise.all([
      FrameClient.open(proxy.port),
      FrameClient.open(plain.port),
    ]);
    const both = (call: Call): Promise<[Buffer, Buffer]> =>
      Promise.all([ours.ask(call), theirs.ask(call)]);
    await both(['FLUSHALL']);
    await both(['HELLO', String(protocol)]);
    const succeeded = new Set<string>();
    const log: string[] = [];
    try {
      for (let i = 0; i < CALLS; i++) {
        for (const call of fillCalls(random)) await both(call);
        const call = randomCall(random);
        log.push(shown(call));
        const [got, wanted] = await both(call);
        const context = `call ${i} of seed ${SEED}: ${shown(call)}`;
        expect(comparable(call, got), context).toBe(comparable(call, wanted));
        if (wanted[0] !== 45) succeeded.add(call[0]);
        if (i % 25 !== 0) continue;
        for (const key of ALL_KEYS) {
          const where = `${shown([key])} after ${log.splice(0).join('\n')}`;
          expect(await shownValue(ours, key), where).toBe(await shownValue(theirs, key));
          const [ttl, wantedTtl] = [await ttlOf(ours, key), await ttlOf(theirs, key)];
          const isSame = wantedTtl < 0 ? ttl === wantedTtl : ttl >= 0;
          expect(isSame && Math.abs(ttl - wantedTtl) < TTL_TOLERANCE_MS, where).toBe(true);
        }
      }
      expect([...succeeded].sort()).toEqual(Object.keys(MAKERS).sort());
      const [size, wantedSize] = await both(['DBSIZE']);
      expect(size).toEqual(wantedSize);
    } finally {
      ours.destroy();
      theirs.destroy();
    }
  }, 60_000);
});

describe('when it is off', () => {
  it('each of these commands is refused with the name of the option', async () => {
    const asking = await FrameClient.open(off.port);
    const calls: Call[] = [
      ['SUNION', 'a', 'b'],
      ['ZUNIONSTORE', 'a', '2', 'b', 'c'],
      ['BITOP', 'AND', 'a', 'b'],
      ['RENAME', 'a', 'b'],
      ['LMOVE', 'a', 'b', 'LEFT', 'LEFT'],
    ];
    for (const call of calls) {
      const reply = (await asking.ask(call)).toString('latin1');
      expect(reply).toMatch(/^-CROSSSLOT Keys in request don't .*crossSlot\.emulate\)\r\n$/);
    }
    asking.destroy();
  });
});

describe('what is never emulated', () => {
  it.each([
    ['MSETNX', 'a', '1', 'b', '2'],
    ['BLMOVE', 'a', 'b', 'LEFT', 'LEFT', '1'],
    ['BRPOPLPUSH', 'a', 'b', '1'],
    ['EVAL', 'return 1', '2', 'a', 'b'],
  ])('%s', async (...call) => {
    for (const target of [proxy, off]) {
      const asking = await FrameClient.open(target.port);
      const reply = (await asking.ask(call)).toString('latin1');
      expect(reply).toMatch(/^-CROSSSLOT /);
      expect(reply).not.toContain('emulate');
      asking.destroy();
    }
  });

  it('anything inside MULTI', async () => {
    await client.call('MULTI');
    await expect(client.call('SUNION', 'a', 'b')).rejects.toThrow(/^CROSSSLOT /);
    await expect(client.call('EXEC')).rejects.toThrow(/^EXECABORT /);
  });

  it('a copy to another database', async () => {
    await client.call('SET', 'a', '1');
    await expect(client.call('COPY', 'a', 'b', 'DB', '1')).rejects.toThrow(/^ERR /);
    expect(await client.call('EXISTS', 'b')).toBe(0);
  });
});

describe('values larger than crossSlot.maxBytes', () => {
  it.each([
    ['SUNION', 'small', 'bigset'],
    ['SUNIONSTORE', 'small', 'small', 'bigset'],
    ['RENAME', 'bigset', 'small'],
    ['COPY', 'bigset', 'small', 'REPLACE'],
  ])('%s is an error and changes nothing', async (...call) => {
    const members = Array.from({ length: 30_000 }, (_, i) => `member ${i} ${'x'.repeat(100)}`);
    await client.call('DEL', 'small', 'bigset');
    await client.call('SADD', 'bigset', ...members);
    await client.call('SADD', 'small', 'one');
    const asking = await connect(small);
    await expect(asking.call(...(call as [string, ...string[]]))).rejects.toThrow(
      'ERR the values to be brought together are larger than crossSlot.maxBytes (16384 bytes)',
    );
    expect(await asking.call('SMEMBERS', 'small')).toEqual(['one']);
    expect(await asking.call('SCARD', 'bigset')).toBe(members.length);
    asking.close();
  });

  it('are no hindrance where they need not be fetched', async () => {
    const asking = await connect(small);
    await client.call('SET', 'bigstring', 'x'.repeat(100_000));
    expect(await asking.call('LMOVE', 'nolist', 'list', 'LEFT', 'LEFT')).toBeNull();
    expect(await asking.call('EXISTS', 'bigstring')).toBe(1);
    asking.close();
  });

  it('may be large where the bound is', async () => {
    await client.call('SET', 'bigstring', 'z'.repeat(20_000_000));
    expect(await client.call('RENAME', 'bigstring', 'elsewhere')).toBe('OK');
    expect(await client.call('STRLEN', 'elsewhere')).toBe(20_000_000);
    expect(await client.call('BITOP', 'NOT', 'inverse', 'elsewhere')).toBe(20_000_000);
    await client.call('DEL', 'elsewhere', 'inverse');
  });
});

describe('a client that leaves in the middle', () => {
  const ROUNDS = 60;

  it.each([
    ['LMOVE', 'from', 'to', 'LEFT', 'RIGHT'],
    ['RPOPLPUSH', 'from', 'to'],
  ])('%s loses and doubles no element', async (...call) => {
    const elements = Array.from({ length: ROUNDS }, (_, i) => `e${i}`);
    await client.call('DEL', 'from', 'to');
    await client.call('RPUSH', 'from', ...elements);
    for (let i = 0; i < ROUNDS; i++) await sendAndLeave(call, i);
    await until('all elements are in one of the lists', async () => {
      const lists = await Promise.all(
        ['from', 'to'].map((key) => client.call('LRANGE', key, '0', '-1') as Promise<string[]>),
      );
      return lists.flat().sort().join() === [...elements].sort().join();
    });
    await until('no temporary key is left', async () => (await temporaries()).length === 0);
  });

  it('leaves no rename half done', async () => {
    for (let i = 0; i < ROUNDS; i++) {
      await client.call('DEL', 'from', 'to');
      await client.call('SET', 'from', `value ${i}`);
      await sendAndLeave(['RENAME', 'from', 'to'], i);
      await until('the value has one name', async () => {
        return (await client.call('EXISTS', 'from', 'to')) === 1;
      });
    }
  });

  /** Leaves at another moment each time: once so many other commands have been answered. */
  async function sendAndLeave(call: readonly string[], moment: number): Promise<void> {
    const leaving = await RawClient.open(proxy);
    leaving.send(`${call.join(' ')}\r\n`);
    for (let i = 0; i < moment % 6; i++) await client.call('GET', 'nothing');
    leaving.destroy();
  }
});

describe('others who write meanwhile', () => {
  it('lose nothing to a rename: what was pushed is under the new name or the old', async () => {
    const pusher = await connect(proxy);
    const sum = 400;
    await client.call('DEL', 'queue');
    const pushing = (async () => {
      for (let i = 0; i < sum; i++) await pusher.call('RPUSH', 'queue', String(i));
    })();
    let isOver = false;
    const ended = pushing.finally(() => (isOver = true));
    const batches: string[] = ['queue'];
    for (let i = 0; !isOver; i++) {
      const name = `batch${i}`;
      await client.call('DEL', name);
      const renamed = await client.call('RENAME', 'queue', name).then(
        () => true,
        (error: Error) => {
          expect(error.message).toMatch(/^ERR no such key$/);
          return false;
        },
      );
      if (renamed) batches.push(name);
    }
    await ended;
    const lists = await Promise.all(
      batches.map((key) => client.call('LRANGE', key, '0', '-1') as Promise<string[]>),
    );
    const wanted = Array.from({ length: sum }, (_, i) => String(i)).sort();
    expect(lists.flat().sort()).toEqual(wanted);
    expect(batches.length).toBeGreaterThan(1);
    pusher.close();
  });
});

describe('while things go wrong', () => {
  const ELEMENTS = Array.from({ length: 150 }, (_, i) => `e${String(i).padStart(3, '0')}`);

  async function listsNow(): Promise<string[]> {
    const keys = ['from', 'to', ...(await temporaries())];
    const lists = await Promise.all(
      keys.map((key) => client.call('LRANGE', key, '0', '-1') as Promise<string[]>),
    );
    return lists.flat().sort();
  }

  it('connections to nodes that die lose no element, and only an error doubles one', async () => {
    const nodes = await Promise.all(
      (await primaries(proxy.cluster)).map((node) => proxy.cluster.connect(node)),
    );
    await client.call('DEL', 'from', 'to');
    await client.call('RPUSH', 'from', ...ELEMENTS);
    const moving = await connect(proxy);
    let uncertain = 0;
    let moves = 0;
    const move = async (from: string, to: string): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        await moving.call('LMOVE', from, to, 'LEFT', 'RIGHT').then(
          () => moves++,
          (error: Error) => {
            expect(error.message).toMatch(/^UNCERTAIN /);
            uncertain++;
          },
        );
      }
    };
    let isOver = false;
    const work = move('from', 'to')
      .then(() => move('to', 'from'))
      .finally(() => (isOver = true));
    for (let i = 0; !isOver; i++) {
      const node = nodes[i % nodes.length] as RespClient;
      await node.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      for (let pause = 0; pause < 5; pause++) await client.call('ECHO', 'x');
      await client.call('GET', 'nothing');
    }
    await work;
    const found = await listsNow();
    expect([...new Set(found)]).toEqual(ELEMENTS);
    expect(found.length - ELEMENTS.length).toBeLessThanOrEqual(uncertain);
    expect(moves).toBeGreaterThan(0);
    for (const node of nodes) node.close();
    moving.close();
    for (const key of await temporaries()) await client.call('DEL', key);
  }, 40_000);

  it('slots that move let the commands wait, and do them', async () => {
    await client.call('DEL', 'from', 'to', 'union', 'a', 'b');
    await client.call('RPUSH', 'from', ...ELEMENTS);
    await client.call('SADD', 'a', '1', '2');
    await client.call('SADD', 'b', '2', '3');
    const working = await connect(proxy);
    let isOver = false;
    const work = (async () => {
      while (!isOver) {
        expect(await working.call('SUNIONSTORE', 'union', 'a', 'b')).toBe(3);
        expect(await working.call('SINTERCARD', '2', 'a', 'b')).toBe(1);
        await working.call('LMOVE', 'from', 'to', 'LEFT', 'RIGHT');
        await working.call('LMOVE', 'to', 'from', 'RIGHT', 'LEFT');
        expect(await working.call('RENAME', 'union', 'elsewhere')).toBe('OK');
      }
    })();
    // Seen below; it must not count as unhandled before.
    work.catch(() => undefined);
    const betweenSteps = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) await client.call('GET', 'nothing');
    };
    for (const key of ['union', 'a', 'from', 'to', 'elsewhere']) {
      const slot = keySlot(key);
      const from = (await ownerOf(proxy.cluster, slot)) as LocalNode;
      const to = (await primaries(proxy.cluster)).find(({ id }) => id !== from.id) as LocalNode;
      await moveSlot(proxy.cluster, { slot, from, to, batch: 10, betweenSteps });
    }
    isOver = true;
    await work;
    expect(await listsNow()).toEqual(ELEMENTS);
    expect(await temporaries()).toEqual([]);
    working.close();
  }, 40_000);
});

describe('nodes without memory', () => {
  async function setMaxMemory(value: string): Promise<void> {
    for (const node of await primaries(proxy.cluster)) {
      await onNode(proxy.cluster, node, (asked) => asked.call('CONFIG', 'SET', 'maxmemory', value));
    }
  }

  it('change nothing', async () => {
    await client.call('DEL', 'from', 'to', 'a', 'b', 'set', 'other');
    await client.call('RPUSH', 'from', '1', '2');
    await client.call('SET', 'a', 'x');
    await client.call('SADD', 'set', '1', '2');
    await client.call('SADD', 'other', '3');
    await setMaxMemory('1');
    try {
      const refused = async (text: string, ...call: [string, ...string[]]): Promise<void> => {
        await expect(client.call(...call), call[0]).rejects.toThrow(text);
      };
      await refused('OOM ', 'LMOVE', 'from', 'to', 'LEFT', 'LEFT');
      await refused('(the source is as it was)', 'RENAME', 'a', 'b');
      await refused('(the element was put back into the source)', 'SMOVE', 'set', 'other', '1');
      await refused('OOM ', 'COPY', 'a', 'b');
      await refused('OOM ', 'SUNIONSTORE', 'to', 'set', 'other');
      await refused('EXECABORT ', 'SUNION', 'set', 'other');
    } finally {
      await setMaxMemory('0');
    }
    expect(await client.call('LRANGE', 'from', '0', '-1')).toEqual(['1', '2']);
    expect(await client.call('GET', 'a')).toBe('x');
    expect(await client.call('SCARD', 'set')).toBe(2);
    expect(await client.call('SCARD', 'other')).toBe(1);
    expect(await client.call('EXISTS', 'b', 'to')).toBe(0);
  });
});

describe('a key of another slot that expires', () => {
  it('is as if it were not there', async () => {
    await client.call('SET', 'mortal', 'x', 'PX', '1');
    await until('it has expired', async () => (await client.call('EXISTS', 'mortal')) === 0);
    await expect(client.call('RENAME', 'mortal', 'immortal')).rejects.toThrow('ERR no such key');
    expect(await client.call('COPY', 'mortal', 'immortal')).toBe(0);
  });
});

it('leaves no temporary keys', async () => {
  expect(await temporaries()).toEqual([]);
});
