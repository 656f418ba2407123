/**
 * The values that pass between the stages of discovery: what a node answered (view), and what all
 * views together say (picture). A picture keeps what the next merge needs and workers do not.
 */

import type { ClusterNodeLine, SlotMark } from './cluster-nodes.ts';

/** What one node answered. */
export interface ClusterView {
  /** The address we asked; it stands in for hosts that the node does not know. */
  readonly askedHost: string;
  readonly askedPort: number;
  /** CLUSTER INFO said cluster_state:ok. */
  readonly stateOk: boolean;
  readonly lines: readonly ClusterNodeLine[];
}

export interface PictureNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** False when the address is the one we asked: it needs no NAT mapping. */
  readonly announced: boolean;
  readonly hostname: string;
  readonly availabilityZone: string;
  readonly role: 'primary' | 'replica';
  readonly primaryId: string;
  /** The cluster agreed on FAIL and the node itself does not say otherwise. */
  readonly failed: boolean;
  /** The node itself answered this poll. */
  readonly answered: boolean;
  readonly configEpoch: number;
  readonly importing: readonly SlotMark[];
  readonly migrating: readonly SlotMark[];
}

export interface Picture {
  /** Ordered by id. */
  readonly nodes: readonly PictureNode[];
  /** Per slot the index into {@link nodes} of its owner, or NO_SHARD. */
  readonly owners: Uint16Array;
  /** Per slot the config epoch of the owner's claim; -1 where there is none. */
  readonly epochs: Float64Array;
}

export interface RankedView extends ClusterView {
  readonly self: ClusterNodeLine;
  /** 0 … 3: state ok counts 2, all slots covered counts 1. */
  readonly rank: number;
}
