/** What a broken move has left, and what is made of it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MoveFailed, type MoveWindow } from '../../../../src/control/scaling/move-parties.ts';
import { type RepairSituation, SlotRepair } from '../../../../src/control/scaling/slot-repair.ts';
import { FakeCluster } from './fake-cluster.ts';

const PRIMARIES = [7001, 7002, 7003];
let cluster: FakeCluster;
let finished: MoveWindow[];
/** Slot and key. */
let left: Set<string>;

beforeEach(() => {
  cluster = new FakeCluster({ 7001: [[0, 99]], 7002: [[100, 16383]], 7003: [] }, { 7102: 7002 });
  finished = [];
  left = new Set();
});

function repair(more: Partial<RepairSituation> = {}): Promise<number> {
  const primaries = PRIMARIES.map((port) => cluster.node(port));
  const finish = async (window: MoveWindow): Promise<void> => {
    finished.push(window);
    cluster.log.push('finish');
  };
  const hasLeft = (slot: number, key: Buffer): boolean => left.has(`${slot} ${key}`);
  return new SlotRepair({ nodes: cluster, finish, hasLeft }).run({
    primaries,
    replicasOf: ({ port }) => (port === 7002 ? [cluster.node(7102)] : []),
    ownerOf: (slot) => PRIMARIES.indexOf(cluster.ownerOf(slot)),
    window: [],
    runIds: {},
    isWitness: false,
    ...more,
  });
}

const runIds = (): Record<string, string> =>
  Object.fromEntries(PRIMARIES.map((port) => [cluster.node(port).id, `run-${port}`]));

describe('a slot that', () => {
  it('nothing has left: its marks go, from those nodes alone that have any', async () => {
    cluster.mark(5, 7001, 7002);
    cluster.member(7003).importing.set(6, 7001);
    cluster.put(7001, 5, 'k5');
    expect(await repair()).toBe(2);
    expect(cluster.log).toEqual([
      '7001 CLUSTER SETSLOT 5 STABLE',
      '7002 CLUSTER SETSLOT 5 STABLE',
      '7003 CLUSTER SETSLOT 6 STABLE',
    ]);
    expect(cluster.openSlots).toEqual([]);
    expect(finished).toEqual([]);
  });

  it('is marked nowhere and somebody says it was being moved: looked at, and left alone', async () => {
    cluster.put(7001, 5, 'k5');
    expect(await repair({ window: [5] })).toBe(1);
    expect(cluster.log).toEqual([]);
  });

  it('is on its way: marked again at both ends, target first, and the rest moved', async () => {
    cluster.put(7001, 5, 'k5');
    cluster.put(7002, 5, 'l5');
    expect(await repair({ window: [5] })).toBe(1);
    expect(cluster.log).toEqual([
      '7002 CLUSTER SETSLOT 5 NODE 7001',
      '7002 CLUSTER SETSLOT 5 IMPORTING 7001',
      '7001 CLUSTER SETSLOT 5 MIGRATING 7002',
      'finish',
    ]);
    expect(finished).toEqual([
      {
        slots: [5],
        from: cluster.node(7001),
        to: cluster.node(7002),
        targetReplicas: [cluster.node(7102)],
        hasBegun: true,
      },
    ]);
  });

  it('is one of several on their way: those of the same two go together', async () => {
    for (const slot of [5, 6]) cluster.put(7002, slot, `k${slot}`);
    cluster.put(7003, 7, 'k7');
    expect(await repair({ window: [5, 6, 7] })).toBe(3);
    expect(finished.map(({ slots, to }) => [slots, to.port])).toEqual([
      [[5, 6], 7002],
      [[7], 7003],
    ]);
  });

  it('nobody owns goes to who has its keys, with a claim that is newer than any', async () => {
    cluster.setOwner(5, 0);
    cluster.put(7002, 5, 'k5');
    expect(await repair({ window: [5] })).toBe(1);
    expect(cluster.log).toEqual([
      '7002 CLUSTER SETSLOT 5 NODE 7002',
      '7002 CLUSTER SETSLOT 5 STABLE',
      '7002 CLUSTER BUMPEPOCH',
    ]);
    expect(cluster.ownerOf(5)).toBe(7002);
  });

  it('has keys on two nodes besides its owner is for people: nothing is done, to other slots neither', async () => {
    cluster.mark(5, 7001, 7002);
    for (const port of [7002, 7003]) cluster.put(port, 6, 'k6');
    const repaired = repair({ window: [6] });
    await expect(repaired).rejects.toThrow(
      /keys of slot 6 are on h:7002 and h:7003 .*GETKEYSINSLOT 6 10/,
    );
    await expect(repaired).rejects.toThrow(MoveFailed);
    expect(cluster.log).toEqual([]);
  });
});

