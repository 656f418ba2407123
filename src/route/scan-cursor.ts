/**
 * SCAN cursors: which shard is being walked and that node's own cursor, in one decimal number below
 * 2^53, as some clients keep cursors in doubles. A node's cursor is a bucket index of its hash table
 * and so stays far below 2^53 / 128.
 */

/** Shards that a cursor can tell apart. */
export const SCAN_SHARDS = 128;

export function shardOfCursor(cursor: string): number {
  return Number(BigInt(cursor) % BigInt(SCAN_SHARDS));
}

/** The cursor to send to the node. */
export function ownCursor(cursor: string): string {
  return (BigInt(cursor) / BigInt(SCAN_SHARDS)).toString();
}

/** Our cursor after the node answered `nodeCursor`; "0" when the last shard is done. */
export function nextCursor(nodeCursor: string, shard: number, isLast: boolean): string {
  if (nodeCursor !== '0') {
    return (BigInt(nodeCursor) * BigInt(SCAN_SHARDS) + BigInt(shard)).toString();
  }
  return isLast ? '0' : (shard + 1).toString();
}
