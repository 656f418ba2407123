/** Control's connection to one node, beside a server that ends it at the worst moment. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { NodeClient } from '../../../src/control/node-client.ts';

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
