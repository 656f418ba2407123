import { describe, expect, it } from 'vitest';
import { NO_NODE, Routing } from '../../../src/route/routing.ts';
import { NO_SHARD, SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';
import { halves, motionOf, nodeOf, shardOf, slotsOf } from './snapshots.ts';

function routed(...snapshots: Snapshot[]): Routing {
  const routing = new Routing();
  for (const snapshot of snapshots) expect(routing.apply(snapshot)).toBe(true);
  return routing;
}

/** The slots whose barrier an action raised, and by how much the epoch grew. */
function raised(routing: Routing, action: () => unknown): { slots: number[]; epochs: number } {
  const before = routing.epoch;
  const changedAt = Uint32Array.from(routing.slotChangedAt);
  action();
  const slots: number[] = [];
  routing.slotChangedAt.forEach((at, slot) => {
    if (at === changedAt[slot]) return;
    // A command sent before this change is older than it, one sent from now on is not.
    expect(at).toBe(before + 1);
    slots.push(slot);
  });
  return { slots, epochs: routing.epoch - before };
}

describe('a snapshot', () => {
  it('says who owns each slot, and which shard it counts for', () => {
    const routing = new Routing();
    expect(new Set(routing.owner)).toEqual(new Set([NO_NODE]));
    expect(new Set(routing.shardOf)).toEqual(new Set([NO_SHARD]));
    const { slots, epochs } = raised(routing, () => routing.apply(halves()));
    expect([0, 8191, 8192, 16382, 16383].map((slot) => routing.owner[slot])).toEqual([
      0,
      0,
      1,
      1,
      NO_NODE,
    ]);
    expect([0, 8192, 16383].map((slot) => routing.shardOf[slot])).toEqual([0, 1, NO_SHARD]);
    expect(routing.nodes.map(({ index, address }) => [index, address])).toEqual([
      [0, 'h:1'],
      [1, 'h:2'],
    ]);
    expect([slots.length, slots.at(-1), epochs]).toEqual([SLOT_COUNT - 1, 16382, 1]);
  });

  it('raises the barrier for slots that change hands, and for no others', () => {
    const routing = routed(halves());
    const moved = halves({
      epoch: 2,
      slots: slotsOf((slot) => (slot === 16383 || slot === 5 ? 1 : slot >> 13)),
    });
    expect(raised(routing, () => routing.apply(moved))).toEqual({ slots: [5, 16383], epochs: 1 });
    const renamed = { ...moved, epoch: 3, serverVersion: '7.2.0' };
    expect(raised(routing, () => routing.apply(renamed))).toEqual({ slots: [], epochs: 0 });
  });

  it('that is older than the present one is not taken', () => {
    const present = halves({ epoch: 5, polledAt: 100 });
    const routing = routed(present);
    const swapped = { slots: slotsOf(() => 1) };
    expect(routing.apply(halves({ ...swapped, epoch: 4, polledAt: 101 }))).toBe(false);
    expect(routing.apply(halves({ ...swapped, epoch: 5, polledAt: 99 }))).toBe(false);
    expect(routing.apply(halves({ ...swapped, epoch: 6, polledAt: 99 }))).toBe(false);
    expect(routing.snapshot).toBe(present);
    expect([routing.owner[0], routing.changes]).toEqual([0, 1]);
  });

  it('of another upstream is taken whatever its epoch', () => {
    const routing = routed(halves({ epoch: 5, polledAt: 100 }));
    const cutOver = halves({
      ...{ upstreamId: 1, epoch: 1, polledAt: 50 },
      ...{ nodes: [nodeOf(8), nodeOf(9)] },
    });
    expect(routing.apply(cutOver)).toBe(true);
    expect(routing.nodes[routing.owner[0] as number]?.address).toBe('h:8');
    const sameEpoch = halves({ upstreamId: 2, epoch: 1, polledAt: 50 });
    expect(routing.apply(sameEpoch)).toBe(true);
    expect(routing.nodes[routing.owner[0] as number]?.address).toBe('h:1');
  });

  it('that only was polled again changes nothing but itself', () => {
    const routing = routed(halves());
    const again = halves({ polledAt: 101 });
    expect(raised(routing, () => routing.apply(again))).toEqual({ slots: [], epochs: 0 });
    expect(routing.changes).toBe(1);
    expect(routing.snapshot).toBe(again);
    expect(routing.apply(halves({ polledAt: 101 }))).toBe(true);
    expect(routing.apply(halves({ polledAt: 102, epoch: 2 }))).toBe(true);
    expect(routing.changes).toBe(2);
  });

  it('whose shard has no primary among its nodes leaves the slots without an owner', () => {
    const routing = routed(halves({ shards: [shardOf(0), shardOf(7)] }));
    expect([routing.owner[0], routing.owner[8192]]).toEqual([0, NO_NODE]);
  });
});

describe('nodes', () => {
  it('keep their index for good, absent or present', () => {
    const routing = routed(
      halves(),
      halves({ epoch: 2, nodes: [nodeOf(2)], shards: [shardOf(0)], slots: slotsOf(() => 0) }),
    );
    expect(routing.nodes.map(({ present }) => present)).toEqual([false, true]);
    expect([routing.nodeAt('h:1'), routing.nodeAt('h:2')]).toEqual([-1, 1]);
    expect(routing.owner[0]).toBe(1);
    routing.apply(halves({ epoch: 3 }));
    expect(routing.nodes.map(({ present }) => present)).toEqual([true, true]);
    expect([routing.nodeAt('h:1'), routing.nodeAt('h:2')]).toEqual([0, 1]);
  });

  it('are failed as long as snapshots say so, also one that is left out', () => {
    const failed = (epoch: number) =>
      halves({ epoch, nodes: [nodeOf(1, { failed: true }), nodeOf(2)] });
    const routing = routed(failed(1));
    const [first, second] = routing.nodes;
    expect([first?.failed, second?.failed]).toEqual([true, false]);
    routing.apply(halves({ epoch: 2 }));
    expect(first?.failed).toBe(false);
    routing.apply(failed(3));
    routing.apply(
      halves({ epoch: 4, nodes: [nodeOf(2)], shards: [shardOf(0)], slots: slotsOf(() => 0) }),
    );
    expect(first?.failed).toBe(false);
  });

  it('are found by each name that redirects may give them, while the snapshot has it', () => {
    const aliased = halves({
      nodes: [nodeOf(1), nodeOf(2, { aliases: ['10.0.0.2:6379', 'two:2'] })],
    });
    const routing = routed(aliased);
    expect(['h:2', '10.0.0.2:6379', 'two:2'].map((name) => routing.nodeAt(name))).toEqual([
      1, 1, 1,
    ]);
    expect(routing.nodeAt('h:3')).toBe(-1);
    routing.apply(halves({ epoch: 2 }));
    expect(routing.nodeAt('two:2')).toBe(-1);
  });
});

describe('MOVED', () => {
  it('gives the slot to the node at once', () => {
    const routing = routed(halves());
    expect(raised(routing, () => routing.setMoved(5, 1, 150))).toEqual({ slots: [5], epochs: 1 });
    expect([routing.owner[5], routing.changes]).toEqual([1, 2]);
  });

  it('to the present owner changes nothing', () => {
    const routing = routed(halves());
    expect(raised(routing, () => routing.setMoved(5, 0, 150))).toEqual({ slots: [], epochs: 0 });
    expect(routing.changes).toBe(1);
  });

  it.each([
    ['stays in force', 'before it came', 149, 1],
    ['ends', 'at that very moment', 150, 0],
    ['ends', 'after it', 151, 0],
  ])('%s with a snapshot whose poll started %s', (_what, _when, polledAt, owner) => {
    for (const epoch of [1, 2]) {
      const routing = routed(halves());
      routing.setMoved(5, 1, 150);
      const { slots } = raised(routing, () => routing.apply(halves({ epoch, polledAt })));
      expect(routing.owner[5]).toBe(owner);
      expect(slots).toEqual(owner === 1 ? [] : [5]);
    }
  });

  it('once ended by a snapshot does not come back with the next', () => {
    const routing = routed(halves());
    routing.setMoved(5, 1, 150);
    routing.apply(halves({ epoch: 2, polledAt: 200 }));
    const { changes } = routing;
    routing.apply(halves({ epoch: 2, polledAt: 201 }));
    expect([routing.owner[5], routing.changes]).toEqual([0, changes]);
  });

  it('to a node that has left the cluster ends', () => {
    const routing = routed(halves());
    routing.setMoved(5, 1, 150);
    const alone = { nodes: [nodeOf(1)], shards: [shardOf(0)], slots: slotsOf(() => 0) };
    routing.apply(halves({ ...alone, epoch: 2, polledAt: 120 }));
    expect(routing.owner[5]).toBe(0);
    // Nor does it come back with the node.
    routing.apply(halves({ epoch: 3, polledAt: 130 }));
    expect(routing.owner[5]).toBe(0);
  });

  it('to a node that nobody has heard of ends, too', () => {
    const routing = routed(halves());
    routing.setMoved(5, 9, 150);
    routing.apply(halves({ epoch: 2, polledAt: 120 }));
    expect(routing.owner[5]).toBe(0);
  });

  it('that confirms the owner outlives an older poll that says otherwise', () => {
    const routing = routed(halves());
    routing.setMoved(5, 0, 150);
    routing.apply(halves({ epoch: 2, polledAt: 120, slots: slotsOf(() => 1) }));
    expect([routing.owner[5], routing.owner[6]]).toEqual([0, 1]);
  });
});

describe('slots in motion', () => {
  it('are those of the snapshot and those about which a node said so', () => {
    const routing = routed(halves({ motion: motionOf(0, 9, 16383) }));
    const moving = () => [...routing.motion.keys()].filter((slot) => routing.motion[slot] === 1);
    expect([moving(), routing.motionCount]).toEqual([[0, 9, 16383], 3]);
    routing.setInMotion(7, 150);
    expect([moving(), routing.motionCount, routing.changes]).toEqual([[0, 7, 9, 16383], 4, 2]);
    routing.setInMotion(7, 151);
    expect([routing.motionCount, routing.changes]).toEqual([4, 2]);
    routing.apply(halves({ epoch: 2, polledAt: 160, motion: motionOf(9) }));
    expect([moving(), routing.motionCount]).toEqual([[9], 1]);
  });

  it.each([
    ['still are', 'before a node said so', 149, 1],
    ['no longer are', 'at that very moment', 150, 0],
    ['no longer are', 'after it', 151, 0],
  ])('%s with a snapshot whose poll started %s', (_what, _when, polledAt, motion) => {
    const routing = routed(halves());
    routing.setInMotion(7, 150);
    routing.apply(halves({ polledAt }));
    expect([routing.motion[7], routing.motionCount]).toEqual([motion, motion]);
  });

  it('once ended do not come back with the next poll', () => {
    const routing = routed(halves());
    routing.setInMotion(7, 150);
    routing.apply(halves({ polledAt: 200 }));
    const { changes } = routing;
    routing.apply(halves({ polledAt: 201 }));
    expect([routing.motion[7], routing.changes]).toEqual([0, changes]);
  });

  it('do not raise the barrier', () => {
    const routing = routed(halves());
    expect(raised(routing, () => routing.setInMotion(7, 150))).toEqual({ slots: [], epochs: 0 });
  });
});

it("a node's new connection raises the barrier for all of its slots", () => {
  const routing = routed(halves());
  const { slots, epochs } = raised(routing, () => routing.touchNode(1));
  expect([slots[0], slots.length, slots.at(-1), epochs]).toEqual([8192, 8191, 16382, 1]);
});

describe('where a command without a key may go', () => {
  it('is any shard that owns slots, one after the other', () => {
    const shards = [shardOf(0), shardOf(1), shardOf(2)];
    const nodes = [nodeOf(1), nodeOf(2), nodeOf(3)];
    const slots = slotsOf((slot) => (slot < 7 || slot > 16000 ? NO_SHARD : Number(slot >= 100)));
    const routing = routed(halves({ nodes, shards, slots }));
    expect(routing.firstSlots).toEqual([7, 100]);
    const drawn = Array.from({ length: 6 }, () => routing.anySlot());
    expect(drawn.slice(0, 2).sort((a, b) => a - b)).toEqual([7, 100]);
    expect(drawn.slice(2)).toEqual([...drawn.slice(0, 2), ...drawn.slice(0, 2)]);
  });

  it('is some slot, too, while nobody owns any', () => {
    const routing = new Routing();
    expect([routing.firstSlots, routing.anySlot(), routing.anySlot()]).toEqual([[], 0, 0]);
    routing.apply(halves({ slots: slotsOf(() => NO_SHARD) }));
    expect([routing.firstSlots, routing.anySlot(), routing.anySlot()]).toEqual([[], 0, 0]);
    routing.apply(halves({ epoch: 2, slots: slotsOf(() => 1) }));
    expect([routing.anySlot(), routing.anySlot()]).toEqual([0, 0]);
  });
});

it('the cluster is whole while every slot has a shard', () => {
  const routing = new Routing();
  expect(routing.isWhole).toBe(false);
  routing.apply(halves());
  expect(routing.isWhole).toBe(false);
  routing.apply(halves({ epoch: 2, slots: slotsOf(() => 0) }));
  expect(routing.isWhole).toBe(true);
});
