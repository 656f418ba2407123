import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  databaseOf,
  LANE_KIND,
  protocolOf,
  withDatabase,
  withProtocol,
} from '../../../src/route/lane-kind.ts';

const protocol = fc.constantFrom<2 | 3>(2, 3);
const database = fc.nat(1_000_000);
/** Kind 0 with READONLY, durable, both or neither. */
const others = fc.constantFrom(0, LANE_KIND.readonly, LANE_KIND.durable, 2 | 4);

describe('a lane kind', () => {
  it('of 0 is a plain connection: RESP2, database 0', () => {
    expect([protocolOf(0), databaseOf(0)]).toEqual([2, 0]);
  });

  it('keeps protocol, database and the rest apart', () => {
    fc.assert(
      fc.property(others, protocol, protocol, database, database, (kind, p1, p2, d1, d2) => {
        const first = withDatabase(withProtocol(kind, p1), d1);
        expect([protocolOf(first), databaseOf(first)]).toEqual([p1, d1]);
        const second = withProtocol(withDatabase(first, d2), p2);
        expect([protocolOf(second), databaseOf(second)]).toEqual([p2, d2]);
        expect(withDatabase(withProtocol(second, 2), 0)).toBe(kind);
      }),
    );
  });

  it('is another one wherever anything differs', () => {
    const kinds = new Set<number>();
    for (const rest of [0, LANE_KIND.readonly, LANE_KIND.durable, 2 | 4]) {
      for (const version of [2, 3] as const) {
        for (const db of [0, 1, 15]) kinds.add(withDatabase(withProtocol(rest, version), db));
      }
    }
    expect(kinds.size).toBe(4 * 2 * 3);
  });
});
