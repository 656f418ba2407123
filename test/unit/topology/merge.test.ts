import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeViews } from '../../../src/topology/merge.ts';
import type { Picture } from '../../../src/topology/picture.ts';
import { SLOT_COUNT } from '../../../src/topology/snapshot.ts';
import { idOf, type NodeWords, viewOf } from './cluster-text.ts';
import {
  A,
  A_DEPOSED,
  A_FAILED,
  B,
  C,
  D,
  D_ELECTED,
  merged,
  nodeOf,
  ownerOf,
} from './merge-rig.ts';

describe('a healthy cluster', () => {
  const all = [A, B, C, D];

  it('is pictured from all primaries', () => {
    const picture = merged([viewOf('a', all), viewOf('b', all), viewOf('c', all)]);
    expect([0, 5460, 5461, 10923, 16383].map((slot) => ownerOf(picture, slot))).toEqual([
      ...['a', 'a', 'b', 'c', 'c'],
    ]);
    expect(nodeOf(picture, 'd')).toMatchObject({ role: 'replica', primaryId: idOf('a') });
    expect(picture.nodes.map(({ answered }) => answered)).toEqual([true, true, true, false]);
  });

  it('is pictured whole from one node', () => {
    const picture = merged([viewOf('b', all)]);
    expect(ownerOf(picture, 0)).toBe('a');
    expect(picture.epochs[0]).toBe(1);
  });

  it('is the same picture whatever order the nodes answer in', () => {
    const views = [viewOf('a', all), viewOf('b', all), viewOf('c', all), viewOf('d', all)];
    expect(merged(views.toReversed())).toEqual(merged(views));
  });
});

describe('conflicting claims', () => {
  it('are decided by the higher config epoch', () => {
    const stale = viewOf('a', [A, B, C, D]);
    const fresh = viewOf('d', [A_DEPOSED, B, C, D_ELECTED]);
    const picture = merged([stale, fresh, viewOf('b', [A_FAILED, B, C, D])]);
    expect(ownerOf(picture, 0)).toBe('d');
    expect(picture.epochs[0]).toBe(8);
    expect(nodeOf(picture, 'd')?.role).toBe('primary');
  });

  it('at one epoch go to the smaller id, which moves on to a new epoch', () => {
    const left = viewOf('a', [{ ...A, slots: '0-9' }]);
    const right = viewOf('b', [{ ...B, epoch: 1, slots: '5-14' }]);
    const picture = merged([right, left]);
    expect([4, 5, 9, 10].map((slot) => ownerOf(picture, slot))).toEqual(['a', 'a', 'a', 'b']);
  });

  it('a node that answered is not credited by others with what it gave away', () => {
    const moved = [
      { ...A, slots: '1-5460' },
      { ...B, epoch: 9, slots: '0 5461-10922' },
    ];
    const stale = viewOf('c', [A, B, C]);
    const picture = merged([stale, viewOf('a', [...moved, C]), viewOf('b', [...moved, C])]);
    expect(ownerOf(picture, 0)).toBe('b');
  });

  it('a silent node is credited with what others say of it', () => {
    const picture = merged([viewOf('b', [A_FAILED, B, C, D]), viewOf('c', [A_FAILED, B, C, D])]);
    expect(ownerOf(picture, 0)).toBe('a');
    expect(nodeOf(picture, 'a')).toMatchObject({ failed: true, answered: false });
  });

  it('a replica elected before the primaries heard of it is believed at once', () => {
    const old = [A_FAILED, B, C, D];
    const picture = merged([
      viewOf('b', old),
      viewOf('c', old),
      viewOf('d', [A_DEPOSED, B, C, D_ELECTED], { stateOk: false }),
    ]);
    expect(ownerOf(picture, 100)).toBe('d');
  });
});

