/**
 * The simulated cluster: who owns which slot in truth, and how that truth changes (slots moved key by
 * key, primaries dead, replicas promoted) and spreads (each node learns of it in its own time).
 */

import { keySlot } from '../../../src/commands/slot.ts';
import { SLOT_COUNT } from '../../../src/topology/snapshot.ts';
import type { FakeNetwork } from './network.ts';
import { type NodeHost, SimNode } from './node.ts';
import type { Value } from './oracle.ts';

export interface ClusterShape {
  readonly primaries: number;
  /** Primaries that own no slot at first, as when a cluster is to grow. */
  readonly emptyPrimaries: number;
  readonly replicas: number;
  /** Ms that a replica is behind its primary; 0 = an acknowledged write is on all replicas. */
  readonly replicationLagMs: number;
  /** A dead primary makes all others refuse their slots too. */
  readonly fullCoverage: boolean;
  /** Between two keys of a slot that moves, at most, ms. */
  readonly moveMs: number;
  /** How long a WAIT keeps its connection at the first primary, at most, ms. */
  readonly waitMs: number;
}

/** How long news may take from node to node, ms. */
const GOSSIP_MS = 40;
/**
 * A node imports a slot that it gave away again only after this time. An ASK of its first import may
 * still be on a slow link, and a node cannot tell for which import an ASKING was meant: Redis, too,
 * would create a key anew that is still elsewhere.
 */
const LATE_ASKING_MS = 1000;

interface Replicated {
  readonly offset: number;
  readonly key: string;
  readonly value: Value;
}

export class SimCluster {
  readonly nodes: SimNode[] = [];
  /** Slot → index of the node that owns it in truth. */
  readonly owner = new Uint16Array(SLOT_COUNT);
  /** Grows with every change that CLUSTER NODES would show. */
  version = 1;
  readonly configEpochs: number[] = [];
  readonly #shape: ClusterShape;
  readonly #host: NodeHost;
  /** Per replica: what it has not applied yet. */
  readonly #lagging = new Map<SimNode, Replicated[]>();
  /** Slots that are moved, and from where. */
  readonly #moving = new Map<number, SimNode>();
  /** Slot and node → when that node gave the slot away. */
  readonly #leftAt = new Map<string, number>();

