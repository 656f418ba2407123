/**
 * `npm start` as people run it: the built program, not the sources that all other tests run. What
 * the compiler makes of them is shown here to start, serve and end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { freePorts } from '../../src/local/ports.ts';
import { until } from '../support/cluster.ts';

const START = fileURLToPath(new URL('../../src/cli/start.mjs', import.meta.url));

let program: ChildProcess;
let port = 0;
let said = '';

async function connect(): Promise<RespClient> {
  return connectResp({ host: '127.0.0.1', port, timeoutMs: 20_000 });
}

beforeAll(async () => {
  const [redis = 0, http = 0, ...nodes] = await freePorts(8);
  port = redis;
  const ports = ['--port', `${redis}`, '--http-port', `${http}`, '--node-port', `${nodes[0]}`];
  program = spawn(process.execPath, [START, ...ports], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [program.stdout, program.stderr]) {
    stream?.on('data', (text) => {
      said += String(text);
    });
  }
  await until(
    'slotgate answers',
    async () => {
      if (program.exitCode !== null) throw new Error(`it ended: ${said}`);
      const client = await connect().catch(() => null);
      const reply = await client?.call('SET', 'ready', 'yes').catch(() => null);
      client?.close();
      return reply === 'OK';
    },
    100_000,
  );
}, 120_000);

afterAll(() => {
  program?.kill('SIGKILL');
});

it('serves commands of every kind, over its workers', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, connect));
  const [one, two] = clients as [RespClient, RespClient];
  expect(await one.call('MSET', 'a', '1', 'b', '2', 'c', '3')).toBe('OK');
  expect(await two.call('MGET', 'a', 'b', 'c')).toEqual(['1', '2', '3']);
  await one.call('MULTI');
  await one.call('INCR', 'n');
  expect(await one.call('EXEC')).toEqual([1]);
  const popped = one.call('BLPOP', 'q1', 'q2', 10);
  await two.call('RPUSH', 'q2', 'x');
  expect(await popped).toEqual(['q2', 'x']);
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const client = clients[keys.size % clients.length] as RespClient;
    const [next, batch] = (await client.call('SCAN', cursor)) as [string, string[]];
    for (const key of batch) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  expect([...keys]).toEqual(expect.arrayContaining(['a', 'b', 'c', 'n', 'ready']));
  expect(await one.call('SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1]);
  expect(await two.call('PUBLISH', 'news', 'hello')).toBe(1);
  expect(await two.call('EVAL', 'return KEYS[1]', 1, 'k')).toBe('k');
  for (const client of clients) client.close();
});

it('ends at SIGINT', async () => {
  const ended = once(program, 'exit');
  program.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
  await expect(connect()).rejects.toThrow(/refused/i);
});
