/**
 * The nodes of a cluster that is being scaled: what it looks like now, which nodes could be taken, and
 * how they come in and leave.
 */

import {
  NO_SHARD,
  nodeAddress,
  primariesOf,
  type Snapshot,
  type SnapshotNode,
} from '../../topology/snapshot.ts';
import { askView } from '../failover/node-questions.ts';
import { type FreeSpare, ReplaceFailed, type SpareNodes } from '../failover/spare-nodes.ts';
import { NodeCallError } from '../node-client.ts';
import { type ClusterLayout, layoutOf, placesOf } from './cluster-layout.ts';
import type { ScaleWish } from './job-report.ts';
import { type Layout, type Place, planLayout } from './layout.ts';
import { MoveFailed, type MoverNodes } from './move-parties.ts';
import { slotWeights } from './slot-weights.ts';

export interface FleetOptions {
  readonly nodes: MoverNodes & {
    snapshot(): Snapshot | null;
    pictureAfter(time: number, timeoutMs: number): Promise<Snapshot | null>;
  };
  readonly spares: SpareNodes;
  /** "host:port" of nodes that may be taken, besides those of the wish. */
  readonly spareAddresses: readonly string[];
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

export interface FreeNode {
  readonly place: Place;
  readonly spare: FreeSpare;
}

/** A look at the cluster, and what is to become of its nodes. */
export interface Situation {
  readonly snapshot: Snapshot;
  readonly layout: ClusterLayout;
  readonly free: readonly FreeNode[];
  /** Absent: slots count the same. */
  readonly weights: Float64Array | undefined;
  readonly plan: Layout;
}

/** A node of a shard that is to go. */
export interface LeavingNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

type Tell = (step: string) => void;

const PICTURE_MS = 3000;
/** For the cluster bus to tell everybody: much longer than it takes while nodes answer. */
const HEARD_MS = 15_000;
const POLL_MS = 50;

export class Fleet {
  readonly #options: FleetOptions;
  /** "host:port" of nodes that were given back: they may be used again. */
  readonly #returned = new Set<string>();

  #weights: Float64Array | undefined;
  /** By id. */
  readonly #leaving: Map<string, LeavingNode>;

  /** `leaving`: by the record of a job that is gone on with. */
  constructor(options: FleetOptions, leaving: readonly LeavingNode[] = []) {
    this.#options = options;
    this.#leaving = new Map(leaving.map((node) => [node.id, node]));
  }

  /** Asked of the nodes now. @throws MoveFailed where slots are not served */
  async picture(): Promise<Snapshot> {
    const { nodes, now } = this.#options;
    const snapshot = await nodes.pictureAfter(now(), PICTURE_MS);
    if (snapshot === null) throw new MoveFailed('the nodes do not answer: see /readyz');
    const failed = primariesOf(snapshot).find((node) => node.failed);
    if (failed === undefined) return snapshot;
    throw new MoveFailed(`${nodeAddress(failed)} has failed and nobody has taken over yet`);
  }

