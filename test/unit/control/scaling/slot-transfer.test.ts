/** Windows of moves over pairs of nodes, whichever order they end in. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MoveWindow, SlotLeft } from '../../../../src/control/scaling/move-parties.ts';
import { Pace } from '../../../../src/control/scaling/pace.ts';
import { type PlannedPair, transferSlots } from '../../../../src/control/scaling/slot-transfer.ts';
import { nodeOf } from '../../route/snapshots.ts';

function pair(from: number, to: number, ...slots: number[]): PlannedPair {
  return { from: nodeOf(from), to: nodeOf(to), targetReplicas: [nodeOf(90 + to)], slots };
}

interface Under {
  readonly window: MoveWindow;
  /** Its keys are at the target; how it is finished. */
  drain(
    left?: readonly SlotLeft[],
  ): Promise<{ finish(): Promise<void>; fail(error: Error): Promise<void> }>;
  /** Drained and finished. */
  end(left?: readonly SlotLeft[]): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** Windows of at most two slots, ended by the test. */
function setUp(pairs: readonly PlannedPair[], parallel = 8) {
  const under: Under[] = [];
  const begun: string[] = [];
  let mayGoOn = true;
  const pace = new Pace(() => ({ batchMs: 5, windowMs: 100, dutyPercent: 50 }));
  while (pace.windowSlots > 2) pace.onWindow(256, 140);
  const settle = async (): Promise<void> => {
    await new Promise(setImmediate);
  };
  const result = transferSlots(pairs, {
    pace,
    parallel,
    mayGoOn: () => mayGoOn,
    move: (window) =>
      new Promise((resolve, reject) => {
        const { from, to, slots } = window;
        begun.push(`${from.port}>${to.port} ${slots.join()}`);
        const leave = (): void => void under.splice(under.indexOf(self), 1);
        const self: Under = {
          window,
          drain: async (left = []) => {
            leave();
            let finish: () => void = () => undefined;
            let failed: (error: Error) => void = () => undefined;
            const finished = new Promise<void>((isOver, isBroken) => {
              finish = isOver;
              failed = isBroken;
            });
            resolve({ left, finished });
            await settle();
            return {
              finish: () => {
                finish();
                return settle();
              },
              fail: (error) => {
                failed(error);
                return settle();
              },
            };
          },
          end: (left = []) => {
            leave();
            resolve({ left, finished: Promise.resolve() });
            return settle();
          },
          fail: (error) => {
            leave();
            reject(error);
            return settle();
          },
        };
        under.push(self);
      }),
  });
  let outcome: unknown = 'under way';
  result.then(
    (left) => {
      outcome = left;
    },
    (error: unknown) => {
      outcome = error;
    },
  );
  return {
    begun,
    under,
    result,
    settle,
    stop: () => {
      mayGoOn = false;
    },
    outcome: () => outcome,
  };
}

const first = (under: readonly Under[]): Under => under[0] as Under;

describe('windows', () => {
  it('begin with the pair that has most to do, and none for a node that has one', async () => {
    const { begun, under } = setUp([pair(1, 2, 1, 2, 3), pair(1, 3, 4, 5, 6, 7), pair(4, 2, 8)]);
    expect(begun).toEqual(['1>3 4,5', '4>2 8']);
    await first(under).end();
    expect(begun.slice(2)).toEqual(['1>3 6,7']);
    await first(under).end();
    // 4>2 is over; 1 is still busy with 3.
    expect(begun.slice(3)).toEqual([]);
    await first(under).end();
    expect(begun.slice(3)).toEqual(['1>2 1,2']);
  });

  it('are as large as the pace has it at their time, and know the replicas of the target', () => {
    const { under } = setUp([pair(1, 2, 1, 2, 3)]);
    expect(first(under).window).toMatchObject({ slots: [1, 2], targetReplicas: [nodeOf(92)] });
  });

  it('are no more at the same time than allowed', async () => {
    const pairs = [pair(1, 2, 1), pair(3, 4, 2), pair(5, 6, 3)];
    const { begun, under } = setUp(pairs, 2);
    expect(begun.length).toBe(2);
    await first(under).end();
    expect(begun.length).toBe(3);
  });

  it('begin while the one before is being finished, and end with all of them', async () => {
    const { begun, under, outcome } = setUp([pair(1, 2, 1, 2, 3)]);
    const before = await first(under).drain();
    expect(begun).toEqual(['1>2 1,2', '1>2 3']);
    await first(under).end();
    expect(outcome()).toBe('under way');
    await before.finish();
    expect(outcome()).toEqual([]);
  });

  it('that are being finished are no more than those on their way may be', async () => {
    const { begun, under } = setUp([pair(1, 2, 1, 2, 3, 4, 5, 6)], 1);
    const one = await first(under).drain();
    const two = await first(under).drain();
    expect(begun.length).toBe(2);
    await one.finish();
    expect(begun.length).toBe(3);
    await two.finish();
    expect(under.length).toBe(1);
  });
});

