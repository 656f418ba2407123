/**
 * The instance sizes that are offered: shard counts, replicas and memory of a shard, and the short way
 * to write one: `5x1x4gb` is 5 shards with 1 replica and 4 GB each. Other shard counts are possible,
 * but asked for on purpose.
 */

export const SHARD_COUNTS: readonly number[] = [
  1, 3, 5, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128,
];
export const SHARDS_MAX = 128;
export const REPLICAS_MAX = 5;
export const SHARD_GIGABYTES: readonly number[] = [2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64];

export interface InstanceSpec {
  readonly shards: number;
  readonly replicas: number;
  /** Memory of one shard in bytes. */
  readonly shardBytes: number;
}

const GIGABYTE = 1024 ** 3;
const SPEC = /^(\d{1,3})x(\d)x(\d{1,3})gb$/i;

/** @throws RangeError that says what is allowed */
export function parseSpec(text: string, isAny = false): InstanceSpec {
  const [, shards, replicas, gigabytes] = SPEC.exec(text.trim()) ?? [];
  if (shards === undefined || replicas === undefined || gigabytes === undefined) {
    throw new RangeError(
      `"${text}" is no size; allowed: SHARDSxREPLICASxMEMORY such as 5x1x4gb (5 shards, 1 replica each, 4 GB a shard)`,
    );
  }
  checkShards(Number(shards), isAny);
  checkReplicas(Number(replicas));
  if (!SHARD_GIGABYTES.includes(Number(gigabytes))) {
    throw new RangeError(`${gigabytes} GB a shard; allowed: ${SHARD_GIGABYTES.join(', ')}`);
  }
  return {
    shards: Number(shards),
    replicas: Number(replicas),
    shardBytes: Number(gigabytes) * GIGABYTE,
  };
}

/** @throws RangeError that says what is allowed */
export function checkShards(shards: number, isAny: boolean): void {
  if (!Number.isInteger(shards) || shards < 1 || shards > SHARDS_MAX) {
    throw new RangeError(`${shards} shards; allowed: 1 to ${SHARDS_MAX}`);
  }
  if (isAny || SHARD_COUNTS.includes(shards)) return;
  throw new RangeError(
    `${shards} shards; allowed: ${SHARD_COUNTS.join(', ')} (any other count up to ${SHARDS_MAX} with --any)`,
  );
}

/** @throws RangeError that says what is allowed */
export function checkReplicas(replicas: number): void {
  if (Number.isInteger(replicas) && replicas >= 0 && replicas <= REPLICAS_MAX) return;
  throw new RangeError(`${replicas} replicas of each shard; allowed: 0 to ${REPLICAS_MAX}`);
}
