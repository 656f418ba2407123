import { describe, expect, it } from 'vitest';
import { NO_SHARD } from '../../../../src/topology/snapshot.ts';
import { createRig, createSession, createSnapshot, NODE_ID, type RigOptions } from './local-rig.ts';

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

function verbatim(text: string): string {
  return `=${text.length + 4}\r\ntxt:${text}\r\n`;
}

function rig3(options: RigOptions = {}) {
  const rig = createRig(options);
  rig.session.protocol = 3;
  return rig;
}

describe('the proxy as a cluster of one node', () => {
  it('SLOTS', async () => {
    const head = `*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$8\r\n10.0.0.9\r\n:6379\r\n${bulk(NODE_ID)}`;
    expect(await createRig().run('CLUSTER', 'SLOTS')).toBe(`${head}*0\r\n`);
    expect(await rig3().run('CLUSTER', 'SLOTS')).toBe(`${head}%0\r\n`);
  });

  it('SHARDS', async () => {
    const node =
      `$2\r\nid\r\n${bulk(NODE_ID)}$4\r\nport\r\n:6379\r\n$2\r\nip\r\n$8\r\n10.0.0.9\r\n` +
      '$8\r\nendpoint\r\n$8\r\n10.0.0.9\r\n$4\r\nrole\r\n$6\r\nmaster\r\n' +
      '$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n';
    const slots = '$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n';
    expect(await createRig().run('CLUSTER', 'SHARDS')).toBe(`*1\r\n*4\r\n${slots}*14\r\n${node}`);
    expect(await rig3().run('CLUSTER', 'SHARDS')).toBe(`*1\r\n%2\r\n${slots}%7\r\n${node}`);
  });

  it('NODES', async () => {
    const line = `${NODE_ID} 10.0.0.9:6379@16379 myself,master - 0 0 1 connected 0-16383\n`;
    expect(await createRig().run('CLUSTER', 'NODES')).toBe(bulk(line));
    expect(await rig3().run('CLUSTER', 'NODES')).toBe(verbatim(line));
  });

  it('MYID, MYSHARDID, LINKS, REPLICAS and COUNT-FAILURE-REPORTS', async () => {
    const { run } = createRig();
    expect(await run('CLUSTER', 'MYID')).toBe(bulk(NODE_ID));
    expect(await run('CLUSTER', 'MYSHARDID')).toBe(bulk(NODE_ID));
    expect(await run('CLUSTER', 'LINKS')).toBe('*0\r\n');
    expect(await run('CLUSTER', 'REPLICAS', NODE_ID)).toBe('*0\r\n');
    expect(await run('CLUSTER', 'SLAVES', 'x')).toBe('-ERR Unknown node x\r\n');
    expect(await run('CLUSTER', 'COUNT-FAILURE-REPORTS', NODE_ID)).toBe(':0\r\n');
    expect(await run('CLUSTER', 'COUNT-FAILURE-REPORTS', 'x')).toBe('-ERR Unknown node x\r\n');
  });

  it('KEYSLOT, also of a key with an empty tag', async () => {
    const { run } = createRig();
    expect(await run('CLUSTER', 'KEYSLOT', 'foo')).toBe(':12182\r\n');
    expect(await run('CLUSTER', 'KEYSLOT', 'a{}b')).toBe(':13694\r\n');
    expect(await run('CLUSTER', 'KEYSLOT', '{foo}bar')).toBe(':12182\r\n');
  });
});

describe('CLUSTER INFO', () => {
  it('is ok while every slot is served', async () => {
    const info = await createRig().run('CLUSTER', 'INFO');
    expect(info.split('\r\n').slice(1)).toEqual([
      'cluster_state:ok',
      'cluster_slots_assigned:16384',
      'cluster_slots_ok:16384',
      'cluster_slots_pfail:0',
      'cluster_slots_fail:0',
      'cluster_known_nodes:1',
      'cluster_size:1',
      'cluster_current_epoch:1',
      'cluster_my_epoch:1',
      'cluster_stats_messages_sent:0',
      'cluster_stats_messages_received:0',
      'total_cluster_links_buffer_limit_exceeded:0',
      '',
      '',
    ]);
  });

  it('says which part is not', async () => {
    const snapshot = createSnapshot();
    snapshot.slots.fill(NO_SHARD, 0, 10);
    const info = await createRig({ snapshot }).run('CLUSTER', 'INFO');
    expect(info).toContain('cluster_state:fail\r\n');
    expect(info).toContain('cluster_slots_ok:16374\r\n');
    expect(info).toContain('cluster_slots_fail:10\r\n');
    expect(await createRig({ snapshot: null }).run('CLUSTER', 'INFO')).toContain('state:fail\r\n');
  });
});

