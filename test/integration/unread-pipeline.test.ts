/** Pipelines of clients that read nothing before all is sent, as those of many libraries. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../../src/lib/log.ts';
import { encodeCommand } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw-client.ts';

const limits = {
  maxRequestBuffer: '2mb',
  replyHighWater: '64kb',
  replyHardLimit: '24mb',
  slowReaderSeconds: 1,
};

let proxy: TestProxy;
let log = '';

beforeAll(async () => {
  const write = (line: string): void => {
    log += line;
  };
  proxy = await startProxy({
    config: { limits },
    log: createLogger({ level: 'warn', format: 'json', destination: { write } }),
  });
});

afterAll(async () => {
  await proxy?.close();
});

/** SET and GET of `count` values of 10 kB, and what a server says to them. */
function pipeline(count: number): { requests: Buffer; replies: Buffer } {
  const requests: Buffer[] = [];
  const replies: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const value = Buffer.from(String(i).padStart(10_000, '.'));
    const key = `pipeline:${i % 7}`;
    requests.push(encodeCommand(['SET', key, value]), encodeCommand(['GET', key]));
    replies.push(Buffer.from(`+OK\r\n$${value.length}\r\n`), value, Buffer.from('\r\n'));
  }
  return { requests: Buffer.concat(requests), replies: Buffer.concat(replies) };
}

async function sender(requests: Buffer, keep: number): Promise<RawClient> {
  const client = await RawClient.open(proxy, keep);
  client.socket.pause();
  client.send(requests);
  return client;
}

test('one of more than limits.maxRequestBuffer is served, every reply right', async () => {
  // Far more than fits into the kernel's buffers on both ways as well.
  const { requests, replies } = pipeline(2000);
  const client = await sender(requests, replies.length);
  await until('all is sent', () => client.socket.writableLength === 0);
  client.socket.resume();
  await until('all is answered', () => client.received >= replies.length);
  expect(client.bytes.equals(replies)).toBe(true);
  expect(log).not.toContain('do not read');
  client.destroy();
});

test('one that fills limits.replyHardLimit too is cut, and the log says so', async () => {
  const { requests } = pipeline(8000);
  const client = await sender(requests, 0);
  const told = '"msg":"clients that do not read were disconnected"';
  await until('it is told', () => log.includes(told));
  const line = log.split('\n').find((each) => each.includes(told)) as string;
  const { cut, unreadBytes, waitingBytes } = JSON.parse(line);
  expect(cut).toBe(1);
  expect(unreadBytes).toBeGreaterThan(24 * 1024 * 1024);
  expect(waitingBytes).toBeGreaterThan(1024 * 1024);
  client.socket.resume();
  await client.isClosed();
  expect(client.received).toBeLessThan(requests.length / 2);
  client.destroy();
});
