/** What the mover needs of nodes and workers; and what it tells. */

import type { NodeEndpoint } from '../../topology/build.ts';
import type { SnapshotNode } from '../../topology/snapshot.ts';
import type { BroadcastResult } from '../calls.ts';
import type { NodeAccess } from '../node-access.ts';
import type { BatchResult, NodeCommand } from '../node-client.ts';

/** Connections with patience for MIGRATE. */
export interface MoverNodes extends NodeAccess {
  /** See NodeClient.batch; five seconds unless told otherwise. */
  batch(
    node: NodeEndpoint,
    commands: readonly NodeCommand[],
    timeoutMs?: number,
  ): Promise<BatchResult[]>;
}

export interface MoverWorkers {
  broadcast(method: string, argument: unknown, deadlineMs: number): Promise<BroadcastResult>;
}

/** Slots that are in motion at the same time, between the same two. */
export interface MoveWindow {
  readonly slots: readonly number[];
  readonly from: SnapshotNode;
  readonly to: SnapshotNode;
  /** Replicas of `to` that live. */
  readonly targetReplicas: readonly SnapshotNode[];
  /** Some keys may have left already: there is no way back, however large the rest. */
  readonly hasBegun?: boolean;
}

export interface MoveProgress {
  readonly keys: number;
  readonly bytes: number;
}

/** A slot that stays where it is. */
export interface SlotLeft {
  readonly slot: number;
  readonly why: string;
}

/** All of its keys are at the target, and its slots are about to be. */
export interface DrainedWindow {
  /** Slots that were not moved, and are at rest. */
  readonly left: readonly SlotLeft[];
  readonly finished: Promise<void>;
}

/** A step that nodes refused or did not answer; slots of the window may be open now. */
export class MoveFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'MoveFailed';
  }
}
