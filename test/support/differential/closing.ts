/**
 * The end of a run, when all connections are quiet: both sides must hold the same keys with the same
 * contents, whichever way one looks; then the commands that empty everything.
 */

import { LOADABLE } from './makers/scripts.ts';
import type { Pair } from './pair.ts';
import { parseReply, type Reply } from './reply.ts';
import type { Side } from './side.ts';
import { encode, type Request } from './workload.ts';

const BATCH = 200;
const ABSENT = 'f'.repeat(40);

/** Batches to compare, in order. */
export async function* closingCommands(pair: Pair): AsyncGenerator<Request[]> {
  const keys = (await ask(pair.single, request('keys', '*'))).items.map(({ text }) => text ?? '');
  // SCAN also removes keys that were set with a deadline in the past, which DBSIZE still counts.
  await scanAll(pair.single);
  const scanned = await scanAll(pair.slotgate);
  const missing = keys.filter((key) => !scanned.has(key));
  if (missing.length > 0 || scanned.size !== keys.length) {
    const some = JSON.stringify(missing.slice(0, 3));
    throw new Error(`SCAN found ${scanned.size} of ${keys.length} keys; missing: ${some}`);
  }
  yield [exactDbsize(), request('keys', '*'), request('randomkey')];
  for (let from = 0; from < keys.length; from += BATCH) {
    const some = keys.slice(from, from + BATCH);
    yield some.flatMap((key) => [request('type', key), request('ttl', key), request('dump', key)]);
    yield await contents(pair.single, some);
  }
  yield [request('mget', ...keys.slice(0, 5000)), request('exists', ...keys)];
  const shas = [await loadOne(pair), ABSENT];
  yield [
    request('script|exists', ...shas),
    request('script|flush'),
    request('script|exists', ...shas),
  ];
  yield [request('unlink', ...keys.slice(0, keys.length / 4)), exactDbsize()];
  yield [request('flushdb'), exactDbsize(), request('keys', '*'), request('randomkey')];
  yield [request('set', 'a', '1'), request('set', 'b', '1'), exactDbsize()];
  yield [request('flushall', 'SYNC'), exactDbsize(), request('flushdb', 'ASYNC')];
}

/** No exception applies to it now: under another name than in the list. */
function exactDbsize(): Request {
  return { ...request('dbsize'), name: 'dbsize at the end' };
}

function request(name: string, ...args: readonly string[]): Request {
  const all = [...name.split('|'), ...args].map((arg) => Buffer.from(arg, 'latin1'));
  return { name, args: all, inline: false, replies: 1 };
}

const READERS: Readonly<Record<string, (key: string) => Request>> = {
  string: (key) => request('get', key),
  list: (key) => request('lrange', key, '0', '-1'),
  set: (key) => request('smembers', key),
  hash: (key) => request('hgetall', key),
  zset: (key) => request('zrange', key, '0', '-1', 'WITHSCORES'),
  stream: (key) => request('xrange', key, '-', '+'),
};

async function contents(single: Side, keys: readonly string[]): Promise<Request[]> {
  const types = await askAll(
    single,
    keys.map((key) => request('type', key)),
  );
  return keys.flatMap((key, i) => READERS[types[i]?.text ?? '']?.(key) ?? []);
}

async function scanAll(side: Side): Promise<Set<string>> {
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const reply = await ask(side, request('scan', cursor, 'COUNT', '100'));
    cursor = reply.items[0]?.text ?? '0';
    for (const { text } of reply.items[1]?.items ?? []) seen.add(text ?? '');
  } while (cursor !== '0');
  return seen;
}

async function loadOne(pair: Pair): Promise<string> {
  const load = request('script|load', LOADABLE[0] as string);
  await ask(pair.slotgate, load);
  return (await ask(pair.single, load)).text ?? '';
}

async function ask(side: Side, one: Request): Promise<Reply> {
  return (await askAll(side, [one]))[0] as Reply;
}

async function askAll(side: Side, requests: readonly Request[]): Promise<Reply[]> {
  const { bytes, ends } = await side.exchange(encode(requests), requests.length);
  return ends.map((end, i) => parseReply(bytes, i === 0 ? 0 : (ends[i - 1] as number), end));
}
