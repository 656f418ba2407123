import { describe, expect, it } from 'vitest';
import {
  copyBytes,
  createSlab,
  LARGE_SLAB,
  type Slab,
  SlabPool,
  SMALL_SLAB,
  TINY_SLAB,
} from '../../../src/lib/slab.ts';

const GUARD = 0xa5;

describe('copyBytes', () => {
  const sources: [string, () => Slab][] = [
    ['slabs', () => createSlab(400)],
    ['buffers without a view', () => Buffer.alloc(400)],
    ['parts of slabs', () => createSlab(500).subarray(37, 437)],
  ];
  it.each(sources)(
    'copies from %s any length at any alignment, and not a byte beside',
    (_w, make) => {
      const src = make();
      for (let i = 0; i < src.length; i++) src[i] = (i * 7 + 1) & 0xff;
      const dst = createSlab(400);
      const expected = Buffer.alloc(400, GUARD);
      for (let length = 0; length <= 300; length++) {
        for (let start = 0; start < 9; start++) {
          const at = 13 + ((start * 5 + length) % 9);
          dst.fill(GUARD);
          expected.fill(GUARD);
          src.copy(expected, at, start, start + length);
          const next = copyBytes(dst, at, src, start, start + length);
          if (next !== at + length || !dst.equals(expected)) {
            expect.fail(`${length} bytes from ${start} to ${at} ended at ${next}`);
          }
        }
      }
    },
  );

  it('copies to the very ends of both', () => {
    for (let length = 0; length <= 140; length++) {
      const src = createSlab(length);
      for (let i = 0; i < length; i++) src[i] = i + 1;
      const dst = createSlab(length);
      expect(copyBytes(dst, 0, src, 0, length)).toBe(length);
      expect(dst.equals(src)).toBe(true);
    }
  });

  it('copies between parts of one slab', () => {
    const slab = createSlab(512);
    for (let i = 0; i < 512; i++) slab[i] = i & 0xff;
    for (const length of [3, 17, 64, 120, 200]) {
      copyBytes(slab, 256, slab, 256 - length, 256);
      const copy = slab.subarray(256, 256 + length);
      expect(copy.equals(slab.subarray(256 - length, 256))).toBe(true);
    }
  });
});

describe('SlabPool', () => {
  it('lends the smallest size that fits', () => {
    const pool = new SlabPool();
    const lengthOf = (size: number) => pool.take(size).length;
    expect([0, 1, TINY_SLAB].map(lengthOf)).toEqual([TINY_SLAB, TINY_SLAB, TINY_SLAB]);
    expect([TINY_SLAB + 1, SMALL_SLAB].map(lengthOf)).toEqual([SMALL_SLAB, SMALL_SLAB]);
    expect([SMALL_SLAB + 1, LARGE_SLAB].map(lengthOf)).toEqual([LARGE_SLAB, LARGE_SLAB]);
    expect(lengthOf(LARGE_SLAB + 1)).toBe(LARGE_SLAB + 1);
  });

  it('lends again what was given back, and never one slab twice', () => {
    const pool = new SlabPool();
    const first = [pool.take(1), pool.take(1), pool.take(LARGE_SLAB)];
    expect(new Set(first).size).toBe(3);
    for (const slab of first) pool.give(slab);
    const second = [pool.take(1), pool.take(1), pool.take(LARGE_SLAB), pool.take(1)];
    expect(new Set(second).size).toBe(4);
    expect(new Set([...first, ...second]).size).toBe(4);
  });

  it('leaves what was made to measure, and what is too much, to the collector', () => {
    const pool = new SlabPool(0);
    const big = pool.take(10 * LARGE_SLAB);
    pool.give(big);
    expect(pool.take(10 * LARGE_SLAB) === big).toBe(false);
    const taken = Array.from({ length: 20 }, () => pool.take(1));
    for (const slab of taken) pool.give(slab);
    const again = Array.from({ length: 20 }, () => pool.take(1));
    // Four of each size are kept whatever the limit.
    expect(again.filter((slab) => taken.includes(slab)).length).toBe(4);
  });

  it('lends slabs whose view shows the same bytes', () => {
    const slab = new SlabPool().take(1);
    slab[5] = 77;
    expect(slab.view?.getUint8(5)).toBe(77);
    expect(slab.view?.byteLength).toBe(slab.length);
  });
});
