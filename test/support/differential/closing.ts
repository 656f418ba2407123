/**
 * The end of a run, when all connections are quiet: both sides must hold the same keys with the same
 * contents, whichever way one looks; then the commands that empty everything.
 */
import type { Ends } from './group.ts';
import { LOADABLE, sha1 } from './makers/scripts.ts';
import { parseReply, type Reply } from './reply.ts';
import { encode, plainRequest, type Request } from './request.ts';
import { Side } from './side.ts';
import type { Round } from './workload.ts';

const BATCH = 200;
const ABSENT = 'f'.repeat(40);

/** Batches to compare, in order. */
export async function* closingRounds(ends: Ends): AsyncGenerator<Round> {
  const sides = await Promise.all([
    Side.connect('slotgate', ends.slotgate.host, ends.slotgate.port),
    Side.connect('single server', ends.single.host, ends.single.port),
  ]);
  try {
    for await (const requests of closingCommands(...sides)) yield roundOf(requests, false);
    yield roundOf([plainRequest('multi'), plainRequest('get', 'a'), plainRequest('exec')], false);
    yield roundOf([plainRequest('monitor')], true);
    yield roundOf([plainRequest('set', 'a', '1'), plainRequest('quit')], true);
    yield roundOf([plainRequest('flushall'), exactDbsize()], false);
  } finally {
    for (const side of sides) side.close();
  }
}

function roundOf(requests: readonly Request[], closes: boolean): Round {
  return { who: 0, requests, wake: null, closes };
}

async function* closingCommands(slotgate: Side, single: Side): AsyncGenerator<Request[]> {
  const keys = (await ask(single, plainRequest('keys', '*'))).items.map(({ text }) => text ?? '');
  // SCAN also removes keys that were set with a deadline in the past, which DBSIZE still counts.
  await scanAll(single);
  const scanned = await scanAll(slotgate);
  const missing = keys.filter((key) => !scanned.has(key));
  if (missing.length > 0 || scanned.size !== keys.length) {
    const some = JSON.stringify(missing.slice(0, 3));
    throw new Error(`SCAN found ${scanned.size} of ${keys.length} keys; missing: ${some}`);
  }
  yield [exactDbsize(), plainRequest('keys', '*'), plainRequest('randomkey')];
  for (let from = 0; from < keys.length; from += BATCH) {
    const some = keys.slice(from, from + BATCH);
    yield some.flatMap((key) => ['type', 'ttl', 'dump'].map((name) => plainRequest(name, key)));
    yield await contents(single, some);
  }
  if (keys.length > 0) {
    yield [plainRequest('mget', ...keys.slice(0, 5000)), plainRequest('exists', ...keys)];
  }
  const load = plainRequest('script|load', LOADABLE[0] as string);
  const exists = plainRequest('script|exists', sha1(LOADABLE[0] as string), ABSENT);
  yield [load, exists, plainRequest('script|flush'), exists];
  yield [plainRequest('function|list'), plainRequest('function|dump')];
  yield [plainRequest('function|flush', 'ASYNC'), plainRequest('function|list')];
  if (keys.length > 3) {
    yield [plainRequest('unlink', ...keys.slice(0, keys.length / 4)), exactDbsize()];
  }
  yield [
    plainRequest('flushdb'),
    exactDbsize(),
    plainRequest('keys', '*'),
    plainRequest('randomkey'),
  ];
  yield [plainRequest('set', 'a', '1'), plainRequest('set', 'b', '1'), exactDbsize()];
  yield [plainRequest('flushall', 'SYNC'), exactDbsize(), plainRequest('flushdb', 'ASYNC')];
}

/** No exception applies to it now: under another name than in the list. */
function exactDbsize(): Request {
  return { ...plainRequest('dbsize'), name: 'dbsize at the end' };
}

const READERS: Readonly<Record<string, (key: string) => Request>> = {
  string: (key) => plainRequest('get', key),
  list: (key) => plainRequest('lrange', key, '0', '-1'),
  set: (key) => plainRequest('smembers', key),
  hash: (key) => plainRequest('hgetall', key),
  zset: (key) => plainRequest('zrange', key, '0', '-1', 'WITHSCORES'),
  stream: (key) => plainRequest('xrange', key, '-', '+'),
};

async function contents(single: Side, keys: readonly string[]): Promise<Request[]> {
  const types = await askAll(
    single,
    keys.map((key) => plainRequest('type', key)),
  );
  return keys.flatMap((key, i) => READERS[types[i]?.text ?? '']?.(key) ?? []);
}

async function scanAll(side: Side): Promise<Set<string>> {
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const reply = await ask(side, plainRequest('scan', cursor, 'COUNT', '100'));
    cursor = reply.items[0]?.text ?? '0';
    for (const { text } of reply.items[1]?.items ?? []) seen.add(text ?? '');
  } while (cursor !== '0');
  return seen;
}

async function ask(side: Side, one: Request): Promise<Reply> {
  return (await askAll(side, [one]))[0] as Reply;
}

async function askAll(side: Side, requests: readonly Request[]): Promise<Reply[]> {
  const { bytes, ends } = await side.exchange(encode(requests), requests);
  return ends.map((end, i) => parseReply(bytes, i === 0 ? 0 : (ends[i - 1] as number), end));
}