describe('a lesser view', () => {
  it('of a minority that failed everybody marks nobody as failed', () => {
    const minority = [A, { ...B, flags: 'master,fail' }, { ...C, flags: 'master,fail' }];
    const majority = [A_DEPOSED, B, C, D_ELECTED];
    const picture = merged([
      viewOf('a', minority, { stateOk: false }),
      viewOf('b', majority),
      viewOf('c', majority),
      viewOf('d', majority),
    ]);
    expect(ownerOf(picture, 0)).toBe('d');
    expect(picture.nodes.filter(({ failed }) => failed).map(({ id }) => id)).toEqual([idOf('a')]);
  });

  it('with slots missing does not open a hole', () => {
    const partial = viewOf('c', [{ ...A, slots: '0-9' }, C], { stateOk: false });
    const picture = merged([viewOf('b', [A, B, C]), partial]);
    expect(ownerOf(picture, 5000)).toBe('a');
    expect(ownerOf(picture, 16000)).toBe('c');
  });

  it('with slots missing tells no members, though all is well by its own word', () => {
    const stranger: NodeWords = { name: 'f' };
    const partial = viewOf('c', [{ ...A, slots: '0-9' }, C, stranger]);
    const picture = merged([viewOf('b', [A, B, C]), partial]);
    expect(nodeOf(picture, 'f')).toBeUndefined();
  });

  it('of one node is forgotten when the same node gave a better one', () => {
    const better = viewOf('b', [A, B, C]);
    const lesser = viewOf('b', [A, { ...B, epoch: 1 }, C], { stateOk: false });
    const later = viewOf('b', [A, { ...B, epoch: 9 }, C]);
    const epochOf = (...views: Parameters<typeof mergeViews>[0]) =>
      nodeOf(merged(views), 'b')?.configEpoch;
    expect([epochOf(better, lesser), epochOf(lesser, better)]).toEqual([2, 2]);
    // Of two as good the later one.
    expect([epochOf(better, later), epochOf(later, better)]).toEqual([9, 2]);
  });

  it('of a node that the others do not know adds nothing', () => {
    const stranger = viewOf('f', [{ name: 'f', epoch: 99, slots: '0-5460' }], { stateOk: false });
    const picture = merged([viewOf('a', [A, B, C]), stranger]);
    expect(ownerOf(picture, 0)).toBe('a');
    expect(nodeOf(picture, 'f')).toBeUndefined();
  });

  it('is used when there is no better one', () => {
    const picture = merged([viewOf('b', [A_FAILED, B, C, D], { stateOk: false })]);
    expect(ownerOf(picture, 6000)).toBe('b');
  });

  it('without a line about the node itself is no view', () => {
    expect(mergeViews([viewOf('f', [A, B, C])])).toBeNull();
    expect(mergeViews([])).toBeNull();
  });
});

