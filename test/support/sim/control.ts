/**
 * Stands for the control plane: polls the simulated cluster, hands pictures of it to the proxy, late
 * and sometimes out of date, and polls sooner after hints.
 */

import type { ControlLink, Hint } from '../../../src/lib/planes.ts';
import type { ReadPlan } from '../../../src/topology/read-plan.ts';
import {
  NO_SHARD,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
} from '../../../src/topology/snapshot.ts';
import type { SimCluster } from './cluster.ts';
import type { EventQueue } from './event-queue.ts';
import type { Oracle } from './oracle.ts';
import type { Prng } from './prng.ts';
import { SimProgress } from './progress.ts';

export interface ControlTraits {
  readonly pollMs: number;
  /** From asking the nodes until the picture is published, at most, ms. */
  readonly lateMs: number;
  /** Chance that a poll shows the cluster as it was some time before. */
  readonly stale: number;
  /** Slots of a dead primary are shown as nobody's. */
  readonly hidesDead: boolean;
  /** How often nodes are asked how far they have got; 0: never, replicas serve no reads. */
  readonly readPollMs: number;
}

const HINT_GAP_MS = 60;
const STALE_MS = 80;

type Picture = Omit<Snapshot, 'epoch' | 'polledAt'>;

interface Seen {
  readonly picture: Picture;
  readonly until: number;
}

export class SimControl implements ControlLink<Snapshot> {
  readonly hints = new Map<string, number>();
  published: Snapshot | null = null;
  #listener: (snapshot: Snapshot) => void = () => {};
  #hintedAt = 0;
  #version = 0;
  #picture: Picture | null = null;
  #former: Seen | null = null;
  #publishedPicture: Picture | null = null;
  readonly #clock: EventQueue;
  readonly #random: Prng;
  readonly #cluster: SimCluster;
  readonly #traits: ControlTraits;
  readonly #oracle: Oracle;

  constructor(
    clock: EventQueue,
    random: Prng,
    cluster: SimCluster,
    oracle: Oracle,
    traits: ControlTraits,
  ) {
    this.#oracle = oracle;
    this.#clock = clock;
    this.#random = random;
    this.#cluster = cluster;
    this.#traits = traits;
  }

  onSnapshot(listener: (snapshot: Snapshot) => void): void {
    this.#listener = listener;
    this.#clock.every(this.#traits.pollMs, () => this.#poll());
    this.#clock.after(this.#random.range(0, 20), () => this.#poll());
  }

  /** How far replicas have got; nothing where they serve no reads. */
  onReadPlan(listener: (plan: ReadPlan) => void): void {
    const { readPollMs } = this.#traits;
    if (readPollMs === 0) return;
    const progress = new SimProgress(this.#clock, this.#random.fork(), this.#cluster);
    this.#clock.every(readPollMs, () => {
      if (this.published !== null) progress.ask(this.published, listener);
    });
  }

  hint(hint: Hint): void {
    this.hints.set(hint.reason, (this.hints.get(hint.reason) ?? 0) + 1);
    if (this.#clock.now - this.#hintedAt < HINT_GAP_MS) return;
    this.#hintedAt = this.#clock.now;
    this.#clock.after(this.#random.range(1, 30), () => this.#poll());
  }

  call(method: string): Promise<unknown> {
    return Promise.reject(new Error(`${method} is not simulated`));
  }

  #poll(): void {
    const startedAt = this.#clock.now;
    const { lateMs } = this.#traits;
    this.#clock.after(this.#random.range(0, lateMs / 2), () => {
      const picture = this.#look();
      this.#clock.after(this.#random.range(0, lateMs / 2), () => this.#publish(picture, startedAt));
    });
  }

  #look(): Picture {
    const now = this.#clock.now;
    if (this.#picture === null || this.#cluster.version !== this.#version) {
      if (this.#picture !== null) this.#former = { picture: this.#picture, until: now };
      this.#picture = this.#draw();
      this.#version = this.#cluster.version;
    }
    const former = this.#former;
    const isStale = former !== null && now - former.until < STALE_MS;
    return isStale && this.#random.chance(this.#traits.stale) ? former.picture : this.#picture;
  }

  #draw(): Picture {
    const { nodes, owner, primaries, configEpochs } = this.#cluster;
    const seen = nodes.map(
      (node): SnapshotNode => ({
        id: String(node.index).padStart(40, '0'),
        host: node.host,
        port: node.port,
        role: node.primary === null ? 'primary' : 'replica',
        failed: !node.isAlive,
        zone: '',
      }),
    );
    const shards = primaries
      .map((node) => ({ node, first: owner.indexOf(node.index) }))
      .map((each) =>
        each.first >= 0 || each.node.importing.size === 0 ? each : { ...each, first: SLOT_COUNT },
      )
      .filter(({ node, first }) => first >= 0 && (node.isAlive || !this.#traits.hidesDead))
      .sort((one, other) => one.first - other.first)
      .map(({ node }) => node);
    const shardOf = new Uint16Array(nodes.length).fill(NO_SHARD);
    shards.forEach((node, i) => {
      shardOf[node.index] = i;
    });
    const slots = new Uint16Array(SLOT_COUNT);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      slots[slot] = shardOf[owner[slot] as number] as number;
    }
    return {
      upstreamId: 1,
      mode: 'cluster',
      crossSlotFree: false,
      nodes: seen,
      shards: shards.map((node) => ({
        primary: node.index,
        replicas: this.#cluster.replicasOf(node).map((replica) => replica.index),
        configEpoch: configEpochs[node.index] as number,
      })),
      slots,
      motion: this.#motion(),
      serverVersion: '7.0.15',
    };
  }

  #motion(): Uint8Array {
    const motion = new Uint8Array(SLOT_COUNT / 8);
    for (const node of this.#cluster.nodes) {
      for (const slot of [...node.migrating.keys(), ...node.importing.keys()]) {
        motion[slot >> 3] = (motion[slot >> 3] as number) | (1 << (slot & 7));
      }
    }
    return motion;
  }

  #noteMotion(motion: Uint8Array): void {
    const { motionShownSince } = this.#oracle;
    const shown = (slot: number): boolean =>
      ((motion[slot >> 3] as number) >> (slot & 7)) % 2 === 1;
    for (const slot of [...motionShownSince.keys()]) {
      if (!shown(slot)) motionShownSince.delete(slot);
    }
    motion.forEach((bits, index) => {
      if (bits === 0) return;
      for (let slot = index * 8; slot < index * 8 + 8; slot++) {
        if (shown(slot) && !motionShownSince.has(slot)) motionShownSince.set(slot, this.#clock.now);
      }
    });
  }

  #publish(picture: Picture, startedAt: number): void {
    const before = this.published;
    if (before !== null && startedAt < before.polledAt) return;
    const isSame = picture === this.#publishedPicture;
    const epoch = before === null ? 1 : before.epoch + (isSame ? 0 : 1);
    this.#publishedPicture = picture;
    this.#noteMotion(picture.motion);
    this.published = { ...picture, epoch, polledAt: startedAt };
    this.#listener(this.published);
  }
}
