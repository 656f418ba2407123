import { afterEach, describe, expect, it } from 'vitest';
import { Health, type HealthSettings } from '../../../../src/control/health/health.ts';
import { nodeAddress } from '../../../../src/topology/snapshot.ts';
import { bulk, FakeNode } from '../../../support/fake-node.ts';
import { recordedLog } from '../../../support/recorded-log.ts';
import { snapshotOf, type WatchedNode } from '../../../support/watched.ts';

const SETTINGS: HealthSettings = {
  pingIntervalMs: 50,
  pingTimeoutMs: 200,
  downAfter: 3,
  upAfter: 2,
  infoIntervalMs: 40,
};

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function info(offset = 1): string {
  return bulk(
    `# R\r\nrole:master\r\nmaster_replid:${'a'.repeat(40)}\r\nmaster_repl_offset:${offset}\r\n`,
  );
}

async function fakeNode(): Promise<FakeNode & WatchedNode> {
  const fake = await FakeNode.start((command) => (command === 'PING' ? '+PONG\r\n' : info()));
  undo.push(() => fake.stop());
  return Object.assign(fake, { host: '127.0.0.1' });
}

function watch(nodes: readonly WatchedNode[], settings: Partial<HealthSettings> = {}) {
  const { log, lines } = recordedLog();
  const health = new Health({
    username: '',
    password: '',
    settings: { ...SETTINGS, ...settings },
    log,
    now: () => performance.now(),
  });
  undo.push(() => health.stop());
  health.onSnapshot(snapshotOf(nodes));
  const stateOf = (node: WatchedNode): string => health.of(nodeAddress(node))?.state ?? 'unknown';
  return { health, lines, stateOf };
}

describe('the nodes that are watched', () => {
  it('are those of the newest snapshot', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()];
    const { health, stateOf } = watch([first]);
    await expect.poll(() => stateOf(first)).toBe('up');
    health.onSnapshot(snapshotOf([first, { ...node(second), role: 'replica' }]));
    await expect.poll(() => stateOf(second)).toBe('up');
    expect(health.all()).toHaveLength(2);
    health.onSnapshot(snapshotOf([second]));
    expect(health.of(nodeAddress(first))).toBeUndefined();
    await expect.poll(() => first.connections).toBe(0);
    expect(stateOf(second)).toBe('up');
  });

  it('begin anew when another node has the address', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([{ ...node(fake), id: 'one' }]);
    await expect.poll(() => stateOf(fake)).toBe('up');
    health.onSnapshot(snapshotOf([{ ...node(fake), id: 'two' }]));
    expect(health.of(nodeAddress(fake))).toMatchObject({
      id: 'two',
      state: 'suspect',
      facts: null,
    });
    await expect.poll(() => stateOf(fake)).toBe('up');
  });

  it('are left alone after the end', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([fake]);
    await expect.poll(() => stateOf(fake)).toBe('up');
    health.stop();
    await expect.poll(() => fake.connections).toBe(0);
    const asked = fake.received.length;
    health.suspect(nodeAddress(fake));
    await health.refresh(nodeAddress(fake));
    expect(fake.received.length).toBe(asked);
  });
});

function node({ host, port }: WatchedNode): WatchedNode {
  return { host, port };
}

