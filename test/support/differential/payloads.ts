/** DUMP payloads for RESTORE: made once by the single server, equal bytes for every seed. */
import type { RespArgument, RespClient } from '../../../src/lib/resp-client.ts';
import type { KeyType } from './chooser.ts';
import { libraryOf } from './makers/libraries.ts';

export interface Payload {
  readonly type: KeyType;
  readonly bytes: Buffer;
}

/** Only encodings with an order of their own: a hash table's follows the server's random seed. */
const RECIPES: readonly (readonly [KeyType, ...(readonly [RespArgument, ...RespArgument[]])[]])[] =
  [
    ['string', ['SET', 'k', 'a restored \r\n string']],
    ['string', ['SET', 'k', 'x'.repeat(20_000)]],
    ['number', ['SET', 'k', '12345']],
    ['bitmap', ['SETBIT', 'k', '777', '1']],
    ['hll', ['PFADD', 'k', '1', '2', '3', '4']],
    ['list', ['RPUSH', 'k', 'a', 'b', '3', '4', 'a', 'x'.repeat(70)]],
    ['set', ['SADD', 'k', '1', '2', '3', '40']],
    ['hash', ['HSET', 'k', 'm1', 'one', 'm2', '2', 'n1', '7']],
    ['zset', ['ZADD', 'k', '1', 'm1', '2.5', 'm2', '-3', 'm3']],
    ['zset', ['ZADD', 'k', ...Array.from({ length: 60 }, (_, i) => [i, `m${i}`]).flat()]],
    ['geo', ['GEOADD', 'k', '13.36', '38.11', 'p1', '15.08', '37.5', 'p2']],
    ['stream', ['XADD', 'k', '5-1', 'f', 'v'], ['XADD', 'k', '6-0', 'g', 'w']],
    ['stream', ['XADD', 'k', '7-1', 'f', 'v'], ['XGROUP', 'CREATE', 'k', 'g1', '0']],
  ];

/** @param server a client that returns Buffers, to a server that is still empty */
export async function makePayloads(server: RespClient): Promise<Payload[]> {
  const payloads: Payload[] = [];
  for (const [type, ...commands] of RECIPES) {
    for (const command of commands) await server.call(...command);
    payloads.push({ type, bytes: (await server.call('DUMP', 'k')) as Buffer });
    await server.call('DEL', 'k');
  }
  return payloads;
}

const GROUPS_MAX = 32;

/** By a group's prefix, FUNCTION RESTORE's payload with a library of its own. */
export async function makeLibraryPayloads(server: RespClient): Promise<Map<string, Buffer>> {
  const payloads = new Map<string, Buffer>();
  for (let i = 0; i < GROUPS_MAX; i++) {
    const own = `c${i}`;
    await server.call('FUNCTION', 'LOAD', libraryOf(own, 'r'));
    payloads.set(own, (await server.call('FUNCTION', 'DUMP')) as Buffer);
    await server.call('FUNCTION', 'FLUSH');
  }
  return payloads;
}
