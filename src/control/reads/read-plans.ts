/**
 * Makes a ReadPlan of every round of INFO replication and whenever a node's state changes, and hands
 * it out. While no replica may serve anything and all nodes are well, one plan that says so is enough.
 */

import type { ReadNode, ReadPlan } from '../../topology/read-plan.ts';
import { nodeAddress, type Snapshot } from '../../topology/snapshot.ts';
import type { ControlLog } from '../control-log.ts';
import type { HealthView, NodeHealth } from '../health/health-view.ts';
import { Ramp } from './ramp.ts';
import { buildReadPlan, type ReadSettings, wantsReplicas, zoneOf } from './read-plan.ts';
import { type ShardFacts, Watermarks } from './watermarks.ts';

export interface ReadPlansOptions {
  readonly settings: ReadSettings;
  readonly health: HealthView;
  /** To every worker. */
  readonly publish: (plan: ReadPlan) => void;
  readonly log: ControlLog;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** While no replica serves reads, its offset matters for failovers only. */
const IDLE_POLL_MS = 1000;
/** Changes of this time make one plan. */
const SOON_MS = 5;
/** The nodes' zones are known some time after the nodes themselves. */
const ZONES_KNOWN_MS = 5000;

export class ReadPlans {
  readonly #options: ReadPlansOptions;
  readonly #watermarks = new Watermarks();
  readonly #ramp = new Ramp();
  #settings: ReadSettings;
  #snapshot: Snapshot | null = null;
  #plan: ReadPlan | null = null;
  /** The plan that workers have says that replicas serve nothing. */
  #isSaidIdle = false;
  /** The next plan, when several nodes change at once. */
  #soon: NodeJS.Timeout | null = null;
  #isStopped = false;
  #firstSnapshotAt = 0;
  #zoneLogged = '';

  constructor(options: ReadPlansOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** The newest, for workers that start later. */
  get plan(): ReadPlan | null {
    return this.#plan;
  }

  /** How often INFO replication is to be asked. */
  get pollMs(): number {
    const { pollMs } = this.#settings;
    const isWanted = this.#snapshot !== null && wantsReplicas(this.#snapshot, this.#settings);
    return isWanted ? pollMs : Math.max(pollMs, IDLE_POLL_MS);
  }

  /** Up to when this replica has its primary's writes: monotonic ms, 0 where nothing is known. */
  watermarkOf(replica: string): number {
    return this.#watermarks.of(replica);
  }

  onSnapshot(snapshot: Snapshot): void {
    const before = this.#snapshot;
    this.#snapshot = snapshot;
    if (before?.nodes === snapshot.nodes && before.shards === snapshot.shards) return;
    const replicas = snapshot.shards.flatMap((shard) => shard.replicas);
    const addresses = replicas.flatMap((index) => {
      const node = snapshot.nodes[index];
      return node === undefined ? [] : [nodeAddress(node)];
    });
    this.#ramp.setMembers(new Set(addresses));
    if (before === null) this.#firstSnapshotAt = this.#options.now();
    this.#isSaidIdle = false;
    this.round();
  }

  /** Takes effect at once. */
  configure(settings: ReadSettings): void {
    this.#settings = settings;
    this.#isSaidIdle = false;
    this.round();
  }

  /** A node's state has changed. */
  onChange(): void {
    if (!this.#isStopped) this.#soon ??= setTimeout(() => this.round(), SOON_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#clearSoon();
  }

  /** Most nodes have answered a round of INFO replication. */
  round(): void {
    this.#clearSoon();
    const snapshot = this.#snapshot;
    if (snapshot === null || this.#isStopped) return;
    this.#logZone(snapshot);
    this.#watermarks.update(this.#shardFacts(snapshot));
    const plan = this.#build(snapshot);
    const isIdle = !wantsReplicas(snapshot, this.#settings) && plan.nodes.every(isUsable);
    if (isIdle && this.#isSaidIdle) return;
    this.#isSaidIdle = isIdle;
    this.#plan = plan;
    this.#options.publish(plan);
  }

  #clearSoon(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
  }

  #build(snapshot: Snapshot): ReadPlan {
    const { health, now } = this.#options;
    const at = now();
    return buildReadPlan({
      snapshot,
      settings: this.#settings,
      health: (address) => health.of(address),
      watermark: (address) => this.#watermarks.of(address),
      part: (address, node, isUsable) =>
        this.#ramp.part(address, { isUsable, isJudged: isJudged(node) }, at),
    });
  }

  #shardFacts(snapshot: Snapshot): ShardFacts[] {
    const { health } = this.#options;
    const addressOf = (index: number): string => {
      const node = snapshot.nodes[index];
      return node === undefined ? '' : nodeAddress(node);
    };
    return snapshot.shards.map((shard) => {
      const primary = addressOf(shard.primary);
      const replicas = shard.replicas.map((index) => {
        const address = addressOf(index);
        return { address, facts: health.of(address)?.facts ?? null };
      });
      return { primary, primaryFacts: health.of(primary)?.facts ?? null, replicas };
    });
  }

  /** A name that no node has is most likely misspelt: then no node is preferred. */
  #logZone(snapshot: Snapshot): void {
    const { zone } = this.#settings;
    if (zone === '' || zone === this.#zoneLogged) return;
    if (this.#options.now() - this.#firstSnapshotAt < ZONES_KNOWN_MS) return;
    this.#zoneLogged = zone;
    const zones = new Set(snapshot.nodes.map((node) => zoneOf(node, this.#settings)));
    if (zones.has(zone)) return;
    zones.delete('');
    this.#options.log.warn(
      { zone, zones: [...zones] },
      'reads.zone is a zone that no node is in: no node is preferred; set reads.nodeZones, or ' +
        'availability-zone on the nodes, or mend the name',
    );
  }
}

/** Workers keep commands back from a node that answers neither control nor them. */
function isUsable(node: ReadNode): boolean {
  return node.isUsable;
}

/** Anything is known of it, good or bad. */
function isJudged(node: NodeHealth | undefined): boolean {
  return node !== undefined && (node.facts !== null || node.state === 'down');
}
