import { describe, expect, it } from 'vitest';
import { nodeAddress } from '../../../src/topology/snapshot.ts';
import { type Answer, bulk, clusterAnswer } from '../../support/fake-node.ts';
import { idOf } from '../topology/cluster-text.ts';
import { discover, fakeNode, type Member, nodesText, twoShards, until } from './discovery-rig.ts';

describe('a cluster', () => {
  it('is found from one seed, with the oldest version of its nodes', async () => {
    const [a, b] = await twoShards();
    const { discovery, published } = discover([b?.node.port ?? 0]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(published[0]).toMatchObject({ mode: 'cluster', serverVersion: '7.0.11' });
    expect(published[0]?.nodes.map(({ port }) => port)).toEqual([a?.node.port, b?.node.port]);
    expect(discovery.status()).toMatchObject({ ready: true, reason: '' });
  });

  it('without changes keeps its epoch while polls go on', async () => {
    const { node } = (await twoShards())[0] as Member;
    const { published } = discover([node.port]);
    await until(() => expect(published.length).toBeGreaterThan(3));
    expect(new Set(published.map(({ epoch }) => epoch)).size).toBe(1);
    const times = published.map(({ polledAt }) => polledAt);
    expect(times).toEqual([...new Set(times)].sort((one, two) => one - two));
    expect(node.count('INFO SERVER')).toBe(1);
    expect(node.count('CLUSTER SHARDS')).toBeLessThanOrEqual(1);
  });

  it('is found by the nodes that were known before, when no seed is there any more', async () => {
    const [, b] = (await twoShards()) as [Member, Member];
    const gone = await fakeNode();
    await gone.stop();
    const known = [{ id: idOf('b'), host: '127.0.0.1', port: b.node.port }];
    const { published } = discover([gone.port], { known });
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(published[0]?.nodes.map(({ id }) => id)).toEqual([idOf('a'), idOf('b')]);
  });

  it('is not taken for the one whose node lives at a known address by now', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    const other: Member[] = [{ name: 'x', node: await fakeNode(), slots: '0-16383' }];
    const { node } = other[0] as Member;
    node.answer = clusterAnswer(() => nodesText(other, 'x', 9));
    const known = [
      { id: idOf('b'), host: '127.0.0.1', port: node.port },
      { id: idOf('a'), host: '127.0.0.1', port: a.node.port },
    ];
    const { published } = discover([b.node.port], { known });
    await until(() => expect(published.length).toBeGreaterThan(1));
    for (const { nodes } of published) {
      expect(nodes.map(({ id }) => id)).toEqual([idOf('a'), idOf('b')]);
    }
    expect(node.count('CLUSTER NODES')).toBe(1);
  });

  it('with a changed picture gets a higher epoch', async () => {
    const [a] = (await twoShards()) as [Member];
    const { published } = discover([a.node.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    const moved: Member[] = [{ ...a, slots: '0-8190' }];
    a.node.answer = clusterAnswer(() => nodesText(moved, 'a'));
    await until(() => expect(published.at(-1)?.slots[8191]).toBe(0xffff));
    expect(published.at(-1)?.epoch).toBeGreaterThan(published[0]?.epoch ?? 0);
  });

  it('node that hangs from the start is named at once', async () => {
    const node = await fakeNode();
    const { discovery } = discover([node.port]);
    const words = `no answer yet from 127.0.0.1:${node.port}, asked for 0 s`;
    expect(discovery.status()).toMatchObject({ ready: false, reason: words });
    await until(() => expect(discovery.status().reason).toMatch(/^no seed answers/));
  });

  it('node that hangs delays nothing, and its last known slots stay', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    const { discovery, published } = discover([a.node.port], { commandTimeoutMs: 60_000 });
    await until(() => expect(published.length).toBeGreaterThan(0));
    b.node.answer = () => null;
    const before = published.length;
    await until(() => expect(published.length).toBeGreaterThan(before + 5));
    expect(discovery.status().reason).toContain(`127.0.0.1:${b.node.port} no answer in time`);
    expect(published.at(-1)?.slots[16383]).toBe(1);
    expect(b.node.connections).toBe(1);
  });

  it('node that answers only where it was asked is told of once, and the picture stays', async () => {
    const alone: Member[] = [{ name: 'a', node: await fakeNode(), slots: '0-16383' }];
    const { node } = alone[0] as Member;
    node.answer = clusterAnswer(() => nodesText(alone, 'a'));
    const closed = await fakeNode();
    await closed.stop();
    const told = `127.0.0.1:${node.port}`;
    const natMap = new Map([[told, { host: '127.0.0.1', port: closed.port }]]);
    const { discovery, published, lines } = discover([node.port], { natMap });
    await until(() => expect(published.length).toBeGreaterThan(5));
    expect(new Set(published.map(({ epoch }) => epoch)).size).toBe(1);
    expect(discovery.status().reason).toContain(`127.0.0.1:${closed.port}`);
    const warned = lines.filter(({ message }) => message.includes('cluster.natMap'));
    expect(warned).toMatchObject([
      { level: 'warn', fields: { node: told, told, dialled: `127.0.0.1:${closed.port}` } },
    ]);
  });

  it('tells which slots have no owner, and when all have one', async () => {
    const members = await twoShards();
    const owned = members[0]?.slots ?? '';
    const give = (slots: string): void => {
      members[0] = { ...(members[0] as Member), slots };
    };
    give('0-99 101-8189');
    const { discovery, lines } = discover([members[1]?.node.port ?? 0]);
    const reason = '3 slots have no owner (100, 8190-8191)';
    await until(() => expect(lines.some(({ message }) => message.includes('owner'))).toBe(true));
    expect(discovery.status().reason).toBe(reason);
    give(owned);
    await until(() => expect(discovery.status().reason).toBe(''));
    expect(lines.filter(({ message }) => message.includes('owner'))).toMatchObject([
      { level: 'warn', fields: { reason } },
      { level: 'info', message: 'every slot has an owner again' },
    ]);
  });

  it('node that leaves is disconnected', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    const { published } = discover([a.node.port]);
    await until(() => expect(b.node.connections).toBe(1));
    await until(() => expect(published.length).toBeGreaterThan(0));
    const alone: Member[] = [{ ...a, slots: '0-16383' }];
    a.node.answer = clusterAnswer(() => nodesText(alone, 'a', 2));
    // What the leaver itself says keeps it in the picture until it is told to forget.
    b.node.answer = clusterAnswer(() => nodesText(alone, 'x', 2));
    await until(() => expect(b.node.connections).toBe(0));
    expect(published.at(-1)?.nodes).toHaveLength(1);
  });

  it('node that answers garbage is named, the others go on', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    b.node.answer = (command) => (command === 'CLUSTER NODES' ? '-ERR what\r\n' : '+OK\r\n');
    const { discovery, published, lines } = discover([a.node.port]);
    await until(() => expect(published.length).toBeGreaterThan(1));
    expect(discovery.status().reason).toContain('ERR what');
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('dead connection causes a poll at once', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    const { published } = discover([a.node.port], { refreshIntervalMs: 600_000 });
    await until(() => expect(published.length).toBeGreaterThan(0));
    await b.node.stop();
    await until(() => expect(published.at(-1)?.nodes[1]?.failed).toBe(true));
  });
});