describe('with several slotgates announced', () => {
  const announceProxies = [
    { host: '10.0.0.9', port: 6380 },
    { host: '10.0.0.8', port: 6379 },
    { host: '10.0.0.9', port: 6379 },
  ];
  const settings = { announceProxies };

  it('each is a node with an equal share, and one is the one that answers', async () => {
    const text = await createRig({ settings }).run('CLUSTER', 'NODES');
    const lines = text.split('\n').filter((line) => /^[0-9a-f]{40} /.test(line));
    expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
      '10.0.0.8:6379@16379 master - 0 0 1 connected 0-5460',
      '10.0.0.9:6379@16379 myself,master - 0 0 2 connected 5461-10922',
      '10.0.0.9:6380@16380 master - 0 0 3 connected 10923-16383',
    ]);
    expect(new Set(lines.map((line) => line.slice(0, 40))).size).toBe(3);
    expect(await createRig({ settings }).run('CLUSTER', 'MYID')).toBe(
      bulk((lines[1] as string).slice(0, 40)),
    );
    expect(await createRig({ settings }).run('CLUSTER', 'INFO')).toContain('cluster_size:3');
  });

  it('all show the same nodes, in whatever order they are configured', async () => {
    const ids = async (proxies: typeof announceProxies, local: string) => {
      const session = createSession(65, { local });
      const rig = createRig({ settings: { announceProxies: proxies }, session });
      return (await rig.run('CLUSTER', 'NODES')).replace('myself,', '');
    };
    const one = await ids(announceProxies, '10.0.0.8:6379');
    expect(await ids([...announceProxies].reverse(), '10.0.0.9:6380')).toHaveLength(one.length);
    expect(await ids([...announceProxies].reverse(), '10.0.0.9:6380')).toBe(one);
  });

  it.each([
    ['172.17.0.2:6380', '10.0.0.9:6380'],
    ['172.17.0.2:1', '10.0.0.8:6379'],
  ])('at %s, which nobody announced, it is still one of them', async (local, expected) => {
    const rig = createRig({ settings, session: createSession(65, { local }) });
    const text = await rig.run('CLUSTER', 'NODES');
    expect(text.match(/(\S+)@\d+ myself/)?.[1]).toBe(expected);
  });

  it('SLOTS and SHARDS have no holes', async () => {
    const text = await createRig({ settings }).run('CLUSTER', 'SLOTS');
    const numbers = [...text.matchAll(/^\*3\r\n:(\d+)\r\n:(\d+)/gm)].map(([, a, b]) => [a, b]);
    expect(numbers).toEqual([
      ['0', '5460'],
      ['5461', '10922'],
      ['10923', '16383'],
    ]);
    expect(await createRig({ settings }).run('CLUSTER', 'SHARDS')).toMatch(/^\*3\r\n/);
  });
});

describe('face: standalone', () => {
  const settings = { face: 'standalone' } as const;

  it.each(['SLOTS', 'NODES', 'INFO', 'SHARDS', 'MYID'])('CLUSTER %s is disabled', async (name) => {
    expect(await createRig({ settings }).run('CLUSTER', name)).toBe(
      '-ERR This instance has cluster support disabled\r\n',
    );
  });

  it('INFO, HELLO and CONFIG GET say so too', async () => {
    const { run } = createRig({ settings });
    expect(await run('INFO', 'server')).toContain('redis_mode:standalone\r\n');
    expect(await run('INFO', 'cluster')).toContain('cluster_enabled:0\r\n');
    expect(await run('HELLO')).toContain('$4\r\nmode\r\n$10\r\nstandalone\r\n');
    expect(await run('CONFIG', 'GET', 'cluster-enabled')).toContain('$2\r\nno\r\n');
  });
});

describe('SENTINEL', () => {
  it('names this address for any name', async () => {
    const { run } = createRig();
    const here = '*2\r\n$8\r\n10.0.0.9\r\n$4\r\n6379\r\n';
    expect(await run('SENTINEL', 'get-master-addr-by-name', 'whatever')).toBe(here);
    expect(await run('SENTINEL', 'GET-PRIMARY-ADDR-BY-NAME', 'x')).toBe(here);
    expect(await run('SENTINEL', 'sentinels', 'x')).toBe('*0\r\n');
    expect(await run('SENTINEL', 'replicas', 'x')).toBe('*0\r\n');
    expect(await run('SENTINEL', 'ckquorum', 'x')).toMatch(/^\+OK 1 usable Sentinels/);
    expect(await run('SENTINEL', 'masters')).toMatch(
      /^\*1\r\n\*40\r\n\$4\r\nname\r\n\$8\r\nmymaster/,
    );
    expect(await run('SENTINEL', 'master', 'mine')).toMatch(/^\*40\r\n\$4\r\nname\r\n\$4\r\nmine/);
  });

  it('on the Sentinel port names the other one', async () => {
    const session = createSession(65, { local: '10.0.0.9:26379' });
    const { run } = createRig({ session, settings: { sentinelPort: 26379 } });
    expect(await run('SENTINEL', 'get-master-addr-by-name', 'm')).toBe(
      '*2\r\n$8\r\n10.0.0.9\r\n$4\r\n6379\r\n',
    );
  });
});

describe('the address shown', () => {
  const nodes = async (options: RigOptions) =>
    (await createRig(options).run('CLUSTER', 'NODES')).split(' ')[1];

  it('is the announced one where there is one', async () => {
    const settings = { announceHost: 'redis.example.com', announcePort: 7777 };
    expect(await nodes({ settings })).toBe('redis.example.com:7777@17777');
    expect(await nodes({ settings: { announceHost: '1.2.3.4' } })).toBe('1.2.3.4:6379@16379');
  });

  it.each([
    ['[::1]:6379', '::1:6379@16379'],
    ['[::ffff:10.2.3.4]:6379', '10.2.3.4:6379@16379'],
    ['10.2.3.4:60000', '10.2.3.4:60000@60000'],
    ['', '127.0.0.1:6379@16379'],
  ])('else where the client connected to, never empty: %j', async (local, expected) => {
    expect(await nodes({ session: createSession(65, { local }) })).toBe(expected);
  });
});
