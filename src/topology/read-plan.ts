/**
 * What workers may do with replicas: control tells it after every round of INFO replication, and
 * each plan replaces the one before. Plain data, so that it can be posted between processes.
 */

export interface ReadNode {
  /** "host:port" as in the snapshot (nodeAddress). */
  readonly address: string;
  /** Share of the reads against the other nodes of its shard; 0: never. May be a fraction. */
  readonly weight: number;
  /** Nodes of tier 0 serve as long as one of them can; tier 1 are those of other zones. */
  readonly tier: 0 | 1;
  /**
   * Of a replica: it has every write that its primary acknowledged before this moment (monotonic
   * ms). 0 where nothing is known. Of a primary: 0.
   */
  readonly watermark: number;
  /** When it answered control last, monotonic ms; 0: never. */
  readonly answeredAt: number;
  /**
   * Of a primary: it answers something, and be it -BUSY. Of a replica: it answers, is not loading and
   * not in a full sync, and follows its primary, or followed it until that died. How old its data may
   * be is for the reader to judge, by the watermark.
   */
  readonly isUsable: boolean;
}

export interface ReadPlan {
  readonly nodes: readonly ReadNode[];
}