describe('hints', () => {
  it('cause one poll at once and then a bounded number, the last one kept', async () => {
    const { node } = (await twoShards())[0] as Member;
    const { discovery, published } = discover([node.port], { refreshIntervalMs: 600_000 });
    await until(() => expect(published.length).toBeGreaterThan(0));
    const from = performance.now();
    const polls = published.length;
    let lastHintAt = from;
    while (lastHintAt - from < 350) {
      lastHintAt = performance.now();
      discovery.hint({ reason: 'moved', node: '' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => expect(published.at(-1)?.polledAt).toBeGreaterThan(lastHintAt));
    const elapsed = performance.now() - from;
    expect(published.length - polls).toBeLessThanOrEqual(Math.ceil(elapsed / 100) + 1);
    expect(discovery.status().hints).toBeGreaterThan(published.length);
  });
});

describe('nobody reachable', () => {
  it('is told with each seed, and ends when one answers', async () => {
    const node = await fakeNode();
    const { port } = node;
    await node.stop();
    const { discovery, published, lines } = discover([port]);
    await until(() => expect(discovery.status().refreshesFailed).toBeGreaterThan(1));
    expect(discovery.status()).toMatchObject({
      ready: false,
      snapshot: null,
      reason: `no seed answers: 127.0.0.1:${port} ECONNREFUSED`,
    });
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    const again = await fakeNode(undefined, port);
    const members = [{ name: 'a', node: again, slots: '0-16383' }];
    again.answer = clusterAnswer(() => nodesText(members, 'a'));
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(discovery.status().ready).toBe(true);
  });

  it('keeps the last snapshot', async () => {
    const [a, b] = (await twoShards()) as [Member, Member];
    const { discovery, published } = discover([a.node.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    await Promise.all([a.node.stop(), b.node.stop()]);
    await until(() => expect(discovery.status().ready).toBe(false));
    expect(discovery.status().snapshot?.shards).toHaveLength(2);
  });

  it('the seeds’ names are resolved again', async () => {
    const { node } = (await twoShards())[0] as Member;
    let hosts = ['127.0.0.77'];
    const { discovery, published } = discover([], {
      seeds: [{ host: 'redis.example', port: node.port }],
      resolve: async () => hosts,
    });
    await until(() => expect(discovery.status().refreshesFailed).toBeGreaterThan(0));
    expect(discovery.status().reason).toContain('127.0.0.77');
    hosts = ['127.0.0.1'];
    await until(() => expect(published.length).toBeGreaterThan(0));
  });
});

describe('a server without cluster mode', () => {
  const standalone =
    (replication: string): Answer =>
    (command) => {
      if (command.startsWith('CLUSTER'))
        return '-ERR This instance has cluster support disabled\r\n';
      if (command === 'INFO SERVER') return bulk('redis_version:6.2.14\r\n');
      return command === 'INFO REPLICATION' ? bulk(replication) : '+OK\r\n';
    };

  it('owns every slot, with its replicas', async () => {
    const node = await fakeNode(
      standalone('role:master\r\nslave0:ip=127.0.0.1,port=9,state=online,offset=1,lag=0\r\n'),
    );
    const { discovery, published } = discover([node.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(published[0]).toMatchObject({
      mode: 'standalone',
      crossSlotFree: true,
      serverVersion: '6.2.14',
    });
    expect(published[0]?.nodes.map(nodeAddress)).toEqual([`127.0.0.1:${node.port}`, '127.0.0.1:9']);
    expect(discovery.status()).toMatchObject({ ready: true, reason: '' });
  });

  it('that is a replica leads to its primary', async () => {
    const primary = await fakeNode(standalone('role:master\r\n'));
    const replica = await fakeNode(
      standalone(`role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:${primary.port}\r\n`),
    );
    const { published } = discover([replica.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(published[0]?.nodes.map(({ port }) => port)).toEqual([primary.port, replica.port]);
  });

  it('that is replaced by its replica is followed', async () => {
    const primary = await fakeNode();
    const replica = await fakeNode();
    primary.answer = standalone(
      `role:master\r\nslave0:ip=127.0.0.1,port=${replica.port},state=online,offset=1,lag=0\r\n`,
    );
    replica.answer = standalone(
      `role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:${primary.port}\r\n`,
    );
    const { discovery, published } = discover([primary.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    await primary.stop();
    await until(() => expect(published.at(-1)?.nodes[0]?.failed).toBe(true));
    expect(discovery.status().reason).toContain('ECONNREFUSED');
    replica.answer = standalone('role:master\r\n');
    await until(() => expect(published.at(-1)?.nodes[0]?.port).toBe(replica.port));
  });
});

describe('stopping', () => {
  it('ends a poll under way and closes every connection', async () => {
    const node = await fakeNode(() => null);
    const { discovery } = discover([node.port], { commandTimeoutMs: 60_000 });
    await until(() => expect(node.received.length).toBeGreaterThan(0));
    await discovery.stop();
    await until(() => expect(node.connections).toBe(0));
  });
});

describe('commands for others in control', () => {
  it('go to a node that answers', async () => {
    const { node } = (await twoShards())[0] as Member;
    const inner = node.answer;
    node.answer = (command) => (command === 'COMMAND' ? '*1\r\n:7\r\n' : inner(command));
    const { discovery, published } = discover([node.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(await discovery.callAny(['COMMAND'])).toSatisfy(
      (reply) => reply === 'OK' || JSON.stringify(reply) === '[7]',
    );
  });

  it('fail as a value of their own when there is none', async () => {
    const { discovery } = discover([]);
    await expect(discovery.callAny(['COMMAND'])).rejects.toMatchObject({
      name: 'NodeCallError',
      failure: { code: 'unreachable' },
    });
  });
});
