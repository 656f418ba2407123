/**
 * Where each slot's commands go at this moment: the newest snapshot, corrected per slot by MOVED
 * replies until a poll that started after them says otherwise.
 *
 * `epoch` grows with every change; `slotChangedAt[slot]` is the epoch of that slot's last change.
 * A session whose oldest command in flight is older than that must wait before it uses the slot
 * again (the barrier): its commands would travel on two connections and could overtake each other.
 */

import { NO_SHARD, nodeAddress, SLOT_COUNT, type Snapshot } from '../topology/snapshot.ts';
import { MOTION, SlotMoves } from './slot-moves.ts';

/** `owner` of a slot that nobody serves. */
export const NO_NODE = 0xffff;

export interface RouteNode {
  readonly index: number;
  readonly id: string;
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** In the newest snapshot; others are kept for what is still in flight. */
  present: boolean;
  /** The cluster agreed that it has failed. */
  failed: boolean;
}

interface Moved {
  readonly node: number;
  readonly at: number;
}

export class Routing {
  epoch = 1;
  /** Grows whenever owners or motion may have changed. */
  changes = 0;
  snapshot: Snapshot | null = null;
  /** Slot → index into `nodes`, or NO_NODE. */
  readonly owner = new Uint16Array(SLOT_COUNT).fill(NO_NODE);
  /** Slot → shard index for metrics. */
  readonly shardOf = new Uint16Array(SLOT_COUNT).fill(NO_SHARD);
  readonly slotChangedAt = new Uint32Array(SLOT_COUNT);
  /** MOTION of each slot. */
  readonly motion = new Uint8Array(SLOT_COUNT);
  motionCount = 0;
  /** Lowest slot of each shard: what stands for the shard where a command has no key. */
  firstSlots: readonly number[] = [];
  readonly nodes: RouteNode[] = [];
  readonly #byAddress = new Map<string, RouteNode>();
  readonly #aliases = new Map<string, RouteNode>();
  readonly #moved = new Map<number, Moved>();
  readonly #motionSeenAt = new Map<number, number>();
  readonly #moves = new SlotMoves();
  #anyShard = 0;

  /** Takes a snapshot; false when it is older than the present one. */
  apply(snapshot: Snapshot): boolean {
    const previous = this.snapshot;
    if (
      previous !== null &&
      previous.upstreamId === snapshot.upstreamId &&
      (snapshot.epoch < previous.epoch || snapshot.polledAt < previous.polledAt)
    ) {
      return false;
    }
    this.snapshot = snapshot;
    const isSame =
      previous?.upstreamId === snapshot.upstreamId && previous.epoch === snapshot.epoch;
    if (isSame && this.#moved.size === 0 && this.#motionSeenAt.size === 0) return true;
    this.changes++;
    this.#applyNodes(snapshot);
    const epoch = this.epoch + 1;
    const shardNode = snapshot.shards.map((shard) => this.#indexOf(snapshot, shard.primary));
    let changed = false;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const shard = snapshot.slots[slot] as number;
      this.shardOf[slot] = shard;
      const polled = shard === NO_SHARD ? NO_NODE : (shardNode[shard] as number);
      const owner = this.#believed(slot, this.#ownerFor(slot, polled, snapshot));
      if (owner === this.owner[slot]) continue;
      this.owner[slot] = owner;
      this.slotChangedAt[slot] = epoch;
      changed = true;
    }
    if (changed) this.epoch = epoch;
    this.firstSlots = firstSlotsOf(snapshot);
    this.#applyMotion(snapshot);
    return true;
  }

  #applyNodes(snapshot: Snapshot): void {
    for (const node of this.nodes) {
      node.present = false;
      node.failed = false;
    }
    this.#aliases.clear();
    for (const node of snapshot.nodes) {
      const address = nodeAddress(node);
      let known = this.#byAddress.get(address);
      if (known === undefined) {
        const { id, host, port } = node;
        const index = this.nodes.length;
        known = { index, id, address, host, port, present: true, failed: false };
        this.nodes.push(known);
        this.#byAddress.set(address, known);
      }
      known.present = true;
      known.failed = node.failed;
      // What redirects may call it: its address before NAT, its announced host name.
      for (const alias of node.aliases ?? []) this.#aliases.set(alias, known);
    }
  }

