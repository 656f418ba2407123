/**
 * The three interfaces between control and workers; main wires them (in one process by direct calls,
 * in several by messages that the supervisor relays). Neither plane imports the other.
 *
 * - **snapshots**  control → worker: immutable, with an epoch; the newest wins.
 * - **hints**      worker → control: "something looks different"; rate-limited by the receiver.
 * - **calls**      either way, answered, with a deadline. Values must survive structured clone.
 */

export type HintReason =
  | 'moved' // a MOVED reply named an owner other than ours
  | 'unknown-node' // a redirect named a node that no snapshot has shown yet
  | 'refused' // a node refused or reset a connection
  | 'timeout' // a node did not answer a command in time
  | 'state' // CLUSTERDOWN, READONLY, MASTERDOWN, LOADING
  | 'unwritable' // MISCONF, OOM, NOREPLICAS: it serves reads alone; `words` are its own
  | 'maxclients'; // it takes no more connections and serves those that it has

export interface Hint {
  readonly reason: HintReason;
  /** host:port of the node concerned, '' where none is. */
  readonly node: string;
  /** The node's own, where they tell more than the reason. */
  readonly words?: string;
}

/** Calls that a worker makes; control answers, asking all workers where needed. */
export interface ControlCalls {
  /** One method name and a structured-clone-able argument; rejects after `deadlineMs`. */
  call(method: string, argument: unknown, deadlineMs: number): Promise<unknown>;
}

export interface ControlLink<S> extends ControlCalls {
  hint(hint: Hint): void;
  /** The newest snapshot at once if there is one, then every newer one. */
  onSnapshot(listener: (snapshot: S) => void): void;
}
