/** SELECT of any database on servers without cluster mode: the same replies as by the server itself. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeCommand, ReplyError, type RespClient } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { RawClient, type RawTarget } from '../support/raw-client.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { difference, runScript, type Step, stepsOf } from '../support/sessions/script.ts';
import { isReady, type StandaloneProxy, startStandaloneProxy } from '../support/standalone.ts';

let upstream: PlainRedis;
let plain: PlainRedis;
let proxy: StandaloneProxy;

const configFor = ({ host, port }: PlainRedis) => ({
  face: 'standalone' as const,
  upstream: { mode: 'standalone' as const },
  cluster: { seeds: [`${host}:${port}`], refreshIntervalMs: 500 },
});

beforeAll(async () => {
  upstream = await startRedis({ databases: '8' });
  plain = await startRedis({ databases: '8' });
  proxy = await startStandaloneProxy(configFor(upstream));
  await isReady(proxy);
});

afterAll(async () => {
  await proxy?.close();
  await upstream?.stop();
  await plain?.stop();
});

beforeEach(async () => {
  for (const server of [upstream, plain]) {
    const client = await server.connect();
    await client.call('FLUSHALL');
    client.close();
  }
});

async function same(steps: readonly Step[]): Promise<void> {
  const expected = await runScript(plain, steps);
  const seen = await runScript(proxy, steps, { expected });
  expect(difference(steps, expected, seen)).toBe('');
}

const SCRIPTS: Readonly<Record<string, string>> = {
  'each session has its own database, and RESET goes back to 0': `
    0: SET k zero
    0: SELECT 1
    0: SET k one
    1: GET k
    1: SELECT 1
    1: GET k
    0: RESET
    0: GET k
    0: HELLO 3
    0: SELECT 2
    0: HELLO 2
    0: GET k`,
  'wrong numbers are refused as by the server': `
    0: SELECT 8
    0: SELECT -1
    0: SELECT abc
    0: SELECT 99999999999
    0: SELECT
    0: SELECT 1 2
    0: SELECT 7
    0: DBSIZE`,
  'SELECT inside MULTI, with what comes after it': `
    0: SELECT 3
    0: MULTI
    0: SET k three
    0: SELECT 4
    0: SET k four
    0: SELECT 99
    0: GET k
    0: PING
    0: ECHO hello
    0: EXEC
    0: GET k
    1: SELECT 3
    1: GET k
    0: MULTI
    0: SELECT 5
    0: EXEC
    0: SET five 5
    0: MULTI
    0: SELECT 6
    0: DISCARD
    0: GET five
    0: MULTI
    0: SELECT 6
    0: NOSUCH
    0: EXEC
    0: GET five`,
  'what concerns one database, also inside MULTI': `
    0: MSET a 1 b 2 c 3
    0: SELECT 1
    0: MSET d 4 e 5
    0: DBSIZE
    0: KEYS d*
    0: MULTI
    0: DBSIZE
    0: FLUSHDB
    0: RANDOMKEY
    0: EXEC
    0: DBSIZE
    1: DBSIZE
    1: FLUSHDB
    1: DBSIZE`,
  'MOVE, COPY and SWAPDB': `
    0: SET a 1
    0: MOVE a 2
    0: GET a
    0: SELECT 2
    0: COPY a b DB 3
    0: COPY a c
    0: SWAPDB 2 3
    0: GET a
    0: GET b
    1: SELECT 3
    1: GET c
    0: SWAPDB 2 99
    0: MULTI
    0: SWAPDB 2 3
    0: GET c
    0: EXEC
    0: GET c`,
  'WATCH belongs to the database it was said in': `
    0: WATCH k
    0: SELECT 1
    1: SELECT 1
    1: SET k other
    0: MULTI
    0: SET done 1
    0: EXEC
    0: SELECT 0
    0: WATCH k
    0: SELECT 2
    2: SET k touched
    0: MULTI
    0: SET done 2
    0: EXEC
    0: GET done
    0: SELECT 1
    0: GET done`,
  'blocking commands wait in their database': `
    0: SELECT 1
    0: BLPOP q 0
    1: RPUSH q zero
    1: SELECT 1
    1: RPUSH q one
    0: LLEN q
    2: LLEN q
    0: BLMOVE q r LEFT LEFT 0
    1: LPUSH q two
    0: LRANGE r 0 -1
    2: LRANGE r 0 -1`,
  'scripts run in the database of their caller': `
    0: SELECT 1
    0: EVAL return(redis.call('set',KEYS[1],ARGV[1])) 1 k one
    0: SCRIPT LOAD return(redis.call('get',KEYS[1]))
    0: EVALSHA a5260dd66ce02462c5b5231c727b3f7772c0bcc5 1 k
    1: EVAL return(redis.call('get',KEYS[1])) 1 k
    0: GET k
    1: GET k`,
  'SCAN goes over the database that is selected': `
    0: SET zero 0
    0: SELECT 1
    0: SET one 1
    0: SCAN 0 COUNT 100
    1: SCAN 0 COUNT 100
    0: SELECT 0
    0: SCAN 0 COUNT 100
    0: SELECT 2
    0: SCAN 0 COUNT 100`,
};

describe('beside the server itself', () => {
  it.each(Object.entries(SCRIPTS))('%s', async (_, script) => {
    await same(stepsOf(script));
  });

  it('random scripts of three sessions over four databases', async () => {
    const scripts = fc.sample(fc.array(step(), { minLength: 8, maxLength: 30 }), {
      numRuns: 150,
      seed: 4_711,
    });
    for (const [i, script] of scripts.entries()) {
      const steps = [...script, ...ENDING].map(({ client, args }) => ({
        client,
        args: args.map((arg) => String(arg).replace('key', `${i}:key`)),
      }));
      await same(steps);
    }
  }, 60_000);
});

describe('pipelined in one write', () => {
  it('random commands over four databases are answered as by the server itself', async () => {
    const pipelines = fc.sample(fc.array(step(), { minLength: 40, maxLength: 80 }), {
      numRuns: 100,
      seed: 815,
    });
    for (const steps of pipelines) {
      const commands = [...steps, ...ENDING].map(({ args }) => encodeCommand(args));
      const bytes = Buffer.concat([...commands, encodeCommand(['FLUSHALL']), END]);
      expect(await answersOf(proxy, bytes)).toBe(await answersOf(plain, bytes));
    }
  }, 60_000);
});

const END_TEXT = 'the very end';
const END = encodeCommand(['ECHO', END_TEXT]);

async function answersOf(target: RawTarget, bytes: Buffer): Promise<string> {
  const client = await RawClient.open(target);
  client.send(bytes);
  await until('the last reply comes', () => client.text.endsWith(`${END_TEXT}\r\n`));
  client.destroy();
  return client.text;
}

/** Whatever a script has left open. */
const ENDING: readonly Step[] = [0, 1, 2].flatMap((client) => [
  { client, args: ['EXEC'] },
  { client, args: ['UNWATCH'] },
  { client, args: ['MGET', 'key1', 'key2', 'key3'] },
]);

