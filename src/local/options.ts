/** What an embedded cluster can be asked for, and what is permitted. */
import { parseSize } from '../lib/units.ts';
import { notAllowed } from './errors.ts';
import type { NodeExit } from './node-process.ts';
import type { RedisServer } from './redis-binary.ts';

export type LocalLog = (line: string, level: 'info' | 'warn' | 'error') => void;

export interface LocalClusterOptions {
  /** 1 to 128. */
  readonly shards: number;
  /** Per shard, 0 to 5. */
  readonly replicas: number;
  /**
   * Two more primaries with one slot each and no replica, so that the nodes of a cluster of one or
   * two shards can outvote a dead primary. Default false.
   */
  readonly witnesses?: boolean | undefined;
  /** Port of the first node, the others follow it. Default: free ports of this machine's choosing. */
  readonly nodePort?: number | undefined;
  /** Ports not to choose, because the caller wants them. */
  readonly avoidPorts?: readonly number[] | undefined;
  /** Keeps the data here, across starts. Default: a temporary folder, removed at the end. */
  readonly dataDir?: string | undefined;
  /** Memory of each node in Redis' notation, e.g. "64mb"; full means that writes are refused. */
  readonly shardMemory?: string | undefined;
  /** Default: found by {@link findRedisServer}. */
  readonly redisServer?: RedisServer | undefined;
  /** Milliseconds after which the nodes' own votes replace a silent primary. Default 2000; more beyond 128 nodes. */
  readonly nodeTimeoutMs?: number | undefined;
  /** More lines of redis.conf, for every node. */
  readonly extraConfig?: Readonly<Record<string, string>> | undefined;
  readonly password?: string | undefined;
  /** Brings back a node whose process ended by itself. Default false. */
  readonly heal?: boolean | undefined;
  /** Hears of what happens after the start. */
  readonly log?: LocalLog | undefined;
  /** Hears of the stages of the start. */
  readonly progress?: ((stage: string) => void) | undefined;
  /** Hears of a node that ended without having been asked to. */
  readonly onNodeExit?: ((node: LocalNode, exit: NodeExit) => void) | undefined;
  /** Gives up a start under way: all is stopped and `startLocalCluster` rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface LocalNode {
  readonly index: number;
  readonly host: string;
  readonly port: number;
  /** 0 while no process runs. */
  readonly pid: number;
  /** As of the start; a failover changes it without a word here. */
  readonly role: 'primary' | 'replica';
  /** 0-based, in the order of the slots, as of the start; witnesses come after the shards. */
  readonly shard: number;
  /** The 40-character cluster id. */
  readonly id: string;
  readonly logFile: string;
}

export const SHARDS = { min: 1, max: 128 } as const;
export const REPLICAS = { min: 0, max: 5 } as const;
/** With three shards there is a majority without them. */
const SHARDS_WITH_WITNESSES_MAX = 2;
const WITNESSES = 2;
const MEMORY_MIN_BYTES = 1024 * 1024;
const MEMORY_ALLOWED = 'a size of at least 1mb such as 64mb or 2gb';

/** @throws ProxyError naming the option, the value and what is permitted */
export function checkOptions(options: LocalClusterOptions): void {
  requireWithin('--shards', options.shards, SHARDS);
  requireWithin('--replicas', options.replicas, REPLICAS);
  if (options.witnesses === true && options.shards > SHARDS_WITH_WITNESSES_MAX) {
    throw notAllowed(
      '--witnesses with --shards',
      options.shards,
      '1 or 2 (three shards are a majority by themselves)',
    );
  }
  if (options.witnesses === true && options.replicas === 0) {
    throw notAllowed('--witnesses with --replicas', 0, '1 to 5: votes need a replica to vote for');
  }
  const { shardMemory } = options;
  if (shardMemory !== undefined && (parseSize(shardMemory) ?? 0) < MEMORY_MIN_BYTES) {
    throw notAllowed('--shard-memory', shardMemory, MEMORY_ALLOWED);
  }
}

export interface ClusterSize {
  readonly shards: number;
  readonly replicas: number;
  readonly witnesses?: boolean | undefined;
}

export function witnessCount({ witnesses }: Pick<ClusterSize, 'witnesses'>): number {
  return witnesses === true ? WITNESSES : 0;
}

/** Nodes of all shards, then the witnesses. */
export function nodeCount(size: ClusterSize): number {
  return size.shards * (1 + size.replicas) + witnessCount(size);
}

function requireWithin(
  option: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): void {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return;
  throw notAllowed(option, value, `${range.min} to ${range.max}`);
}
