/**
 * What tells the lanes to one node apart, as a small integer that sessions carry and lane tables are
 * indexed by: the RESP version, READONLY (a replica serves reads only then), writes that wait for
 * replicas (they block their connection), and the database.
 */

export const LANE_KIND = {
  resp3: 1,
  /** Said READONLY: for reads from a replica. Never used for a primary's writes or scripts. */
  readonly: 2,
  /** Each turn's writes are followed by WAIT. */
  durable: 4,
} as const;

const DATABASE_SHIFT = 3;

export function protocolOf(kind: number): 2 | 3 {
  return (kind & LANE_KIND.resp3) === 0 ? 2 : 3;
}

export function databaseOf(kind: number): number {
  return kind >> DATABASE_SHIFT;
}

export function withProtocol(kind: number, protocol: 2 | 3): number {
  return protocol === 3 ? kind | LANE_KIND.resp3 : kind & ~LANE_KIND.resp3;
}

export function withDatabase(kind: number, database: number): number {
  return (kind & ((1 << DATABASE_SHIFT) - 1)) | (database << DATABASE_SHIFT);
}
