/** Two socket.io servers joined by the Redis adapter: PORT, and `plain` or `sharded` channels. */
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import {
  publishUntilHeard,
  report,
  same,
  setThroughFailover,
  until,
  versionOf,
} from './features.mjs';

const [port, mode] = process.argv.slice(2);
const prefix = `socket.io:${mode}`;
const servers = [];
const clients = [];
const redis = createClient({ url: `redis://127.0.0.1:${port}` });

async function startServer() {
  const [publisher, subscriber] = [redis.duplicate(), redis.duplicate()];
  for (const each of [publisher, subscriber]) {
    each.on('error', () => undefined);
    await each.connect();
  }
  const adapter =
    mode === 'sharded'
      ? createShardedAdapter(publisher, subscriber, { channelPrefix: prefix })
      : createAdapter(publisher, subscriber, { key: prefix });
  const server = new Server({ adapter });
  server.listen(0);
  servers.push(server);
  return server;
}

async function startClient(server) {
  const { port: own } = server.httpServer.address();
  const client = io(`http://127.0.0.1:${own}`, { transports: ['websocket'] });
  const heard = [];
  client.on('news', (...words) => heard.push(words));
  await until('the browser is connected', () => client.connected);
  clients.push({ client, heard });
}

async function connect() {
  redis.on('error', () => undefined);
  await redis.connect();
  for (let i = 0; i < 2; i++) await startClient(await startServer());
}

/** From either server to the browsers of both; from one to the servers; and questions to all. */
async function pubsub() {
  const [first, second] = servers;
  await until('each server knows of two', async () => {
    return (await first.of('/').adapter.serverCount()) === 2;
  });
  first.emit('news', 'from the first', Buffer.from([0, 255]));
  second.emit('news', 'from the second');
  await until('both heard both', () => clients.every(({ heard }) => heard.length === 2));
  const binary = clients[1].heard.find(([words]) => words === 'from the first')[1];
  same(Buffer.from(binary).equals(Buffer.from([0, 255])), true);
  same((await first.fetchSockets()).length, 2);
  first.socketsJoin('room');
  await until('both are in the room', async () => {
    return (await second.in('room').fetchSockets()).length === 2;
  });
  second.on('question', (answer) => answer('from the second'));
  same(await first.serverSideEmitWithAck('question'), ['from the second']);
  for (let i = 0; i < 200; i++) first.to('room').emit('news', i);
  await until('200 in the room', () => clients.every(({ heard }) => heard.length === 202));
  for (const { heard } of clients) {
    same(
      heard.slice(2).map(([i]) => i),
      Array.from({ length: 200 }, (_, i) => i),
    );
  }
}

async function failover() {
  await setThroughFailover(prefix, redis);
  for (const [index, server] of servers.entries()) {
    const { heard } = clients[1 - index];
    await publishUntilHeard(
      () => server.emit('news', `after ${index}`),
      () => heard.some(([words]) => words === `after ${index}`),
    );
  }
}

await report(versionOf('@socket.io/redis-adapter'), { connect, pubsub, failover });