describe('a node is asked', () => {
  it('for its facts in rounds, each told when most have answered', async () => {
    const fake = await fakeNode();
    let offset = 1;
    fake.answer = (command) => (command === 'PING' ? '+PONG\r\n' : info(++offset));
    const { health } = watch([fake]);
    const seen: number[] = [];
    health.onRound(() => seen.push(health.of(nodeAddress(fake))?.facts?.offset ?? 0));
    await expect.poll(() => seen.length).toBeGreaterThan(10);
    // What was asked in a round is known at its end, unless the machine is busy.
    expect(new Set(seen).size).toBeGreaterThan(seen.length / 2);
  });

  it('by one INFO at a time, however slow it is', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([fake], { pingTimeoutMs: 5000 });
    await expect.poll(() => stateOf(fake)).toBe('up');
    fake.answer = () => null;
    const asked = (): number => fake.count('INFO');
    const before = asked();
    await expect.poll(asked).toBe(before + 1);
    let rounds = 0;
    health.onRound(() => rounds++);
    await expect.poll(() => rounds).toBeGreaterThan(5);
    expect(asked()).toBe(before + 1);
    expect(fake.connections).toBe(1);
  });

  it('at once on a refresh, by a question sent after the call', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([fake], { infoIntervalMs: 60_000, pingIntervalMs: 60_000 });
    await expect.poll(() => stateOf(fake)).toBe('up');
    const calledAt = performance.now();
    const answers = await Promise.all([
      health.refresh(nodeAddress(fake)),
      health.refresh(nodeAddress(fake)),
    ]);
    for (const answer of answers) {
      expect(answer?.facts?.askedAt).toBeGreaterThanOrEqual(calledAt);
    }
    expect(await health.refresh('nobody:1')).toBeUndefined();
  });

  it('as often as new settings say, from now on', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([fake], { infoIntervalMs: 60_000 });
    await expect.poll(() => stateOf(fake)).toBe('up');
    const before = fake.count('INFO');
    health.configure(SETTINGS);
    await expect.poll(() => fake.count('INFO')).toBeGreaterThan(before + 3);
  });

  it('over a fresh connection when a worker was refused, but not for each of its hints', async () => {
    const fake = await fakeNode();
    const { health, stateOf } = watch([fake]);
    await expect.poll(() => stateOf(fake)).toBe('up');
    const hint = { reason: 'refused', node: nodeAddress(fake) } as const;
    // Long enough after the first connection for a hint to count.
    await expect.poll(() => fake.count('PING')).toBeGreaterThan(7);
    expect(fake.accepted).toBe(1);
    for (let i = 0; i < 100; i++) health.onHint(hint);
    await expect.poll(() => fake.accepted).toBe(2);
    await expect.poll(() => fake.connections).toBe(1);
    health.onHint({ reason: 'moved', node: nodeAddress(fake) });
    expect(stateOf(fake)).toBe('up');
    expect(fake.accepted).toBe(2);
  });
});

describe('a node that flaps', () => {
  it('is up again only after more and more answers', async () => {
    const fake = await fakeNode();
    const { health, lines, stateOf } = watch([fake], { pingTimeoutMs: 2000, downAfter: 1 });
    const answers: number[] = [];
    let before = 0;
    health.onChange(({ state }, from) => {
      if (state === 'recovering') before = fake.count('PING');
      else if (from === 'recovering') answers.push(fake.count('PING') - before);
    });
    await expect.poll(() => stateOf(fake)).toBe('up');
    const fine = fake.answer;
    for (let i = 0; i < 5; i++) {
      fake.answer = () => '-LOADING Redis is loading the dataset in memory\r\n';
      await expect.poll(() => stateOf(fake)).toBe('down');
      fake.answer = fine;
      await expect.poll(() => stateOf(fake), { timeout: 5000 }).toBe('up');
    }
    // After the one with which it came back.
    expect(answers).toEqual([1, 1, 1, 3, 7]);
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(5);
  });
});

it('a node that refuses writes is named once, with what to look at', async () => {
  const fake = await fakeNode();
  const { health, lines } = watch([fake]);
  const node = nodeAddress(fake);
  for (const words of ['MISCONF no space', 'MISCONF no space', 'OOM command not allowed']) {
    health.onHint({ reason: 'unwritable', node, words });
  }
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
    { fields: { node, reason: 'MISCONF no space' }, message: expect.stringContaining('disk') },
    { fields: { node }, message: expect.stringContaining('maxmemory') },
  ]);
});

it('a node that refused writes is known as such until it has not for a while, which is told', async () => {
  const fake = await fakeNode();
  const { log, lines } = recordedLog();
  let later = 0;
  const now = (): number => performance.now() + later;
  const health = new Health({ username: '', password: '', settings: SETTINGS, log, now });
  undo.push(() => health.stop());
  health.onSnapshot(snapshotOf([fake]));
  const node = nodeAddress(fake);
  health.onHint({ reason: 'unwritable', node, words: 'MISCONF no space' });
  health.onHint({ reason: 'unwritable', node: 'another:1', words: 'OOM no space' });
  expect([health.refusalOf(node), health.refusalOf('another:1')]).toEqual(['MISCONF', '']);
  const rounds = new Promise<void>((resolve) => health.onRound(resolve));
  await rounds;
  expect(health.refusalOf(node)).toBe('MISCONF');
  later = 15_000;
  await expect.poll(() => health.refusalOf(node)).toBe('');
  expect(lines.filter(({ level }) => level === 'info')).toMatchObject([
    { message: 'a node has refused no more writes for 15 s', fields: { node, was: 'MISCONF' } },
  ]);
});

