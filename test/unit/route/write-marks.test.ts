import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadMarks, WriteMarks } from '../../../src/route/write-marks.ts';

const BUCKETS = [...new Array(64).keys()];

describe('what a session has written', () => {
  it('keeps replicas out from sending until they have what was answered', () => {
    const marks = new WriteMarks();
    expect(marks.dirtySince(5)).toBe(0);
    marks.onSent(5);
    expect(marks.dirtySince(5)).toBe(Number.POSITIVE_INFINITY);
    marks.onAnswered(5, 100);
    expect(marks.dirtySince(5)).toBe(100);
    expect(marks.dirtySince(16383)).toBe(0);
  });

  it('stays dirty while another write of those slots is on its way', () => {
    const marks = new WriteMarks();
    marks.onSent(5);
    marks.onSent(6);
    marks.onAnswered(5, 100);
    expect(marks.dirtySince(7)).toBe(Number.POSITIVE_INFINITY);
    marks.onAnswered(6, 101);
    expect(marks.dirtySince(7)).toBe(101);
  });

  it('concerns every slot where the keys are not known', () => {
    const marks = new WriteMarks();
    marks.onSent(-1);
    expect(marks.dirtySince(0)).toBe(Number.POSITIVE_INFINITY);
    marks.onAnswered(-1, 7);
    expect([marks.dirtySince(0), marks.dirtySince(16383)]).toEqual([7, 7]);
  });

  it('of slot 0 concerns its neighbours and nobody else', () => {
    const marks = new WriteMarks();
    marks.onSent(0);
    expect([marks.dirtySince(255), marks.dirtySince(256)]).toEqual([Number.POSITIVE_INFINITY, 0]);
    marks.onAnswered(0, 7);
    expect([marks.dirtySince(255), marks.dirtySince(256)]).toEqual([7, 0]);
  });

  it('is as new as the newer of what concerns the slot and what concerns all', () => {
    for (const [own, all] of [
      [7, 9],
      [9, 7],
    ] as const) {
      const marks = new WriteMarks();
      for (const slot of [5, -1]) marks.onSent(slot);
      marks.onAnswered(5, own);
      marks.onAnswered(-1, all);
      expect([marks.dirtySince(5), marks.dirtySince(300)]).toEqual([9, all]);
    }
  });
});

describe('what a session reads on replicas', () => {
  it('is known by slot until the last of it is answered', () => {
    const marks = new ReadMarks();
    for (const slot of [0, 31 * 256, 32 * 256, 16383]) {
      marks.add(slot);
      expect(marks.has(slot)).toBe(true);
    }
    expect(marks.has(20 * 256)).toBe(false);
    for (let left = 4; left > 0; left--) {
      expect(marks.has(0)).toBe(true);
      marks.remove();
    }
    expect([marks.has(0), marks.has(-1)]).toEqual([false, false]);
  });

  it('concerns every slot where several are read', () => {
    const marks = new ReadMarks();
    marks.add(-1);
    expect([marks.has(3), marks.has(16383)]).toEqual([true, true]);
  });

  it('is what was added since nothing was under way, bucket by bucket', () => {
    const slot = fc.oneof(
      { weight: 9, arbitrary: fc.nat(16383) },
      { weight: 1, arbitrary: fc.constantFrom(-1, 0, 31 * 256, 32 * 256) },
    );
    const step = fc.oneof(
      { weight: 3, arbitrary: slot.map((at) => ({ at })) },
      { weight: 1, arbitrary: fc.constant(null) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const marks = new ReadMarks();
        let added: number[] = [];
        let count = 0;
        for (const next of steps) {
          if (next !== null) {
            marks.add(next.at);
            added.push(next.at);
            count++;
          } else if (count > 0) {
            marks.remove();
            if (--count === 0) added = [];
          }
          expect(marks.count).toBe(count);
          expect(marks.has(-1)).toBe(count > 0);
          const isWanted = (bucket: number): boolean =>
            added.some((at) => at < 0 || at >> 8 === bucket);
          expect(BUCKETS.filter((bucket) => marks.has(bucket * 256))).toEqual(
            BUCKETS.filter(isWanted),
          );
        }
      }),
    );
  });
});
