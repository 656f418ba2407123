/**
 * Stands for control's INFO replication: asks the simulated nodes how far they have got, late, and
 * makes of their answers what workers are told, by the real bookkeeping.
 */

import type { ReplicationFacts } from '../../../src/control/health/health-view.ts';
import { Watermarks } from '../../../src/control/reads/watermarks.ts';
import type { ReadNode, ReadPlan } from '../../../src/topology/read-plan.ts';
import { nodeAddress, type Snapshot } from '../../../src/topology/snapshot.ts';
import type { SimCluster } from './cluster.ts';
import type { EventQueue } from './event-queue.ts';
import type { SimNode } from './node.ts';
import type { Prng } from './prng.ts';

const LATE_MS = 15;

export class SimProgress {
  readonly #watermarks = new Watermarks();
  readonly #facts = new Map<string, ReplicationFacts>();
  readonly #weights = new Map<string, number>();
  readonly #clock: EventQueue;
  readonly #random: Prng;
  readonly #cluster: SimCluster;

  constructor(clock: EventQueue, random: Prng, cluster: SimCluster) {
    this.#clock = clock;
    this.#random = random;
    this.#cluster = cluster;
  }

  ask(snapshot: Snapshot, publish: (plan: ReadPlan) => void): void {
    const askedAt = this.#clock.now;
    const late = (): number => this.#random.range(0, LATE_MS);
    for (const node of this.#cluster.nodes) {
      this.#clock.after(late(), () => {
        if (!node.isAlive || node.isHung) return;
        const facts = factsOf(node, askedAt, this.#clock.now);
        this.#clock.after(late(), () => this.#facts.set(node.name, facts));
      });
    }
    this.#clock.after(2 * LATE_MS + late(), () => publish(this.#plan(snapshot)));
  }

  #plan(snapshot: Snapshot): ReadPlan {
    const addressOf = (index: number): string => {
      const node = snapshot.nodes[index];
      return node === undefined ? '' : nodeAddress(node);
    };
    const factsAt = (address: string): ReplicationFacts | null => this.#facts.get(address) ?? null;
    this.#watermarks.update(
      snapshot.shards.map(({ primary, replicas }) => ({
        primary: addressOf(primary),
        primaryFacts: factsAt(addressOf(primary)),
        replicas: replicas.map((index) => ({
          address: addressOf(index),
          facts: factsAt(addressOf(index)),
        })),
      })),
    );
    const nodes = snapshot.shards.flatMap(({ primary, replicas }) =>
      [primary, ...replicas].map((index) => this.#node(addressOf(index), index === primary)),
    );
    return { nodes };
  }

  #node(address: string, isPrimary: boolean): ReadNode {
    const node = this.#cluster.nodes.find(({ name }) => name === address);
    return {
      address,
      weight: this.#weightOf(address),
      tier: 0,
      watermark: isPrimary ? 0 : this.#watermarks.of(address),
      answeredAt: this.#facts.get(address)?.answeredAt ?? 0,
      isUsable: node?.isAlive === true && !node.isHung && !node.isLoading,
    };
  }

  #weightOf(address: string): number {
    const known = this.#weights.get(address) ?? this.#random.pick([0, 10, 100, 100]);
    this.#weights.set(address, known);
    return known;
  }
}

function factsOf(node: SimNode, askedAt: number, answeredAt: number): ReplicationFacts {
  const isReplica = node.primary !== null;
  return {
    askedAt,
    answeredAt,
    role: isReplica ? 'replica' : 'primary',
    replid: node.history,
    offset: node.offset,
    linkUp: node.primary?.isAlive !== false,
    isSyncing: node.isLoading,
    linkDownSeconds: 0,
    isLoading: node.isLoading,
  };
}