  /** Who follows whom, a snapshot tells only of shards with slots. */
  async layout(snapshot: Snapshot): Promise<ClusterLayout> {
    const [asked] = primariesOf(snapshot);
    if (asked === undefined) throw new MoveFailed('nothing is known of the cluster: see /readyz');
    const { lines } = await askView(this.#options.nodes, asked);
    const followers = new Map(lines.map(({ id, primaryId }) => [id, primaryId]));
    return layoutOf(snapshot, followers, new Set(this.#leaving.keys()));
  }

  /** @throws NodesMissing, MoveFailed, ReplaceFailed for a named node that cannot be taken */
  async look(wish: ScaleWish, allowsFewer = false): Promise<Situation> {
    const snapshot = await this.picture();
    if (snapshot.slots.includes(NO_SHARD)) {
      throw new MoveFailed('some slots have no owner: see slotgate status');
    }
    const layout = await this.layout(snapshot);
    const free = await this.#freeNodes(wish, snapshot, layout);
    const { shards, owners } = layout;
    const primaries = shards.map(({ primary }) => primary);
    // Once: slots weigh the same wherever they are, and other samples would move others each time.
    if (wish.by !== 'slots') {
      this.#weights ??= await slotWeights(this.#options.nodes, primaries, owners, wish.by);
    }
    const weights = this.#weights;
    const plan = planLayout({
      shards: shards.map((shard, index) => placesOf(shard, loadOf(index, layout, weights))),
      free: free.map(({ place }) => place),
      wantedShards: wish.shards,
      wantedReplicas: wish.replicas,
      leavesReplicas: wish.leavesReplicas,
      allowsFewer,
    });
    return { snapshot, layout, free, weights, plan };
  }

  async #freeNodes(
    { nodes: named }: ScaleWish,
    snapshot: Snapshot,
    { free }: ClusterLayout,
  ): Promise<FreeNode[]> {
    const { spares, spareAddresses } = this.#options;
    const members = snapshot.nodes.filter((node) => !free.includes(node)).map(nodeAddress);
    const addresses = new Set([
      ...named,
      ...this.#returned,
      ...free.map(nodeAddress),
      ...spareAddresses,
    ]);
    for (const address of members) addresses.delete(address);
    const looks = await Promise.all(
      [...addresses].map((address) => spares.look(endpointOf(address), snapshot)),
    );
    const found: FreeNode[] = [];
    for (const look of looks) {
      const address = nodeAddress(look.endpoint);
      if ('isMember' in look) {
        const zone = snapshot.nodes.find(({ id }) => id === look.id)?.zone ?? '';
        const place = { id: look.id, address, host: look.endpoint.host, zone };
        found.push({ place, spare: look });
      } else if (named.includes(address)) {
        throw new ReplaceFailed(`${address} cannot be taken: ${look.why}`);
      }
    }
    return found;
  }

  /** From here on the nodes of shards that are to go are known as such, and no others. */
  async announceLeaving({ plan, layout }: Situation): Promise<void> {
    const nodesOf = (stays: boolean): SnapshotNode[] =>
      layout.shards.flatMap(({ primary, replicas }, shard) =>
        plan.keeps[shard] === stays ? [primary, ...replicas] : [],
      );
    for (const node of nodesOf(true)) {
      // It was to go by an earlier plan, and another has less on it by now.
      if (!this.#leaving.delete(node.id) || node.failed) continue;
      await this.#mayBecomeReplica(node, 'yes');
    }
    for (const node of nodesOf(false)) {
      const { id, host, port } = node;
      if (this.#leaving.has(id)) continue;
      this.#leaving.set(id, { id, host, port });
      if (!node.failed) await this.#mayBecomeReplica(node, 'no');
    }
  }

  /** Nodes that are to have slots or data get in. True: something has changed. */
  async join({ plan, layout, free }: Situation, tell: Tell): Promise<boolean> {
    const { spares } = this.#options;
    const primaries = layout.shards.map(({ primary }) => primary);
    const spareOf = (place: Place): FreeSpare | undefined =>
      free.find(({ place: { id } }) => id === place.id)?.spare;
    const joining = plan.primaries.flatMap((place) => spareOf(place) ?? []);
    const strangers = joining.filter(({ isMember }) => !isMember);
    if (strangers.length > 0) {
      tell(`${strangers.length} nodes join`);
      await Promise.all(strangers.map((spare) => spares.join(spare, primaries)));
      return true;
    }
    const heads = [...primaries, ...this.newPrimaries(plan)];
    const tasks = plan.enlisted.flatMap(({ shard, node }) => {
      const [spare, primary] = [spareOf(node), heads[shard]];
      return spare === undefined || primary === undefined ? [] : [{ spare, primary }];
    });
    if (tasks.length === 0) return false;
    tell(`${tasks.length} replicas are added`);
    await Promise.all(tasks.map(({ spare, primary }) => spares.enlist(spare, primary)));
    for (const { spare, primary } of tasks)
      await this.#isKnownReplica(spare.id, primary, primaries);
    return true;
  }

  /** Gossip takes a moment: until then it looks like a primary without slots. */
  async #isKnownReplica(
    id: string,
    { id: primaryId }: SnapshotNode,
    primaries: readonly SnapshotNode[],
  ): Promise<void> {
    const { nodes } = this.#options;
    await this.#until(HEARD_MS, 'the nodes do not hear of a new replica', async () => {
      const views = await Promise.all(primaries.map((node) => askView(nodes, node)));
      return views.every(({ lines }) =>
        lines.some((line) => line.id === id && line.primaryId === primaryId),
      );
    });
  }

  /** @throws MoveFailed with these words */
  async #until(ms: number, failure: string, question: () => Promise<boolean>): Promise<void> {
    const { now, pause } = this.#options;
    const giveUpAt = now() + ms;
    while (!(await question())) {
      if (now() > giveUpAt) throw new MoveFailed(`${failure} within ${ms / 1000} s`);
      await pause(POLL_MS);
    }
  }

