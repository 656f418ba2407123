import { describe, expect, it } from 'vitest';

import { PollSchedule } from '../../../src/control/poll-schedule.ts';

const GOOD = { answered: true, complete: true, busyMs: 0 };
const INCOMPLETE = { answered: true, complete: false, busyMs: 0 };
const SILENT = { answered: false, complete: false, busyMs: 0 };

/** A schedule whose jitter is in the middle: none. */
function schedule(): PollSchedule {
  return new PollSchedule(2000, () => 0.5);
}

function polled(at: number, result = GOOD, tookMs = 10): PollSchedule {
  const made = schedule();
  made.onPollStarted(at);
  made.onPollEnded(at + tookMs, result);
  return made;
}

it('the first poll is due at once', () => {
  expect(schedule().nextAt()).toBeLessThan(0);
});

it('polls follow at the interval, counted from start to start', () => {
  expect(polled(1000).nextAt()).toBe(3000);
});

it('the interval varies by a tenth', () => {
  const ends = [0, 0.999].map((chance) => {
    const made = new PollSchedule(2000, () => chance);
    made.onPollStarted(0);
    made.onPollEnded(1, GOOD);
    return made.nextAt();
  });
  expect(ends[0]).toBe(1800);
  expect(ends[1]).toBeCloseTo(2200, -1);
});

describe('a hint', () => {
  it('after a quiet time causes a poll at once', () => {
    const made = polled(1000);
    made.onHint();
    expect(made.nextAt()).toBeLessThanOrEqual(1100);
  });

  it('while a poll runs causes another one after it', () => {
    const made = schedule();
    made.onPollStarted(1000);
    made.onHint();
    made.onPollEnded(1010, GOOD);
    expect(made.nextAt()).toBe(1100);
  });

  it('is used up by the poll that starts after it', () => {
    const made = polled(1000);
    made.onHint();
    made.onPollStarted(1100);
    made.onPollEnded(1110, GOOD);
    expect(made.nextAt()).toBe(3100);
  });

  it('does not make a large cluster eat up the process', () => {
    const made = polled(1000, { ...GOOD, busyMs: 100 });
    made.onHint();
    expect(made.nextAt()).toBe(1500);
    const larger = polled(1000, { ...GOOD, busyMs: 5000 });
    larger.onHint();
    expect(larger.nextAt()).toBe(2000);
  });
});

describe('an incomplete picture', () => {
  it('is polled every 200 ms', () => {
    expect(polled(1000, INCOMPLETE).nextAt()).toBe(1200);
  });

  it('that stays so is polled every second', () => {
    const made = polled(1000, INCOMPLETE);
    made.onPollStarted(40_000);
    made.onPollEnded(40_010, INCOMPLETE);
    expect(made.nextAt()).toBe(41_000);
  });

  it('once complete goes back to the interval', () => {
    const made = polled(1000, INCOMPLETE);
    made.onPollStarted(1200);
    made.onPollEnded(1210, GOOD);
    expect(made.nextAt()).toBe(3200);
  });
});

it('while nobody answers the pause grows to one second', () => {
  const made = schedule();
  const pauses: number[] = [];
  for (let at = 0; at < 60_000; at += 10_000) {
    made.onPollStarted(at);
    made.onPollEnded(at + 500, SILENT);
    pauses.push(made.nextAt() - (at + 500));
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000]);
});