function step(): fc.Arbitrary<Step> {
  const key = fc.constantFrom('key1', 'key2', 'key3');
  const database = fc.constantFrom('0', '1', '2', '3', '9');
  const word = (name: string): fc.Arbitrary<string[]> => fc.constant([name]);
  const args: fc.Arbitrary<string[]> = fc.oneof(
    { weight: 5, arbitrary: database.map((index) => ['SELECT', index]) },
    { weight: 4, arbitrary: fc.tuple(key, fc.nat(99)).map(([k, n]) => ['SET', k, String(n)]) },
    { weight: 4, arbitrary: key.map((k) => ['GET', k]) },
    { weight: 2, arbitrary: key.map((k) => ['INCR', k]) },
    { weight: 2, arbitrary: fc.tuple(key, database).map(([k, to]) => ['MOVE', k, to]) },
    {
      weight: 1,
      arbitrary: fc.tuple(key, key, database).map(([a, b, to]) => ['COPY', a, b, 'DB', to]),
    },
    { weight: 1, arbitrary: fc.tuple(database, database).map(([a, b]) => ['SWAPDB', a, b]) },
    { weight: 3, arbitrary: word('MULTI') },
    { weight: 3, arbitrary: word('EXEC') },
    { weight: 1, arbitrary: word('DISCARD') },
    { weight: 2, arbitrary: key.map((k) => ['WATCH', k]) },
    { weight: 1, arbitrary: word('RESET') },
    { weight: 1, arbitrary: word('PING') },
    { weight: 1, arbitrary: fc.tuple(key, key).map(([a, b]) => ['MGET', a, b]) },
    { weight: 1, arbitrary: fc.tuple(key, key).map(([a, b]) => ['DEL', a, b]) },
  );
  return fc.record({ client: fc.nat(2), args });
}

