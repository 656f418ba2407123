/** Scripts and functions: known on every shard as on one Redis, also after a node has lost them. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../src/commands/slot.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { connectResp, type RespArgument, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, replicasOf, until } from '../support/cluster.ts';
import { Metrics } from '../support/load/metrics.ts';
import { primaries } from '../support/load/slots.ts';
import { connectToWorker } from '../support/load/workers.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

/** The seeds are those of the cluster that is started. */
const SLOW_COMMANDS = { cluster: { commandTimeoutMs: '20s' } } as ConfigInput;

let proxy: TestProxy;
let client: RespClient;
const opened: RespClient[] = [];

beforeAll(async () => {
  // Scripts run longer than this are told to everybody else as -BUSY.
  const extraConfig = { 'busy-reply-threshold': '200' };
  proxy = await startProxy({
    shards: 3,
    replicas: 1,
    cluster: { extraConfig, nodeTimeoutMs: 60_000 },
    config: { heartbeatMs: 100, ...SLOW_COMMANDS },
  });
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

function sha1(body: string): string {
  return createHash('sha1').update(body).digest('hex');
}

/** The error line, or the reply. */
function attempt(on: RespClient, ...args: [RespArgument, ...RespArgument[]]): Promise<unknown> {
  return on.call(...args).catch((error: Error) => error.message);
}

async function onAllNodes(...command: [RespArgument, ...RespArgument[]]): Promise<unknown[]> {
  const nodes = await primaries(proxy.cluster);
  return Promise.all(nodes.map((node) => onNode(proxy.cluster, node, (on) => on.call(...command))));
}

/** Asked on a connection of its own: behind the script in the same lane it is not answered. */
async function isBusy(key: string): Promise<boolean> {
  const asking = await connect();
  const late = new Promise<string>((resolve) => setTimeout(resolve, 100, 'late'));
  const answer = await Promise.race([attempt(asking, 'GET', key), late]);
  return String(answer).startsWith('BUSY');
}

const TAGS = ['{a}', '{b}', '{c}', '{d}', '{e}'];

describe('a script called by its digest', () => {
  it('is there on every shard once one EVAL has brought it', async () => {
    const body = "return redis.call('INCR', KEYS[1])";
    await client.call('EVAL', body, 1, '{a}n');
    for (const tag of TAGS) {
      expect(await client.call('EVALSHA', sha1(body), 1, `${tag}n`)).toBeGreaterThan(0);
    }
  });

  it('is loaded again by a node that has lost it, in upper case too', async () => {
    const body = 'return {KEYS[1], ARGV[1]}';
    expect(await client.call('SCRIPT', 'LOAD', body)).toBe(sha1(body));
    expect(await onAllNodes('SCRIPT', 'EXISTS', sha1(body))).toEqual([[1], [1], [1]]);
    expect(await client.call('EVALSHA', sha1(body), 1, 'k', 'v')).toEqual(['k', 'v']);
    await onAllNodes('SCRIPT', 'FLUSH');
    expect(await client.call('EVALSHA', sha1(body), 1, 'k', 'v')).toEqual(['k', 'v']);
    await onAllNodes('SCRIPT', 'FLUSH');
    const upper = sha1(body).toUpperCase();
    expect(await client.call('EVALSHA_RO', upper, 1, 'k', 'w')).toEqual(['k', 'w']);
  });

  it('keeps its place in a pipeline while it is healed', async () => {
    for (let round = 0; round < 15; round++) {
      const body = `return redis.call('APPEND', KEYS[1], ARGV[1]) -- ${round}`;
      await client.call('SCRIPT', 'LOAD', body);
      await onAllNodes('SCRIPT', 'FLUSH');
      const key = `{p${round}}k`;
      const replies = await Promise.all([
        client.call('SET', key, 'a'),
        client.call('EVALSHA', sha1(body), 1, key, 'b'),
        client.call('EVALSHA', sha1(body), 1, key, 'c'),
        client.call('GET', key),
        client.call('DEL', key),
      ]);
      expect(replies).toEqual(['OK', 2, 3, 'abc', 1]);
    }
  });

  it('that a node forgot amid a pipeline is healed or refused, never out of order', async () => {
    const body = "return redis.call('APPEND', KEYS[1], ARGV[1])";
    await client.call('SCRIPT', 'LOAD', body);
    for (let round = 0; round < 10; round++) {
      const key = '{f}k';
      await client.call('SET', key, 'a');
      expect(await client.call('EVALSHA', sha1(body), 1, key, 'b')).toBe(2);
      await onAllNodes('SCRIPT', 'FLUSH');
      const [called, value] = await Promise.all([
        attempt(client, 'EVALSHA', sha1(body), 1, key, 'c'),
        client.call('GET', key),
      ]);
      if (called === 3) expect(value).toBe('abc');
      else expect([String(called).split(' ', 1)[0], value]).toEqual(['TRYAGAIN', 'ab']);
    }
  });

  it('that nobody knows is NOSCRIPT', async () => {
    const answer = await attempt(client, 'EVALSHA', sha1('return 77'), 0);
    expect(answer).toBe('NOSCRIPT No matching script. Please use EVAL.');
    expect(await attempt(client, 'EVALSHA', 'short', 0)).toMatch(/^NOSCRIPT /);
  });

  it('is not run twice when it says NOSCRIPT itself', async () => {
    const body = "redis.call('INCR', KEYS[1]) return redis.error_reply('NOSCRIPT of my own')";
    await attempt(client, 'EVAL', body, 1, 'own');
    expect(await attempt(client, 'EVALSHA', sha1(body), 1, 'own')).toBe('NOSCRIPT of my own');
    expect(await client.call('GET', 'own')).toBe('2');
  });

  it('works inside MULTI on a node that has lost it', async () => {
    const body = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    await client.call('SCRIPT', 'LOAD', body);
    await onAllNodes('SCRIPT', 'FLUSH');
    await client.call('MULTI');
    await client.call('EVALSHA', sha1(body), 1, '{m}n', 4);
    await client.call('GET', '{m}n');
    expect(await client.call('EXEC')).toEqual([4, '4']);
  });

  it('works between WATCH and MULTI', async () => {
    const body = "return redis.call('GET', KEYS[1])";
    await client.call('SCRIPT', 'LOAD', body);
    await client.call('SET', '{w}n', 'seen');
    await client.call('WATCH', '{w}n');
    await onAllNodes('SCRIPT', 'FLUSH');
    expect(await client.call('EVALSHA', sha1(body), 1, '{w}n')).toBe('seen');
    await client.call('MULTI');
    await client.call('SET', '{w}n', 'set');
    expect(await client.call('EXEC')).toEqual(['OK']);
  });
});

describe('SCRIPT', () => {
  it('FLUSH is complete: the proxy has forgotten too', async () => {
    const body = 'return 12345';
    await client.call('SCRIPT', 'LOAD', body);
    expect(await client.call('SCRIPT', 'EXISTS', sha1(body), sha1('none'))).toEqual([1, 0]);
    expect(await client.call('SCRIPT', 'FLUSH', 'SYNC')).toBe('OK');
    expect(await client.call('SCRIPT', 'EXISTS', sha1(body))).toEqual([0]);
    expect(await attempt(client, 'EVALSHA', sha1(body), 0)).toMatch(/^NOSCRIPT /);
    expect(await attempt(client, 'SCRIPT', 'FLUSH', 'WHAT')).toBe(
      'ERR SCRIPT FLUSH only support SYNC|ASYNC option',
    );
  });

  it('LOAD of what is no Lua is an error', async () => {
    expect(await attempt(client, 'SCRIPT', 'LOAD', 'this is no Lua')).toMatch(
      /^ERR Error compiling/,
    );
  });

  it('KILL stops the script that keeps a shard busy, and says when there is none', async () => {
    expect(await attempt(client, 'SCRIPT', 'KILL')).toBe(
      'NOTBUSY No scripts in execution right now.',
    );
    const busy = await connect();
    const running = attempt(busy, 'EVAL', 'while true do end', 1, '{k}x');
    const node = await ownerOf(proxy.cluster, keySlot(Buffer.from('k')));
    await until('the node is busy', () =>
      onNode(proxy.cluster, node as NonNullable<typeof node>, (on) => attempt(on, 'PING')).then(
        (answer) => String(answer).startsWith('BUSY'),
      ),
    );
    await until('others are told', () => isBusy('{k}y'));
    expect(await client.call('SCRIPT', 'KILL')).toBe('OK');
    expect(await running).toMatch(/killed by user/i);
    await until('the shard serves', async () => (await attempt(client, 'GET', '{k}y')) === null);
  });

  it('KILL of a script that wrote is refused by the node', async () => {
    const busy = await connect();
    const body =
      "redis.call('SET', KEYS[1], 1) local t = redis.call('TIME')[1] " +
      "while redis.call('TIME')[1] - t < 2 do end return 'done'";
    const running = attempt(busy, 'EVAL', body, 1, '{u}x');
    await until('others are told', () => isBusy('{u}y'));
    expect(await attempt(client, 'SCRIPT', 'KILL')).toMatch(/^UNKILLABLE /);
    expect(await running).toBe('done');
  });
});

const LIBRARY = `#!lua name=lib
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name='get', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}
redis.register_function{function_name='spin', callback=function() while true do end end, flags={'no-writes'}}`;

describe('FUNCTION', () => {
  it('LOAD brings a library to every primary, where FCALL finds it', async () => {
    expect(await client.call('FUNCTION', 'LOAD', LIBRARY)).toBe('lib');
    for (const tag of TAGS) {
      expect(await client.call('FCALL', 'put', 1, `${tag}f`, tag)).toBe('OK');
      expect(await client.call('FCALL_RO', 'get', 1, `${tag}f`)).toBe(tag);
    }
    expect(await attempt(client, 'FUNCTION', 'LOAD', LIBRARY)).toBe(
      "ERR Library 'lib' already exists",
    );
    expect(await client.call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY)).toBe('lib');
    expect(await attempt(client, 'FUNCTION', 'LOAD', 'no library')).toBe(
      'ERR Missing library metadata',
    );
  });

  it('LIST, DUMP, RESTORE, DELETE, FLUSH', async () => {
    expect(await client.call('FUNCTION', 'LIST')).toHaveLength(1);
    const binary = await connectResp({ host: proxy.host, port: proxy.port, returnBuffers: true });
    opened.push(binary);
    const dump = (await binary.call('FUNCTION', 'DUMP')) as Buffer;
    expect(await client.call('FUNCTION', 'DELETE', 'lib')).toBe('OK');
    expect(await onAllNodes('FUNCTION', 'LIST')).toEqual([[], [], []]);
    expect(await client.call('FUNCTION', 'RESTORE', dump)).toBe('OK');
    for (const list of await onAllNodes('FUNCTION', 'LIST')) expect(list).toHaveLength(1);
    expect(await client.call('FUNCTION', 'FLUSH')).toBe('OK');
    expect(await onAllNodes('FUNCTION', 'LIST')).toEqual([[], [], []]);
    expect(await attempt(client, 'FUNCTION', 'DELETE', 'lib')).toBe('ERR Library not found');
  });

  it('LOAD that fails in one shard says where', async () => {
    const node = (await primaries(proxy.cluster))[1] as { host: string; port: number };
    await onNode(proxy.cluster, node as never, (on) => on.call('FUNCTION', 'LOAD', LIBRARY));
    expect(await attempt(client, 'FUNCTION', 'LOAD', LIBRARY)).toBe(
      `ERR Library 'lib' already exists at ${node.host}:${node.port} (2 of 3 parts were applied)`,
    );
    expect(await client.call('FUNCTION', 'FLUSH')).toBe('OK');
  });

  it('STATS and KILL reach a node that a function keeps busy', async () => {
    await client.call('FUNCTION', 'LOAD', LIBRARY);
    const engines = ['engines', ['LUA', ['libraries_count', 1, 'functions_count', 3]]];
    expect(await client.call('FUNCTION', 'STATS')).toEqual(['running_script', null, ...engines]);
    expect(await attempt(client, 'FUNCTION', 'KILL')).toMatch(/^NOTBUSY /);
    const running = attempt(await connect(), 'FCALL_RO', 'spin', 1, '{k}x');
    await until('it runs', async () => {
      const stats = (await client.call('FUNCTION', 'STATS')) as unknown[];
      return Array.isArray(stats[1]) && stats[1][1] === 'spin';
    });
    expect(await attempt(client, 'SCRIPT', 'KILL')).toMatch(/^BUSY /);
    expect(await client.call('FUNCTION', 'KILL')).toBe('OK');
    expect(await running).toMatch(/killed by user/i);
  });
});

describe('after a failover', () => {
  it('a script is there, though the new primary never had it', async () => {
    const body = "return redis.call('APPEND', KEYS[1], ARGV[1])";
    const slot = keySlot(Buffer.from('o'));
    await client.call('EVAL', body, 1, '{o}k', 'a');
    expect(await client.call('EVALSHA', sha1(body), 1, '{o}k', 'b')).toBe(2);
    const before = (await ownerOf(proxy.cluster, slot)) as LocalNode;
    const [replica] = (await replicasOf(proxy.cluster, before)) as [LocalNode];
    expect(
      await onNode(proxy.cluster, replica, (on) => on.call('SCRIPT', 'EXISTS', sha1(body))),
    ).toEqual([0]);
    await onNode(proxy.cluster, replica, (on) => on.call('CLUSTER', 'FAILOVER'));
    await until('it is promoted', async () => {
      return (await ownerOf(proxy.cluster, slot, replica))?.port === replica.port;
    });
    const replies = await Promise.all([
      client.call('EVALSHA', sha1(body), 1, '{o}k', 'c'),
      client.call('EVALSHA', sha1(body), 1, '{o}k', 'd'),
      client.call('GET', '{o}k'),
    ]);
    expect(replies).toEqual([3, 4, 'abcd']);
  });
});

describe('with several workers', () => {
  let slotgate: ProxyProcess;
  let one: RespClient;
  let other: RespClient;

  beforeAll(async () => {
    slotgate = await startProxyProcess({ workers: 2, cluster: { seeds: proxy.cluster.seeds } });
    await until('both workers serve', async () => {
      if (!(await slotgate.isReady())) return false;
      return (await Metrics.read(slotgate.httpUrl)).sum('slotgate_workers') === 2;
    });
    one = await connectToWorker(slotgate.port, 1);
    other = await connectToWorker(slotgate.port, 2);
  });

  afterAll(async () => {
    one?.close();
    other?.close();
    await slotgate?.stop();
  });

  it('a script that one has seen is healed by the other, inside MULTI too', async () => {
    const body = "return redis.call('INCR', KEYS[1]) + 100";
    await one.call('EVAL', body, 1, '{q}n');
    await onAllNodes('SCRIPT', 'FLUSH');
    expect(await other.call('EVALSHA', sha1(body), 1, '{q}n')).toBe(102);
    const second = "return redis.call('INCR', KEYS[1]) + 200";
    await one.call('SCRIPT', 'LOAD', second);
    await onAllNodes('SCRIPT', 'FLUSH');
    await other.call('MULTI');
    await other.call('EVALSHA', sha1(second), 1, '{q}n');
    expect(await other.call('EXEC')).toEqual([203]);
  });

  it('SCRIPT FLUSH at one is forgotten by the other', async () => {
    const body = 'return 4711';
    await one.call('SCRIPT', 'LOAD', body);
    expect(await other.call('EVALSHA', sha1(body), 0)).toBe(4711);
    expect(await one.call('SCRIPT', 'FLUSH')).toBe('OK');
    expect(await attempt(other, 'EVALSHA', sha1(body), 0)).toMatch(/^NOSCRIPT /);
    await other.call('MULTI');
    await other.call('EVALSHA', sha1(body), 0);
    expect(String((await other.call('EXEC')) as unknown)).toMatch(/NOSCRIPT/);
  });
});
