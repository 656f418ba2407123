/** redis-cli and redis-benchmark: every mode that people use. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, type TestContext, test } from 'vitest';
import { freePorts } from '../../src/local/ports.ts';
import { until } from '../support/cluster.ts';
import { RunningTool, runTool, type ToolResult } from './cli.ts';
import { openProxy, Stage } from './stage.ts';
import { Toolchain } from './toolchain.ts';

const MANY = 10_000;
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const toolchain = new Toolchain();
const running = new Set<RunningTool>();
let stage: Stage | undefined;
let version = '';

beforeAll(async () => {
  await toolchain.prepare('redis-cli', ['--version']);
  await toolchain.prepare('redis-benchmark', ['--version']);
  if (toolchain.missing !== '') return;
  version = (await runTool('redis-cli', ['--version'])).out.split(' ')[1]?.trim() ?? '';
  stage = await Stage.open();
});
beforeEach((context) => begin(context));
afterAll(async () => {
  for (const tool of running) await tool.stop();
  await stage?.close();
  toolchain.dispose();
});

function begin(context: TestContext): void {
  toolchain.skipIfMissing(context);
  context.task.meta.version = version;
}

function port(): string {
  return String(stage?.port);
}

function cli(args: readonly string[], input: string | Buffer = ''): Promise<ToolResult> {
  return runTool('redis-cli', ['-p', port(), ...args], input);
}

/** What it prints for the commands, given as lines. */
async function typed(...lines: readonly string[]): Promise<string[]> {
  const { out } = await cli([], `${lines.join('\n')}\n`);
  return out.split('\n').filter((line) => line !== '');
}

function start(...args: readonly string[]): RunningTool {
  const tool = new RunningTool('redis-cli', ['-p', port(), ...args]);
  running.add(tool);
  return tool;
}