  constructor(shape: ClusterShape, host: NodeHost, network: FakeNetwork) {
    this.#shape = shape;
    this.#host = host;
    const { primaries, replicas, emptyPrimaries } = shape;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      this.owner[slot] = Math.floor((slot * primaries) / SLOT_COUNT);
    }
    const replicated = primaries * (1 + replicas);
    for (let i = 0; i < replicated + emptyPrimaries; i++) {
      const node = new SimNode(i, this.owner.slice(), host);
      const isReplica = i >= primaries && i < replicated;
      if (isReplica) node.primary = this.nodes[i % primaries] as SimNode;
      if (i === 0) node.waitMs = shape.waitMs;
      node.history = node.primary?.name ?? node.name;
      this.nodes.push(node);
      this.configEpochs.push(i < primaries ? i + 1 : 0);
      network.listeners.set(node.port, node);
    }
  }

  get primaries(): SimNode[] {
    return this.nodes.filter((node) => node.primary === null);
  }

  replicasOf(primary: SimNode): SimNode[] {
    return this.nodes.filter((node) => node.primary === primary);
  }

  hasSlots(node: SimNode): boolean {
    return this.owner.includes(node.index);
  }

  replicate(from: SimNode, key: string, value: Value): void {
    const lag = this.#shape.replicationLagMs;
    const offset = ++from.offset;
    for (const replica of this.replicasOf(from)) {
      if (!replica.isAlive) continue;
      if (lag === 0) {
        replica.store(key, value);
        replica.offset = offset;
        continue;
      }
      const queue = this.#lagging.get(replica) ?? [];
      this.#lagging.set(replica, queue);
      queue.push({ key, value, offset });
      this.#host.clock.after(this.#host.random.range(0, lag), () => this.#applyNext(replica));
    }
  }

  #applyNext(replica: SimNode): void {
    const next = this.#lagging.get(replica)?.shift();
    if (next === undefined) return;
    replica.store(next.key, next.value);
    replica.offset = next.offset;
  }

  // ------------------------------------------------------------------ moving slots

  isMoving(node: SimNode): boolean {
    // Its source is marked only some time after the destination.
    if ([...this.#moving.values()].includes(node)) return true;
    return node.migrating.size > 0 || node.importing.size > 0;
  }

  /** Moves one slot key by key; `done` is called when every node knows. */
  moveSlot(slot: number, to: SimNode, done: () => void): void {
    const from = this.nodes[this.owner[slot] as number] as SimNode;
    const leftAt = this.#leftAt.get(`${slot} ${to.name}`) ?? Number.NEGATIVE_INFINITY;
    if (from === to || this.#moving.has(slot) || this.#host.clock.now < leftAt + LATE_ASKING_MS) {
      done();
      return;
    }
    this.#moving.set(slot, from);
    const { clock, random } = this.#host;
    this.#host.trace(() => `slot ${slot} starts to move from ${from.name} to ${to.name}`);
    to.importing.set(slot, from);
    this.version++;
    clock.after(random.range(0.1, 3), () => {
      from.migrating.set(slot, to);
      this.version++;
      this.#moveKeys(slot, from, to, done);
    });
  }

  #moveKeys(slot: number, from: SimNode, to: SimNode, done: () => void): void {
    const { clock, random } = this.#host;
    const keys = [...from.data.keys()].filter((key) => keySlot(key) === slot);
    if (keys.length === 0) {
      clock.after(random.range(0.1, 6), () => this.#finishMove(slot, from, to, done));
      return;
    }
    const key = random.pick(keys);
    const value = from.get(key);
    // MIGRATE blocks the source, so that a key is always at exactly one of the two.
    from.store(key, null);
    to.store(key, value);
    for (const replica of this.replicasOf(from)) replica.store(key, null);
    for (const replica of this.replicasOf(to)) replica.store(key, value);
    clock.after(random.range(0.1, this.#shape.moveMs), () => this.#moveKeys(slot, from, to, done));
  }

  #finishMove(slot: number, from: SimNode, to: SimNode, done: () => void): void {
    const { clock, random } = this.#host;
    if ([...from.data.keys()].some((key) => keySlot(key) === slot)) {
      this.#moveKeys(slot, from, to, done);
      return;
    }
    // SETSLOT NODE at the destination first: from now on it answers without ASKING.
    to.importing.delete(slot);
    to.view[slot] = to.index;
    this.owner[slot] = to.index;
    this.configEpochs[to.index] = Math.max(...this.configEpochs) + 1;
    this.version++;
    this.#host.trace(() => `slot ${slot} is at ${to.name}`);
    clock.after(random.range(0.1, 4), () => {
      from.migrating.delete(slot);
      from.view[slot] = to.index;
      this.#leftAt.set(`${slot} ${from.name}`, clock.now);
      this.version++;
      this.#spread([slot], to, [from, to]);
      clock.after(GOSSIP_MS, () => {
        this.#moving.delete(slot);
        done();
      });
    });
  }

  /** The others hear of the slots' new owner, each in its own time. */
  #spread(slots: readonly number[], owner: SimNode, except: readonly SimNode[]): void {
    const { clock, random } = this.#host;
    for (const node of this.nodes) {
      if (except.includes(node)) continue;
      clock.after(random.range(0, GOSSIP_MS), () => {
        for (const slot of slots) {
          if (this.owner[slot] === owner.index) node.view[slot] = owner.index;
        }
      });
    }
  }

  // ------------------------------------------------------------------ losing nodes

  kill(node: SimNode): void {
    node.kill();
    this.version++;
  }

  /** A primary is out of reach for good: where coverage is wanted in full, the others refuse. */
  fail(node: SimNode): void {
    this.version++;
    if (!this.#shape.fullCoverage) return;
    for (const other of this.primaries) {
      if (other !== node) other.refusal = 'CLUSTERDOWN The cluster is down';
    }
  }

  recover(): void {
    const { clock, random } = this.#host;
    for (const node of this.nodes) {
      if (node.refusal === '') continue;
      clock.after(random.range(0, GOSSIP_MS), () => {
        node.refusal = '';
      });
    }
  }

  /** A replica takes over its primary's slots; null when there is none that lives. */
  promote(failed: SimNode): SimNode | null {
    const [replica, ...others] = this.replicasOf(failed).filter(
      (node) => node.isAlive && !node.isLoading,
    );
    if (replica === undefined) return null;
    this.#host.trace(() => `${replica.name} takes over from ${failed.name}`);
    this.#lose(replica, failed);
    const slots: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.owner[slot] !== failed.index) continue;
      this.owner[slot] = replica.index;
      replica.view[slot] = replica.index;
      slots.push(slot);
    }
    replica.primary = null;
    replica.history = `${replica.name} since ${this.#host.clock.now}`;
    for (const other of others) {
      other.primary = replica;
      if (this.#shape.replicationLagMs > 0) continue;
      other.history = replica.history;
      other.offset = replica.offset;
    }
    failed.primary = replica;
    for (const slot of slots) failed.view[slot] = replica.index;
    this.configEpochs[replica.index] = Math.max(...this.configEpochs) + 1;
    this.version++;
    this.#spread(slots, replica, [replica, failed]);
    this.recover();
    return replica;
  }

  /** What the replica had not applied yet is lost, and its keys are what it has of them. */
  #lose(replica: SimNode, failed: SimNode): void {
    this.#lagging.delete(replica);
    for (const key of new Set([...failed.data.keys(), ...replica.data.keys()])) {
      if (replica.get(key) !== failed.get(key)) this.#host.oracle.wrote(key, replica.get(key));
    }
  }

  /** Comes back, loading for a while; as a replica where another has taken over. */
  restart(node: SimNode, loadingMs: number): void {
    const { clock } = this.#host;
    this.#host.trace(() => `${node.name} is back, loading`);
    node.isAlive = true;
    node.isLoading = true;
    node.view.set(this.owner);
    this.version++;
    clock.after(loadingMs, () => {
      node.isLoading = false;
      this.resync(node);
      this.version++;
    });
  }

  /** A replica takes its primary's data as it is. */
  resync(node: SimNode): void {
    if (node.primary === null) return;
    this.#lagging.delete(node);
    node.data.clear();
    for (const [key, value] of node.primary.data) node.store(key, value);
    node.offset = node.primary.offset;
    node.history = node.primary.history;
  }
}
