import { describe, expect, it } from 'vitest';
import { ReadMarks, WriteMarks } from '../../../src/route/write-marks.ts';

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
});
