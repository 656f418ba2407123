/** Slots that control moves, from its first word to its last, with pictures and redirects in between. */
import { describe, expect, it } from 'vitest';
import { NO_NODE, Routing } from '../../../src/route/routing.ts';
import { MOTION, SlotMoves } from '../../../src/route/slot-moves.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
import { halves, motionOf, nodeOf, shardOf, slotsOf } from './snapshots.ts';

const NODES = [nodeOf(1), nodeOf(2), nodeOf(3)];
/** Slots 0 to 8191 are node 0's, the rest node 1's; node 2 has none. */
const three = (more: Partial<Snapshot> = {}): Snapshot =>
  halves({ nodes: NODES, slots: slotsOf((slot) => slot >> 13), ...more });
/** Node 2 owns what node 0 did. */
const succeeded = (more: Partial<Snapshot> = {}): Snapshot =>
  three({ epoch: 2, polledAt: 300, shards: [shardOf(2), shardOf(1)], ...more });

function routed(): Routing {
  const routing = new Routing();
  routing.apply(three());
  return routing;
}

/** Whether the barrier of slot 5 was raised, and for no other slot. */
function raises(routing: Routing, action: () => unknown): boolean {
  const before = Uint32Array.from(routing.slotChangedAt);
  action();
  const raised = [...before.keys()].filter((slot) => routing.slotChangedAt[slot] !== before[slot]);
  expect(raised.every((slot) => slot === 5)).toBe(true);
  if (raised.length > 0) expect(routing.slotChangedAt[5]).toBe(routing.epoch);
  return raised.length > 0;
}

describe('motion', () => {
  it('is announced, then marked, then at rest; a picture in between changes nothing of it', () => {
    const routing = routed();
    const seen = (): unknown => [routing.motion[5], routing.motion[6], routing.motionCount];
    const picture = (epoch: number, ...marks: number[]): void => {
      const motion = motionOf(...marks);
      expect(routing.apply(three({ epoch, polledAt: 200 + epoch, motion }))).toBe(true);
    };
    routing.beginMove([5, 6], 0, 1, false, 150);
    expect(seen()).toEqual([MOTION.announced, MOTION.announced, 2]);
    picture(2);
    expect(seen()).toEqual([MOTION.announced, MOTION.announced, 2]);
    // The nodes show it before control says so.
    picture(3, 5);
    expect(seen()).toEqual([MOTION.announced, MOTION.announced, 2]);
    routing.beginMove([5], 0, 1, true, 250);
    expect(seen()).toEqual([MOTION.marked, MOTION.announced, 2]);
    picture(4);
    expect(seen()).toEqual([MOTION.marked, MOTION.announced, 2]);
    routing.endMove([6], 1, 260);
    expect(seen()).toEqual([MOTION.marked, MOTION.rest, 1]);
    routing.endMove([5], 1, 260);
    expect(seen()).toEqual([MOTION.rest, MOTION.rest, 0]);
    picture(300, 9);
    expect([seen(), routing.motion[9]]).toEqual([[MOTION.rest, MOTION.rest, 1], MOTION.marked]);
  });

  it('that a node told of ends with the move', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, true, 150);
    routing.setInMotion(5, 160);
    routing.endMove([5], 1, 170);
    expect([routing.motion[5], routing.motionCount]).toEqual([MOTION.rest, 0]);
    routing.apply(three({ epoch: 2, polledAt: 155 }));
    expect([routing.motion[5], routing.motionCount]).toEqual([MOTION.rest, 0]);
  });

  it('that a node tells of leaves what was announced as it is', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, false, 150);
    routing.setInMotion(5, 160);
    expect([routing.motion[5], routing.motionCount]).toEqual([MOTION.announced, 1]);
  });

  it('changes what routes are worked out from', () => {
    const routing = routed();
    const changed = (action: () => void): boolean => {
      const before = routing.changes;
      action();
      return routing.changes > before;
    };
    expect(changed(() => routing.beginMove([5], 0, 1, false, 150))).toBe(true);
    expect(changed(() => routing.beginMove([5], 0, 1, false, 151))).toBe(false);
    expect(changed(() => routing.beginMove([5], 0, 1, true, 152))).toBe(true);
    expect(changed(() => routing.endMove([5], 0, 153))).toBe(true);
  });
});

