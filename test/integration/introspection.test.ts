/** Commands about the server: of all nodes merged, and of the one node that is named. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient, type RespReply } from '../../src/lib/resp-client.ts';
import { onNode, until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

let proxy: TestProxy;
let client: RespClient;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 1 });
  client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 10_000 });
  for (let i = 0; i < 300; i++) await client.call('SET', `key:${i}`, 'v');
});

afterAll(async () => {
  client?.close();
  await proxy?.close();
});

const UNKNOWN = 'f'.repeat(40);

interface ListedNode {
  readonly id: string;
  readonly address: string;
  readonly shard: number;
  readonly role: string;
}

async function listNodes(): Promise<ListedNode[]> {
  const lines = String(await client.call('PROXY', 'NODES'))
    .trim()
    .split('\n');
  return lines.map((line) => {
    const [id = '', address = '', shard = '', role = ''] = line.split(' ');
    return { id, address, shard: Number(shard.replace('shard=', '')), role };
  });
}

async function primaries(): Promise<ListedNode[]> {
  return (await listNodes()).filter(({ role }) => role === 'primary');
}

/** Asks that node itself. */
async function ofNode(id: string, ...args: [string, ...string[]]): Promise<RespReply> {
  const node = proxy.cluster.nodes.find((each) => each.id === id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return onNode(proxy.cluster, node, (direct) => direct.call(...args));
}

describe('a command that names a node', () => {
  it('is listed by PROXY NODES, shard by shard', async () => {
    const nodes = await listNodes();
    expect(nodes.map(({ id }) => id).sort()).toEqual(
      proxy.cluster.nodes.map(({ id }) => id).sort(),
    );
    expect(nodes.map(({ shard, role }) => `${shard} ${role}`)).toEqual(
      [0, 1, 2].flatMap((shard) => [`${shard} primary`, `${shard} replica`]),
    );
  });

  it('is answered by that node alone, by id, address or shard', async () => {
    const counts: number[] = [];
    for (const { id, address, shard } of await primaries()) {
      const count = Number(await ofNode(id, 'DBSIZE'));
      expect(await client.call('DBSIZE', id)).toBe(count);
      expect(await client.call('DBSIZE', `@${shard}`)).toBe(count);
      expect(await client.call('DBSIZE', `@${address}`)).toBe(count);
      const keys = (await client.call('KEYS', '*', id)) as string[];
      expect(keys).toHaveLength(count);
      expect(new Set(await scanNode(id))).toEqual(new Set(keys));
      const server = String(await client.call('INFO', 'server', id));
      expect(server).toContain(`tcp_port:${address.split(':')[1]}`);
      expect(String(await client.call('INFO', id))).toContain('# Replication');
      expect(await client.call('PING', 'hello', id)).toBe('hello');
      expect(await client.call('PING', id)).toBe('PONG');
      expect(await client.call('SLOWLOG', 'LEN', id)).toBeTypeOf('number');
      expect(await client.call('MEMORY', 'STATS', id)).toContain('peak.allocated');
      expect(await client.call('MEMORY', 'PURGE', id)).toBe('OK');
      counts.push(count);
    }
    expect(counts.reduce((a, b) => a + b, 0)).toBe(300);
  });

  async function scanNode(id: string): Promise<string[]> {
    const found: string[] = [];
    let cursor = '0';
    do {
      const reply = await client.call('SCAN', cursor, 'COUNT', '20', 'MATCH', 'key:*', id);
      const [next, keys] = reply as [string, string[]];
      found.push(...keys);
      cursor = next;
    } while (cursor !== '0');
    return found;
  }

  it('a replica answers too', async () => {
    const replica = (await listNodes()).find(({ role }) => role === 'replica') as ListedNode;
    expect(String(await client.call('INFO', 'replication', replica.id))).toContain('role:slave');
    // Its own refusal, not followed to the primary.
    await expect(client.call('FLUSHDB', replica.id)).rejects.toThrow('READONLY');
  });

  it('FLUSHDB empties one node', async () => {
    const [first] = await primaries();
    const before = Number(await client.call('DBSIZE'));
    const there = Number(await client.call('DBSIZE', '@0'));
    expect(await client.call('FLUSHDB', 'SYNC', first?.id as string)).toBe('OK');
    expect(await client.call('DBSIZE')).toBe(before - there);
    for (let i = 0; i < 300; i++) await client.call('SET', `key:${i}`, 'v');
  });

  it.each([
    [['DBSIZE', UNKNOWN]],
    [['KEYS', '*', UNKNOWN]],
    [['INFO', 'memory', UNKNOWN]],
    [['SLOWLOG', 'GET', '3', '@99']],
    [['MEMORY', 'DOCTOR', '@nowhere:1']],
    [['PING', 'x', UNKNOWN]],
    [['SCAN', '0', UNKNOWN]],
  ] as [string, ...string[]][][])('%j: there is no such node', async (args) => {
    const given = args.at(-1) as string;
    await expect(client.call(...args)).rejects.toThrow(
      `ERR No such node '${given}': see PROXY NODES`,
    );
  });

  it('takes nothing away from what Redis means', async () => {
    expect(await client.call('PING', UNKNOWN)).toBe(UNKNOWN);
    expect(await client.call('PING', '@0')).toBe('@0');
    expect(await client.call('KEYS', '@0')).toEqual([]);
    await expect(client.call('DBSIZE', 'x')).rejects.toThrow('wrong number of arguments');
    await expect(client.call('MEMORY', 'STATS', 'x')).rejects.toThrow('wrong number of arguments');
  });

  it('a node that is down is named', async () => {
    const replica = (await listNodes()).filter(({ role }) => role === 'replica').at(-1);
    const node = proxy.cluster.nodes.find(({ id }) => id === replica?.id);
    if (node === undefined) throw new Error('no replica');
    await proxy.cluster.kill(node, 'SIGKILL');
    const error = client.call('PING', 'x', node.id);
    await expect(error).rejects.toThrow(new RegExp(`Node ${replica?.address}|UNCERTAIN`));
    await until('it is refused at once', () =>
      client.call('INFO', node.id).then(
        () => false,
        (refusal: Error) => refusal.message.includes('cannot be reached'),
      ),
    );
  });
});

describe('merged over the primaries', () => {
  it('SLOWLOG: the newest first, its length, RESET', async () => {
    for (const { id } of await primaries()) {
      await ofNode(id, 'CONFIG', 'SET', 'slowlog-log-slower-than', '0');
    }
    await client.call('SLOWLOG', 'RESET');
    for (let i = 0; i < 30; i++) await client.call('GET', `key:${i}`);
    for (const { id } of await primaries()) {
      await ofNode(id, 'CONFIG', 'SET', 'slowlog-log-slower-than', '1000000');
    }
    const length = Number(await client.call('SLOWLOG', 'LEN'));
    expect(length).toBeGreaterThanOrEqual(30);
    const entries = (await client.call('SLOWLOG', 'GET', '-1')) as [
      number,
      number,
      number,
      string[],
    ][];
    const keys = entries
      .filter(([, , , words]) => words[0] === 'GET')
      .map(([, , , words]) => words[1]);
    expect(new Set(keys)).toEqual(new Set(Array.from({ length: 30 }, (_, i) => `key:${i}`)));
    expect(new Set(entries.map(([id]) => id)).size).toBe(entries.length);
    const times = entries.map(([, at]) => at);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(await client.call('SLOWLOG', 'GET')).toHaveLength(10);
    expect(await client.call('SLOWLOG', 'GET', '3')).toHaveLength(3);
    expect(await client.call('SLOWLOG', 'RESET')).toBe('OK');
    expect(await client.call('SLOWLOG', 'LEN')).toBe(0);
    await expect(client.call('SLOWLOG', 'GET', '-2')).rejects.toThrow(
      'greater than or equal to -1',
    );
  });

  it('LATENCY: spikes of all nodes', async () => {
    for (const { id } of await primaries()) {
      await ofNode(id, 'CONFIG', 'SET', 'latency-monitor-threshold', '1');
      await ofNode(id, 'DEBUG', 'SLEEP', '0.01');
    }
    const latest = (await client.call('LATENCY', 'LATEST')) as [string, number, number, number][];
    const command = latest.find(([event]) => event === 'command');
    expect(command?.[3]).toBeGreaterThanOrEqual(10);
    const history = (await client.call('LATENCY', 'HISTORY', 'command')) as unknown[];
    expect(history.length).toBeGreaterThanOrEqual(3);
    expect(String(await client.call('LATENCY', 'GRAPH', 'command'))).toMatch(
      /# 127\.0\.0\.1:\d+\n.*#+ \d+ ms/,
    );
    await expect(client.call('LATENCY', 'GRAPH', 'nothing')).rejects.toThrow(
      "ERR No samples available for event 'nothing'",
    );
    expect(String(await client.call('LATENCY', 'DOCTOR')).match(/^# /gm)).toHaveLength(3);
    expect(await client.call('LATENCY', 'RESET', 'command')).toBe(3);
    expect(await client.call('LATENCY', 'HISTORY', 'command')).toEqual([]);
    const histogram = (await client.call('LATENCY', 'HISTOGRAM', 'get')) as unknown[];
    expect(histogram[0]).toBe('get');
  });

  it('MEMORY: summed, or node by node', async () => {
    const stats = (await client.call('MEMORY', 'STATS')) as unknown[];
    const value = (name: string): unknown => stats[stats.indexOf(name) + 1];
    expect(value('keys.count')).toBe(await client.call('DBSIZE'));
    expect(Number(value('total.allocated'))).toBeGreaterThan(3_000_000);
    expect(Number(value('dataset.percentage'))).toBeLessThanOrEqual(100);
    expect(String(await client.call('MEMORY', 'DOCTOR')).match(/^# /gm)).toHaveLength(3);
    expect(await client.call('MEMORY', 'PURGE')).toBe('OK');
  });

  it('INFO of several sections, all, everything', async () => {
    const titles = async (...args: string[]): Promise<string[]> => {
      const info = String(await client.call('INFO', ...args));
      return [...info.matchAll(/^# (\w+)/gm)].map((match) => match[1] as string);
    };
    expect(await titles('proxy', 'SERVER')).toEqual(['Server', 'Proxy']);
    expect(await titles('nothing')).toEqual([]);
    expect(await titles('everything')).toEqual(await titles('all'));
    expect(await titles('all')).toContain('Commandstats');
    expect(await titles()).not.toContain('Commandstats');
    expect(String(await client.call('PROXY', 'INFO'))).toContain('upstream_shards:3');
  });
});

describe('CONFIG SET', () => {
  const get = async (name: string): Promise<unknown> =>
    ((await client.call('CONFIG', 'GET', name)) as string[])[1];

  it('changes live settings, checked as in the configuration', async () => {
    expect(await client.call('CONFIG', 'SET', 'hold.timeoutMs', '7s', 'timeout', '600')).toBe('OK');
    expect([await get('hold.timeoutMs'), await get('timeout')]).toEqual(['7000', '600']);
    await expect(client.call('CONFIG', 'SET', 'hold.timeoutMs', 'soon')).rejects.toThrow(/allowed/);
    expect(await get('hold.timeoutMs')).toBe('7000');
  });

  it('maxclients and commands.deny hold at once', async () => {
    await client.call('CONFIG', 'SET', 'commands.deny', 'lolwut getset');
    await expect(client.call('LOLWUT')).rejects.toThrow("'LOLWUT' is denied here");
    const allow = client.call('CONFIG', 'SET', 'commands.deny', 'getset');
    await expect(allow).rejects.toThrow(/'commands.deny'.*SIGHUP/);
    await expect(client.call('LOLWUT')).rejects.toThrow("'LOLWUT' is denied here");
    await client.call('CONFIG', 'SET', 'maxclients', '1');
    const second = await connectResp({ host: proxy.host, port: proxy.port });
    await expect(second.call('PING')).rejects.toThrow();
    second.close();
    await client.call('CONFIG', 'SET', 'maxclients', '10000');
    const third = await connectResp({ host: proxy.host, port: proxy.port });
    expect(await third.call('PING')).toBe('PONG');
    third.close();
  });

  it('says what needs a restart, and then changes nothing', async () => {
    const both = client.call('CONFIG', 'SET', 'timeout', '5', 'port', '7');
    await expect(both).rejects.toThrow(/'port'.*configuration and restart/);
    expect(await get('timeout')).toBe('600');
    await expect(client.call('CONFIG', 'SET', 'maxmemory', '1gb')).rejects.toThrow(/nodes/);
    expect(await client.call('CONFIG', 'SET', 'save', '')).toBe('OK');
  });

  it('PROXY CONFIG GET shows slotgate alone', async () => {
    const shown = (await client.call('PROXY', 'CONFIG', 'GET', '*')) as string[];
    expect(shown).toContain('cluster.seeds');
    expect(shown).not.toContain('maxmemory-policy');
  });
});

describe('others', () => {
  it('ACL', async () => {
    expect(await client.call('ACL', 'WHOAMI')).toBe('default');
    expect(await client.call('ACL', 'CAT')).toHaveLength(21);
    expect(await client.call('ACL', 'CAT', 'hyperloglog')).toContain('pfadd');
    expect(await client.call('ACL', 'GENPASS')).toMatch(/^[0-9a-f]{64}$/);
    expect(await client.call('ACL', 'GENPASS', '5')).toMatch(/^[0-9a-f]{2}$/);
    await expect(client.call('ACL', 'GENPASS', '0')).rejects.toThrow('positive number up to 4096');
    await expect(client.call('ACL', 'SETUSER', 'x')).rejects.toThrow('not available');
  });

  it.each([[['SWAPDB', '0', '1']], [['ACL', 'LIST']]] as [string, ...string[]][][])(
    '%j is refused',
    async (args) => {
      await expect(client.call(...args)).rejects.toThrow('is not available through slotgate');
    },
  );
});