describe('the previous picture', () => {
  const elected = (): Picture => merged([viewOf('d', [A_DEPOSED, B, C, D_ELECTED])]);

  it('is not undone by a node that has not heard of the election', () => {
    const picture = merged([viewOf('b', [A, B, C, D])], elected());
    expect(ownerOf(picture, 0)).toBe('d');
    expect(picture.epochs[0]).toBe(8);
  });

  it('gives way to a claim that is no older', () => {
    const again = [{ ...A, epoch: 8 }, B, C, { ...D, epoch: 8 }];
    expect(ownerOf(merged([viewOf('a', again)], elected()), 0)).toBe('a');
  });

  it('gives way to a higher epoch', () => {
    const again = [{ ...A, epoch: 9 }, B, C, { ...D, epoch: 9 }];
    expect(ownerOf(merged([viewOf('a', again)], elected()), 0)).toBe('a');
  });

  it('gives way when its owner has left the cluster', () => {
    const picture = merged([viewOf('b', [A, B, C])], elected());
    expect([ownerOf(picture, 0), picture.epochs[0]]).toEqual(['a', 1]);
  });

  it('gives way when its owner itself no longer claims the slot', () => {
    const given = [A, B, C, { ...D_ELECTED, slots: '' }];
    expect(ownerOf(merged([viewOf('d', given), viewOf('a', given)], elected()), 0)).toBe('a');
  });

  it('gives way when a majority of the primaries credits its silent owner no more', () => {
    const agreed = [A, B, C, { name: 'd', flags: 'master,fail', epoch: 8 }];
    const two = merged([viewOf('a', agreed), viewOf('b', agreed)], elected());
    expect(ownerOf(two, 0)).toBe('a');
    const one = merged([viewOf('a', agreed)], elected());
    expect(ownerOf(one, 0)).toBe('d');
  });

  it('stays while only half of the primaries credit its silent owner no more', () => {
    const five = (f: NodeWords, d: NodeWords) => [
      { ...B, slots: '5461-8000' },
      C,
      { name: 'e', epoch: 5, slots: '8001-10922' },
      f,
      d,
    ];
    const F: NodeWords = { name: 'f', epoch: 6, slots: '0-99' };
    const before = merged([viewOf('d', five(F, { ...D_ELECTED, slots: '100-5460' }))]);
    const agreed = five({ ...F, slots: '0-5460' }, { name: 'd', flags: 'master,fail', epoch: 8 });
    // B, C, E and F own slots: two of them are no majority.
    const half = [viewOf('b', agreed), viewOf('c', agreed)];
    expect(ownerOf(merged(half, before), 100)).toBe('d');
    expect(ownerOf(merged([...half, viewOf('e', agreed)], before), 100)).toBe('f');
  });

  it('keeps the newest epoch of a silent owner, also where others know only an older one', () => {
    const behind = [A_DEPOSED, B, C, { ...D_ELECTED, epoch: 5 }];
    for (const answering of [['b'], ['a', 'b', 'c']]) {
      const views = answering.map((name) => viewOf(name, behind));
      const picture = merged(views, elected());
      const epochs = [0, 5460].map((slot) => picture.epochs[slot]);
      expect([ownerOf(picture, 0), ...epochs]).toEqual(['d', 8, 8]);
      // Else a claim in between would win the next time.
      const between = [{ ...A, epoch: 6 }, B, C, { ...D, epoch: 6 }];
      expect(ownerOf(merged([viewOf('a', between)], picture), 0)).toBe('d');
    }
  });

  it('gives the marks and the address of a node that is silent now', () => {
    const marked = [{ ...A, slots: `0-5460 [7->-${idOf('b')}]` }, B, C];
    const before = merged([viewOf('a', marked), viewOf('b', [A, B, C])]);
    const gone = { ...A, address: ':0@0', flags: 'master,noaddr' };
    const picture = merged([viewOf('b', [gone, B, C])], before);
    expect(nodeOf(picture, 'a')).toMatchObject({
      host: '127.0.0.1',
      port: 7010,
      failed: true,
      migrating: [{ slot: 7, nodeId: idOf('b') }],
    });
  });
});

describe('failure', () => {
  it('is over when the node itself says that all is well', () => {
    const others = [A_FAILED, B, C];
    const picture = merged([viewOf('a', [A, B, C]), viewOf('b', others), viewOf('c', others)]);
    expect(nodeOf(picture, 'a')?.failed).toBe(false);
  });

  it('is what any sound view says of a silent node', () => {
    const picture = merged([viewOf('b', [A, B, C]), viewOf('c', [A_FAILED, B, C])]);
    expect(nodeOf(picture, 'a')?.failed).toBe(true);
  });

  it('is not what one node suspects', () => {
    const picture = merged([viewOf('b', [{ ...A, flags: 'master,fail?' }, B, C])]);
    expect(nodeOf(picture, 'a')?.failed).toBe(false);
  });
});

