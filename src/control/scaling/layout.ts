/**
 * Which nodes make up the wanted number of shards and replicas: which shards go, which nodes become
 * primaries or replicas, which replicas are given back. Pure; slots are {@link planSlots}' business.
 *
 * Nodes come from three places, in this order: replicas that are too many (given back first), nodes
 * that are free, and, once their slots have left, the nodes of shards that go. A shard's nodes are
 * spread over hosts and zones as far as there are any.
 */

/** A node, and where it stands. */
export interface Place {
  readonly id: string;
  /** host:port, or '' for a node that is still to be made. */
  readonly address: string;
  readonly host: string;
  /** '' where the server tells none. */
  readonly zone: string;
}

export interface ShardPlaces {
  readonly primary: Place;
  readonly replicas: readonly Place[];
  /** Slots, bytes or keys: what would have to move if it went. */
  readonly load: number;
}

export interface LayoutWish {
  readonly shards: readonly ShardPlaces[];
  /** Empty nodes that may be taken. */
  readonly free: readonly Place[];
  readonly wantedShards: number;
  /** Of each shard. */
  readonly wantedReplicas: number;
  /** Shards that stay keep the replicas that they have. */
  readonly leavesReplicas?: boolean;
  /** With fewer replicas rather than not at all: nodes may die while a plan is carried out. */
  readonly allowsFewer?: boolean;
}

export interface Assignment {
  /** Index of the shard: those given first, then the new ones in order. */
  readonly shard: number;
  readonly node: Place;
}

export interface Layout {
  /** Of the shards given: which stay. */
  readonly keeps: readonly boolean[];
  readonly dismissed: readonly Assignment[];
  readonly primaries: readonly Place[];
  readonly enlisted: readonly Assignment[];
  /** Enlisted when the shards that go have been drained: they are their nodes. */
  readonly enlistedLast: readonly Assignment[];
  /** Replicas for which there is no node. */
  readonly missing: number;
}

/** There are not enough nodes. */
export class NodesMissing extends RangeError {
  readonly missing: number;

  constructor(primaries: number, replicas: number, available: number) {
    const needed = primaries + replicas;
    super(
      `${needed} more nodes are needed (${primaries} primaries, ${replicas} replicas) and ` +
        `${available} are free: name empty nodes with --nodes or spares, or ask for less`,
    );
    this.name = 'NodesMissing';
    this.missing = needed - available;
  }
}

/** @throws NodesMissing */
export function planLayout(wish: LayoutWish): Layout {
  const { shards, wantedShards, wantedReplicas } = wish;
  const keeps = keepsOf(shards, wantedShards);
  const isEvened = wish.leavesReplicas !== true;
  const dismissed: Assignment[] = [];
  const groups: Place[][] = shards.map(({ primary, replicas }, shard) => {
    const group = [primary, ...replicas];
    while (isEvened && keeps[shard] === true && group.length - 1 > wantedReplicas) {
      const node = mostCrowded(group);
      group.splice(group.indexOf(node), 1);
      dismissed.push({ shard, node });
    }
    return group;
  });
  const pool = [...dismissed.map(({ node }) => node), ...wish.free];
  const drained = groups.flatMap((group, shard) => (keeps[shard] === true ? [] : group));
  const staying = groups.map((_, shard) => shard).filter((shard) => keeps[shard]);
  const fresh = Math.max(0, wantedShards - shards.length);
  const filled = isEvened ? [...staying] : [];
  const lacking = filled.reduce((sum, shard) => sum + lacks(groups[shard], wantedReplicas), 0);
  const replicasNeeded = lacking + fresh * wantedReplicas;
  const available = pool.length + drained.length;
  const isShort = wish.allowsFewer !== true && fresh + replicasNeeded > available;
  if (fresh > pool.length || isShort) {
    throw new NodesMissing(fresh, replicasNeeded, available);
  }
  const inUse = staying.flatMap((shard) => groups[shard] ?? []);
  const primaries: Place[] = [];
  for (let i = 0; i < fresh; i++) {
    const node = take(pool, [], [...inUse, ...primaries]);
    primaries.push(node);
    filled.push(groups.length);
    groups.push([node]);
  }
  const enlisted = enlist(groups, filled, wantedReplicas, pool);
  const enlistedLast = enlist(groups, filled, wantedReplicas, drained);
  const missing = filled.reduce((sum, shard) => sum + lacks(groups[shard], wantedReplicas), 0);
  return { keeps, dismissed, primaries, enlisted, enlistedLast, missing };
}

/** Those with least on them go, of equals the last. */
function keepsOf(shards: readonly ShardPlaces[], wanted: number): boolean[] {
  const byLoad = shards
    .map(({ load }, shard) => ({ load, shard }))
    .sort((a, b) => b.load - a.load || a.shard - b.shard)
    .slice(0, wanted);
  return shards.map((_, shard) => byLoad.some((each) => each.shard === shard));
}

function lacks(group: readonly Place[] | undefined, wantedReplicas: number): number {
  return Math.max(0, wantedReplicas + 1 - (group?.length ?? 0));
}

/** One replica for each in turn, so that none is without while another has several. */
function enlist(
  groups: Place[][],
  staying: readonly number[],
  wantedReplicas: number,
  pool: Place[],
): Assignment[] {
  const enlisted: Assignment[] = [];
  for (let replicas = 1; replicas <= wantedReplicas; replicas++) {
    for (const shard of staying) {
      const group = groups[shard] as Place[];
      if (group.length > replicas || pool.length === 0) continue;
      const node = take(pool, group, groups.flat());
      group.push(node);
      enlisted.push({ shard, node });
    }
  }
  return enlisted;
}

/** The node of the pool that is furthest from `group`, then on the host with fewest of `others`. */
function take(pool: Place[], group: readonly Place[], others: readonly Place[]): Place {
  const cost = (node: Place): number =>
    crowding(node, group) * 1_000_000 + others.filter(({ host }) => host === node.host).length;
  const found = pool.reduce((best, node) => (cost(node) < cost(best) ? node : best));
  pool.splice(pool.indexOf(found), 1);
  return found;
}

/** A shared host counts more than a shared zone. */
function crowding(node: Place, group: readonly Place[]): number {
  const sharesHost = group.filter(({ host }) => host === node.host).length;
  const sharesZone = group.filter(({ zone }) => zone !== '' && zone === node.zone).length;
  return sharesHost * 100 + sharesZone;
}

/** The replica that adds least safety; of equals the last. */
function mostCrowded(group: readonly Place[]): Place {
  const [, ...replicas] = group;
  const cost = (node: Place): number =>
    crowding(
      node,
      group.filter((other) => other !== node),
    );
  return replicas.reduce((worst, node) => (cost(node) >= cost(worst) ? node : worst));
}