it('a node that took no more connections is known as such until it has not for a while', async () => {
  const fake = await fakeNode();
  const { log, lines } = recordedLog();
  let later = 0;
  const now = (): number => performance.now() + later;
  const health = new Health({ username: '', password: '', settings: SETTINGS, log, now });
  undo.push(() => health.stop());
  health.onSnapshot(snapshotOf([fake]));
  const node = nodeAddress(fake);
  const words = 'ERR max number of clients reached';
  for (const each of [node, node, 'another:1']) {
    health.onHint({ reason: 'maxclients', node: each, words });
  }
  expect(health.full).toEqual([node]);
  expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
    { fields: { node, reason: words }, message: expect.stringContaining('raise maxclients there') },
    { fields: { node: 'another:1' } },
  ]);
  await new Promise<void>((resolve) => health.onRound(resolve));
  expect(health.full).toEqual([node]);
  later = 15_000;
  await expect.poll(() => health.full).toEqual([]);
  expect(lines.filter(({ level }) => level === 'info')).toMatchObject([
    { message: 'a node has refused no more connections for 15 s', fields: { node } },
  ]);
});

it('another password is given from the next connection on', async () => {
  const fake = await fakeNode();
  const { health, stateOf } = watch([fake]);
  await expect.poll(() => stateOf(fake)).toBe('up');
  health.setLogin({ username: 'u', password: 'new' });
  // Hints that come in a row cause one new connection.
  await expect
    .poll(() => {
      health.suspect(nodeAddress(fake));
      return fake.count('AUTH U NEW');
    })
    .toBeGreaterThan(0);
});

it('a node that is down for another reason by now is told once more', async () => {
  const fake = await fakeNode();
  const { lines, stateOf } = watch([fake]);
  const { port } = fake;
  const state = (): string => stateOf({ host: '127.0.0.1', port });
  await expect.poll(state).toBe('up');
  await fake.stop();
  await expect.poll(state).toBe('down');
  const again = await FakeNode.start(() => '-LOADING it loads\r\n', port);
  undo.push(() => again.stop());
  const told = () => lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  await expect.poll(() => told().length).toBe(2);
  expect(told()[0]).toContain('a node is down: nobody listens');
  expect(told()[1]).toContain('a node is still down: it reads its data from disk');
});

it.each([
  ['-NOAUTH Authentication required.\r\n', /: change cluster.password .* and send SIGHUP$/],
  ['-NOPERM this user has no permissions\r\n', /the account there must be allowed .*PING/],
])('a node that says %j is told with the next step', async (refusal, words) => {
  const fake = await fakeNode();
  fake.answer = () => refusal;
  const { lines, stateOf } = watch([fake]);
  await expect.poll(() => stateOf(fake)).toBe('down');
  const told = lines.filter(({ message }) => message.startsWith('a node is down'));
  expect(told).toMatchObject([{ message: expect.stringMatching(words) }]);
});

describe('a node that is down', () => {
  async function downNode(id: string) {
    const [fake, other] = [await fakeNode(), await fakeNode()];
    const gone = { ...node(fake), id };
    const watched = watch([gone]);
    await expect.poll(() => watched.stateOf(gone)).toBe('up');
    await fake.stop();
    await expect.poll(() => watched.stateOf(gone)).toBe('down');
    const told = () => watched.lines.filter(({ level }) => level === 'info');
    return { ...watched, gone, other: node(other), told };
  }

  it('and lives at another address by then is told to do so', async () => {
    const { health, gone, other, told } = await downNode('one');
    health.onSnapshot(snapshotOf([{ ...other, id: 'one' }]));
    const fields = { node: nodeAddress(gone), now: nodeAddress(other) };
    expect(told()).toMatchObject([{ message: expect.stringContaining('another address'), fields }]);
  });

  it('and has left the cluster is told to have left', async () => {
    const { health, gone, other, told } = await downNode('one');
    health.onSnapshot(snapshotOf([{ ...other, id: 'two' }]));
    const message = expect.stringContaining('no member any more');
    expect(told()).toMatchObject([{ message, fields: { node: nodeAddress(gone) } }]);
  });

  it('and whose address another node has now is told to have left', async () => {
    const { health, gone, told } = await downNode('one');
    health.onSnapshot(snapshotOf([{ ...gone, id: 'two' }]));
    const message = expect.stringContaining('no member any more');
    expect(told()).toMatchObject([{ message, fields: { node: nodeAddress(gone) } }]);
  });

  it('and is shown where it was is told no more', async () => {
    const { health, gone, other, told } = await downNode('one');
    health.onSnapshot(snapshotOf([gone, { ...other, id: 'two' }]));
    expect(told()).toEqual([]);
  });
});
