/** What the benchmark needs of a program that it measures. */

import type { Ports } from '../ports.ts';
import type { Backends } from './backends.ts';

export interface RunningPeer {
  readonly port: number;
  /** Process ids whose CPU time and memory count as the peer's, all descendants included. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface PeerDefinition {
  /** Short, as in tables and `--peers`. */
  readonly name: string;
  /** What stands behind it, for the report. */
  readonly setting: string;
  /** True when it fronts the benchmark's cluster, so that stopping one node stops one shard. */
  readonly overCluster: boolean;
  /** '' when it can run here, else one line that says why not. */
  unavailable(): string;
  version(): Promise<string>;
  /** @throws Error with the program's own words when it does not come up. */
  start(): Promise<RunningPeer>;
}

export interface PeerContext {
  readonly backends: Backends;
  readonly ports: Ports;
}
