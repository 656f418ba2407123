/** What is refused in the worker, before control or another process gets to see it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { ordinaryAnswer } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

const MOST = 65_536;
const LISTED = 10_000;

let stage: Bench;
let client: BenchClient;
let asked: string[];

beforeEach(() => {
  stage = new Bench();
  client = stage.client();
  asked = [];
  vi.spyOn(stage.proxy.link, 'call').mockImplementation((method) => {
    asked.push(method);
    return Promise.reject(new Error('not now'));
  });
});

afterEach(() => vi.restoreAllMocks());

async function say(...args: readonly string[]): Promise<string> {
  client.sendRaw(encodeRequest(args));
  await stage.settle();
  return client.take();
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i + 1));
}

describe('arguments that control would get', () => {
  it.each([
    ['SCAN', 'scan', ['0', 'MATCH']],
    ['SCAN', 'scan', ['0', 'TYPE']],
    ['CLIENT KILL', 'client.kill', []],
    ['CLIENT KILL', 'client.kill', ['ADDR']],
    ['LATENCY HISTORY', 'nodes.primaries', []],
  ])('%s: %s, behind %j', async (command, method, before) => {
    const words = [...command.split(' '), ...before];
    await say(...words, 'x'.repeat(MOST));
    stage.advance(stage.proxy.settings.hold.timeoutMs);
    await stage.settle();
    client.take();
    expect(new Set(asked)).toEqual(new Set([method]));
    asked = [];
    expect(await say(...words, 'x'.repeat(MOST + 1))).toBe(
      `-ERR ${command} takes arguments of at most 65536 bytes here\r\n`,
    );
    expect(asked).toEqual([]);
  });

  it.each([
    ['CLIENT SETNAME', []],
    ['CLIENT SETINFO', ['lib-name']],
    ['HELLO', ['2', 'SETNAME']],
  ])('%s, which CLIENT LIST tells', async (command, before) => {
    const words = [...command.split(' '), ...before];
    expect(await say(...words, 'x'.repeat(MOST + 1))).toBe(
      `-ERR ${command} takes arguments of at most 65536 bytes here\r\n`,
    );
    expect(await say(...words, 'x'.repeat(MOST))).not.toMatch(/^-/);
  });
});

describe('more than can be gone through', () => {
  it('CLIENT LIST ID', async () => {
    await say('CLIENT', 'LIST', 'ID', ...numbers(LISTED - 1));
    expect(asked).toEqual(['client.list']);
    expect(await say('CLIENT', 'LIST', 'ID', ...numbers(LISTED))).toBe(
      '-ERR CLIENT LIST takes at most 10000 arguments here\r\n',
    );
    expect(asked).toEqual(['client.list']);
  });

  it.each(['NUMSUB', 'SHARDNUMSUB'])('PUBSUB %s', async (word) => {
    const node = stage.node(7001);
    node.answer = (args) => (args[0] === 'PUBSUB' ? '*0\r\n' : ordinaryAnswer(args));
    expect(await say('PUBSUB', word, ...numbers(LISTED + 1))).toBe(
      `-ERR PUBSUB ${word} takes at most 10000 channels here\r\n`,
    );
    expect(node.log).toEqual([]);
  });

  it.each(['INFO', 'DOCS'])('COMMAND %s', async (word) => {
    expect(await say('COMMAND', word, ...numbers(LISTED + 1))).toBe(
      `-ERR COMMAND ${word} takes at most 10000 names here\r\n`,
    );
    expect(await say('COMMAND', word, ...numbers(LISTED))).toMatch(/^\*/);
  });
});

it('PUBSUB NUMSUB of many channels: what follows waits for it', async () => {
  const ports = [7001, 7002, 7003];
  for (const port of ports) {
    stage.node(port).answer = (args) => (args[0] === 'PUBSUB' ? null : ordinaryAnswer(args));
  }
  await say('SET', 'b', '0');
  const numsub = ['PUBSUB', 'NUMSUB', ...numbers(300)];
  const line = numsub.join(' ');
  client.send(line, 'GET b');
  await stage.settle();
  expect(stage.node(7001).log).toEqual(['SET b 0', line]);
  for (const port of ports) stage.node(port).connectionOf(line).reply('*0\r\n');
  await stage.settle();
  expect(stage.node(7001).log.at(-1)).toBe('GET b');
  const said = client.take();
  expect(said.startsWith('*600\r\n$1\r\n1\r\n:0\r\n')).toBe(true);
  expect(said.endsWith(':0\r\n+OK\r\n')).toBe(true);
});

it('SCAN whose control does not answer says so, and not that a shard is away', async () => {
  client.sendRaw(encodeRequest(['SCAN', '0']));
  await stage.settle();
  stage.advance(stage.proxy.settings.hold.timeoutMs);
  await stage.settle();
  expect(client.take()).toBe(
    "-ERR SCAN failed: no answer of slotgate's control process (not now)\r\n",
  );
});
