import { describe, expect, test } from 'vitest';
import {
  checkReplicas,
  checkShards,
  parseSpec,
  REPLICAS_MAX,
  SHARD_COUNTS,
  SHARD_GIGABYTES,
  SHARDS_MAX,
} from '../../../../src/control/scaling/catalogue.ts';

const GIGABYTE = 1024 ** 3;

describe('the catalogue', () => {
  test('counts and sizes grow, and stay within what is possible', () => {
    for (const list of [SHARD_COUNTS, SHARD_GIGABYTES]) {
      expect([...list].sort((a, b) => a - b)).toEqual(list);
      expect(new Set(list).size).toBe(list.length);
    }
    expect([SHARD_COUNTS[0], SHARD_COUNTS.at(-1)]).toEqual([1, SHARDS_MAX]);
  });
});

describe('a size in one word', () => {
  test('every one that is offered', () => {
    for (const shards of SHARD_COUNTS) {
      for (let replicas = 0; replicas <= REPLICAS_MAX; replicas++) {
        for (const gigabytes of SHARD_GIGABYTES) {
          expect(parseSpec(`${shards}x${replicas}x${gigabytes}gb`)).toEqual({
            shards,
            replicas,
            shardBytes: gigabytes * GIGABYTE,
          });
        }
      }
    }
  });

  test.each([' 5x1x4gb\n', '5X1X4GB', '5x1x4Gb'])('%j is 5x1x4gb', (text) => {
    expect(parseSpec(text)).toEqual({ shards: 5, replicas: 1, shardBytes: 4 * GIGABYTE });
  });

  test.each([
    ['', 'is no size; allowed: SHARDSxREPLICASxMEMORY such as 5x1x4gb'],
    ['5', 'is no size'],
    ['5x1', 'is no size'],
    ['5x1x4', 'is no size'],
    ['5x1x4mb', 'is no size'],
    ['5x1x4gb2', 'is no size'],
    ['-5x1x4gb', 'is no size'],
    ['5.0x1x4gb', 'is no size'],
    ['1000x1x4gb', 'is no size'],
    ['0x1x4gb', '0 shards; allowed: 1 to 128'],
    ['129x1x4gb', '129 shards; allowed: 1 to 128'],
    ['7x1x4gb', '7 shards; allowed: 1, 3, 5'],
    ['5x6x4gb', '6 replicas of each shard; allowed: 0 to 5'],
    ['5x1x3gb', '3 GB a shard; allowed: 2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64'],
  ])('%j is none', (text, message) => {
    expect(() => parseSpec(text)).toThrow(RangeError);
    expect(() => parseSpec(text)).toThrow(message);
  });

  test('another count on purpose, but no other memory', () => {
    expect(parseSpec('7x1x4gb', true)).toMatchObject({ shards: 7 });
    expect(() => parseSpec('7x1x3gb', true)).toThrow('3 GB a shard');
  });
});

describe('numbers by themselves', () => {
  test('shards of the catalogue, or any with a word for it', () => {
    const counts = Array.from({ length: SHARDS_MAX }, (_, i) => i + 1);
    const passes = (count: number, isAny: boolean) => {
      try {
        checkShards(count, isAny);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return false;
      }
    };
    expect(counts.filter((count) => passes(count, false))).toEqual(SHARD_COUNTS);
    expect(counts.filter((count) => passes(count, true))).toEqual(counts);
    expect(() => checkShards(7, false)).toThrow('any other count up to 128 with --any');
  });

  test.each([0, -1, 129, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('%d shards', (count) => {
    for (const isAny of [true, false]) {
      expect(() => checkShards(count, isAny)).toThrow('allowed: 1 to 128');
    }
  });

  test('replicas', () => {
    for (const count of [0, 1, 5]) expect(() => checkReplicas(count)).not.toThrow();
    for (const count of [-1, 6, 1.5, Number.NaN]) {
      expect(() => checkReplicas(count)).toThrow(
        `${count} replicas of each shard; allowed: 0 to 5`,
      );
    }
  });
});
