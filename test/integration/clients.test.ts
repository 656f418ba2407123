/** Real clients and tools with their defaults: what they ask on connect, and what they do all day. */
import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectResp } from '../../src/lib/resp-client.ts';
import { flushCluster, until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { transcript } from '../support/raw-client.ts';

const KEYS = 500;
const SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[1])}";

let proxy: TestProxy;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
});
afterAll(() => proxy?.close());
beforeEach(() => flushCluster(proxy.cluster));

function keyNames(prefix: string, count = KEYS): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}:${i}`);
}

/** Cuts every client connection but those that the test does not mind. */
async function killAllClients(): Promise<number> {
  const admin = await connectResp({ host: '127.0.0.1', port: proxy.port });
  const killed = await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  admin.close();
  return Number(killed);
}

describe('ioredis', () => {
  const open: (Redis | Cluster)[] = [];
  afterEach(() => {
    for (const client of open.splice(0)) client.disconnect();
  });

  function plain(options: object = {}): Redis {
    const client = new Redis({ host: '127.0.0.1', port: proxy.port, ...options });
    open.push(client);
    return client;
  }

  function cluster(options: object = {}): Cluster {
    const client = new Cluster([{ host: '127.0.0.1', port: proxy.port }], options);
    open.push(client);
    return client;
  }

  const flavors: readonly (readonly [string, () => Redis | Cluster])[] = [
    ['plain', () => plain()],
    ['plain, RESP2', () => plain({ protocol: 2 })],
    ['plain, auto-pipelining', () => plain({ enableAutoPipelining: true })],
    ['Cluster', () => cluster()],
    ['Cluster, auto-pipelining', () => cluster({ enableAutoPipelining: true })],
  ];

  test.each(flavors)('%s: commands, pipelines, scripts', async (_name, create) => {
    const client = create();
    expect(await client.set('greeting', 'hello')).toBe('OK');
    expect(await client.get('greeting')).toBe('hello');
    expect(await client.get('nothing')).toBeNull();
    await expect(client.lpush('greeting', 'x')).rejects.toThrow(/^WRONGTYPE/);
    await client.hset('hash', { a: '1', b: '2' });
    expect(await client.hgetall('hash')).toEqual({ a: '1', b: '2' });
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    await client.set('binary', bytes);
    expect(await client.getBuffer('binary')).toEqual(bytes);

    const answers = await Promise.all(keyNames('p').map((key) => client.set(key, key)));
    expect(new Set(answers)).toEqual(new Set(['OK']));
    const values = await Promise.all(keyNames('p').map((key) => client.get(key)));
    expect(values).toEqual(keyNames('p'));

    expect(await client.eval(SCRIPT, 1, 'script:1', 'one')).toEqual(['script:1', 'one']);
    client.defineCommand('setAndTell', { numberOfKeys: 1, lua: SCRIPT });
    const { setAndTell } = client as unknown as Record<string, (...args: string[]) => unknown>;
    for (const key of keyNames('script', 12)) {
      // The first call of each shard is EVALSHA, NOSCRIPT, EVAL.
      expect(await setAndTell?.call(client, key, 'two')).toEqual([key, 'two']);
    }
  });

  test.each([
    ['plain', () => plain()],
    ['Cluster', () => cluster()],
  ] as const)('%s: SCRIPT LOAD serves EVALSHA on every shard', async (_name, create) => {
    const client = create();
    const sha = String(await client.script('LOAD', SCRIPT));
    expect(await client.script('EXISTS', sha)).toEqual([1]);
    for (const key of keyNames('sha', 12)) {
      expect(await client.evalsha(sha, 1, key, 'v')).toEqual([key, 'v']);
    }
    await client.script('FLUSH');
    expect(await client.script('EXISTS', sha)).toEqual([0]);
  });

  test('plain: pipeline(), mget, mset and del over all slots, scanStream', async () => {
    const client = plain();
    const keys = keyNames('k');
    expect(await client.mset(Object.fromEntries(keys.map((key) => [key, `v-${key}`])))).toBe('OK');
    expect(await client.mget(...keys)).toEqual(keys.map((key) => `v-${key}`));
    const pipeline = client.pipeline();
    for (const key of keys) pipeline.get(key).incr(`n:${key}`);
    const results = (await pipeline.exec()) ?? [];
    expect(results).toEqual(
      keys.flatMap((key) => [
        [null, `v-${key}`],
        [null, 1],
      ]),
    );
    expect(await client.exists(...keys)).toBe(KEYS);
    expect(await client.dbsize()).toBe(2 * KEYS);

    const found = new Set<string>();
    for await (const page of client.scanStream({ match: 'k:*', count: 50 })) {
      for (const key of page as string[]) found.add(key);
    }
    expect([...found].sort()).toEqual([...keys].sort());
    expect((await client.keys('k:*')).sort()).toEqual([...keys].sort());
    expect(await client.del(...keys)).toBe(KEYS);
    expect(await client.touch(...keys)).toBe(0);
  });

  test('Cluster: sees one node with all slots and is never redirected', async () => {
    const redirected: unknown[] = [];
    const client = cluster({ retryDelayOnMoved: 0 });
    client.on('node error', (error) => redirected.push(error));
    await client.set('a', '1');
    expect(client.nodes('master').map(({ options }) => options.port)).toEqual([proxy.port]);
    const pipeline = client.pipeline();
    for (const key of keyNames('c')) pipeline.set(key, key);
    const results = (await pipeline.exec()) ?? [];
    expect(results.filter(([error]) => error !== null)).toEqual([]);
    expect(redirected).toEqual([]);
  });

  test('comes back after the proxy has closed its connection', async () => {
    const client = plain();
    expect(await client.set('before', '1')).toBe('OK');
    expect(await killAllClients()).toBeGreaterThan(0);
    await until('it answers again', async () => (await client.get('before')) === '1');
    const clustered = cluster();
    expect(await clustered.get('before')).toBe('1');
    await killAllClients();
    await until('it answers again', async () => {
      return (await clustered.get('before').catch(() => null)) === '1';
    });
  });

  test('100 at once', async () => {
    const clients = Array.from({ length: 100 }, () => plain());
    await Promise.all(
      clients.map(async (client, index) => {
        const keys = keyNames(`c${index}`, 20);
        await Promise.all(keys.map((key) => client.set(key, key)));
        expect(await client.mget(...keys)).toEqual(keys);
      }),
    );
  });

  test('SELECT 0 by its db option, a name, INFO and CONFIG GET', async () => {
    const client = plain({ db: 0, connectionName: 'a-test' });
    expect(await client.client('GETNAME')).toBe('a-test');
    expect(await client.info('server')).toMatch(/redis_version:\d/);
    expect(await client.config('GET', 'maxmemory*')).toBeDefined();
    await expect(client.select(1)).rejects.toThrow(/DB index is out of range/);
  });
});

describe('node-redis', () => {
  interface Common {
    set(key: string, value: string): Promise<unknown>;
    get(key: string): Promise<string | null>;
    eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
    hSet(key: string, fields: Record<string, string>): Promise<unknown>;
    hGetAll(key: string): Promise<Record<string, string>>;
    destroy(): void;
  }
  const open: { destroy(): void }[] = [];
  const errors: Error[] = [];
  afterEach(() => {
    for (const client of open.splice(0)) client.destroy();
    errors.length = 0;
  });

  const url = (): string => `redis://127.0.0.1:${proxy.port}`;

  async function plain(options: object = {}) {
    const client = createClient({ url: url(), ...options });
    client.on('error', (error: Error) => errors.push(error));
    await client.connect();
    open.push(client);
    return client;
  }

  async function cluster(options: object = {}) {
    const client = createCluster({ rootNodes: [{ url: url() }], ...options });
    client.on('error', (error: Error) => errors.push(error));
    await client.connect();
    open.push(client);
    return client;
  }

  test.each([
    ['plain', () => plain()],
    ['plain, RESP2', () => plain({ RESP: 2 })],
    ['cluster', () => cluster()],
    ['cluster, RESP2', () => cluster({ RESP: 2 })],
  ] as const)('%s: commands, automatic pipelines, scripts', async (_name, create) => {
    const client = (await create()) as unknown as Common;
    expect(await client.set('greeting', 'hello')).toBe('OK');
    expect(await client.get('greeting')).toBe('hello');
    expect(await client.get('nothing')).toBeNull();
    await client.hSet('hash', { a: '1', b: '2' });
    expect({ ...(await client.hGetAll('hash')) }).toEqual({ a: '1', b: '2' });
    const keys = keyNames('p');
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    const options = { keys: ['script:1'], arguments: ['one'] };
    expect(await client.eval(SCRIPT, options)).toEqual(['script:1', 'one']);
    expect(errors).toEqual([]);
  });

  test('plain: mGet and mSet over all slots, scanIterator, scripts on all shards', async () => {
    const client = await plain();
    const keys = keyNames('k');
    expect(await client.mSet(keys.map((key): [string, string] => [key, key]))).toBe('OK');
    expect(await client.mGet(keys)).toEqual(keys);
    const found = new Set<string>();
    for await (const page of client.scanIterator({ MATCH: 'k:*', COUNT: 100 })) {
      for (const key of page) found.add(key);
    }
    expect([...found].sort()).toEqual([...keys].sort());
    const sha = await client.scriptLoad(SCRIPT);
    for (const key of keyNames('sha', 12)) {
      expect(await client.evalSha(sha, { keys: [key], arguments: ['v'] })).toEqual([key, 'v']);
    }
    expect(await client.unlink(keys)).toBe(KEYS);
    expect(errors).toEqual([]);
  });

  test('plain: comes back after the proxy has closed its connection', async () => {
    const client = await plain();
    await client.set('before', '1');
    expect(await killAllClients()).toBeGreaterThan(0);
    await until(
      'it answers again',
      async () => (await client.get('before').catch(() => '')) === '1',
    );
  });

  test('a pool of 100 at once', async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, () => plain()));
    await Promise.all(
      clients.map(async (client, index) => {
        const keys = keyNames(`c${index}`, 20);
        await Promise.all(keys.map((key) => client.set(key, key)));
        expect(await client.mGet(keys)).toEqual(keys);
      }),
    );
    expect(errors).toEqual([]);
  });
});

