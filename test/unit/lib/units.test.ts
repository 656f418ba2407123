import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/lib/units.ts';

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['7b', 7],
    ['1k', 1000],
    ['1kb', 1024],
    ['1KB', 1024],
    ['2m', 2_000_000],
    ['64mb', 67_108_864],
    ['1g', 1_000_000_000],
    ['1gb', 1_073_741_824],
    [4096, 4096],
  ])('%s is %d bytes, as in redis.conf', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'mb', '1.5mb', '-1', '1 mb', '1mib', '0x10', '1e3', '99999999999gb', -1, 1.5, NaN])(
    '%s is no size',
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );

  it('are written so that they read back the same', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
    expect(formatSize(64 * 1024 * 1024)).toBe('64mb');
    expect(formatSize(1000)).toBe('1000');
  });
});

describe('durations', () => {
  it.each([
    ['0', 0],
    ['250', 250],
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['1.1s', 1100],
    ['5M', 300_000],
    ['1h', 3_600_000],
    [42, 42],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', '-1s', '1 s', '1d', '0.5ms', '1.0001s', '.5s', '5sec', -1, 0.5, Infinity])(
    '%s is no duration of whole milliseconds',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  it('are written so that they read back the same', () => {
    const ms = fc.nat({ max: 1_000_000_000 });
    fc.assert(fc.property(ms, (value) => parseDuration(formatDuration(value)) === value));
    expect(formatDuration(10_000)).toBe('10s');
    expect(formatDuration(1500)).toBe('1500ms');
  });
});
