/** MONITOR: what clients say, shown with their own addresses, and nothing while nobody looks. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { RawClient } from '../support/raw-client.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';

let proxy: TestProxy;
let plain: PlainRedis;

beforeAll(async () => {
  proxy = await startProxy({
    config: { limits: { replyHardLimit: '64kb', replyHighWater: '32kb' } },
  });
  plain = await startRedis();
});

afterAll(async () => {
  await proxy?.close();
  await plain?.stop();
});

async function monitor(port: number): Promise<RawClient> {
  const client = await RawClient.open({ port }, 1024 * 1024);
  client.send('MONITOR\r\n');
  await client.hasReceived(5);
  return client;
}

function connect(port: number): Promise<RespClient> {
  return connectResp({ host: '127.0.0.1', port });
}

/** The lines without time and address. */
function shown(text: string): string[] {
  return [...text.matchAll(/^\+\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] (.*)\r$/gm)].map(
    (match) => match[1] as string,
  );
}

const SCRIPT: readonly (readonly [string, ...string[]])[] = [
  ['SET', 'a', 'x"\n\u0001\\'],
  ['get', 'a'],
  ['AUTH', 'default', 'secret'],
  ['HELLO', '2', 'AUTH', 'default', 'pw', 'SETNAME', 'n'],
  ['CONFIG', 'GET', 'port'],
  ['CLIENT', 'LIST'],
  ['CLIENT', 'SETNAME', 'zz'],
  ['SLOWLOG', 'LEN'],
  ['GET'],
  ['MULTI'],
  ['SET', 'b', '1'],
  ['EXEC'],
  ['MGET', 'a', 'b'],
  ['EVAL', 'return 1', '0'],
  ['PING', 'last'],
];

async function watch(port: number): Promise<string[]> {
  const watcher = await monitor(port);
  const client = await connect(port);
  for (const words of SCRIPT) await client.call(...words).catch(() => undefined);
  await until('the last command is shown', () => watcher.text.includes('"last"'));
  client.close();
  watcher.destroy();
  return shown(watcher.text).filter((line) => !line.startsWith('"CLIENT" "SETINFO"'));
}

describe('MONITOR', () => {
  it('shows what Redis shows, escaped and without secrets', async () => {
    expect(await watch(proxy.port)).toEqual(await watch(plain.port));
  });

  it("names the client's own address", async () => {
    const watcher = await monitor(proxy.port);
    const client = await RawClient.open(proxy);
    const { localPort } = client.socket;
    client.send('PING me\r\n');
    await until('it is shown', () => watcher.text.includes('"me"'));
    expect(watcher.text).toMatch(new RegExp(`\\[0 127\\.0\\.0\\.1:${localPort}\\] "PING" "me"`));
    client.destroy();
    watcher.destroy();
  });

  it('a monitor may ask little, RESET ends it', async () => {
    const watcher = await monitor(proxy.port);
    watcher.send('GET a\r\nINFO cpu\r\nRESET\r\nGET none\r\n');
    await until('RESET is answered', () => watcher.text.includes('+RESET\r\n$-1\r\n'));
    expect(watcher.text).toContain("-ERR Replica can't interact with the keyspace\r\n");
    expect(watcher.text).toContain('# CPU');
    const client = await connect(proxy.port);
    await client.call('PING', 'unseen');
    watcher.send('ECHO done\r\n');
    await until('it answers', () => watcher.text.includes('done'));
    expect(watcher.text).not.toContain('unseen');
    watcher.send('QUIT\r\n');
    await watcher.isClosed();
    client.close();
  });

  it('commands that had to wait are shown once', async () => {
    const watcher = await monitor(proxy.port);
    const client = await connect(proxy.port);
    await client.call('CLIENT', 'PAUSE', '50', 'WRITE');
    await client.call('SET', 'waited', '1');
    await client.call('PING', 'after-it');
    await until('all are shown', () => watcher.text.includes('after-it'));
    expect(shown(watcher.text).filter((line) => line.includes('waited'))).toHaveLength(1);
    client.close();
    watcher.destroy();
  });

  it('one that does not read is cut, the others are not', async () => {
    const slow = await monitor(proxy.port);
    const quick = await monitor(proxy.port);
    slow.socket.pause();
    const client = await connect(proxy.port);
    const value = 'x'.repeat(50_000);
    let isCut = false;
    for (let i = 0; i < 400 && !isCut; i++) {
      await client.call('ECHO', value);
      isCut = !String(await client.call('CLIENT', 'LIST')).includes(`:${slow.socket.localPort} `);
    }
    expect(isCut).toBe(true);
    expect(quick.closed).toBe(false);
    slow.destroy();
    quick.destroy();
    client.close();
  });
});
