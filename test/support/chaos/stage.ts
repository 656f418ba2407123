/**
 * The cluster as killer and mover see it: who is primary of which shard, whether it is whole, and a
 * lock for the steps of the one that the other must not cut in two.
 */
import type { RespClient } from '../../../src/lib/resp-client.ts';
import { readFields, text } from '../../../src/local/cluster-view.ts';
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import { onNode, until } from '../cluster.ts';

const SLOTS = 16384;
const WHOLE_TIMEOUT_MS = 40_000;

/** Who owns the slots, as one node sees it. */
export interface ClusterView {
  /** Slot → port. */
  readonly owners: Uint16Array;
  /** Port of an owner → its config epoch. */
  readonly epochs: ReadonlyMap<number, string>;
}

export class Lock {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(body);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

export class Stage {
  readonly cluster: LocalCluster;
  readonly lock = new Lock();
  /** False from a kill until the cluster is whole again. */
  isCalm = true;
  /** The slot whose way was interrupted by a kill, -1 for none. */
  movingSlot = -1;
  /** One more with each kill. */
  generation = 0;
  readonly #primaries = new Map<number, LocalNode>();

  constructor(cluster: LocalCluster) {
    this.cluster = cluster;
    for (const node of cluster.nodes) {
      if (node.role === 'primary') this.#primaries.set(node.shard, node);
    }
  }

  get shards(): number[] {
    return [...this.#primaries.keys()];
  }

  primaryOf(shard: number): LocalNode {
    return this.#primaries.get(shard) as LocalNode;
  }

  get primaries(): LocalNode[] {
    return [...this.#primaries.values()];
  }

  replicaOf(shard: number): LocalNode {
    const primary = this.primaryOf(shard);
    return this.cluster.nodes.find((node) => node.shard === shard && node !== primary) as LocalNode;
  }

  onKilled(): void {
    this.isCalm = false;
    this.generation++;
  }

  onPromoted(shard: number, node: LocalNode): void {
    this.#primaries.set(shard, node);
  }

  whenCalm(): Promise<void> {
    return until('the cluster is whole after a kill', () => this.isCalm, WHOLE_TIMEOUT_MS);
  }

  async viewOf(node: LocalNode): Promise<ClusterView> {
    return onNode(this.cluster, node, async (client) => {
      const lines = text(await client.call('CLUSTER', 'NODES'))
        .trim()
        .split('\n');
      return readOwners(lines.map((line) => line.split(' ')));
    });
  }

  /**
   * Do all running nodes name the same owners, and are these the primaries that we know? A node that
   * imports a slot hears nothing of its owner until the move is over: leave that one out.
   */
  async isAgreed(without = -1): Promise<boolean> {
    const running = this.cluster.nodes.filter(({ pid }) => pid !== 0);
    const views = await Promise.all(running.map((node) => this.viewOf(node)));
    const [first] = views;
    if (first === undefined) return false;
    // Equal epochs are settled by the nodes within a second; until then claims are undecided.
    const isSettled = new Set(first.epochs.values()).size === first.epochs.size;
    const areOurs = this.primaries.every(({ port }) => first.epochs.has(port));
    const areEqual = views.every(({ owners }) =>
      owners.every((port, slot) => port === first.owners[slot] || slot === without),
    );
    return isSettled && areOurs && areEqual;
  }

  /** Waits until nothing is missing: views, replicas and their offsets. */
  async becomeWhole(): Promise<void> {
    await until('all nodes agree', () => this.isAgreed(this.movingSlot), WHOLE_TIMEOUT_MS);
    for (const shard of this.shards) {
      const isInSync = (): Promise<boolean> => this.isReplicaInSync(shard);
      await until(`the replica of shard ${shard} is in sync`, isInSync, WHOLE_TIMEOUT_MS);
    }
  }

  /** Has the replica all that its primary has written until now? */
  async isReplicaInSync(shard: number): Promise<boolean> {
    const { cluster } = this;
    const fields = (node: LocalNode): Promise<Map<string, string>> =>
      onNode(cluster, node, (client: RespClient) => readFields(client, 'INFO', 'replication'));
    const primary = await fields(this.primaryOf(shard));
    const replica = await fields(this.replicaOf(shard));
    return (
      primary.get('role') === 'master' &&
      replica.get('role') === 'slave' &&
      replica.get('master_link_status') === 'up' &&
      replica.get('master_sync_in_progress') === '0' &&
      primary.get('master_replid') === replica.get('master_replid') &&
      Number(replica.get('slave_repl_offset')) >= Number(primary.get('master_repl_offset'))
    );
  }
}

/** Fields of the lines of CLUSTER NODES. */
function readOwners(lines: readonly (readonly string[])[]): ClusterView {
  const owners = new Uint16Array(SLOTS);
  const epochs = new Map<number, string>();
  for (const [, address = '', , , , , epoch = '', , ...ranges] of lines) {
    const port = Number(/:(\d+)@/.exec(address)?.[1]);
    // What stands in brackets is a slot in motion, not ownership.
    for (const range of ranges.filter((each) => !each.startsWith('['))) {
      const [first = 0, last = first] = range.split('-').map(Number);
      owners.fill(port, first, last + 1);
      epochs.set(port, epoch);
    }
  }
  return { owners, epochs };
}