it('a cluster at rest: nothing is asked beyond the marks', async () => {
  expect(await repair()).toBe(0);
  expect(cluster.log).toEqual([]);
});

it('a node that does not answer: nothing is done', async () => {
  cluster.mark(5, 7001, 7002);
  cluster.member(7003).isDown = true;
  await expect(repair()).rejects.toThrow('h:7003 ECONNREFUSED');
  expect(cluster.log).toEqual([]);
});

describe('a key that both ends have', () => {
  beforeEach(() => {
    cluster.put(7001, 5, 'k5', 100, 'source');
    cluster.put(7001, 5, 'only5', 100, 'source');
    cluster.put(7002, 5, 'k5', 100, 'target');
    cluster.put(7002, 5, 'moved5', 100, 'target');
  });

  it.each([
    ['is the process that it was', () => runIds()],
    ['may be, as nobody has written it down', () => ({})],
  ])('is the source’s while that %s', async (_, ids) => {
    await repair({ window: [5], runIds: ids() });
    expect(cluster.values(7001, 5)).toEqual({ k5: 'source', only5: 'source' });
    expect(finished.length).toBe(1);
  });

  it('another target process changes nothing of that', async () => {
    cluster.member(7002).runId = 'another';
    await repair({ window: [5], runIds: runIds() });
    expect(cluster.values(7001, 5)).toEqual({ k5: 'source', only5: 'source' });
  });

  describe('and another process of the source has brought back', () => {
    const ids = (): Record<string, string> => ({ [cluster.node(7001).id]: 'an earlier one' });

    it('is the target’s: what was never there stays', async () => {
      await repair({ window: [5], runIds: ids() });
      expect(cluster.values(7001, 5)).toEqual({ only5: 'source' });
      expect(cluster.values(7002, 5)).toEqual({ k5: 'target', moved5: 'target' });
      expect(finished.length).toBe(1);
    });

    it('is the target’s also where it has more keys of the slot than one look shows', async () => {
      const nameOf = (i: number): string =>
        `${'x'.repeat(i % 100)}_${'y'.repeat(Math.floor(i / 100))}5`;
      for (let i = 0; i < 10_050; i++) cluster.put(7002, 5, nameOf(i), 100, 'target');
      cluster.put(7001, 5, nameOf(10_049), 100, 'source');
      await repair({ window: [5], runIds: ids() });
      expect(cluster.values(7001, 5)).toEqual({ only5: 'source' });
    });

    it('is the source’s where that has a log of its writes: it has lost none', async () => {
      cluster.member(7001).hasLog = true;
      await repair({ window: [5], runIds: ids() });
      expect(cluster.values(7001, 5)).toEqual({ k5: 'source', only5: 'source' });
    });

    it('is the target’s where the source is a successor, log or not', async () => {
      cluster.member(7001).hasLog = true;
      await repair({ window: [5], runIds: { 'the one that fell': 'an earlier one' } });
      expect(cluster.values(7001, 5)).toEqual({ only5: 'source' });
    });

    it('is the target’s if who moved it saw it arrive, else the source’s', async () => {
      cluster.put(7001, 5, 'seen5', 100, 'source');
      cluster.put(7002, 5, 'seen5', 100, 'target');
      cluster.member(7001).hasLog = true;
      left.add('5 seen5').add('5 only5');
      await repair({ window: [5], runIds: ids(), isWitness: true });
      expect(cluster.values(7001, 5)).toEqual({ k5: 'source', only5: 'source' });
    });

    it('is taken away once it is marked, so that nobody is sent there for it meanwhile', async () => {
      await repair({ window: [5], runIds: ids() });
      expect(cluster.log).toEqual([
        '7002 CLUSTER SETSLOT 5 NODE 7001',
        '7002 CLUSTER SETSLOT 5 IMPORTING 7001',
        '7001 CLUSTER SETSLOT 5 MIGRATING 7002',
        '7001 UNLINK k5',
        'finish',
      ]);
    });

    it('and will not let go of: nothing is moved over the target’s', async () => {
      cluster.refuse = (_, command) => (command.startsWith('UNLINK') ? 'NOPERM no' : undefined);
      await expect(repair({ window: [5], runIds: ids() })).rejects.toThrow('h:7001: NOPERM no');
      expect(finished).toEqual([]);
    });
  });
});

it('a target that holds one that fell for the owner is told of the owner first', async () => {
  cluster.put(7002, 5, 'k5');
  cluster.member(7002).owners[5] = 7003;
  expect(await repair({ window: [5] })).toBe(1);
  expect(cluster.member(7002).owners[5]).toBe(7001);
  expect(cluster.log[0]).toBe('7002 CLUSTER SETSLOT 5 NODE 7001');
});
