/** node-redis 4, 5 and 6: PORT, MODE, the major version. MODE: plain, cluster, resp2-…, resp3-…. */
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
const redis = await import(`redis-${major}`);
const isCluster = mode.endsWith('cluster');
const asked = /^resp([23])/.exec(mode)?.[1];
const protocol = asked === undefined ? {} : { RESP: Number(asked) };
const prefix = `redis${major}:${mode}`;

const increment = redis.defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: 'return redis.call("INCRBY", KEYS[1], ARGV[1])',
  // Version 4 hands over values and takes arguments; later ones hand over a parser.
  ...(major === '4'
    ? { transformArguments: (key, by) => [key, String(by)] }
    : {
        parseCommand: (parser, key, by) => {
          parser.pushKey(key);
          parser.push(String(by));
        },
      }),
  transformReply: (reply) => reply,
});

async function connect() {
  const url = `redis://127.0.0.1:${port}`;
  const scripts = { increment };
  const client = isCluster
    ? redis.createCluster({ rootNodes: [{ url }], scripts, ...protocol })
    : redis.createClient({ url, scripts, ...protocol });
  // Reconnecting is its own affair; what a command meets is seen where it was sent.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** A connection of its own: of the cluster's one node, where there is a cluster. */
async function connectToNode() {
  const node = (await theNode()).duplicate();
  node.on('error', () => undefined);
  await node.connect();
  return node;
}

async function theNode() {
  return isCluster ? client.nodeClient(client.masters[0]) : client;
}

const client = await connect();
const messages = [];
const subscriber = isCluster ? await connect() : await connectToNode();

const names = (count, topic) => Array.from({ length: count }, (_, i) => `${prefix}:${topic}:${i}`);

async function values() {
  same(await client.set(`${prefix}:s`, 'hello'), 'OK');
  same(await client.get(`${prefix}:s`), 'hello');
  same(await client.get(`${prefix}:nothing`), null);
  await client.set(`${prefix}:binary`, allBytes());
  same((await getBuffer(`${prefix}:binary`)).equals(allBytes()), true);
  await client.hSet(`${prefix}:h`, { a: '1', b: '2' });
  same({ ...(await client.hGetAll(`${prefix}:h`)) }, { a: '1', b: '2' });
  await rejected(client.lPush(`${prefix}:s`, 'x'), /^WRONGTYPE/);
  const keys = names(100, 'many');
  same(await client.mSet(keys.map((key) => [key, `v-${key}`])), 'OK');
  const got = await client.mGet(keys);
  same(
    got,
    keys.map((key) => `v-${key}`),
  );
  same(await client.del(keys), 100);
}

function getBuffer(key) {
  if (major === '4') return client.get(redis.commandOptions({ returnBuffers: true }), key);
  const { RESP_TYPES } = redis;
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get(key);
}

/** It pipelines what is sent in one turn. */
async function pipeline() {
  const keys = names(500, 'p');
  const sent = [];
  const wanted = [];
  for (let i = 0; i < 5000; i++) {
    sent.push(client.set(keys[i % 500], `v${i}`), client.get(keys[i % 500]));
    wanted.push('OK', `v${i}`);
  }
  same(await Promise.all(sent), wanted);
}

async function multi() {
  const [count, list] = [`{${prefix}}:count`, `{${prefix}}:list`];
  await client.set(count, '41');
  const replies = await client
    .multi()
    .incr(count)
    .rPush(list, ['a', 'b'])
    .lRange(list, 0, -1)
    .exec();
  same(replies, [42, 2, ['a', 'b']]);
  const failing = client.multi().set(count, 'x').incr(count).get(count).exec();
  await rejected(failing, /1 commands? failed|not an integer/);
}

async function watch() {
  const key = `${prefix}:watched`;
  const own = await connectToNode();
  await own.watch(key);
  await client.set(key, 'from another');
  await rejected(own.multi().set(key, 'mine').exec(), /watched keys has been changed/);
  await own.watch(key);
  same(await own.multi().set(key, 'mine').exec(), ['OK']);
  same(await client.get(key), 'mine');
}

async function scripts() {
  for (const key of names(12, 'script')) same(await client.increment(key, 3), 3);
  const node = await theNode();
  const sha = await node.scriptLoad('return {KEYS[1], ARGV[1]}');
  for (const key of names(12, 'sha')) {
    same(await client.evalSha(sha, { keys: [key], arguments: ['x'] }), [key, 'x']);
  }
  await rejected(client.evalSha('0'.repeat(40), { keys: [`${prefix}:s`] }), /^NOSCRIPT/);
}

const heard = (kind) => (message, channel) => messages.push(`${kind} ${channel} ${message}`);

async function pubsub() {
  await subscriber.subscribe(`${prefix}:news`, heard('plain'));
  await subscriber.pSubscribe(`${prefix}:n?ws`, heard('pattern'));
  for (let i = 0; i < 100; i++) await client.publish(`${prefix}:news`, String(i));
  await until('200 messages', () => messages.length >= 200);
  for (const kind of ['plain', 'pattern']) {
    same(
      messages.filter((message) => message.startsWith(`${kind} `)),
      Array.from({ length: 100 }, (_, i) => `${kind} ${prefix}:news ${i}`),
    );
  }
  await subscriber.pUnsubscribe(`${prefix}:n?ws`);
  const shard = [];
  await subscriber.sSubscribe(`${prefix}:shard`, (message) => shard.push(message));
  await client.sPublish(`${prefix}:shard`, 'hello');
  await until('a message of a shard channel', () => shard.length === 1);
  same(shard, ['hello']);
}

async function blocking() {
  const own = await connectToNode();
  const keys = names(3, 'queue');
  const popped = own.blPop(keys, 10);
  await client.rPush(keys[2], 'late');
  same({ ...(await popped) }, { key: keys[2], element: 'late' });
  same(await own.blPop(keys, 0.05), null);
  const scored = own.bzPopMin(`${prefix}:z`, 10);
  await client.zAdd(`${prefix}:z`, { score: 1, value: 'one' });
  same({ ...(await scored) }, { key: `${prefix}:z`, value: 'one', score: 1 });
}

async function scan() {
  const keys = names(300, 'scan');
  await Promise.all(keys.map((key) => client.set(key, 'x')));
  const found = new Set();
  const pages = (await theNode()).scanIterator({ MATCH: `${prefix}:scan:*`, COUNT: 200 });
  // Version 4 gives keys, later ones whole pages.
  for await (const page of pages) for (const key of [page].flat()) found.add(key);
  same([...found].sort(), keys.sort());
}

async function resp3() {
  if (major === '4') throw new NotApplicable('node-redis 4 has none');
  if (asked === '2' || (major === '5' && asked === undefined)) {
    throw new NotApplicable('RESP2 in this mode');
  }
  const facts = JSON.stringify(await (await theNode()).sendCommand(['HELLO']));
  same(/"proto",?:?3/.test(facts) ? '' : facts, '');
}

async function failover() {
  const waiting = await connectToNode();
  const popped = patiently(() => waiting.blPop(`${prefix}:patient`, 0));
  await setThroughFailover(prefix, client);
  await client.rPush(`${prefix}:patient`, 'at last');
  same({ ...(await popped) }, { key: `${prefix}:patient`, element: 'at last' });
  await publishUntilHeard(
    () => client.publish(`${prefix}:news`, 'after'),
    () => messages.at(-1) === `plain ${prefix}:news after`,
  );
}

await report(versionOf(`redis-${major}`), {
  connect: async () => same(await (await theNode()).ping(), 'PONG'),
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
