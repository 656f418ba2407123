import { describe, expect, it } from 'vitest';
import { BACKOFF_MAX_MS, backoffMs } from '../../../src/lib/backoff.ts';

describe('the pause before a connection is tried again', () => {
  it('doubles with each failure in a row, up to a second', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((failures) => backoffMs(failures, 0.5));
    expect(pauses).toEqual([20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
  });

  it('varies by half of it to either side, so that many do not move in step', () => {
    expect(backoffMs(2, 0)).toBe(20);
    expect(backoffMs(2, 1)).toBe(60);
    expect(backoffMs(20, 0.75)).toBe(1.25 * BACKOFF_MAX_MS);
  });
});
