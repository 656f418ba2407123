import { describe, expect, it } from 'vitest';
import { RESULT, SCALAR } from '../../../../src/metrics/definitions.ts';
import { type ControlAnswers, createRig, createSession, NODE_ID, WALL_MS } from './local-rig.ts';

const NODES_INFO = {
  asked: 3,
  answered: 2,
  sections: {
    memory: { used_memory: '3000', used_memory_human: '2.93K', maxmemory: '0' },
    persistence: { loading: '1', async_loading: '0', rdb_last_save_time: '1795310000' },
    stats: { total_connections_received: '7', total_commands_processed: '99', keyspace_hits: '5' },
    replication: { role: 'master', connected_slaves: '3', master_repl_offset: '4242' },
    cpu: { used_cpu_sys: '1.500000' },
  },
  keyspace: { db0: { keys: 12, expires: 3, avgTtl: 900.4 } },
};
const WORKERS_INFO = {
  workers: 2,
  sums: { clients: 31, connectionsReceived: 40, receivedBytes: 1000, sentBytes: 2000, moved: 4 },
  peaks: { input: 10, output: 20 },
  errors: { ERR: 2, MOVED: 1 },
  commands: { get: [4, 30.4, 1, 2], 'client|list': [0, 0, 1, 0] },
};
const control: ControlAnswers = {
  'nodes.info': () => NODES_INFO,
  'workers.info': () => WORKERS_INFO,
};

async function infoText(args: readonly string[], answers: ControlAnswers): Promise<string> {
  const reply = await createRig({ control: answers }).run('INFO', ...args);
  return reply.slice(reply.indexOf('\r\n') + 2, -2);
}

