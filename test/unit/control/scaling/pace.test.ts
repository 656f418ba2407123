/** How much is moved at once, by how long it takes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pace } from '../../../../src/control/scaling/pace.ts';

const SETTINGS = { batchMs: 5, windowMs: 100, dutyPercent: 50 };
const settings = () => SETTINGS;
const BYTES = { least: 16 * 1024, most: 8 * 1024 * 1024 };
const SLOTS = { least: 1, most: 256 };

describe('a batch', () => {
  it('that is fast makes the next one larger, a slow one smaller, one in time leaves it', () => {
    const sizeAfter = (ms: number): number => {
      const pace = new Pace(settings);
      pace.onBatch(pace.batchBytes, ms);
      return pace.batchBytes / new Pace(settings).batchBytes;
    };
    expect(sizeAfter(4)).toBeCloseTo(1.25);
    expect(sizeAfter(0)).toBeCloseTo(1.5);
    expect(sizeAfter(10)).toBeCloseTo(0.5);
    expect(sizeAfter(10_000)).toBeCloseTo(1 / 2.25);
    expect(sizeAfter(5)).toBe(1);
  });

  it('that was not half full says nothing of a larger one, unless it was slow as it is', () => {
    const pace = new Pace(settings);
    const before = pace.batchBytes;
    pace.onBatch(before / 2 - 1, 0.1);
    expect(pace.batchBytes).toBe(before);
    pace.onBatch(1, 6);
    expect(pace.batchBytes).toBeLessThan(before);
  });

  it('is followed by a rest that keeps to the share of time', () => {
    expect(new Pace(settings).onBatch(1, 8)).toBe(8);
    expect(new Pace(() => ({ ...SETTINGS, dutyPercent: 25 })).onBatch(1, 8)).toBe(24);
    expect(new Pace(() => ({ ...SETTINGS, dutyPercent: 100 })).onBatch(1, 8)).toBe(0);
  });
});

describe('a window', () => {
  it('that is fast makes the next one larger, a slow one smaller', () => {
    const sizeAfter = (slots: number, ms: number): number => {
      const pace = new Pace(settings);
      pace.onWindow(slots, ms);
      return pace.windowSlots;
    };
    const { windowSlots } = new Pace(settings);
    expect(sizeAfter(windowSlots, 20)).toBe(windowSlots * 1.5);
    expect(sizeAfter(windowSlots, 200)).toBe(windowSlots / 2);
    // The last of a plan is small, and says little.
    expect(sizeAfter(1, 20)).toBe(windowSlots);
    expect(sizeAfter(1, 200)).toBe(windowSlots / 2);
  });
});

it('whatever is measured, it stays within bounds and follows what is slow or fast', () => {
  const measured = fc.record({
    share: fc.double({ min: 0.5, max: 1, noNaN: true }),
    ms: fc.double({ min: 0, max: 1e6, noNaN: true }),
    isBatch: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(measured, { maxLength: 60 }), (all) => {
      const pace = new Pace(settings);
      for (const { share, ms, isBatch } of all) {
        const before = isBatch ? pace.batchBytes : pace.windowSlots;
        if (isBatch) expect(pace.onBatch(Math.ceil(before * share) + 1, ms)).toBeCloseTo(ms);
        else pace.onWindow(Math.ceil(before * share) + 1, ms);
        const now = isBatch ? pace.batchBytes : pace.windowSlots;
        const { least, most } = isBatch ? BYTES : SLOTS;
        expect(now).toBeGreaterThanOrEqual(least);
        expect(now).toBeLessThanOrEqual(most);
        const budget = isBatch ? SETTINGS.batchMs : SETTINGS.windowMs;
        if (ms > budget) expect(now).toBeLessThanOrEqual(before);
        if (ms < budget) expect(now).toBeGreaterThanOrEqual(before);
      }
    }),
  );
});

it('comes to its bounds, and away from them', () => {
  const pace = new Pace(settings);
  const go = (ms: number): void => {
    for (let i = 0; i < 40; i++) {
      pace.onBatch(pace.batchBytes, ms);
      pace.onWindow(pace.windowSlots, ms);
    }
  };
  go(0);
  expect([pace.batchBytes, pace.windowSlots]).toEqual([BYTES.most, SLOTS.most]);
  go(1e6);
  expect([pace.batchBytes, pace.windowSlots]).toEqual([BYTES.least, SLOTS.least]);
  go(0);
  expect([pace.batchBytes, pace.windowSlots]).toEqual([BYTES.most, SLOTS.most]);
});
