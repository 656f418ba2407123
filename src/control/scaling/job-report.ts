/** What scaling shows of itself: to the HTTP API, and through it to the command line. Data only. */

export type BalanceBy = 'slots' | 'bytes' | 'keys';

/** What is to be reached; whatever is absent stays as it is. */
export interface ScaleWish {
  /** 1 to 128. */
  readonly shards: number;
  /** Of each shard, 0 to 5. */
  readonly replicas: number;
  /** Shards that stay keep the replicas that they have; `replicas` is for new ones. */
  readonly leavesReplicas: boolean;
  readonly by: BalanceBy;
  /** "host:port" of empty nodes that may be taken, besides spares and members without slots. */
  readonly nodes: readonly string[];
  /** Keys larger than scaling.bigKeyBytes are moved too, each in a pause that is announced. */
  readonly movesBigKeys: boolean;
}

export type JobKind = 'scale' | 'rebalance';

export type JobState =
  | 'running'
  /** Ends what it has in hand first. */
  | 'pausing'
  | 'paused'
  | 'cancelling'
  /** Every slot is at rest; what was moved stays where it is. */
  | 'cancelled'
  | 'done'
  /** See JobReport.problem. */
  | 'failed';

export interface JobReport {
  readonly id: string;
  readonly kind: JobKind;
  readonly wish: ScaleWish;
  readonly state: JobState;
  /** Why it failed, or what keeps it waiting; '' when all is well. */
  readonly problem: string;
  /** What it does now, in words. */
  readonly step: string;
  /** Unix milliseconds; 0 while it has not ended. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly slots: { readonly moved: number; readonly total: number };
  readonly keysMoved: number;
  readonly bytesMoved: number;
  /** Null while nothing can be said. */
  readonly etaSeconds: number | null;
  /** Slots that shards give or take, in the order of shards. */
  readonly shards: readonly JobShard[];
  /** The newest last; at most 50. */
  readonly events: readonly JobEvent[];
}

export interface JobShard {
  /** Of its primary. */
  readonly address: string;
  readonly gives: number;
  readonly given: number;
  readonly takes: number;
  readonly taken: number;
}

export interface JobEvent {
  /** Unix milliseconds. */
  readonly at: number;
  readonly text: string;
}

/** What a scale would do. */
export interface PlanReport {
  readonly wish: ScaleWish;
  readonly shardsNow: number;
  readonly slotsToMove: number;
  /** Estimates, from the nodes' own counts. */
  readonly keysToMove: number;
  readonly bytesToMove: number;
  readonly shards: readonly PlanShard[];
  /** Node by node, in words: joins as primary, joins as a replica of …, leaves. */
  readonly nodes: readonly string[];
}

export interface PlanShard {
  readonly address: string;
  readonly slotsBefore: number;
  readonly slotsAfter: number;
}

export interface ClusterReport {
  readonly shards: readonly ShardStatus[];
  /** Empty members, and spares that answer. */
  readonly free: readonly string[];
  /** The fullest shard over the mean one, 1 when even. */
  readonly skew: { readonly slots: number; readonly bytes: number; readonly keys: number };
  readonly slotsInMotion: number;
  readonly slotsUnowned: number;
  /** The job that runs, or ran last here. */
  readonly job: JobReport | null;
}

export interface ShardStatus {
  readonly shard: number;
  readonly primary: string;
  readonly slots: number;
  readonly keys: number | null;
  readonly usedBytes: number | null;
  /** maxmemory; 0: none. */
  readonly maxBytes: number | null;
  readonly state: string;
  readonly replicas: readonly ReplicaStatus[];
}

export interface ReplicaStatus {
  readonly address: string;
  readonly state: string;
  /** How much older than its primary's its data may be, milliseconds; null where unknown. */
  readonly stalenessMs: number | null;
  /** Bytes of the replication stream that it is behind; null where unknown. */
  readonly lagBytes: number | null;
}