describe('what is shown of it', () => {
  let client: RespClient;
  let other: RespClient;

  beforeEach(async () => {
    client = await proxy.connect();
    other = await proxy.connect();
    return () => {
      client.close();
      other.close();
    };
  });

  it('CLIENT LIST, CLIENT INFO, INFO keyspace and CONFIG GET databases', async () => {
    await client.call('SELECT', '5');
    await client.call('SET', 'k', 'v');
    const id = String(await client.call('CLIENT', 'ID'));
    expect(String(await client.call('CLIENT', 'INFO'))).toContain(' db=5 ');
    expect(String(await other.call('CLIENT', 'LIST', 'ID', id))).toContain(' db=5 ');
    expect(await other.call('CONFIG', 'GET', 'databases')).toEqual(['databases', '8']);
    await until('INFO is read anew', async () =>
      String(await other.call('INFO', 'keyspace')).includes('db5:keys=1,'),
    );
  });

  it('MONITOR', async () => {
    const lines: string[] = [];
    const monitor = await RawClient.open(proxy);
    monitor.send('MONITOR\r\n');
    await until('it monitors', () => monitor.text.startsWith('+OK'));
    await client.call('SELECT', '6');
    await client.call('GET', 'watched');
    await until('the line comes', () => monitor.text.includes('"watched"'));
    monitor.destroy();
    lines.push(...monitor.text.split('\r\n'));
    expect(lines.find((line) => line.includes('"SELECT"'))).toContain(' [0 ');
    expect(lines.find((line) => line.includes('"watched"'))).toContain(' [6 ');
  });

  it('keyspace events of each database', async () => {
    await client.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA');
    const listener = await RawClient.open(proxy);
    listener.send('SUBSCRIBE __keyevent@3__:set\r\n');
    await until('it is subscribed', () => listener.text.includes('subscribe'));
    await client.call('SET', 'in-zero', '1');
    await client.call('SELECT', '3');
    await client.call('SET', 'in-three', '1');
    await until('the event comes', () => listener.text.includes('in-three'));
    expect(listener.text).not.toContain('in-zero');
    listener.destroy();
    await client.call('CONFIG', 'SET', 'notify-keyspace-events', '');
  });

  it('an element popped for a client that left goes back to its database', async () => {
    const returned = async (): Promise<number> => {
      const page = await (await fetch(new URL('/metrics', proxy.httpUrl))).text();
      return Number(/^slotgate_blocking_returned_elements_total (\d+)$/m.exec(page)?.[1]);
    };
    const before = await returned();
    await other.call('SELECT', '2');
    const keys: string[] = [];
    // Whether the element or the end of the client is seen first is chance.
    while ((await returned()) === before && keys.length < 400) {
      const key = `back:${keys.length}`;
      keys.push(key);
      const waiter = await RawClient.open(proxy);
      waiter.send(`SELECT 2\r\nBLPOP ${key} 0\r\n`);
      await until('it waits', async () =>
        / flags=[A-Za-z]*b/.test(String(await other.call('CLIENT', 'LIST'))),
      );
      const pushed = other.call('RPUSH', key, 'element');
      waiter.destroy();
      await pushed;
    }
    expect(await returned()).toBeGreaterThan(before);
    await until('all are there', async () => {
      return (await other.call('EXISTS', ...keys)) === keys.length;
    });
  }, 30_000);
});

describe('an account that may not read settings', () => {
  it('selects by trying, and gets the error of the node', async () => {
    const admin = await upstream.connect();
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-config');
    admin.close();
    const config = configFor(upstream);
    const limited = await startStandaloneProxy({
      ...config,
      cluster: { ...config.cluster, username: 'app', password: 'pw' },
    });
    try {
      await isReady(limited);
      const client = await limited.connect();
      expect(await client.call('SELECT', '7')).toBe('OK');
      expect(await client.call('SET', 'k', 'seven')).toBe('OK');
      await expect(client.call('SELECT', '8')).rejects.toThrow(
        new ReplyError('ERR DB index is out of range'),
      );
      expect(await client.call('GET', 'k')).toBe('seven');
      client.close();
    } finally {
      await limited.close();
    }
  });
});
