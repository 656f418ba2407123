/** Seeds that lead to more than one upstream. */
import { describe, expect, it } from 'vitest';
import type { PollOutcome } from '../../../src/control/poll.ts';
import { SeedBook } from '../../../src/control/seeds.ts';
import { Strays } from '../../../src/control/strays.ts';
import type { ClusterView } from '../../../src/topology/picture.ts';
import { type Answer, bulk, clusterAnswer } from '../../support/fake-node.ts';
import { idOf, viewOf } from '../topology/cluster-text.ts';
import { A, B, C } from '../topology/merge-rig.ts';
import { discover, fakeNode, type Member, nodesText, twoShards, until } from './discovery-rig.ts';

const OURS = [idOf('a'), idOf('b')];

/** Another cluster, with higher epochs: merged with ours it would win every slot. */
async function otherCluster(): Promise<Member[]> {
  const members: Member[] = [
    { name: 'c', node: await fakeNode(), slots: '0-99' },
    { name: 'd', node: await fakeNode(), slots: '100-16383' },
  ];
  for (const { name, node } of members) {
    node.answer = clusterAnswer(() => nodesText(members, name, 99), '4.0.0');
  }
  return members;
}

const standalone: Answer = (command) => {
  if (command.startsWith('CLUSTER')) return '-ERR This instance has cluster support disabled\r\n';
  if (command === 'INFO SERVER') return bulk('redis_version:4.0.0\r\n');
  return command === 'INFO REPLICATION' ? bulk('role:master\r\n') : '+OK\r\n';
};

const portsOf = (members: readonly Member[]) => members.map(({ node }) => node.port);

describe('of two clusters', () => {
  it('only that of the first seed is used, and the other one is told', async () => {
    const [ours, theirs] = [await twoShards(), await otherCluster()];
    const [seed, stray] = [portsOf(ours)[0] ?? 0, portsOf(theirs)[0] ?? 0];
    const { discovery, published, lines } = discover([seed, stray]);
    const told = `seeds of another cluster are not used: 127.0.0.1:${stray} (take them out of cluster.seeds)`;
    await until(() => expect(discovery.status().strays).toEqual([told]));
    expect(discovery.status()).toMatchObject({ ready: true, reason: told });
    for (const { nodes, serverVersion } of published) {
      expect({ ids: nodes.map(({ id }) => id), serverVersion }).toEqual({
        ids: OURS,
        serverVersion: '7.0.11',
      });
    }
    const warned = lines.filter(({ level }) => level === 'warn');
    expect(warned).toMatchObject([{ fields: { seeds: [`127.0.0.1:${stray}`] } }]);
    expect(warned[0]?.message).toContain('take them out of cluster.seeds');
  });

  it('the other one is asked once, and its seed now and then', async () => {
    const [ours, theirs] = [await twoShards(), await otherCluster()];
    const [c, d] = theirs as [Member, Member];
    const { discovery, published } = discover([...portsOf(ours), c.node.port]);
    await until(() => expect(discovery.status().strays).toHaveLength(1));
    const polls = published.length;
    await until(() => expect(published.length).toBeGreaterThan(polls + 5));
    expect([c, d].map(({ node }) => node.count('CLUSTER NODES'))).toEqual([2, 1]);
    expect([c, d].map(({ node }) => node.connections)).toEqual([0, 0]);
  });

  it('the other one is not used when ours is gone, and ours again when it is back', async () => {
    const [ours, theirs] = [await twoShards(), await otherCluster()];
    const seeds = [...portsOf(ours), ...portsOf(theirs).slice(0, 1)];
    const { discovery, published } = discover(seeds);
    await until(() => expect(discovery.status().strays).toHaveLength(1));
    for (const { node } of ours) node.answer = () => '-LOADING Redis is loading\r\n';
    const polls = discovery.status().refreshesFailed;
    await until(() => expect(discovery.status().refreshesFailed).toBeGreaterThan(polls + 2));
    expect(discovery.status()).toMatchObject({ ready: false });
    for (const { name, node } of ours) node.answer = textOf(ours, name);
    await until(() => expect(discovery.status().ready).toBe(true));
    expect(published.flatMap(({ nodes }) => nodes.map(({ id }) => id))).not.toContain(idOf('c'));
  });

  it('the one that a process before used is used again', async () => {
    const [ours, theirs] = [await twoShards(), await otherCluster()];
    const known = [{ id: idOf('b'), host: '127.0.0.1', port: portsOf(ours)[1] ?? 0 }];
    const { published } = discover([...portsOf(theirs), ...portsOf(ours)], { known });
    await until(() => expect(published.length).toBeGreaterThan(1));
    for (const { nodes } of published) expect(nodes.map(({ id }) => id)).toEqual(OURS);
  });

  it('that meet, the seed is told no more', async () => {
    const [ours, theirs] = [await twoShards(), await otherCluster()];
    const { discovery, published } = discover([...portsOf(ours), portsOf(theirs)[0] ?? 0]);
    await until(() => expect(discovery.status().strays).toHaveLength(1));
    const joined = [...ours, ...theirs.map((member) => ({ ...member, slots: '' }))];
    for (const { name, node } of joined) node.answer = textOf(joined, name);
    await until(() => expect(published.at(-1)?.nodes).toHaveLength(4));
    expect(discovery.status()).toMatchObject({ strays: [], reason: '' });
  });
});

function textOf(members: readonly Member[], name: string): Answer {
  return clusterAnswer(() => nodesText(members, name));
}