describe('the end', () => {
  it('names what stays, of all windows', async () => {
    const { under, result } = setUp([pair(1, 2, 1), pair(3, 4, 2)]);
    await first(under).end([{ slot: 1, why: 'one' }]);
    await first(under).end([{ slot: 2, why: 'two' }]);
    expect(await result).toEqual([
      { slot: 1, why: 'one' },
      { slot: 2, why: 'two' },
    ]);
  });

  it('comes at once where nothing is to be moved', async () => {
    expect(await setUp([]).result).toEqual([]);
    expect(await setUp([pair(1, 2)]).result).toEqual([]);
  });

  it('comes after what is under way when it may not go on', async () => {
    const { begun, under, stop, outcome } = setUp([pair(1, 2, 1, 2, 3), pair(3, 4, 5, 6, 7)]);
    stop();
    await first(under).end();
    expect([begun.length, outcome()]).toEqual([2, 'under way']);
    await first(under).end();
    expect([begun.length, outcome()]).toEqual([2, []]);
  });

  it('a failure waits for the others, begins nothing more and is thrown; a second one is not', async () => {
    const { begun, under, outcome } = setUp([pair(1, 2, 1, 2, 3), pair(3, 4, 5, 6), pair(5, 6, 8)]);
    await first(under).fail(new Error('the first'));
    expect([begun.length, outcome()]).toEqual([3, 'under way']);
    await first(under).fail(new Error('the second'));
    expect([begun.length, outcome()]).toEqual([3, 'under way']);
    await first(under).end();
    expect(begun.length).toBe(3);
    expect(outcome()).toEqual(new Error('the first'));
  });
});

it('a window that could not be finished is a failure as well', async () => {
  const { begun, under, outcome } = setUp([pair(1, 2, 1, 2, 3, 4, 5)]);
  const before = await first(under).drain();
  await before.fail(new Error('no word of the source'));
  expect([begun.length, outcome()]).toEqual([2, 'under way']);
  await first(under).end();
  expect(begun.length).toBe(2);
  expect(outcome()).toEqual(new Error('no word of the source'));
});

it('everything is moved exactly once, and no node is in two windows, in whatever order they end', async () => {
  const plans = fc.record({
    pairs: fc.array(
      fc.record({
        from: fc.integer({ min: 0, max: 5 }),
        to: fc.integer({ min: 6, max: 9 }),
        slots: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 12 },
    ),
    parallel: fc.integer({ min: 1, max: 6 }),
    order: fc.infiniteStream(fc.nat()),
  });
  await fc.assert(
    fc.asyncProperty(plans, async ({ pairs, parallel, order }) => {
      let slot = 0;
      const planned = pairs.map(({ from, to, slots }) =>
        pair(from, to, ...Array.from({ length: slots }, () => slot++)),
      );
      const { under, result, settle } = setUp(planned, parallel);
      const moved: number[] = [];
      for (;;) {
        const ports = under.flatMap(({ window: { from, to } }) => [from.port, to.port]);
        expect(new Set(ports).size).toBe(ports.length);
        expect(under.length).toBeLessThanOrEqual(parallel);
        const next = under[order.next().value % Math.max(1, under.length)];
        if (next === undefined) break;
        const { from, to, slots } = next.window;
        for (const each of slots) {
          const owner = planned.find((one) => one.slots.includes(each));
          expect([owner?.from, owner?.to]).toEqual([from, to]);
        }
        moved.push(...slots);
        await next.end();
        await settle();
      }
      expect(await result).toEqual([]);
      expect(moved.sort((a, b) => a - b)).toEqual(Array.from({ length: slot }, (_, i) => i));
    }),
    { numRuns: 50 },
  );
});
