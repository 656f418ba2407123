/** What the rest of control sees of the nodes' health; see Health, which finds it out. */

/**
 * - up: it answers
 * - suspect: something failed, not often enough to be sure
 * - down: health.downAfter failures in a row, or its port refuses connections
 * - recovering: it answers again, not often enough to be trusted
 */
export type NodeState = 'up' | 'suspect' | 'down' | 'recovering';

/** What a failure looked like: it tells a dead process from a stopped, cut-off or busy one. */
export type Evidence =
  | '' // none: it answers
  | 'refused' // nobody listens on its port
  | 'reset' // accepted, then closed or reset: at maxclients, or dying
  | 'unreachable' // the connection does not come about: cut off, or its accept queue is full
  | 'silent' // connected, and no answer: stopped, or cut off since
  | 'loading' // it reads its data from disk
  | 'busy' // a script or function keeps it
  | 'stuck' // PING is answered, commands are not
  | 'auth'; // it refuses our credentials

/** The newest answer of a node to INFO replication. */
export interface ReplicationFacts {
  /** Monotonic ms at which the question was sent: whatever was acknowledged before is in the answer. */
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly role: 'primary' | 'replica';
  /** master_replid: offsets of different histories cannot be compared. */
  readonly replid: string;
  /** master_repl_offset of a primary, slave_repl_offset of a replica. */
  readonly offset: number;
  /** Of a replica: master_link_status is up. True for a primary. */
  readonly linkUp: boolean;
  /** Of a replica: a full sync is under way (master_sync_in_progress). */
  readonly isSyncing: boolean;
  /** Of a replica: master_link_down_since_seconds, -1 when it was never up; 0 while it is up. */
  readonly linkDownSeconds: number;
  /** INFO said loading:1, or the answer was -LOADING. */
  readonly isLoading: boolean;
}

export interface NodeHealth {
  /** The 40-character id; '' without cluster mode. */
  readonly id: string;
  /** "host:port" as in the snapshot. */
  readonly address: string;
  readonly state: NodeState;
  /** Monotonic ms of the last transition. */
  readonly since: number;
  readonly evidence: Evidence;
  /** Kept when the node dies: what it said last. Null before its first answer. */
  readonly facts: ReplicationFacts | null;
}

export interface HealthView {
  of(address: string): NodeHealth | undefined;
  all(): readonly NodeHealth[];
  /** Called after each transition. */
  onChange(listener: (node: NodeHealth, before: NodeState) => void): void;
  /** Asks a node now (PING and INFO replication) and resolves with what is then known of it. */
  refresh(address: string): Promise<NodeHealth | undefined>;
  /** Somebody noticed trouble with this node: look at once. Cheap. */
  suspect(address: string): void;
}
