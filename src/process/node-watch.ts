/**
 * Control's watch over the nodes: their health, how far replicas are, what workers may do with them,
 * and the metrics of all that.
 */

import type { Config } from '../config/schema.ts';
import { Health } from '../control/health/health.ts';
import { ReadPlans } from '../control/reads/read-plans.ts';
import type { Logger } from '../lib/log.ts';
import type { Hint } from '../lib/planes.ts';
import type { Family } from '../metrics/families.ts';
import { healthFamilies, type NodeHealthRow } from '../metrics/health-families.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import { nodeAddress, type Snapshot, shardOfNode } from '../topology/snapshot.ts';

export interface NodeWatchOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** To every worker. */
  readonly publish: (plan: ReadPlan) => void;
}

export class NodeWatch {
  readonly health: Health;
  readonly #plans: ReadPlans;
  readonly #now: () => number;
  #settings: Config['health'];
  #snapshot: Snapshot | null = null;

  constructor({ config, log, now, publish }: NodeWatchOptions) {
    this.#now = now;
    this.#settings = config.health;
    this.health = new Health({
      username: config.cluster.username,
      password: config.cluster.password,
      settings: { ...config.health, infoIntervalMs: config.reads.pollMs },
      log,
      now,
    });
    this.#plans = new ReadPlans({ settings: config.reads, health: this.health, publish, log, now });
    this.health.onRound(() => this.#plans.round());
    this.health.onChange(() => this.#plans.onChange());
  }

  /** The newest, for workers that start later. */
  get plan(): ReadPlan | null {
    return this.#plans.plan;
  }

  onSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.health.onSnapshot(snapshot);
    this.#plans.onSnapshot(snapshot);
    this.#configureHealth();
  }

  onHint(hint: Hint): void {
    this.health.onHint(hint);
  }

  /** Live settings have changed. */
  configure({ health, reads, cluster }: Config): void {
    this.#settings = health;
    this.health.setLogin(cluster);
    this.#plans.configure(reads);
    this.#configureHealth();
  }

  /** For how long this replica may lack its primary's writes, in ms; null where nothing is known. */
  stalenessMs(replica: string): number | null {
    const watermark = this.#plans.watermarkOf(replica);
    return watermark === 0 ? null : Math.max(0, this.#now() - watermark);
  }

  families(): Family[] {
    return healthFamilies(() => this.#rows());
  }

  stop(): void {
    this.#plans.stop();
    this.health.stop();
  }

  #configureHealth(): void {
    this.health.configure({ ...this.#settings, infoIntervalMs: this.#plans.pollMs });
  }

  #rows(): NodeHealthRow[] {
    const snapshot = this.#snapshot;
    if (snapshot === null) return [];
    return snapshot.nodes.flatMap((place, index) => {
      const node = nodeAddress(place);
      const known = this.health.of(node);
      if (known === undefined) return [];
      const staleness = this.stalenessMs(node) ?? Number.POSITIVE_INFINITY;
      return {
        node,
        shard: shardOfNode(snapshot, index),
        role: place.role,
        state: known.state,
        stalenessSeconds: staleness / 1000,
      };
    });
  }
}