function isThere(tool: string): boolean {
  const there = spawnSync(tool, ['--version']).status === 0;
  if (!there) console.log(`${tool} is not installed: its tests are skipped`);
  return there;
}

interface ToolResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function atProxy(): string[] {
  return ['-p', String(proxy.port)];
}

/** Runs a tool to its end; `code` is -1 when it had to be killed after `timeoutMs`. */
function run(
  tool: string,
  args: readonly string[],
  { input = '', timeoutMs = 30_000 } = {},
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1 << 26 } as const;
    const child = execFile(tool, args, options, (error: ExecFileException | null, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
    child.stdin?.end(input);
  });
}

describe.skipIf(!isThere('redis-cli'))('redis-cli', () => {
  const cli = (...args: string[]): Promise<ToolResult> => run('redis-cli', [...atProxy(), ...args]);

  test('single commands, also with RESP3', async () => {
    expect((await cli('set', 'foo{}{bar}', '1')).out).toBe('OK\n');
    expect((await cli('mset', 'a', '1', 'b', '2', 'c', '3')).out).toBe('OK\n');
    expect((await cli('mget', 'a', 'b', 'c')).out).toBe('1\n2\n3\n');
    expect((await cli('sunion', 'a', 'b')).out).toMatch(/^CROSSSLOT /);
    expect((await cli('-3', 'hset', 'h', 'f', 'v')).out).toBe('1\n');
    expect((await cli('-3', '--no-raw', 'hgetall', 'h')).out).toBe('1# "f" => "v"\n');
    expect((await cli('-c', 'get', 'a')).out).toBe('1\n');
    expect((await cli('-n', '0', 'ping')).out).toBe('PONG\n');
    expect((await cli('nosuchcommand', 'x')).out).toMatch(/^ERR unknown command 'nosuchcommand'/);
  });

  test('commands from standard input', async () => {
    const lines = keyNames('in').map((key) => `set ${key} "a value"\n`);
    const { out } = await run('redis-cli', atProxy(), { input: lines.join('') });
    expect(out).toBe('OK\n'.repeat(KEYS));
    expect((await cli('dbsize')).out).toBe(`${KEYS}\n`);
  });

  test('--pipe, --scan, --bigkeys, --memkeys', async () => {
    const commands = keyNames('pipe').map((key) => {
      return `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$3\r\nxyz\r\n`;
    });
    const piped = await run('redis-cli', [...atProxy(), '--pipe'], { input: commands.join('') });
    expect(piped.out).toContain(`errors: 0, replies: ${KEYS}`);
    const scanned = (await cli('--scan')).out.trim().split('\n');
    expect([...new Set(scanned)].sort()).toEqual(keyNames('pipe').sort());
    const matched = (await cli('--scan', '--pattern', 'pipe:1*')).out.trim().split('\n');
    expect(new Set(matched).size).toBe(111);
    for (const option of ['--bigkeys', '--memkeys']) {
      const { code, out } = await cli(option);
      expect(code).toBe(0);
      expect(out).toContain(`Sampled ${KEYS} keys in the keyspace!`);
      expect(out).toContain(`${KEYS} strings`);
    }
  });

  test('--stat shows the sum of the shards', async () => {
    await cli('mset', 'a', '1', 'b', '2', 'c', '3');
    // It goes on until it is killed, which would lose a buffered output.
    const { out } = await run('stdbuf', ['-oL', 'redis-cli', ...atProxy(), '--stat', '-i', '0.1'], {
      timeoutMs: 1500,
    });
    expect(out).toMatch(/^3 +\d/m);
  });

  test('--latency and --cluster do not hang', async () => {
    const { out } = await run('redis-cli', [...atProxy(), '--latency', '--raw'], {
      timeoutMs: 2500,
    });
    expect(out).toMatch(/^\d+ [\d.]+ [\d.]+ \d+/);
    const check = await run('redis-cli', ['--cluster', 'check', `127.0.0.1:${proxy.port}`]);
    expect(check.code).not.toBe(-1);
    expect(check.out).toContain('All 16384 slots covered');
  });
});

