import { describe, expect, it } from 'vitest';
import {
  connectionsWithin,
  DESCRIPTORS_MIN,
  descriptorLimit,
  descriptorShortage,
  httpConnectionsWithin,
  limitFor,
  parseLimit,
} from '../../../src/lib/descriptors.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             63432                63432                processes
Max open files            1024                 524288               files
Max locked memory         8388608              8388608              bytes
`;

describe('the limit of open files', () => {
  it('is the one in force', () => {
    expect(parseLimit(LIMITS)).toBe(1024);
    expect(descriptorLimit()).toBeGreaterThan(DESCRIPTORS_MIN);
  });

  it('is none where it is unknown or none', () => {
    expect(
      parseLimit('Max open files            unlimited            unlimited            files'),
    ).toBe(Number.POSITIVE_INFINITY);
    expect(parseLimit('')).toBe(Number.POSITIVE_INFINITY);
    expect(connectionsWithin(Number.POSITIVE_INFINITY, true)).toBe(Number.POSITIVE_INFINITY);
  });
});

it('one that is too low to load the program ends the start in words', () => {
  expect(descriptorShortage(100)).toMatch(/100 files.*ulimit -n.*128/);
  expect(descriptorShortage(DESCRIPTORS_MIN)).toBe('');
});

describe('connections within a limit', () => {
  it.each([DESCRIPTORS_MIN, 150, 1024, 10_000, 1_048_576])('%d leaves some for others', (limit) => {
    for (const isSingle of [false, true]) {
      const connections = connectionsWithin(limit, isSingle);
      expect(connections).toBeGreaterThan(0);
      const http = isSingle ? httpConnectionsWithin(limit) : 0;
      expect(limit - connections - http).toBeGreaterThanOrEqual(64 + limit / 16);
    }
  });

  it.each([10, 1000, 10_000])('%d fit into the limit that is asked for them', (connections) => {
    for (const isSingle of [false, true]) {
      const limit = limitFor(connections, isSingle);
      expect(connectionsWithin(limit, isSingle)).toBeGreaterThanOrEqual(connections);
    }
  });
});
