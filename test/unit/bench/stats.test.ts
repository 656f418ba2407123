import { describe, expect, it } from 'vitest';
import { median, percentile, ratioSpread, type Sample, spread } from '../../../bench/stats.ts';

function sample(round: number, cpuMicros: number): Sample {
  const latencies = { p50Ms: 1, p99Ms: 2, p999Ms: 3 };
  return { round, requests: 1000, requestsPerSecond: 100, ...latencies, cpuMicros };
}

describe('median', () => {
  it('is the middle of an odd number of values in any order', () => {
    expect(median([9, 1, 5])).toBe(5);
  });
  it('is the mean of the two in the middle of an even number', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });
  it('compares numbers and not their texts', () => {
    expect(median([10, 9, 100])).toBe(10);
  });
  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN();
  });
});

describe('spread', () => {
  it('leaves out what was not measured', () => {
    expect(spread([Number.NaN, 2, 1])).toEqual({ median: 1.5, min: 1, max: 2 });
  });
  it('is undefined when nothing was measured', () => {
    expect(spread([Number.NaN])).toBeUndefined();
  });
});

describe('ratioSpread', () => {
  it('divides round by round, so that a slow minute touches both sides', () => {
    const subject = [sample(1, 2), sample(2, 20), sample(3, 2)];
    const peer = [sample(1, 4), sample(2, 40), sample(3, 8)];
    expect(ratioSpread(subject, peer, 'cpuMicros')).toEqual({ median: 0.5, min: 0.25, max: 0.5 });
  });
  it('leaves out rounds that one side did not finish', () => {
    const ratios = ratioSpread([sample(1, 3), sample(2, 9)], [sample(2, 3)], 'cpuMicros');
    expect(ratios).toEqual({ median: 3, min: 3, max: 3 });
  });
  it('is undefined when no round has both sides', () => {
    expect(ratioSpread([sample(1, 3)], [], 'cpuMicros')).toBeUndefined();
  });
});

describe('percentile', () => {
  const values = Array.from({ length: 1000 }, (_, i) => i + 1);
  it('takes the nearest rank', () => {
    expect(percentile(values, 0.5)).toBe(500);
    expect(percentile(values, 0.999)).toBe(999);
    expect(percentile(values, 1)).toBe(1000);
    expect(percentile([7], 0.99)).toBe(7);
  });
  it('of nothing is not a number', () => {
    expect(percentile([], 0.5)).toBeNaN();
  });
});
