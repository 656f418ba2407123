import { describe, expect, it } from 'vitest';
import { LIGHT_BYTES, Quiet } from '../../../src/process/idle-collector.ts';

describe('when memory is given back', () => {
  it('once, after two silent seconds', () => {
    const quiet = new Quiet(0, 0);
    const said = [100, 100, 100, 100, 100].map((activity, i) => quiet.check(activity, i * 1000));
    expect(said).toEqual([false, false, true, false, false]);
  });

  it('once after a burst, though light traffic goes on', () => {
    const quiet = new Quiet(0, 0);
    let activity = 10 * LIGHT_BYTES;
    expect(quiet.check(activity, 1000)).toBe(false);
    const said = [2000, 3000, 4000, 5000].map((now) => {
      activity += LIGHT_BYTES / 2;
      return quiet.check(activity, now);
    });
    expect(said).toEqual([false, true, false, false]);
  });

  it('never while the burst lasts', () => {
    const quiet = new Quiet(0, 0);
    for (let i = 1; i < 10; i++) expect(quiet.check(2 * LIGHT_BYTES * i, i * 1000)).toBe(false);
  });

  it('never while traffic has only ever been light', () => {
    const quiet = new Quiet(0, 0);
    for (let i = 1; i < 10; i++) expect(quiet.check(100_000 * i, i * 1000)).toBe(false);
  });
});