  /** In the order of the plan. @throws MoveFailed for one that has not been seen among the others yet */
  newPrimaries({ primaries }: Layout): SnapshotNode[] {
    return primaries.map((place) => {
      const node = this.#nodeOf(place);
      if (node !== undefined) return node;
      throw new MoveFailed(`${place.address} is not known to the others yet`);
    });
  }

  #nodeOf({ id }: Place): SnapshotNode | undefined {
    return this.#options.nodes.snapshot()?.nodes.find((each) => each.id === id);
  }

  /** Replicas that are too many go; they may be what is needed elsewhere. True: something has changed. */
  async dismiss({ plan, layout, snapshot }: Situation, tell: Tell): Promise<boolean> {
    if (plan.dismissed.length === 0) return false;
    tell(`${plan.dismissed.length} replicas leave`);
    for (const { node: place, shard } of plan.dismissed) {
      const [node, from] = [this.#nodeOf(place), layout.shards[shard]];
      if (node === undefined || from === undefined) continue;
      if (await this.#options.spares.dismiss(node, from.primary, snapshot)) {
        this.#returned.add(place.address);
      }
    }
    return true;
  }

  /**
   * Nodes of shards that are to go, replicas first. One stays on the list until it is reset: others that
   * have forgotten it would take it back after a minute. True: something has changed.
   */
  async leave({ snapshot }: Situation, tell: Tell): Promise<boolean> {
    if (this.#leaving.size === 0) return false;
    const going = [...this.#leaving.values()].map(
      (node) => snapshot.nodes.find(({ id }) => id === node.id) ?? asNode(node),
    );
    tell(`${going.length} nodes leave`);
    going.sort((a, b) => Number(a.role === 'primary') - Number(b.role === 'primary'));
    for (const node of going) await this.#retire(node, snapshot, tell);
    return true;
  }

  async #retire(node: SnapshotNode, snapshot: Snapshot, tell: Tell): Promise<void> {
    const address = nodeAddress(node);
    try {
      await this.#options.spares.retire(node, snapshot);
      await this.#mayBecomeReplica(node, 'yes');
      this.#returned.add(address);
    } catch (error) {
      const isDead = error instanceof NodeCallError && error.failure.code === 'refused';
      if (!isDead) throw error;
      // Else it would stay on everybody's list as one that has failed.
      await this.#options.spares.forget(node, snapshot);
      tell(`${address} is dead and is not reset: empty it before it is started again`);
    }
    this.#leaving.delete(node.id);
  }

  /**
   * Redis makes a replica of a primary whose last slot leaves, which then copies the data of its new
   * primary, for nothing: the node is about to go. Before 7.0 there is no such setting.
   */
  async #mayBecomeReplica(node: SnapshotNode, value: 'yes' | 'no'): Promise<void> {
    const words = ['CONFIG', 'SET', 'cluster-allow-replica-migration', value] as const;
    await this.#options.nodes.batch(node, [words]);
  }

  /** Nodes that are to leave once their slots have. */
  get leaving(): readonly LeavingNode[] {
    return [...this.#leaving.values()];
  }

  /** Resolves when all primaries show the same owners. */
  async agree(snapshot: Snapshot): Promise<void> {
    const { nodes } = this.#options;
    const owners = primariesOf(snapshot);
    await this.#until(HEARD_MS, 'the primaries do not agree on who owns which slot', async () => {
      const views = await Promise.all(owners.map((node) => askView(nodes, node)));
      return views.every(({ lines }) =>
        owners.every((owner) => {
          const line = lines.find(({ id }) => id === owner.id);
          return countOf(line?.slots ?? []) === ownCount(snapshot, owner);
        }),
      );
    });
  }
}

/** One that the others have forgotten already. */
function asNode({ id, host, port }: LeavingNode): SnapshotNode {
  return { id, host, port, role: 'primary', failed: false, zone: '' };
}

function loadOf(index: number, { shards, owners }: ClusterLayout, weights?: Float64Array): number {
  if (weights === undefined) return shards[index]?.slots ?? 0;
  return weights.reduce((sum, weight, slot) => sum + (owners[slot] === index ? weight : 0), 0);
}

function endpointOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  return { host, port: Number(address.slice(at + 1)) };
}

function countOf(ranges: readonly number[]): number {
  let count = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    count += (ranges[at + 1] as number) - (ranges[at] as number) + 1;
  }
  return count;
}

function ownCount({ slots, shards, nodes }: Snapshot, { id }: SnapshotNode): number {
  const shard = shards.findIndex(({ primary }) => nodes[primary]?.id === id);
  return slots.reduce((sum, owner) => sum + (owner === shard ? 1 : 0), 0);
}