function titles(text: string): string[] {
  return [...text.matchAll(/^# (.*)\r$/gm)].map(([, title]) => title as string);
}

function fields(text: string): ReadonlyMap<string, string> {
  const pairs = text.split('\r\n').filter((line) => line.includes(':'));
  return new Map(pairs.map((line) => line.split(/:(.*)/).slice(0, 2) as [string, string]));
}

const DEFAULT_TITLES =
  'Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace Proxy';

describe('INFO', () => {
  it.each([
    [[], DEFAULT_TITLES],
    [['default'], DEFAULT_TITLES],
    [['server', 'foo', 'CLIENTS'], 'Server Clients'],
    [['keyspace', 'cluster'], 'Cluster Keyspace'],
    [['commandstats', 'default'], DEFAULT_TITLES.replace('Errorstats', 'Commandstats Errorstats')],
    [['all'], DEFAULT_TITLES.replace('Errorstats', 'Commandstats Errorstats Latencystats')],
    [['EVERYTHING'], DEFAULT_TITLES.replace('Errorstats', 'Commandstats Errorstats Latencystats')],
    [['proxy'], 'Proxy'],
  ])('%j', async (sections, expected) => {
    expect(titles(await infoText(sections, control)).join(' ')).toBe(expected);
  });

  it('of unknown sections alone is empty', async () => {
    expect(await createRig().run('INFO', 'foo')).toBe('$0\r\n\r\n');
    const { run, session } = createRig();
    session.protocol = 3;
    expect(await run('INFO', 'foo')).toBe('=4\r\ntxt:\r\n');
    expect(await run('INFO', 'modules')).toBe('=15\r\ntxt:# Modules\r\n\r\n');
  });

  it('separates sections as Redis does', async () => {
    expect(await infoText(['cluster', 'keyspace'], control)).toBe(
      '# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=900\r\n',
    );
  });

  it('adds up workers and nodes', async () => {
    const info = fields(await infoText(['all'], control));
    expect(Object.fromEntries(info)).toMatchObject({
      redis_version: '7.0.15',
      redis_mode: 'cluster',
      run_id: NODE_ID,
      tcp_port: '6379',
      uptime_in_seconds: '3600',
      connected_clients: '31',
      maxclients: '10000',
      client_recent_max_input_buffer: '10',
      client_recent_max_output_buffer: '20',
      used_memory: '3000',
      used_memory_human: '2.93K',
      loading: '0',
      rdb_last_save_time: '1795310000',
      total_connections_received: '40',
      total_commands_processed: '99',
      total_net_input_bytes: '1000',
      total_net_output_bytes: '2000',
      total_error_replies: '3',
      keyspace_hits: '5',
      role: 'master',
      connected_slaves: '0',
      master_replid: NODE_ID,
      master_repl_offset: '4242',
      used_cpu_sys: '1.500000',
      cmdstat_get: 'calls=4,usec=30,usec_per_call=7.50,rejected_calls=1,failed_calls=2',
      'cmdstat_client|list': 'calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0',
      errorstat_ERR: 'count=2',
      cluster_enabled: '1',
      db0: 'keys=12,expires=3,avg_ttl=900',
      slotgate_version: '0.1.0',
      workers: '2',
      workers_answered: '2',
      upstream_shards: '3',
      upstream_nodes: '6',
      upstream_primaries_asked: '3',
      upstream_primaries_answered: '2',
      slots_covered: '16384',
      redirects_moved: '4',
    });
  });

  it('answers what it knows without control: a client can connect', async () => {
    const rig = createRig({ others: [createSession(129)] });
    rig.services.metrics.add(SCALAR.connectionsOpened, 2);
    rig.services.metrics.countCommand(rig.services.table.byName('get'), RESULT.ok);
    const text = await rig.run('INFO', 'all');
    expect(Object.fromEntries(fields(text))).toMatchObject({
      redis_version: '7.0.15',
      connected_clients: '2',
      loading: '0',
      role: 'master',
      total_connections_received: '2',
      total_commands_processed: '1',
      cmdstat_get: 'calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0',
      upstream_primaries_answered: '0',
    });
    // Nothing is made up for the nodes.
    expect(text).not.toContain('used_memory');
    expect(text).not.toContain('db0:');
  });

  it('gives control no more than 800 ms, and asks it only for what is wanted', async () => {
    const asked: [string, number][] = [];
    const answers: ControlAnswers = {
      'nodes.info': (_, deadlineMs) => asked.push(['nodes', deadlineMs]),
      'workers.info': (_, deadlineMs) => asked.push(['workers', deadlineMs]),
    };
    await infoText(['server', 'cluster', 'modules'], answers);
    expect(asked).toEqual([]);
    await infoText(['keyspace'], answers);
    expect(asked).toEqual([['nodes', 800]]);
    await infoText(['clients'], answers);
    expect(asked).toHaveLength(2);
    await infoText([], answers);
    expect(asked).toHaveLength(4);
  });
});

describe('the other commands about the server', () => {
  it('TIME', async () => {
    expect(await createRig().run('TIME')).toBe('*2\r\n$10\r\n1795310494\r\n$6\r\n961150\r\n');
  });

  it('ROLE', async () => {
    const role = (offset: number) => `*3\r\n$6\r\nmaster\r\n:${offset}\r\n*0\r\n`;
    expect(await createRig({ control }).run('ROLE')).toBe(role(4242));
    expect(await createRig().run('ROLE')).toBe(role(0));
  });

  it("LASTSAVE: the nodes', else the start", async () => {
    expect(await createRig({ control }).run('LASTSAVE')).toBe(':1795310000\r\n');
    const started = Math.floor(WALL_MS / 1000) - 3600;
    expect(await createRig().run('LASTSAVE')).toBe(`:${started}\r\n`);
  });

  it('LOLWUT', async () => {
    const { run, session } = createRig();
    const art = await run('LOLWUT');
    expect(art).toMatch(/#{64}\n(.*\n)*\+{64}\n(.*\n)*={64}\n\nRedis ver\. 7\.0\.15\n\r\n$/);
    expect(await run('LOLWUT', 'VERSION', '5')).toBe(art);
    expect(await run('LOLWUT', 'VERSION')).toBe(art);
    expect(await run('LOLWUT', 'VERSION', 'a')).toBe(
      '-ERR value is not an integer or out of range\r\n',
    );
    session.protocol = 3;
    expect(await run('LOLWUT')).toMatch(/^=1063\r\ntxt:#/);
    expect(await createRig({ snapshot: null }).run('LOLWUT')).toBe(
      '$18\r\nRedis ver. 7.0.15\n\r\n',
    );
  });

  it("MODULE LIST: the nodes'", async () => {
    const { run, session } = createRig({
      control: {
        'nodes.modules': () => [['name', 'ReJSON', 'ver', 20000, 'path', '/x.so', 'args', ['a']]],
      },
    });
    const body =
      '$4\r\nname\r\n$6\r\nReJSON\r\n$3\r\nver\r\n:20000\r\n' +
      '$4\r\npath\r\n$5\r\n/x.so\r\n$4\r\nargs\r\n*1\r\n$1\r\na\r\n';
    expect(await run('MODULE', 'LIST')).toBe(`*1\r\n*8\r\n${body}`);
    session.protocol = 3;
    expect(await run('MODULE', 'LIST')).toBe(`*1\r\n%4\r\n${body}`);
    expect(await createRig().run('MODULE', 'LIST')).toBe('*0\r\n');
  });
});
