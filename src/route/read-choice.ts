/**
 * Which node of a shard serves a read: among those that may, by weight, then least in flight.
 *
 * Weights are met by chance rather than by turns, so that many proxies do not move in step. Where
 * the node drawn has clearly more in flight than another of its weight, that one serves: equal shares
 * are for equal nodes, and a slow one should get less.
 */

import type { ReadNode, ReadPlan } from '../topology/read-plan.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import { NO_NODE, type RouteNode, type Routing } from './routing.ts';

export interface ReadRules {
  readonly maxStalenessMs: number;
  readonly whenPrimaryDown: 'serve' | 'bounded' | 'refuse';
}

/** What only the caller knows of a node: whether it can be reached, and what it has to do. */
export interface NodeLoad {
  isReachable(node: RouteNode, now: number): boolean;
  inFlight(node: RouteNode): number;
}

/** In flight at one node: up to this many, and that many times another's, is chance. */
const BUSY_FROM = 256;
const BUSY_FACTOR = 4;

interface Candidate {
  readonly node: RouteNode;
  readonly isPrimary: boolean;
  weight: number;
  tier: 0 | 1;
  watermark: number;
  isUsable: boolean;
  /** Of the choice under way. */
  eligible: boolean;
}

export class ReadChoice {
  /** Some replica has a weight. */
  hasReplicas = false;
  rules: ReadRules;
  #plan: ReadPlan = { nodes: [] };
  /** By shard index of the newest snapshot; the primary first. */
  #shards: Candidate[][] = [];
  #byAddress = new Map<string, Candidate>();
  readonly #routing: Routing;
  readonly #load: NodeLoad;
  /** Uniform in [0, 1). */
  readonly #random: () => number;

  constructor(rules: ReadRules, routing: Routing, load: NodeLoad, random: () => number) {
    this.rules = rules;
    this.#routing = routing;
    this.#load = load;
    this.#random = random;
  }

  /** The newest word of control. */
  onPlan(plan: ReadPlan): void {
    this.#plan = plan;
    this.hasReplicas = false;
    for (const { address, weight, tier, watermark, isUsable } of plan.nodes) {
      const candidate = this.#byAddress.get(address);
      if (candidate === undefined) continue;
      Object.assign(candidate, { weight, tier, watermark, isUsable });
      if (weight > 0 && !candidate.isPrimary) this.hasReplicas = true;
    }
  }

  /** The routing has taken a new snapshot. */
  onSnapshot(): void {
    const { snapshot } = this.#routing;
    const planned = new Map(this.#plan.nodes.map((node) => [node.address, node]));
    this.#byAddress = new Map();
    this.hasReplicas = false;
    this.#shards = (snapshot?.shards ?? []).map(({ primary, replicas }) =>
      [primary, ...replicas].flatMap((index, at) => this.#candidate(index, at === 0, planned)),
    );
  }

  #candidate(
    index: number,
    isPrimary: boolean,
    planned: ReadonlyMap<string, ReadNode>,
  ): Candidate[] {
    const member = this.#routing.snapshot?.nodes[index];
    if (member === undefined) return [];
    const address = nodeAddress(member);
    const node = this.#routing.nodes[this.#routing.nodeAt(address)];
    if (node === undefined) return [];
    const known = planned.get(address);
    const candidate: Candidate = {
      node,
      isPrimary,
      weight: known?.weight ?? 0,
      tier: known?.tier ?? 0,
      // What was known of a former primary says nothing of it as a replica.
      watermark: known?.watermark ?? 0,
      isUsable: known?.isUsable ?? false,
      eligible: false,
    };
    this.#byAddress.set(address, candidate);
    if (candidate.weight > 0 && !isPrimary) this.hasReplicas = true;
    return [candidate];
  }

  /**
   * The node for a read of `slot`, or NO_NODE: whoever owns the slot. A replica must have all writes
   * acknowledged before `since`. `isDown`: the primary cannot serve.
   */
  pick(slot: number, now: number, since: number, isDown: boolean): number {
    const routing = this.#routing;
    const shard = this.#shards[routing.shardOf[slot] as number];
    // A replica of a slot's source answers nil for keys that have left (DESIGN: ASK is the primary's).
    if (shard === undefined || routing.motion[slot] !== 0) return NO_NODE;
    const owner = routing.owner[slot] as number;
    // A MOVED has overtaken the snapshot: its replicas belong to another node.
    if (shard[0]?.node.index !== owner) return NO_NODE;
    let total = 0;
    for (let tier = 0; tier < 2 && total === 0; tier++) {
      total = this.#sift(shard, tier, now, since, isDown);
    }
    return total === 0 ? NO_NODE : this.#draw(shard, total);
  }

  /** Marks the nodes of a tier that may serve; returns the sum of their weights. */
  #sift(shard: Candidate[], tier: number, now: number, since: number, isDown: boolean): number {
    let total = 0;
    for (const candidate of shard) {
      candidate.eligible =
        candidate.weight > 0 &&
        candidate.tier === tier &&
        (candidate.isPrimary ? !isDown : this.#mayServe(candidate, now, since, isDown)) &&
        this.#load.isReachable(candidate.node, now);
      if (candidate.eligible) total += candidate.weight;
    }
    return total;
  }

  #mayServe(
    { isUsable, watermark }: Candidate,
    now: number,
    since: number,
    isDown: boolean,
  ): boolean {
    if (!isUsable || watermark <= 0 || watermark < since) return false;
    const { maxStalenessMs, whenPrimaryDown } = this.rules;
    if (isDown && whenPrimaryDown !== 'bounded') return whenPrimaryDown === 'serve';
    return now - watermark <= maxStalenessMs;
  }

  #draw(shard: Candidate[], total: number): number {
    let left = this.#random() * total;
    let drawn: Candidate | undefined;
    for (const candidate of shard) {
      if (!candidate.eligible) continue;
      drawn = candidate;
      left -= candidate.weight;
      if (left < 0) break;
    }
    return drawn === undefined ? NO_NODE : this.#relieved(shard, drawn);
  }

  /** Weights are met as long as nobody falls behind; then the least busy of the equals steps in. */
  #relieved(shard: Candidate[], drawn: Candidate): number {
    const mine = this.#load.inFlight(drawn.node);
    if (mine <= BUSY_FROM) return drawn.node.index;
    let best = drawn.node.index;
    let least = (mine - BUSY_FROM) / BUSY_FACTOR;
    for (const candidate of shard) {
      if (!candidate.eligible || candidate.weight !== drawn.weight) continue;
      const inFlight = this.#load.inFlight(candidate.node);
      if (inFlight >= least) continue;
      least = inFlight;
      best = candidate.node.index;
    }
    return best;
  }
}
