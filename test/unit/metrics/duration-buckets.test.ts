import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BUCKET_BOUNDS_US,
  BUCKET_OVERFLOW,
  BUCKET_SUM,
  HISTOGRAM_STRIDE,
} from '../../../src/metrics/definitions.ts';
import { bucketOf, observe } from '../../../src/metrics/duration-buckets.ts';

function bucketByLinearSearch(us: number): number {
  const bucket = BUCKET_BOUNDS_US.findIndex((bound) => us <= bound);
  return bucket === -1 ? BUCKET_OVERFLOW : bucket;
}

test('a bound belongs to its own bucket, one more to the next', () => {
  BUCKET_BOUNDS_US.forEach((bound, bucket) => {
    expect(bucketOf(bound)).toBe(bucket);
    expect(bucketOf(bound + 1)).toBe(bucket + 1);
    expect(bucketOf(bound + 0.25)).toBe(bucket + 1);
  });
  expect(bucketOf(0)).toBe(0);
});

test('every whole duration up to beyond the last bound finds the bucket of a linear search', () => {
  const wrong: number[] = [];
  for (let us = 0; us <= 2_600_000; us++) {
    if (bucketOf(us) !== bucketByLinearSearch(us)) wrong.push(us);
  }
  expect(wrong).toEqual([]);
});

test('fractions and durations of hours find the bucket of a linear search', () => {
  const durations = fc.oneof(
    fc.double({ min: 0, max: 3e6, noNaN: true }),
    fc.double({ min: 0, max: 1e15, noNaN: true }),
  );
  fc.assert(
    fc.property(durations, (us) => {
      expect(bucketOf(us)).toBe(bucketByLinearSearch(us));
    }),
  );
  expect(bucketOf(2 ** 32 + 10)).toBe(BUCKET_OVERFLOW);
});

test('an observation changes its own row alone, and a bad clock reading counts as 0', () => {
  const rows = new Float64Array(HISTOGRAM_STRIDE * 3);
  observe(rows, HISTOGRAM_STRIDE, 120);
  observe(rows, HISTOGRAM_STRIDE, Number.NaN);
  observe(rows, HISTOGRAM_STRIDE, -5);
  observe(rows, HISTOGRAM_STRIDE, 9e6);

  const expected = new Float64Array(HISTOGRAM_STRIDE);
  expected[0] = 2;
  expected[2] = 1;
  expected[BUCKET_OVERFLOW] = 1;
  expected[BUCKET_SUM] = 120 + 9e6;
  expect(rows.subarray(HISTOGRAM_STRIDE, HISTOGRAM_STRIDE * 2)).toEqual(expected);
  expect(rows.filter((value) => value !== 0)).toHaveLength(4);
});
