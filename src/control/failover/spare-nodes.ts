/**
 * The spares: empty nodes in cluster mode that the configuration names. What each is right now, and
 * the commands that make a replica of one, and a spare of a replica again.
 *
 * CLUSTER RESET empties the node that it is sent to. It goes only to a node that says of itself, right
 * before, that it is the one we mean and a replica, without slots and without followers, of the primary
 * that we mean: at an address that was known another node may live by then.
 */

import { errorText } from '../../lib/errors.ts';
import type { NodeEndpoint } from '../../topology/build.ts';
import { type ClusterNodeLine, parseClusterNodes } from '../../topology/cluster-nodes.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import { askReplication, askView } from './node-questions.ts';

/** A node that could be taken, and whether the cluster knows it already. */
export interface FreeSpare {
  readonly endpoint: NodeEndpoint;
  readonly id: string;
  readonly isMember: boolean;
}

/** Why a spare cannot be taken, in words. */
export interface TakenSpare {
  readonly endpoint: NodeEndpoint;
  /** '' when it did not answer. */
  readonly id: string;
  readonly why: string;
}

export type Spare = FreeSpare | TakenSpare;

/** A step that did not come about; the next round tries again. */
export class ReplaceFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'ReplaceFailed';
  }
}

export interface SpareNodesOptions {
  /** Connections to the spares; members of the cluster or not. */
  readonly spares: NodeAccess;
  /** Connections to the members. */
  readonly members: NodeAccess;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

const POLL_MS = 100;
/** A meeting that takes longer is asked for again, by the next round. */
const MEET_MS = 15_000;
/** For copying the whole data of a shard. */
const SYNC_MS = 30 * 60_000;

export class SpareNodes {
  readonly #options: SpareNodesOptions;

  constructor(options: SpareNodesOptions) {
    this.#options = options;
  }

  async look(endpoint: NodeEndpoint, snapshot: Snapshot): Promise<Spare> {
    try {
      const { self, lines } = await askView(this.#options.spares, endpoint);
      const why = await this.#unfitness(endpoint, self, lines, snapshot);
      if (why !== '') return { endpoint, id: self.id, why };
      return { endpoint, id: self.id, isMember: lines.length > 1 };
    } catch (error) {
      return { endpoint, id: '', why: errorText(error) };
    }
  }

  /** Makes it a member without slots; resolves when it and all `primaries` know each other. */
  async join(spare: FreeSpare, primaries: readonly SnapshotNode[]): Promise<void> {
    const { spares, members } = this.#options;
    const { endpoint, id } = spare;
    const [first] = primaries;
    if (first !== undefined && !spare.isMember) await this.#meet(endpoint, first);
    let unaware = primaries.filter((primary) => primary.id !== id);
    await this.#until(MEET_MS, 'the nodes did not come to know each other', async () => {
      const own = await askView(spares, endpoint);
      if (!primaries.every((primary) => primary.id === id || knows(own.lines, primary.id))) {
        return false;
      }
      const views = await Promise.all(unaware.map((primary) => askView(members, primary)));
      unaware = unaware.filter((_, at) => !knows(views[at]?.lines ?? [], id));
      return unaware.length === 0;
    });
  }