describe('beside a cluster', () => {
  it('a server without cluster mode is told', async () => {
    const stray = await fakeNode(standalone);
    const { discovery, published } = discover([stray.port, ...portsOf(await twoShards())]);
    const told = `seeds without cluster mode are not used: 127.0.0.1:${stray.port}`;
    await until(() => expect(discovery.status().strays[0]).toContain(told));
    expect(published.every(({ mode }) => mode === 'cluster')).toBe(true);
    expect(published.at(-1)?.serverVersion).toBe('7.0.11');
  });

  it('an empty node is told, and used once it has joined', async () => {
    const ours = await twoShards();
    const empty: Member = { name: 'e', node: await fakeNode(), slots: '' };
    empty.node.answer = textOf([empty], 'e');
    const { discovery, published } = discover([empty.node.port, ...portsOf(ours)]);
    const told = `seeds that belong to no cluster are not used: 127.0.0.1:${empty.node.port}`;
    await until(() => expect(discovery.status().strays[0]).toContain(told));
    for (const { nodes } of published) expect(nodes.map(({ id }) => id)).toEqual(OURS);
    const joined = [...ours, empty];
    for (const { name, node } of joined) node.answer = textOf(joined, name);
    await until(() => expect(published.at(-1)?.nodes).toHaveLength(3));
    expect(discovery.status().strays).toEqual([]);
  });

  it('and nobody is told while there is no cluster yet', async () => {
    const lone: Member[] = [];
    for (const name of ['a', 'b']) {
      const node = await fakeNode();
      lone.push({ name, node, slots: '' });
      node.answer = textOf(lone.slice(-1), name);
    }
    const { discovery, published } = discover(portsOf(lone));
    await until(() => expect(published.length).toBeGreaterThan(2));
    const from = published[0]?.polledAt ?? 0;
    await until(() => expect(published.at(-1)?.polledAt).toBeGreaterThan(from + 1500));
    expect(discovery.status().strays).toEqual([]);
    const made = lone.map((member, index) => {
      return { ...member, slots: index === 0 ? '0-8191' : '8192-16383' };
    });
    for (const { name, node } of made) node.answer = textOf(made, name);
    await until(() => expect(discovery.status().reason).toBe(''));
    expect(published.at(-1)?.shards).toHaveLength(2);
  });

  it('a stranger at the address of one of its nodes gets no commands', async () => {
    const ours = await twoShards();
    const [a, b] = ours as [Member, Member];
    const { discovery, published } = discover([a.node.port]);
    await until(() => expect(published.length).toBeGreaterThan(0));
    const stranger: Member[] = [{ name: 'c', node: b.node, slots: '0-16383' }];
    b.node.answer = clusterAnswer(() => nodesText(stranger, 'c', 99));
    await until(() => expect(published.at(-1)?.nodes[1]?.failed).toBe(true));
    expect(published.at(-1)?.nodes.map(({ id }) => id)).toEqual(OURS);
    expect(discovery.status().reason).toContain('belongs to another cluster');
  });
});

describe('a seed that has not answered yet at the start', () => {
  const [ours, theirs] = [viewOf('a', [A, B, C]), viewOf('e', [{ ...A, name: 'e', epoch: 99 }])];
  const [seed, stray] = ['127.0.0.1:7010', '127.0.0.1:7014'];

  async function strays(...seeds: number[]): Promise<Strays> {
    const book = new SeedBook({
      seeds: seeds.map((port) => ({ host: '127.0.0.1', port })),
      connectTimeoutMs: 100,
    });
    await book.refresh();
    return new Strays(book, [], new Map());
  }

  function outcome(views: readonly ClusterView[], late: readonly string[] = []): PollOutcome {
    const nothing = { versions: new Map(), failures: new Map(), errors: [], standalone: [] };
    return { ...nothing, views, late, busyMs: 0 };
  }

  const at = (now: number) => ({ picture: null, snapshot: null, now });

  it('is waited for, so that speed does not decide', async () => {
    const sieve = await strays(7010, 7014);
    expect(sieve.sift(outcome([theirs], [seed]), at(5000))).toBeNull();
    expect(sieve.sift(outcome([theirs, ours]), at(5999))?.views).toEqual([ours]);
  });

  it('is waited for a second after the first answer, and no longer', async () => {
    const sieve = await strays(7010, 7014);
    expect(sieve.sift(outcome([], [seed, stray]), at(0))?.views).toEqual([]);
    expect(sieve.sift(outcome([theirs], [seed]), at(5000))).toBeNull();
    expect(sieve.sift(outcome([theirs], [seed]), at(6000))?.views).toEqual([theirs]);
  });

  it('is not waited for where those that have answered list it', async () => {
    const sieve = await strays(7010, 7011);
    const late = ['127.0.0.1:7011'];
    expect(sieve.sift(outcome([ours], late), at(5000))?.views).toEqual([ours]);
  });
});

it('a server without cluster mode is not left for a cluster that appears', async () => {
  const server = await fakeNode(standalone);
  const ours = await twoShards();
  const { node } = ours[0] as Member;
  const answer = node.answer;
  node.answer = () => '-LOADING Redis is loading the dataset in memory\r\n';
  const { discovery, published } = discover([server.port, node.port]);
  await until(() => expect(published.length).toBeGreaterThan(0));
  node.answer = answer;
  const told = `seeds with cluster mode are not used: 127.0.0.1:${node.port}`;
  await until(() => expect(discovery.status().strays[0]).toContain(told));
  expect(published.every(({ mode }) => mode === 'standalone')).toBe(true);
});
