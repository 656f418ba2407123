/** Control's connection to one node, beside a server that ends it at the worst moment. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { NodeCallError, NodeClient } from '../../../src/control/node-client.ts';

let server: Server;
let client: NodeClient;

afterEach(() => {
  client.close();
  server.close();
});

/** Answers each command with OK; `onFirst` may end the first connection instead. */
async function serve(onFirst: (socket: Socket, text: string) => boolean): Promise<void> {
  let connections = 0;
  server = createServer((socket) => {
    const isFirst = connections++ === 0;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const text = data.toString('latin1').toLowerCase();
      if (isFirst && onFirst(socket, text)) return;
      for (const _ of text.matchAll(/^\*/gm)) socket.write('+OK\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  client = new NodeClient(
    { host: '127.0.0.1', port },
    {
      username: '',
      password: '',
      connectTimeoutMs: 2000,
      commandTimeoutMs: 2000,
      onLost: () => {},
    },
  );
}

it('that ends while it is introduced is opened anew by the next call', async () => {
  await serve((socket, text) => {
    if (text.includes('setname')) socket.destroy();
    return text.includes('setname');
  });
  await expect(client.call(['PING'])).rejects.toThrow(/closed|ECONNRESET/);
  expect(await client.call(['PING'])).toBe('OK');
});

it('that ends while a command is under way is opened anew by the next', async () => {
  await serve((socket, text) => {
    if (text.includes('ping')) socket.destroy();
    return text.includes('ping');
  });
  await expect(client.call(['PING'])).rejects.toThrow(/closed|ECONNRESET/);
  expect(await client.call(['PING'])).toBe('OK');
});

describe('a batch', () => {
  let received: string[];
  /** What each command is answered, in the order in which they come. */
  async function answering(...replies: readonly (string | null)[]): Promise<void> {
    received = [];
    let at = 0;
    await serve((socket, text) => {
      if (text.includes('setname')) return false;
      received.push(text);
      for (const _ of text.matchAll(/^\*/gm)) {
        const reply = replies[at++] ?? null;
        if (reply === 'end') socket.destroy();
        else if (reply !== null) socket.write(reply);
      }
      return true;
    });
  }
  const ask = (timeoutMs = 2000) =>
    client.batch(
      [
        ['SET', 'a', Buffer.from([0xff, 0x00])],
        ['GET', 'b'],
        ['INCR', 'c'],
      ],
      timeoutMs,
    );

  it('goes out in one piece, and has an answer for each, texts as Buffers', async () => {
    await answering('+OK\r\n', '$2\r\n\u00e9\r\n', ':7\r\n');
    const results = await ask();
    expect(received.length).toBe(1);
    expect(results.map(({ error }) => error)).toEqual(['', '', '']);
    expect(results.map(({ value }) => (value instanceof Buffer ? String(value) : value))).toEqual([
      'OK',
      '\u00e9',
      7,
    ]);
  });

  it('has what a node says to single ones as their errors', async () => {
    await answering('-MOVED 5 h:1\r\n', '+OK\r\n', '-NOAUTH log in\r\n');
    const results = await ask();
    expect(results.map(({ error }) => error)).toEqual(['MOVED 5 h:1', '', 'NOAUTH log in']);
    expect(results[0]?.value).toBeNull();
  });

  it.each([
    ['ends in between', 'end', 'closed'],
    ['is loading', '-LOADING data\r\n', 'loading'],
  ])('rejects when the node %s, and the next one is answered', async (_, reply, code) => {
    await answering('+OK\r\n', reply, reply);
    const failed = await ask().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(NodeCallError);
    expect((failed as NodeCallError).failure.code).toBe(code);
    if (code === 'closed') {
      expect(await client.batch([['PING']], 2000)).toEqual([
        { value: Buffer.from('OK'), error: '' },
      ]);
    }
  });

  it('rejects when there is no answer in its time, and its connection is never used again', async () => {
    await answering('+OK\r\n', null, null);
    const failed = await ask(50).catch((error: unknown) => error);
    expect((failed as NodeCallError).failure.code).toBe('timeout');
    expect(client.connected).toBe(false);
    expect((await client.batch([['PING']], 2000))[0]?.error).toBe('');
  });

  it('of nothing is answered with nothing', async () => {
    await answering();
    expect(await client.batch([], 2000)).toEqual([]);
  });
});