test('inline commands, as from telnet or a health check', async () => {
  const said = await transcript(proxy, 'set k "two words"\r\nGET k\nPiNg\r\n\r\nQUIT\r\n');
  expect(said.said).toBe('+OK\r\n$9\r\ntwo words\r\n+PONG\r\n+OK\r\n');
});

describe.skipIf(!isThere('redis-benchmark'))('redis-benchmark', () => {
  const NAMES = 'set,get,incr,lpush,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset';

  test.each([[[]], [['-r', '1000']], [['-3']]])('with its defaults and %j', async (more) => {
    const args = [...atProxy(), '-t', NAMES, '-n', '2000', '-P', '16', '-q', ...more];
    const { code, out, err } = await run('redis-benchmark', args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).not.toMatch(/error|warning/i);
    for (const name of ['SET', 'GET', 'INCR', 'LPUSH', 'RPOP', 'SADD', 'HSET', 'SPOP', 'MSET']) {
      expect(out).toMatch(new RegExp(`${name}[^\r\n]*: [\\d.]+ requests per second`));
    }
  });

  test('--cluster ends, with whatever words', async () => {
    const args = [...atProxy(), '--cluster', '-t', 'get', '-n', '200', '-q'];
    expect((await run('redis-benchmark', args, { timeoutMs: 20_000 })).code).not.toBe(-1);
  });
});
