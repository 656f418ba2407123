/** What is told of a job under way. */
import { beforeEach, describe, expect, it } from 'vitest';
import { JobProgress } from '../../../../src/control/scaling/job-progress.ts';

const WISH = {
  shards: 3,
  replicas: 0,
  leavesReplicas: false,
  by: 'slots',
  nodes: [],
  movesBigKeys: false,
} as const;
let now: number;
let progress: JobProgress;

beforeEach(() => {
  now = 1_000_000;
  progress = new JobProgress('j', 'scale', WISH, 7, () => now);
});

describe('slots', () => {
  it('are counted by shard, over several plans', () => {
    progress.plan([
      { from: 'a', to: 'c', slots: 10 },
      { from: 'b', to: 'c', slots: 20 },
    ]);
    progress.onSlots('a', 'c', 4);
    progress.onSlots('b', 'c', 5);
    // The pass broke off; the next one plans what is left, and otherwise.
    progress.plan([{ from: 'a', to: 'd', slots: 2 }]);
    expect(progress.report().slots).toEqual({ moved: 9, total: 11 });
    progress.onSlots('a', 'd', 2);
    expect(progress.report()).toMatchObject({
      slots: { moved: 11, total: 11 },
      shards: [
        { address: 'a', gives: 6, given: 6, takes: 0, taken: 0 },
        { address: 'c', gives: 0, given: 0, takes: 9, taken: 9 },
        { address: 'b', gives: 5, given: 5, takes: 0, taken: 0 },
        { address: 'd', gives: 0, given: 0, takes: 2, taken: 2 },
      ],
    });
  });

  it('that were in no plan count, too: never more moved than there were to move', () => {
    progress.onSlots('a', 'b', 3);
    expect(progress.report()).toMatchObject({
      slots: { moved: 3, total: 3 },
      shards: [
        { address: 'a', gives: 3, given: 3 },
        { address: 'b', takes: 3, taken: 3 },
      ],
    });
    progress.plan([{ from: 'a', to: 'b', slots: 10 }]);
    expect(progress.report()).toMatchObject({
      slots: { moved: 3, total: 13 },
      shards: [{ gives: 13, given: 3 }, { takes: 13 }],
    });
  });
});

describe('the time that is left', () => {
  const eta = (): number | null => progress.report().etaSeconds;

  beforeEach(() => {
    progress.plan([{ from: 'a', to: 'b', slots: 100 }]);
  });

  it('is told once there is a rate to go by', () => {
    now += 1999;
    progress.onSlots('a', 'b', 10);
    expect(eta()).toBeNull();
    now += 1;
    expect(eta()).toBe(18);
    now += 500;
    expect(eta()).toBe(23);
  });

  it('is not told while nothing has moved, when nothing is left, or while it does not go on', () => {
    now += 5000;
    expect(eta()).toBeNull();
    progress.onSlots('a', 'b', 50);
    expect(eta()).toBe(5);
    progress.state = 'pausing';
    expect(eta()).toBeNull();
    progress.state = 'running';
    progress.onSlots('a', 'b', 50);
    expect(eta()).toBeNull();
  });

  it('goes by the rate of the present plan', () => {
    now += 60_000;
    progress.onSlots('a', 'b', 10);
    progress.plan([{ from: 'a', to: 'b', slots: 90 }]);
    now += 3000;
    expect(eta()).toBeNull();
    progress.onSlots('a', 'b', 30);
    expect(eta()).toBe(6);
  });
});

describe('events', () => {
  it('are the last fifty, each with its time', () => {
    for (let i = 0; i < 60; i++) {
      now += 1;
      progress.event(`event ${i}`);
    }
    const { events } = progress.report();
    expect([events.length, events[0], events.at(-1)]).toEqual([
      50,
      { at: 1_000_011, text: 'event 10' },
      { at: 1_000_060, text: 'event 59' },
    ]);
  });

  it('tell each step once', () => {
    for (const step of ['one', 'one', 'two', 'one']) progress.step(step);
    const { events, step } = progress.report();
    expect([events.map(({ text }) => text), step]).toEqual([['one', 'two', 'one'], 'one']);
  });

  it('in a report stay as they were', () => {
    progress.event('one');
    const { events } = progress.report();
    progress.event('two');
    expect(events.length).toBe(1);
  });
});

it.each([
  ['done', '', 'done'],
  ['failed', 'no room', 'failed: no room'],
  ['cancelled', '', 'cancelled'],
] as const)('ends as %s, with its time and why', (state, problem, step) => {
  expect([progress.hasEnded, progress.report().endedAt]).toEqual([false, 0]);
  now += 5;
  progress.end(state, problem);
  expect(progress.hasEnded).toBe(true);
  expect(progress.report()).toMatchObject({
    state,
    problem,
    step,
    startedAt: 7,
    endedAt: 1_000_005,
  });
});