  #indexOf(snapshot: Snapshot, nodeIndex: number): number {
    const node = snapshot.nodes[nodeIndex];
    if (node === undefined) return NO_NODE;
    return this.#byAddress.get(nodeAddress(node))?.index ?? NO_NODE;
  }

  /** A MOVED that was seen after the poll started is newer than the poll. */
  #ownerFor(slot: number, polled: number, snapshot: Snapshot): number {
    const moved = this.#moved.get(slot);
    if (moved === undefined) return polled;
    if (moved.at > snapshot.polledAt && this.nodes[moved.node]?.present === true) return moved.node;
    this.#moved.delete(slot);
    return polled;
  }

  #applyMotion(snapshot: Snapshot): void {
    this.motionCount = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      let inMotion: number = ((snapshot.motion[slot >> 3] as number) >> (slot & 7)) & 1;
      const seenAt = this.#motionSeenAt.get(slot);
      if (seenAt !== undefined) {
        if (seenAt > snapshot.polledAt) inMotion = MOTION.marked;
        else this.#motionSeenAt.delete(slot);
      }
      inMotion = this.#moves.motionOf(slot, inMotion);
      this.motion[slot] = inMotion;
      if (inMotion !== MOTION.rest) this.motionCount++;
    }
  }

  /** A slot of some shard, another shard each time. */
  anySlot(): number {
    this.#anyShard = (this.#anyShard + 1) % Math.max(1, this.firstSlots.length);
    return this.firstSlots[this.#anyShard] ?? 0;
  }

  /** Every slot has an owner by the newest snapshot. */
  get isWhole(): boolean {
    return this.snapshot !== null && !this.snapshot.slots.includes(NO_SHARD);
  }

  /** Index of the node at this address, or -1 where no snapshot has shown it. */
  nodeAt(address: string): number {
    const node = this.#aliases.get(address) ?? this.#byAddress.get(address);
    return node?.present === true ? node.index : -1;
  }

  /** A node said that `slot` is served by `node`. */
  setMoved(slot: number, node: number, now: number): void {
    this.#moved.set(slot, { node, at: now });
    this.#setOwner(slot, this.#believed(slot, node));
  }

  #believed(slot: number, owner: number): number {
    return this.#moves.allows(slot, owner) ? owner : NO_NODE;
  }

  #setOwner(slot: number, owner: number): void {
    if (this.owner[slot] === owner) return;
    this.changes++;
    this.epoch++;
    this.owner[slot] = owner;
    this.slotChangedAt[slot] = this.epoch;
  }

  /** ASK or TRYAGAIN: the slot is on its way. */
  setInMotion(slot: number, now: number): void {
    this.#motionSeenAt.set(slot, now);
    if (this.motion[slot] === MOTION.rest) this.#setMotion(slot, MOTION.marked);
  }

  #setMotion(slot: number, motion: number): void {
    const before = this.motion[slot] as number;
    if (before === motion) return;
    this.changes++;
    this.motion[slot] = motion;
    this.motionCount += Number(motion !== MOTION.rest) - Number(before !== MOTION.rest);
  }

  /**
   * Control moves these slots from the node `from`, which owns them now, to `to`. Said before the nodes
   * are told, and again (`isMarked`) once they know; and again with another `from` or `to` where one of
   * them was succeeded.
   */
  beginMove(
    slots: readonly number[],
    from: number,
    to: number,
    isMarked: boolean,
    now: number,
  ): void {
    this.#moves.begin(slots, from, to, isMarked);
    const motion = isMarked ? MOTION.marked : MOTION.announced;
    for (const slot of slots) {
      this.#setMotion(slot, motion);
      // Control has looked at the nodes: whoever was held for the owner before is not any more.
      if (this.owner[slot] !== to) this.setMoved(slot, from, now);
    }
  }

  /** Slots that control is moving, by its last word. */
  get movingSlots(): number[] {
    return this.#moves.slots;
  }

  /** These slots are at rest, at `owner`; NO_NODE: wherever the next picture shows them. */
  endMove(slots: readonly number[], owner: number, now: number): void {
    this.#moves.end(slots);
    for (const slot of slots) {
      this.#motionSeenAt.delete(slot);
      this.#setMotion(slot, MOTION.rest);
      if (owner !== NO_NODE) this.setMoved(slot, owner, now);
      // Whom the picture shows was not believed while the slot was being moved.
      else if (this.owner[slot] === NO_NODE) this.#setOwner(slot, this.#pictured(slot));
    }
  }

  #pictured(slot: number): number {
    const { snapshot } = this;
    const shard = snapshot?.shards[snapshot.slots[slot] as number];
    if (snapshot === null || shard === undefined) return NO_NODE;
    return this.#ownerFor(slot, this.#indexOf(snapshot, shard.primary), snapshot);
  }

  /** The connection that serves this node's slots changes: sessions must not straddle it. */
  touchNode(node: number): void {
    this.epoch++;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.owner[slot] === node) this.slotChangedAt[slot] = this.epoch;
    }
  }
}

/** A shard that owns nothing yet (it imports its first slot) comes last and has no part in this. */
function firstSlotsOf({ shards, slots }: Snapshot): number[] {
  const first = shards.map((_, shard) => slots.indexOf(shard));
  return first.filter((slot) => slot >= 0);
}
