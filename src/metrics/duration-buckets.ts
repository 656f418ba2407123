/**
 * Finds the bucket of a duration without a loop: between two powers of two lies at most one bound,
 * so the value's bit length names a bucket, and one comparison says whether it is that or the next.
 */
import { BUCKET_BOUNDS_US, BUCKET_OVERFLOW, BUCKET_SUM } from './definitions.ts';

const LAST_BOUND_US = BUCKET_BOUNDS_US[BUCKET_OVERFLOW - 1] as number;

/** Indexed by clz32: the bucket of the smallest value of that bit length. */
const FIRST_BUCKET = new Uint8Array(33);
/** Indexed by clz32: the bound among the values of that bit length, Infinity where there is none. */
const BOUND_US = new Float64Array(33);

for (let leadingZeros = 0; leadingZeros <= 32; leadingZeros++) {
  const smallest = leadingZeros === 32 ? 0 : 2 ** (31 - leadingZeros);
  const afterLargest = 2 ** (32 - leadingZeros);
  const first = BUCKET_BOUNDS_US.findIndex((bound) => bound >= smallest);
  const bound = BUCKET_BOUNDS_US[first] ?? Infinity;
  FIRST_BUCKET[leadingZeros] = first === -1 ? BUCKET_OVERFLOW : first;
  BOUND_US[leadingZeros] = bound < afterLargest ? bound : Infinity;
}

/** The bucket of a duration in microseconds, which need not be whole. */
export function bucketOf(us: number): number {
  if (us > LAST_BOUND_US) return BUCKET_OVERFLOW;
  const leadingZeros = Math.clz32(us);
  return (FIRST_BUCKET[leadingZeros] as number) + (us > (BOUND_US[leadingZeros] as number) ? 1 : 0);
}

/**
 * Adds one duration to the histogram row that starts at `row`. A negative or not-a-number duration
 * counts as 0: one bad clock reading must not spoil the sum for ever.
 */
export function observe(histograms: Float64Array, row: number, us: number): void {
  // Not Math.max, which would keep a NaN.
  const duration = us >= 0 ? us : 0;
  const bucket = row + bucketOf(duration);
  histograms[bucket] = (histograms[bucket] as number) + 1;
  const sum = row + BUCKET_SUM;
  histograms[sum] = (histograms[sum] as number) + duration;
}
