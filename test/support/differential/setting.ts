/** The two sides of a differential run: slotgate over a cluster, and a single server set up alike. */
import { connectResp, type RespClient } from '../../../src/lib/resp-client.ts';
import { onNode } from '../cluster.ts';
import { startProxy, type TestProxy } from '../proxy.ts';
import type { Ends } from './group.ts';
import { allMakers } from './makers/all.ts';
import type { Makers } from './makers/maker.ts';
import { FUNCTION_LIBRARY, LOADABLE } from './makers/scripts.ts';
import { makeLibraryPayloads, makePayloads } from './payloads.ts';
import { type SingleServer, startSingleServer } from './single-server.ts';

/** Small, so that values change their encoding often; the same on all servers. */
const ENCODING_LIMITS = {
  'hash-max-listpack-entries': '8',
  'set-max-intset-entries': '16',
  'zset-max-listpack-entries': '12',
  'list-max-listpack-size': '10',
  'stream-node-max-entries': '10',
  'hll-sparse-max-bytes': '600',
};

export interface Setting {
  readonly proxy: TestProxy;
  readonly single: SingleServer;
  readonly makers: Makers;
  close(): Promise<void>;
}

export interface SettingOptions {
  readonly shards?: number;
  /** How the proxy drives its sockets, see the configuration. */
  readonly transport?: 'auto' | 'public';
}

export async function startSetting(options: SettingOptions = {}): Promise<Setting> {
  const single = await startSingleServer(ENCODING_LIMITS);
  try {
    const proxy = await startProxy({
      shards: options.shards ?? 3,
      // On a busy machine nobody must be voted dead nor given up in the middle of 8 MB.
      cluster: { extraConfig: ENCODING_LIMITS, nodeTimeoutMs: 30_000 },
      config: {
        cluster: { commandTimeoutMs: '100s' },
        transport: options.transport ?? 'auto',
      },
    });
    const close = async (): Promise<void> => {
      await proxy.close();
      await single.close();
    };
    try {
      return { proxy, single, makers: await prepare(proxy, single), close };
    } catch (error) {
      await proxy.close();
      throw error;
    }
  } catch (error) {
    await single.close();
    throw error;
  }
}

/**
 * What slotgate counted of redirects, in words. In a cluster where nothing moves there are none: one
 * would be followed unseen, yet means that a command was sent to the wrong shard.
 */
export async function redirectsSeen({ proxy }: Setting): Promise<string[]> {
  const response = await fetch(new URL('/metrics', proxy.httpUrl));
  const lines = (await response.text()).split('\n');
  const counted = lines.filter((line) => line.startsWith('slotgate_redirects_total'));
  if (counted.length === 0) throw new Error('slotgate counts no redirects');
  return counted.filter((line) => !line.endsWith(' 0'));
}

/** Scripts and functions are there from the start: EVALSHA does not depend on who ran EVAL where. */
async function prepare(proxy: TestProxy, single: SingleServer): Promise<Makers> {
  const loadFunctions = (client: RespClient): Promise<unknown> =>
    client.call('FUNCTION', 'LOAD', FUNCTION_LIBRARY);
  for (const node of proxy.cluster.nodes) await onNode(proxy.cluster, node, loadFunctions);
  const { host, port } = single;
  const client = await connectResp({ host, port, returnBuffers: true });
  const through = await connectResp({ host: proxy.host, port: proxy.port });
  try {
    const libraries = await makeLibraryPayloads(client);
    await loadFunctions(client);
    for (const body of LOADABLE) {
      await client.call('SCRIPT', 'LOAD', body);
      await through.call('SCRIPT', 'LOAD', body);
    }
    return allMakers(await makePayloads(client), libraries);
  } finally {
    client.close();
    through.close();
  }
}

/** A group's keys and libraries, at both sides. */
export async function removeOwnKeys(ends: Ends, own: string): Promise<void> {
  for (const { host, port } of [ends.slotgate, ends.single]) {
    const client = await connectResp({ host, port, returnBuffers: true });
    try {
      const keys = (await client.call('KEYS', `*${own}:*`)) as Buffer[];
      for (const key of own === 'c0' ? [...keys, Buffer.alloc(0)] : keys) {
        await client.call('DEL', key);
      }
      for (const letter of ['a', 'b', 'r']) {
        await client.call('FUNCTION', 'DELETE', `lib_${own}_${letter}`).catch(absentLibrary);
      }
    } finally {
      client.close();
    }
  }
}

function absentLibrary(error: unknown): void {
  if (!String(error).includes('Library not found')) throw error;
}

/** Names of all commands and subcommands of the single server. */
export async function servedCommands({ host, port }: Ends['single']): Promise<string[]> {
  const client = await connectResp({ host, port });
  try {
    const rows = (await client.call('COMMAND')) as readonly unknown[][];
    return rows
      .flatMap((row) => [row, ...((row[9] ?? []) as unknown[][])])
      .map(([name]) => String(name));
  } finally {
    client.close();
  }
}
