/** ioredis 5 and 6 with their defaults: PORT, `plain`, `cluster` or `sentinel`, and the major version. */
import {
  allBytes,
  NotApplicable,
  patiently,
  publishUntilHeard,
  rejected,
  report,
  same,
  setThroughFailover,
  until,
  versionOf,
} from './features.mjs';

const [port, mode, major] = process.argv.slice(2);
const { Redis, Cluster } = await import(`ioredis-${major}`);
const address = { host: '127.0.0.1', port: Number(port) };
const prefix = `ioredis${major}:${mode}`;

function connect() {
  const client =
    mode === 'cluster'
      ? new Cluster([address])
      : mode === 'sentinel'
        ? new Redis({ sentinels: [address], name: 'mymaster' })
        : new Redis(address);
  // Reconnecting is its own affair; what a command meets is seen where it was sent.
  client.on('error', () => undefined);
  return client;
}

const client = connect();
const messages = [];
const subscriber = connect();
subscriber.on('message', (channel, message) => messages.push(`${channel} ${message}`));
subscriber.on('pmessage', (pattern, channel, message) => {
  messages.push(`${pattern} ${channel} ${message}`);
});

const names = (count, topic) => Array.from({ length: count }, (_, i) => `${prefix}:${topic}:${i}`);

async function values() {
  same(await client.set(`${prefix}:s`, 'hello'), 'OK');
  same(await client.get(`${prefix}:s`), 'hello');
  same(await client.get(`${prefix}:nothing`), null);
  await client.set(allBytes(), allBytes());
  same((await client.getBuffer(allBytes())).equals(allBytes()), true);
  await client.hset(`${prefix}:h`, { a: '1', b: '2' });
  same({ ...(await client.hgetall(`${prefix}:h`)) }, { a: '1', b: '2' });
  await rejected(client.lpush(`${prefix}:s`, 'x'), /^WRONGTYPE/);
  // Its cluster client insists that the keys share a node, which they do.
  const keys = names(100, 'many');
  same(await client.mset(...keys.flatMap((key) => [key, `v-${key}`])), 'OK');
  const got = await client.mget(keys);
  same(
    got,
    keys.map((key) => `v-${key}`),
  );
  same(await client.del(...keys), 100);
}

async function pipeline() {
  const keys = names(500, 'p');
  const calls = client.pipeline();
  const wanted = [];
  for (let i = 0; i < 5000; i++) {
    calls.set(keys[i % 500], `v${i}`).get(keys[i % 500]);
    wanted.push([null, 'OK'], [null, `v${i}`]);
  }
  same(await calls.exec(), wanted);
}

async function multi() {
  const [count, list] = [`{${prefix}}:count`, `{${prefix}}:list`];
  await client.set(count, '41');
  const replies = await client.multi().incr(count).rpush(list, 'a', 'b').lrange(list, 0, -1).exec();
  same(replies.slice(0, 3), [
    [null, 42],
    [null, 2],
    [null, ['a', 'b']],
  ]);
  const failing = await client.multi().set(count, 'x').incr(count).get(count).exec();
  same(
    failing.map(([error]) => error !== null),
    [false, true, false],
  );
}

async function watch() {
  const key = `${prefix}:watched`;
  const own = connect();
  await own.watch(key);
  await client.set(key, 'from another');
  same(await own.multi().set(key, 'mine').exec(), null);
  await own.watch(key);
  same(await own.multi().set(key, 'mine').exec(), [[null, 'OK']]);
  same(await client.get(key), 'mine');
}

async function scripts() {
  client.defineCommand('tell', { numberOfKeys: 1, lua: 'return {KEYS[1], ARGV[1]}' });
  for (const key of names(12, 'script')) same(await client.tell(key, 'x'), [key, 'x']);
  const sha = await client.script('LOAD', 'return redis.call("INCR", KEYS[1])');
  for (const key of names(12, 'sha')) same(await client.evalsha(sha, 1, key), 1);
  await rejected(client.evalsha('0'.repeat(40), 1, `${prefix}:s`), /^NOSCRIPT/);
}

async function pubsub() {
  await subscriber.subscribe(`${prefix}:news`);
  await subscriber.psubscribe(`${prefix}:n?ws`);
  for (let i = 0; i < 100; i++) await client.publish(`${prefix}:news`, String(i));
  await until('200 messages', () => messages.length >= 200);
  const wanted = (start) => Array.from({ length: 100 }, (_, i) => `${start}${i}`);
  const plain = messages.filter((message) => message.startsWith(`${prefix}:news `));
  same(plain, wanted(`${prefix}:news `));
  const byPattern = messages.filter((message) => message.startsWith(`${prefix}:n?ws `));
  same(byPattern, wanted(`${prefix}:n?ws ${prefix}:news `));
  await subscriber.punsubscribe(`${prefix}:n?ws`);
}

async function blocking() {
  const own = connect();
  const keys = names(3, 'queue');
  const popped = own.blpop(...keys, 10);
  await client.rpush(keys[2], 'late');
  same(await popped, [keys[2], 'late']);
  same(await own.blpop(...keys, 0.05), null);
  const scored = own.bzpopmin(`${prefix}:z`, 10);
  await client.zadd(`${prefix}:z`, 1, 'one');
  same(
    (await scored).map((part) => String(part)),
    [`${prefix}:z`, 'one', '1'],
  );
}

async function scan() {
  const keys = names(300, 'scan');
  await Promise.all(keys.map((key) => client.set(key, 'x')));
  const node = mode === 'cluster' ? client.nodes('master')[0] : client;
  const found = new Set();
  const pages = node.scanStream({ match: `${prefix}:scan:*`, count: 200 });
  for await (const page of pages) for (const key of page) found.add(key);
  same([...found].sort(), keys.sort());
}

async function resp3() {
  if (major === '5') throw new NotApplicable('ioredis 5 has none');
  const node = mode === 'cluster' ? client.nodes('master')[0] : client;
  const facts = JSON.stringify(await node.call('HELLO'));
  same(/"proto",?:?3/.test(facts) ? '' : facts, '');
}

async function failover() {
  const waiting = connect();
  const popped = patiently(() => waiting.blpop(`${prefix}:patient`, 0));
  await setThroughFailover(prefix, client);
  await client.rpush(`${prefix}:patient`, 'at last');
  same(await popped, [`${prefix}:patient`, 'at last']);
  await publishUntilHeard(
    () => client.publish(`${prefix}:news`, 'after'),
    () => messages.at(-1) === `${prefix}:news after`,
  );
}

await report(versionOf(`ioredis-${major}`), {
  connect: async () => same(await client.ping(), 'PONG'),
  values,
  pipeline,
  multi,
  watch,
  eval: scripts,
  pubsub,
  blocking,
  scan,
  resp3,
  failover,
});