describe('redis-cli', () => {
  test('connect', async () => {
    expect(await cli(['ping'])).toEqual({ code: 0, out: 'PONG\n', err: '' });
  });

  test('values', async () => {
    const words = ['set greeting "hello world"', 'get greeting', 'get nothing', 'lpush greeting x'];
    expect(await typed(...words)).toEqual([
      'OK',
      'hello world',
      'WRONGTYPE Operation against a key holding the wrong kind of value',
    ]);
    expect((await cli(['-x', 'set', 'binary'], ALL_BYTES)).out).toBe('OK\n');
    expect((await cli(['--raw', 'get', 'binary'])).out).toBe(`${ALL_BYTES.toString('latin1')}\n`);
  });

  test('pipeline', async () => {
    const sets = Array.from({ length: MANY }, (_, i) => {
      const [key, value] = [`pipe:${i}`, `v${i}`];
      return `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`;
    });
    const { out } = await cli(['--pipe'], sets.join(''));
    expect(out).toContain(`errors: 0, replies: ${MANY}\n`);
    expect((await cli(['get', 'pipe:9999'])).out).toBe('v9999\n');
  });

  test('multi', async () => {
    const lines = await typed('multi', 'set {m}a 1', 'incr {m}a', 'get {m}a', 'exec', 'exec');
    expect(lines).toEqual([
      ...['OK', 'QUEUED', 'QUEUED', 'QUEUED'],
      ...['OK', '2', '2', 'ERR EXEC without MULTI'],
    ]);
  });

  test('watch', async () => {
    const session = start('--no-raw');
    session.say('watch watched');
    await session.says(/OK/);
    await cli(['set', 'watched', 'from another']);
    for (const line of ['multi', 'set watched mine', 'exec']) session.say(line);
    await session.says(/QUEUED\n\(nil\)/);
    for (const line of ['watch watched', 'multi', 'set watched mine', 'exec']) session.say(line);
    await session.says(/1\) OK/);
    await session.stop();
  });

  test('eval', async () => {
    const sha = (await cli(['script', 'load', 'return {KEYS[1], ARGV[1]}'])).out.trim();
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      expect((await cli(['evalsha', sha, '1', key, 'x'])).out).toBe(`${key}\nx\n`);
    }
    const file = join(toolchain.folder, 'script.lua');
    writeFileSync(file, 'return redis.call("INCRBY", KEYS[1], ARGV[1])');
    expect((await cli(['--eval', file, 'by-file', ',', '3'])).out).toBe('3\n');
  });

  test('pubsub', async () => {
    const plain = start('subscribe', 'news', 'other');
    const byPattern = start('psubscribe', 'n?ws');
    await plain.says(/other\n2\n/);
    await byPattern.says(/n\?ws\n1\n/);
    for (const words of ['one', 'two']) await cli(['publish', 'news', words]);
    await plain.says(/message\nnews\none\nmessage\nnews\ntwo\n/);
    await byPattern.says(/pmessage\nn\?ws\nnews\none\npmessage\nn\?ws\nnews\ntwo\n/);
    await plain.stop();
    await byPattern.stop();
  });

  test('blocking', async () => {
    const popping = start('blpop', 'queue:1', 'queue:2', '10');
    await cli(['rpush', 'queue:2', 'late']);
    await popping.says(/^queue:2\nlate\n/);
    expect((await cli(['blpop', 'queue:1', '0.05'])).out.trim()).toBe('');
  });

  test('scan', async () => {
    const { out } = await cli(['--scan', '--pattern', 'pipe:*']);
    expect(new Set(out.trim().split('\n')).size).toBe(MANY);
  });

  test('resp3', async () => {
    const { out } = await cli(['-3', '--no-raw', 'hello']);
    expect(out).toMatch(/"proto" => \(integer\) 3/);
    await cli(['hset', 'h', 'field', 'value']);
    expect((await cli(['-3', '--no-raw', 'hgetall', 'h'])).out).toBe('1# "field" => "value"\n');
  });

  test('with -c', async () => {
    for (let i = 0; i < 20; i++) {
      expect((await cli(['-c', 'set', `c:${i}`, 'x'])).out).toBe('OK\n');
    }
    const { out } = await cli(['-c'], 'get c:1\nget c:2\ncluster info\n');
    expect(out).toContain('cluster_state:ok');
    expect(out).not.toContain('Redirected');
  });

  test('--bigkeys', async () => {
    await cli(['rpush', 'biglist', ...Array.from({ length: 500 }, (_, i) => `item ${i}`)]);
    const { out } = await cli(['--bigkeys']);
    expect(out).toMatch(/Biggest +list found .?"?biglist.* has 500 items/);
    expect(out).not.toContain('Error');
  });

  test('--memkeys', async () => {
    const { out } = await cli(['--memkeys']);
    expect(out).toMatch(/Biggest +list found .?"?biglist.* has \d+ bytes/);
  });

  test('--latency', async () => {
    // Away from a terminal it measures for a second, then says least, most, mean and count.
    const { out } = await cli(['--latency']);
    expect(out).toMatch(/^\d+ \d+ \d+\.\d+ \d+\n/);
  });

  test('--stat', async () => {
    const stat = start('--stat', '-i', '0.05');
    await stat.says(/keys +mem +clients +blocked +requests +connections/);
    await stat.says(/(\n\d{5,} +\d+\.\d+[MKG] +\d+ +\d+ +\d+ \(\+\d+\) +\d+ *){3}/);
    await stat.stop();
  });

  test('--cluster check and info', async () => {
    const address = `127.0.0.1:${port()}`;
    const check = await runTool('redis-cli', ['--cluster', 'check', address]);
    expect(check.out).toContain('[OK] All 16384 slots covered.');
    expect(check.out).toContain('[OK] All nodes agree about slots configuration.');
    const info = await runTool('redis-cli', ['--cluster', 'info', address]);
    expect(info.out).toMatch(/\[OK\] \d+ keys in 1 masters\./);
  });

  test('monitor', async () => {
    const monitor = start('monitor');
    await monitor.says(/^OK\n/);
    const words = ['set', 'monitored', 'v"1'];
    await cli(words);
    await monitor.says(/\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "set" "monitored" "v\\"1"\n/);
    await monitor.stop();
  });

  test('failover', async () => {
    const session = start('-r', '-1', '-i', '0.01', 'incr', '{dead}count');
    await session.says(/5\n/);
    await (stage as Stage).killPrimaryOf('{dead}');
    const before = session.lines.length;
    await until('it goes on', () => session.lines.length > before + 20);
    await session.stop();
    const others = session.lines.filter((line) => !/^\d+$/.test(line));
    expect(others.filter((line) => !line.startsWith('UNCERTAIN'))).toEqual([]);
  });
});

describe('redis-benchmark', () => {
  test('plain', async () => {
    const tests = 'ping_inline,ping_mbulk,set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset';
    const { out, err } = await bench(['-p', port(), '-n', '2000', '-r', '1000', '-t', tests]);
    expect(out.match(/requests per second/g)?.length).toBeGreaterThanOrEqual(12);
    expect(`${out}${err}`).not.toMatch(/error|WARN/i);
  });

  test('pipelined', async () => {
    const { out, err } = await bench(['-p', port(), '-n', '100000', '-P', '64', '-t', 'set,get']);
    expect(out.match(/requests per second/g)?.length).toBe(2);
    expect(`${out}${err}`).not.toMatch(/error|WARN/i);
  });

  test('--cluster with two proxies', async () => {
    const ports = await freePorts(2);
    const proxies = ports.map((each) => `127.0.0.1:${each}`);
    const cluster = (stage as Stage).cluster;
    const opened = await Promise.all(
      ports.map((each) => openProxy(cluster, { port: each, workers: 1, announce: { proxies } })),
    );
    try {
      const to = ['--cluster', '-p', String(ports[0])];
      const { out, err } = await bench([...to, '-n', '20000', '-r', '1000', '-t', 'set,get']);
      expect(out).toContain('Cluster has 2 master nodes');
      expect(out.match(/requests per second/g)?.length).toBe(2);
      expect(`${out}${err}`).not.toMatch(/error|WARN/i);
    } finally {
      await Promise.all(opened.map((proxy) => proxy.stop()));
    }
  });
});

function bench(args: readonly string[]): Promise<ToolResult> {
  return runTool('redis-benchmark', ['-q', ...args]);
}
