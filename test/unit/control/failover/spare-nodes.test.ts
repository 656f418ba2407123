/** What may be made a replica, and above all what is never emptied. */
import { describe, expect, test } from 'vitest';
import { SpareNodes } from '../../../../src/control/failover/spare-nodes.ts';
import type { NodeAccess } from '../../../../src/control/node-access.ts';
import { NodeCallError } from '../../../../src/control/node-client.ts';
import type { SnapshotNode } from '../../../../src/topology/snapshot.ts';
import { drawSnapshot, idOf, portOf } from './snapshots.ts';

/** Answers per node by its name; a command that is not there answers OK. */
type Answers = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function setUp(answers: Answers, onTurn: (words: string) => void = () => {}, pauseMs = 0) {
  const asked: string[] = [];
  let pauses = 0;
  let now = 0;
  const access: NodeAccess = {
    callNode: async ({ port }, command) => {
      const name = (port - 7000).toString(16);
      const words = command.join(' ');
      asked.push(`${name} ${words}`);
      onTurn(words);
      const answer = answers[name]?.[words] ?? 'OK';
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const nodes = new SpareNodes({
    spares: access,
    members: access,
    now: () => now,
    pause: async () => {
      pauses++;
      now += pauseMs;
      onTurn('');
    },
  });
  const changes = (): string[] =>
    asked.filter((words) => /RESET|FORGET|MEET|REPLICATE/.test(words));
  return { nodes, changes, pauses: () => pauses };
}

interface Line {
  readonly flags?: string;
  readonly primary?: string;
  readonly slots?: string;
}

/** CLUSTER NODES of a node; the first line is its own. */
function view(lines: Readonly<Record<string, Line>>): string {
  return Object.entries(lines)
    .map(([name, { flags = 'master', primary, slots = '' }], index) => {
      const own = index === 0 ? 'myself,' : '';
      const follows = primary === undefined ? '-' : idOf(primary);
      return `${idOf(name)} 127.0.0.1:${portOf(name)}@17000 ${own}${flags} ${follows} 0 1 1 connected ${slots}`;
    })
    .join('\n');
}

const IN_STEP = 'role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:5\r\n';
const FOLLOWER: Line = { flags: 'slave', primary: 'a' };
const SNAPSHOT = drawSnapshot(['a b c']);
const node = (name: string): SnapshotNode =>
  SNAPSHOT.nodes.find(({ id }) => id === idOf(name)) as SnapshotNode;

function surplus(own: Line, others: Readonly<Record<string, Line>> = {}, replication = IN_STEP) {
  return {
    'CLUSTER NODES': view({ c: own, a: { slots: '0-16383' }, b: FOLLOWER, ...others }),
    'INFO replication': replication,
  };
}

describe('a surplus replica', () => {
  test('is forgotten by all, then emptied', async () => {
    const { nodes, changes } = setUp({ c: surplus(FOLLOWER) });
    expect(await nodes.dismiss(node('c'), node('a'), SNAPSHOT)).toBe(true);
    expect(changes()).toEqual([
      `a CLUSTER FORGET ${idOf('c')}`,
      `b CLUSTER FORGET ${idOf('c')}`,
      'c CLUSTER RESET HARD',
    ]);
  });

  test.each([
    ['has been promoted', surplus({ slots: '0-16383' })],
    [
      'is another node than the one that lived there',
      {
        'CLUSTER NODES': view({ b: FOLLOWER, a: { slots: '0-16383' } }),
        'INFO replication': IN_STEP,
      },
    ],
    ['is a primary without slots', surplus({})],
    ['follows another by now', surplus({ flags: 'slave', primary: 'b' })],
    ['has followers of its own', surplus(FOLLOWER, { d: { flags: 'slave', primary: 'c' } })],
    ['has lost its primary', surplus(FOLLOWER, {}, IN_STEP.replace('up', 'down'))],
    ['is still copying', surplus(FOLLOWER, {}, `${IN_STEP}master_sync_in_progress:1\r\n`)],
    ['says itself that it is a primary', surplus(FOLLOWER, {}, 'role:master\r\n')],
  ])('is left alone when it %s', async (_what, answers) => {
    const { nodes, changes } = setUp({ c: answers });
    const dismissed = nodes.dismiss(node('c'), node('a'), SNAPSHOT);
    await expect(dismissed).rejects.toThrow('is more than a surplus replica by now');
    expect(changes()).toEqual([]);
  });

  test('is not emptied when one node does not forget it', async () => {
    const failure = new NodeCallError('b', { code: 'timeout', message: 'no answer in time' });
    const { nodes, changes } = setUp({
      b: { [`CLUSTER FORGET ${idOf('c')}`]: failure },
      c: surplus(FOLLOWER),
    });
    await expect(nodes.dismiss(node('c'), node('a'), SNAPSHOT)).rejects.toThrow(
      'would not forget it',
    );
    expect(changes().some((words) => words.includes('RESET'))).toBe(false);
  });

  test('that another slotgate has dismissed is done', async () => {
    const { nodes, changes } = setUp({ c: { 'CLUSTER NODES': view({ c: {} }) } });
    expect(await nodes.dismiss(node('c'), node('a'), SNAPSHOT)).toBe(false);
    expect(changes()).toEqual([]);
  });

  test('that some have forgotten already is dismissed all the same', async () => {
    const known = new NodeCallError('b', { code: 'reply', message: 'ERR Unknown node cccc' });
    const { nodes } = setUp({
      b: { [`CLUSTER FORGET ${idOf('c')}`]: known },
      c: surplus(FOLLOWER),
    });
    expect(await nodes.dismiss(node('c'), node('a'), SNAPSHOT)).toBe(true);
  });
});

describe('a spare is free', () => {
  const endpoint = { host: '127.0.0.1', port: portOf('d') };
  const look = (lines: Readonly<Record<string, Line>>, size: unknown = 0, others = '') =>
    setUp({ d: { 'CLUSTER NODES': view(lines), DBSIZE: size } }).nodes.look(
      endpoint,
      drawSnapshot(['a b c'], others),
    );

  test('when it knows nobody and has nothing', async () => {
    expect(await look({ d: {} })).toEqual({ endpoint, id: idOf('d'), isMember: false });
  });

  test('when it is a member without slots', async () => {
    expect(await look({ d: {}, a: { slots: '0' } }, 0, 'd')).toMatchObject({ isMember: true });
  });

  test.each<[string, Readonly<Record<string, Line>>, unknown]>([
    ['is a replica', { d: FOLLOWER, a: {} }, 0],
    ['has slots', { d: { slots: '5' } }, 0],
    ['has slots', { d: { slots: `[5-<-${idOf('a')}]` } }, 0],
    ['has replicas', { d: {}, e: { flags: 'slave', primary: 'd' } }, 0],
    ['belongs to another cluster', { d: {}, e: {} }, 0],
    ['is not empty', { d: {} }, 3],
  ])('and not when it %s', async (why, lines, size) => {
    expect(await look(lines, size)).toEqual({ endpoint, id: idOf('d'), why });
  });

  test('nor when it does not answer', async () => {
    const silent = new NodeCallError('d', { code: 'refused', message: 'ECONNREFUSED' });
    const { nodes } = setUp({ d: { 'CLUSTER NODES': silent } });
    expect(await nodes.look(endpoint, SNAPSHOT)).toEqual({
      endpoint,
      id: '',
      why: 'd ECONNREFUSED',
    });
  });
});

describe('a spare becomes a replica', () => {
  const spare = { endpoint: { host: '127.0.0.1', port: portOf('d') }, id: idOf('d') };
  const primaryView = view({ a: { slots: '0-16383' }, d: {} });

  test('it is not taken from somebody who was quicker', async () => {
    const { nodes, changes } = setUp({
      a: { 'CLUSTER NODES': primaryView },
      d: { 'CLUSTER NODES': view({ d: { flags: 'slave', primary: 'b' }, a: {}, b: {} }) },
    });
    await expect(nodes.enlist({ ...spare, isMember: true }, node('a'))).rejects.toThrow(
      'has been taken for something else',
    );
    expect(changes()).toEqual([]);
  });

  test('what has been done already is not done again', async () => {
    const { nodes, changes } = setUp({
      a: { 'CLUSTER NODES': primaryView },
      d: { 'CLUSTER NODES': view({ d: { flags: 'slave', primary: 'a' }, a: {} }) },
    });
    await nodes.enlist({ ...spare, isMember: true }, node('a'));
    expect(changes()).toEqual([]);
  });

  test('it meets the primary at the address and bus port that nodes use', async () => {
    const { nodes, changes } = setUp({
      a: { 'CLUSTER NODES': primaryView.replace(':7010@', ':9999@') },
      d: { 'CLUSTER NODES': view({ d: {}, a: {} }), 'INFO replication': IN_STEP },
    });
    await nodes.enlist({ ...spare, isMember: false }, node('a'));
    expect(changes()).toEqual([
      'd CLUSTER MEET 127.0.0.1 9999 17000',
      `d CLUSTER REPLICATE ${idOf('a')}`,
    ]);
  });
});

describe('a spare becomes a member without slots', () => {
  const spare = { endpoint: { host: '127.0.0.1', port: portOf('d') }, id: idOf('d') };

  test('it meets the first primary, and waits until it and all of them know each other', async () => {
    const whole = view({ a: { slots: '0' }, d: {}, e: {} });
    const answers = {
      a: { 'CLUSTER NODES': whole },
      e: { 'CLUSTER NODES': view({ e: {}, a: {} }) },
      d: { 'CLUSTER NODES': view({ d: {}, a: {} }) },
    };
    const { nodes, changes, pauses } = setUp(answers, () => {
      if (pauses() === 2) answers.d['CLUSTER NODES'] = view({ d: {}, a: {}, e: {} });
      if (pauses() === 4) answers.e['CLUSTER NODES'] = view({ e: {}, a: {}, d: {} });
    });
    const primaries = [node('a'), { ...node('a'), id: idOf('e'), port: portOf('e') }];
    await nodes.join({ ...spare, isMember: false }, primaries);
    expect(changes()).toEqual(['d CLUSTER MEET 127.0.0.1 7010 17000']);
    expect(pauses()).toBe(4);
  });

  test.each([
    ['in handshake', { d: { flags: 'handshake' } }],
    ['without a link', { d: { flags: 'master' } }],
  ])('one that is %s is not known yet', async (what, line) => {
    let text = view({ a: {}, ...line });
    if (what === 'without a link') text = text.replaceAll('connected', 'disconnected');
    const { nodes } = setUp(
      { a: { 'CLUSTER NODES': text }, d: { 'CLUSTER NODES': view({ d: {}, a: {} }) } },
      () => {},
      1000,
    );
    await expect(nodes.join({ ...spare, isMember: true }, [node('a')])).rejects.toThrow(
      'the nodes did not come to know each other within 15 s',
    );
  });

  test('a member meets nobody again', async () => {
    const { nodes, changes } = setUp({
      a: { 'CLUSTER NODES': view({ a: {}, d: {} }) },
      d: { 'CLUSTER NODES': view({ d: {}, a: {} }) },
    });
    await nodes.join({ ...spare, isMember: true }, [node('a')]);
    expect(changes()).toEqual([]);
  });
});

describe('a node of a shard that went', () => {
  const others = { a: { slots: '0-16383' }, b: FOLLOWER };
  const retired = (own: Line, size = 0, more: Readonly<Record<string, Line>> = others) =>
    setUp({ c: { 'CLUSTER NODES': view({ c: own, ...more }), DBSIZE: size } });

  test.each<[string, Line, number]>([
    ['a primary without slots', {}, 0],
    ['what followed its last slot, with the data of another', FOLLOWER, 7],
  ])('%s is forgotten by all, then emptied', async (_, own, size) => {
    const { nodes, changes } = retired(own, size);
    expect(await nodes.retire(node('c'), SNAPSHOT)).toBe(true);
    expect(changes()).toEqual([
      `a CLUSTER FORGET ${idOf('c')}`,
      `b CLUSTER FORGET ${idOf('c')}`,
      'c CLUSTER RESET HARD',
    ]);
  });

  test.each<[string, Line, number]>([
    ['slots', { slots: '5' }, 0],
    ['a slot that comes', { slots: `[5-<-${idOf('a')}]` }, 0],
    ['keys', {}, 1],
  ])('that has %s is left alone', async (_, own, size) => {
    const { nodes, changes } = retired(own, size);
    await expect(nodes.retire(node('c'), SNAPSHOT)).rejects.toThrow(
      'still serves slots or holds keys',
    );
    expect(changes()).toEqual([]);
  });

  test('at whose address another lives is left alone', async () => {
    const { nodes, changes } = setUp({
      c: { 'CLUSTER NODES': view({ d: {}, ...others }), DBSIZE: 0 },
    });
    await expect(nodes.retire(node('c'), SNAPSHOT)).rejects.toThrow();
    expect(changes()).toEqual([]);
  });

  test('that got slots while it was forgotten is not emptied', async () => {
    const answers = { c: { 'CLUSTER NODES': view({ c: {}, ...others }), DBSIZE: 0 } };
    const { nodes, changes } = setUp(answers, (words) => {
      if (words.includes('FORGET')) answers.c['CLUSTER NODES'] = view({ c: { slots: '5' }, a: {} });
    });
    await expect(nodes.retire(node('c'), SNAPSHOT)).rejects.toThrow('still serves slots');
    expect(changes().some((words) => words.includes('RESET'))).toBe(false);
  });

  test('that is out already is done', async () => {
    const { nodes, changes } = retired({}, 0, {});
    expect(await nodes.retire(node('c'), SNAPSHOT)).toBe(false);
    expect(changes()).toEqual([]);
  });

  test('is forgotten by those that live: a dead one does not keep it', async () => {
    const silent = new NodeCallError('b', { code: 'refused', message: 'ECONNREFUSED' });
    const { nodes, changes } = setUp({
      b: { [`CLUSTER FORGET ${idOf('c')}`]: silent },
      c: { 'CLUSTER NODES': view({ c: {}, ...others }), DBSIZE: 0 },
    });
    await expect(nodes.retire(node('c'), SNAPSHOT)).rejects.toThrow('would not forget it');
    expect(await nodes.retire(node('c'), drawSnapshot(['a b! c']))).toBe(true);
    expect(changes().at(-1)).toBe('c CLUSTER RESET HARD');
  });
});