describe('zones', () => {
  it('are those that a node tells in its own line', () => {
    const address = '10.0.0.1:7010@17010,,shard-id=1,availability-zone=eu-1a';
    const picture = merged([viewOf('a', [{ ...A, address }, B, C])]);
    expect(nodeOf(picture, 'a')?.availabilityZone).toBe('eu-1a');
    expect(nodeOf(picture, 'b')?.availabilityZone).toBe('');
  });
});

describe('marks', () => {
  it('of a node that has become a replica are gone', () => {
    const marked = [{ ...A, slots: `0-5460 [7->-${idOf('b')}] [9000-<-${idOf('b')}]` }, B, C, D];
    const before = merged([viewOf('a', marked)]);
    expect(nodeOf(before, 'a')?.importing).toHaveLength(1);
    const follows = { name: 'a', flags: 'slave', follows: 'd', epoch: 8 };
    const now = merged([viewOf('b', [follows, B, C, D_ELECTED])], before);
    expect(nodeOf(now, 'a')).toMatchObject({ role: 'replica', importing: [], migrating: [] });
  });

  it('are taken from each primary, and not from replicas', () => {
    const source = [{ ...A, slots: `0-5460 [7->-${idOf('b')}]` }, B, C];
    const target = [A, { ...B, slots: `5461-10922 [7-<-${idOf('a')}]` }, C];
    const picture = merged([viewOf('a', source), viewOf('b', target)]);
    expect(nodeOf(picture, 'a')?.migrating).toEqual([{ slot: 7, nodeId: idOf('b') }]);
    expect(nodeOf(picture, 'b')?.importing).toEqual([{ slot: 7, nodeId: idOf('a') }]);
    expect(ownerOf(picture, 7)).toBe('a');
  });
});

describe('any set of primaries that answer', () => {
  const NAMES = ['1', '2', '3', '4', '5'];
  const claim = fc.record({
    epoch: fc.integer({ min: 0, max: 6 }),
    from: fc.integer({ min: 0, max: SLOT_COUNT - 1 }),
    length: fc.integer({ min: 0, max: SLOT_COUNT - 1 }),
    stateOk: fc.boolean(),
  });

  it('gives each slot to its claim with the highest epoch', () => {
    fc.assert(
      fc.property(fc.array(claim, { minLength: 1, maxLength: 5 }), (claims) => {
        const words = claims.map(({ epoch, from, length }, index) => ({
          name: NAMES[index] as string,
          epoch,
          slots: `${from}-${Math.min(from + length, SLOT_COUNT - 1)}`,
        }));
        const views = words.map(({ name }, index) =>
          viewOf(name, words, { stateOk: claims[index]?.stateOk === true }),
        );
        const picture = merged(views);
        for (let slot = 0; slot < SLOT_COUNT; slot += 61) {
          const best = claims.reduce(
            (highest, { epoch, from, length }) =>
              slot >= from && slot <= from + length ? Math.max(highest, epoch) : highest,
            -1,
          );
          expect(picture.epochs[slot]).toBe(best);
          const owner = words.find(({ name }) => name === ownerOf(picture, slot));
          expect(owner?.epoch ?? -1).toBe(best);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('never gives a silent owner up for an older claim', () => {
    fc.assert(
      fc.property(fc.array(claim, { minLength: 2, maxLength: 5 }), fc.nat(4), (claims, silent) => {
        const words = claims.map(({ epoch, from, length }, index) => ({
          name: NAMES[index] as string,
          epoch,
          slots: `${from}-${Math.min(from + length, SLOT_COUNT - 1)}`,
        }));
        const before = merged(words.map(({ name }) => viewOf(name, words)));
        const gone = words[silent % words.length]?.name;
        const rest = words.filter(({ name }) => name !== gone);
        const after = merged(
          rest.map(({ name }) => viewOf(name, words)),
          before,
        );
        for (let slot = 0; slot < SLOT_COUNT; slot += 61) {
          expect(after.epochs[slot]).toBeGreaterThanOrEqual(before.epochs[slot] as number);
        }
      }),
      { numRuns: 40 },
    );
  });
});