  /** Makes it a replica of `primary`; resolves when it has all of its data. */
  async enlist(spare: FreeSpare, primary: SnapshotNode): Promise<void> {
    const { spares } = this.#options;
    const { endpoint } = spare;
    await this.join(spare, [primary]);
    // Somebody else may have taken it in the meantime.
    const { self } = await askView(spares, endpoint);
    if (self.role === 'replica' && self.primaryId === primary.id) return;
    if (self.role !== 'primary' || self.slots.length > 0) {
      throw new ReplaceFailed(`${nodeAddress(endpoint)} has been taken for something else`);
    }
    await this.#call(spares, endpoint, ['CLUSTER', 'REPLICATE', primary.id]);
    await this.#until(SYNC_MS, 'it did not finish copying the data', async () => {
      const { role, linkUp, isSyncing } = await askReplication(spares, endpoint);
      return role === 'replica' && linkUp && !isSyncing;
    });
  }

  /** Takes a surplus replica out of the cluster and empties it; false when somebody else has. */
  async dismiss(
    replica: SnapshotNode,
    primary: SnapshotNode,
    snapshot: Snapshot,
  ): Promise<boolean> {
    return this.#leave(replica, snapshot.nodes, () => this.#isDismissible(replica, primary));
  }

  /**
   * Takes a node that serves nothing out of the cluster: a primary whose slots have all left, or what
   * became of it (Redis makes it a replica of whoever took its last slot), or a replica of such a one.
   * False when it is out already.
   */
  retire(node: SnapshotNode, snapshot: Snapshot): Promise<boolean> {
    const living = snapshot.nodes.filter(({ failed }) => !failed);
    return this.#leave(node, living, () => this.#isRetired(node));
  }

  /** Has all that live drop a node that is dead from their lists. @throws ReplaceFailed */
  async forget({ id }: SnapshotNode, { nodes }: Snapshot): Promise<void> {
    const others = nodes.filter((other) => other.id !== id && !other.failed);
    await Promise.all(others.map((other) => this.#forget(other, id)));
  }

  async #leave(
    node: SnapshotNode,
    members: readonly SnapshotNode[],
    mayGo: () => Promise<boolean>,
  ): Promise<boolean> {
    if (!(await mayGo())) return false;
    const others = members.filter(({ id }) => id !== node.id);
    // One that keeps it in mind would bring it back to all: then nothing is reset.
    await Promise.all(others.map((other) => this.#forget(other, node.id)));
    if (!(await mayGo())) return false;
    // HARD: with a new id it can join again at once; the old one is refused for a minute.
    await this.#call(this.#options.members, node, ['CLUSTER', 'RESET', 'HARD']);
    return true;
  }

  /** @throws ReplaceFailed unless emptying it loses nothing */
  async #isRetired(node: SnapshotNode): Promise<boolean> {
    const { members } = this.#options;
    const { self, lines } = await askView(members, node);
    const isEmpty = self.slots.length === 0 && self.importing.length === 0;
    if (lines.length === 1 && self.role === 'primary' && isEmpty) return false;
    const isPrimary = self.role === 'primary';
    const keys = isPrimary ? await this.#call(members, node, ['DBSIZE']) : 0;
    if (self.id === node.id && isEmpty && keys === 0) return true;
    throw new ReplaceFailed(`${nodeAddress(node)} still serves slots or holds keys`);
  }

  async #unfitness(
    endpoint: NodeEndpoint,
    self: ClusterNodeLine,
    lines: readonly ClusterNodeLine[],
    snapshot: Snapshot,
  ): Promise<string> {
    if (self.role !== 'primary') return 'is a replica';
    if (self.slots.length > 0 || self.importing.length > 0) return 'has slots';
    if (lines.some(({ primaryId }) => primaryId === self.id)) return 'has replicas';
    const isOurs = snapshot.nodes.some(({ id }) => id === self.id);
    if (lines.length > 1 && !isOurs) return 'belongs to another cluster';
    const size = await this.#call(this.#options.spares, endpoint, ['DBSIZE']);
    return size === 0 ? '' : 'is not empty';
  }

  /** The spare goes to the primary, by the address that the nodes use among themselves. */
  async #meet(endpoint: NodeEndpoint, primary: SnapshotNode): Promise<void> {
    const { members, spares } = this.#options;
    const text = String(await this.#call(members, primary, ['CLUSTER', 'NODES']));
    const self = parseClusterNodes(text).lines.find(({ myself }) => myself);
    const bus = /\S+ \S*:\d+@(\d+)\S* \S*myself/.exec(text)?.[1];
    const host = self?.host || primary.host;
    const port = self?.port || primary.port;
    const words = bus === undefined ? [] : [bus];
    await this.#call(spares, endpoint, ['CLUSTER', 'MEET', host, String(port), ...words]);
  }

  async #forget(node: NodeEndpoint, id: string): Promise<void> {
    try {
      await this.#options.members.callNode(node, ['CLUSTER', 'FORGET', id]);
    } catch (error) {
      // Another slotgate was quicker.
      if (error instanceof NodeCallError && /unknown node/i.test(error.message)) return;
      throw new ReplaceFailed(`${nodeAddress(node)} would not forget it: ${errorText(error)}`);
    }
  }

  /**
   * False when it has been dismissed already.
   * @throws ReplaceFailed unless the node itself says that emptying it loses nothing
   */
  async #isDismissible(replica: SnapshotNode, primary: SnapshotNode): Promise<boolean> {
    const { members } = this.#options;
    const { self, lines } = await askView(members, replica);
    if (lines.length === 1 && self.role === 'primary' && self.slots.length === 0) return false;
    const { role, linkUp, isSyncing } = await askReplication(members, replica);
    const follows = self.role === 'replica' && role === 'replica' && self.primaryId === primary.id;
    const isAlone = !lines.some(({ primaryId }) => primaryId === replica.id);
    const isMeant = self.id === replica.id && follows;
    if (isMeant && isAlone && self.slots.length === 0 && linkUp && !isSyncing) return true;
    throw new ReplaceFailed(`${nodeAddress(replica)} is more than a surplus replica by now`);
  }

  async #until(ms: number, failure: string, question: () => Promise<boolean>): Promise<void> {
    const { now, pause } = this.#options;
    const giveUpAt = now() + ms;
    while (!(await question())) {
      if (now() > giveUpAt) throw new ReplaceFailed(`${failure} within ${ms / 1000} s`);
      await pause(POLL_MS);
    }
  }

  async #call(
    nodes: NodeAccess,
    node: NodeEndpoint,
    command: readonly [string, ...string[]],
  ): Promise<unknown> {
    try {
      return await nodes.callNode(node, command);
    } catch (error) {
      const words = command.slice(0, 2).join(' ');
      throw new ReplaceFailed(`${nodeAddress(node)} refused ${words}: ${errorText(error)}`, error);
    }
  }
}

function knows(lines: readonly ClusterNodeLine[], id: string): boolean {
  return lines.some((line) => line.id === id && !line.handshake && line.linked);
}