describe('an owner that is neither source nor target', () => {
  it.each([
    [
      'a picture',
      (routing: Routing) =>
        routing.apply(succeeded({ slots: slotsOf((slot) => (slot === 5 ? 0 : 1)) })),
    ],
    ['a MOVED', (routing: Routing) => routing.setMoved(5, 2, 300)],
  ])(
    'is not believed by %s: nobody serves the slot until control names another source',
    (_, say) => {
      for (const isMarked of [false, true]) {
        const routing = new Routing();
        routing.apply(three({ slots: slotsOf((slot) => (slot === 5 ? 0 : 1)) }));
        routing.beginMove([5], 0, 1, isMarked, 150);
        expect(raises(routing, () => say(routing))).toBe(true);
        expect(routing.owner[5]).toBe(NO_NODE);
        // Nor by the next word of the kind.
        routing.apply(
          succeeded({ epoch: 3, polledAt: 301, slots: slotsOf((slot) => (slot === 5 ? 0 : 1)) }),
        );
        routing.setMoved(5, 2, 302);
        expect(routing.owner[5]).toBe(NO_NODE);
        expect(raises(routing, () => routing.beginMove([5], 2, 1, true, 310))).toBe(true);
        expect(routing.owner[5]).toBe(2);
      }
    },
  );

  it('owns what is not being moved', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, true, 150);
    routing.apply(succeeded());
    expect([routing.owner[4], routing.owner[5], routing.owner[6]]).toEqual([2, NO_NODE, 2]);
    routing.setMoved(7, 1, 310);
    expect(routing.owner[7]).toBe(1);
  });

  it('takes over once control says that it does', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, true, 150);
    routing.apply(succeeded());
    expect(raises(routing, () => routing.endMove([5], 2, 310))).toBe(true);
    expect(routing.owner[5]).toBe(2);
  });

  it('is in doubt again when its MOVED is the newest word at a new beginning', () => {
    const routing = routed();
    routing.setMoved(5, 2, 120);
    expect(routing.owner[5]).toBe(2);
    routing.beginMove([5], 0, 1, false, 150);
    expect(routing.owner[5]).toBe(0);
    // A poll that began before control looked.
    routing.apply(succeeded({ polledAt: 140 }));
    expect(routing.owner[5]).toBe(0);
  });
});

describe('the target', () => {
  it('owns the slot as soon as a node or a picture says so', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, true, 150);
    expect(raises(routing, () => routing.setMoved(5, 1, 160))).toBe(true);
    expect([routing.owner[5], routing.motion[5]]).toEqual([1, MOTION.marked]);
    // Said again of what is there already: the source does not get it back.
    expect(raises(routing, () => routing.beginMove([5], 0, 1, true, 170))).toBe(false);
    expect(routing.owner[5]).toBe(1);
  });

  it('keeps it through a picture of a poll that began before the end, and not through a later one', () => {
    const routing = routed();
    routing.beginMove([5], 0, 1, true, 150);
    expect(raises(routing, () => routing.endMove([5], 1, 200))).toBe(true);
    expect(routing.owner[5]).toBe(1);
    expect(raises(routing, () => routing.apply(three({ epoch: 2, polledAt: 199 })))).toBe(false);
    expect(routing.owner[5]).toBe(1);
    expect(raises(routing, () => routing.apply(three({ epoch: 3, polledAt: 201 })))).toBe(true);
    expect(routing.owner[5]).toBe(0);
  });
});

it('the source keeps the slot, and the barrier is not raised, while nothing has changed hands', () => {
  const routing = routed();
  const moves = (): void => {
    routing.beginMove([5], 0, 1, false, 150);
    routing.beginMove([5], 0, 1, true, 160);
    routing.apply(three({ epoch: 2, polledAt: 170 }));
    routing.endMove([5], 0, 180);
  };
  expect(raises(routing, moves)).toBe(false);
  expect(routing.owner[5]).toBe(0);
});

it('what is being moved is known until it is at rest', () => {
  const routing = routed();
  routing.beginMove([5, 6], 0, 1, false, 150);
  routing.beginMove([9000], 1, 0, true, 150);
  expect(routing.movingSlots).toEqual([5, 6, 9000]);
  routing.endMove([6], NO_NODE, 160);
  expect(routing.movingSlots).toEqual([5, 9000]);
});

describe('moves', () => {
  it('say nothing of slots that rest', () => {
    const moves = new SlotMoves();
    expect([moves.allows(5, 7), moves.motionOf(5, MOTION.marked)]).toEqual([true, MOTION.marked]);
    moves.begin([6], 0, 1, true);
    expect([moves.allows(5, 7), moves.motionOf(5, MOTION.marked)]).toEqual([true, MOTION.marked]);
    expect([moves.allows(6, 7), moves.allows(6, 0), moves.allows(6, 1)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(moves.motionOf(6, MOTION.rest)).toBe(MOTION.marked);
  });
});

it('a slot that nobody served is served again after move.end without an owner', () => {
  const routing = new Routing();
  const nodes = [nodeOf(1), nodeOf(2), nodeOf(3)];
  const slots = slotsOf((slot) => (slot === 5 ? 0 : 1));
  routing.apply(halves({ nodes, slots }));
  routing.beginMove([5], 0, 1, false, 150);
  // The source died before it was marked; node 3 is its successor.
  const shards = [shardOf(2), shardOf(1)];
  const succeeded = { nodes, slots, shards, epoch: 2 };
  routing.apply(halves({ ...succeeded, polledAt: 200 }));
  expect(routing.owner[5]).toBe(NO_NODE);
  routing.endMove([5], NO_NODE, 250);
  // Nothing has changed at the nodes since: the picture has the epoch that it had.
  routing.apply(halves({ ...succeeded, polledAt: 300 }));
  expect(routing.owner[5]).toBe(2);
});
