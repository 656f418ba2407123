import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import {
  connectResp,
  encodeCommand,
  type RespClientOptions,
} from '../../../src/lib/resp-client.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const threads: Worker[] = [];

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
});

/** A server that hands each connection's input to `onInput`. */
async function serve(onInput: (socket: Socket, input: string) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => onInput(socket, chunk.toString()));
    socket.on('error', () => socket.destroy());
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

async function connect(port: number, options: Partial<RespClientOptions> = {}) {
  return connectResp({ host: '127.0.0.1', port, ...options });
}

describe('replies', () => {
  test('come back in the order of the calls, cut anywhere', async () => {
    const reply = '+PONG\r\n$5\r\nhello\r\n:42\r\n$-1\r\n*2\r\n+a\r\n-ERR inner\r\n';
    const port = await serve((socket, input) => {
      if (!input.includes('E5')) return;
      for (const byte of reply) socket.write(byte);
    });
    const client = await connect(port);
    const replies = await Promise.all(['E1', 'E2', 'E3', 'E4', 'E5'].map((e) => client.call(e)));
    client.close();
    expect(replies.slice(0, 4)).toEqual(['PONG', 'hello', 42, null]);
    expect(replies[4]).toMatchObject(['a', { name: 'ReplyError', code: 'ERR' }]);
  });

  test('an error reply rejects its own call only', async () => {
    const port = await serve((socket, input) => {
      socket.write(input.includes('GET') ? '-MOVED 12 1.2.3.4:5\r\n' : '+OK\r\n');
    });
    const client = await connect(port);
    await expect(client.call('GET', 'a')).rejects.toMatchObject({
      name: 'ReplyError',
      code: 'MOVED',
      message: 'MOVED 12 1.2.3.4:5',
    });
    await expect(client.call('PING')).resolves.toBe('OK');
    client.close();
  });

  test('as buffers and numbers as strings where asked for', async () => {
    const port = await serve((socket) =>
      socket.write('*2\r\n$1\r\n\xff\r\n:9007199254740993\r\n', 'latin1'),
    );
    const client = await connect(port, { returnBuffers: true, stringNumbers: true });
    expect(await client.call('X')).toEqual([Buffer.from([0xff]), '9007199254740993']);
    client.close();
  });
});

describe('a time-out', () => {
  /** In a thread of its own, so that it answers while this one is busy. */
  async function serveElsewhere(): Promise<number> {
    const program = `
      const { parentPort } = require('node:worker_threads');
      const server = require('node:net').createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.on('data', () => socket.write('+PONG\\r\\n'));
      });
      server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;
    const thread = new Worker(program, { eval: true });
    threads.push(thread);
    const [port] = (await once(thread, 'message')) as [number];
    return port;
  }

  function beBusy(ms: number): void {
    const until = performance.now() + ms;
    while (performance.now() < until);
  }

  test('is not that of a peer which answered while this process was busy', async () => {
    const port = await serveElsewhere();
    const connecting = connect(port, { timeoutMs: 50 });
    beBusy(200);
    const client = await connecting;
    const reply = client.call('PING');
    beBusy(200);
    await expect(reply).resolves.toBe('PONG');
    await expect(client.call('PING')).resolves.toBe('PONG');
    client.close();
  });
});

describe('the connection ends', () => {
  test('when a reply takes too long, because the late reply would be taken for the next', async () => {
    const port = await serve(() => undefined);
    const client = await connect(port, { timeoutMs: 30 });
    await expect(client.call('BLPOP', 'a', 0)).rejects.toMatchObject({ code: 'timed-out' });
    expect(client.isOpen).toBe(false);
    await expect(client.call('PING')).rejects.toMatchObject({ code: 'timed-out' });
  });

  test('when what arrives is no RESP', async () => {
    const port = await serve((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n'));
    const client = await connect(port);
    await expect(client.call('PING')).rejects.toMatchObject({ code: 'protocol' });
    expect(client.isOpen).toBe(false);
  });

  test('when a reply arrives that no command asked for', async () => {
    const port = await serve((socket) => socket.write('+OK\r\n+surplus\r\n'));
    const client = await connect(port);
    const first = client.call('PING');
    await expect(first).resolves.toBe('OK');
    await expect.poll(() => client.isOpen).toBe(false);
  });

  test('with every call in flight, when the server hangs up', async () => {
    const port = await serve((socket) => socket.destroy());
    const client = await connect(port);
    const calls = await Promise.allSettled([client.call('A'), client.call('B')]);
    for (const call of calls) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'connection-lost' } });
    }
  });
});

test('nobody listening is told by its code', async () => {
  const port = await serve(() => undefined);
  await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
  await expect(connect(port)).rejects.toMatchObject({ code: 'connection-refused' });
});

test('a password is sent first, and its refusal rejects the connect', async () => {
  const port = await serve((socket, input) => {
    socket.write(input.includes('secret') ? '+OK\r\n' : '-WRONGPASS no\r\n');
  });
  (await connect(port, { password: 'secret' })).close();
  await expect(connect(port, { password: 'guess' })).rejects.toMatchObject({ code: 'WRONGPASS' });
});

test('arguments are sent as bytes, with their length in bytes', () => {
  const command = encodeCommand(['SET', 'ü', Buffer.from([0, 13, 10]), 7]);
  expect(command.toString('latin1')).toBe(
    '*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$3\r\n\0\r\n\r\n$1\r\n7\r\n',
  );
});
