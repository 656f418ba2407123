/**
 * Nodes of several clusters may answer: a removed node's address is used by another cluster by now, or
 * the seeds name two. Their views must never be merged, as config epochs of different clusters say
 * nothing of each other. So views are told apart by the ids that they list, and one cluster is used.
 *
 * The choice depends on what the nodes say and on nothing else, least of all on who answers first.
 */

import { dialAddress, type NatMap } from './build.ts';
import type { ClusterView } from './picture.ts';
import { nodeAddress } from './snapshot.ts';

/** Views of nodes that know of each other. */
export interface OneCluster {
  readonly views: readonly ClusterView[];
  /** All nodes that its views list, but for those in handshake: their ids are made up. */
  readonly ids: ReadonlySet<string>;
  readonly ownsSlots: boolean;
}

export interface Preference {
  /** Ids of nodes that are ours; empty while nothing is known. */
  readonly familiar: ReadonlySet<string>;
  /** Ids of nodes that were seen beside ours, in a cluster of their own. */
  readonly foreign: ReadonlySet<string>;
  /** Dialled addresses of the seeds, in order. */
  readonly seeds: readonly string[];
  readonly natMap?: NatMap;
}

interface Group {
  readonly views: ClusterView[];
  readonly ids: Set<string>;
}

/** Ordered by their smallest id. Views that list nobody belong to none. */
export function clustersOf(views: readonly ClusterView[]): OneCluster[] {
  const groups = new Set<Group>();
  for (const view of views) {
    const [home = { views: [], ids: new Set<string>() }, ...others] = [...groups].filter(
      ({ ids }) => isOneOf(view, ids),
    );
    for (const other of others) {
      home.views.push(...other.views);
      for (const id of other.ids) home.ids.add(id);
      groups.delete(other);
    }
    home.views.push(view);
    for (const { id, handshake } of view.lines) if (!handshake) home.ids.add(id);
    if (home.ids.size > 0) groups.add(home);
  }
  const clusters = [...groups].map((group) => ({
    ...group,
    ownsSlots: group.views.some(hasSlots),
  }));
  return clusters.sort((a, b) => (smallest(a.ids) < smallest(b.ids) ? -1 : 1));
}

/**
 * The one to use; null when none may be. Who has a cluster stays with it: another one is taken for it
 * only where every node was replaced, which is so when it is found at a seed and was never seen beside
 * ours. At the start the seeds decide.
 */
export function chooseCluster(
  clusters: readonly OneCluster[],
  preference: Preference,
): OneCluster | null {
  const { familiar, foreign, seeds } = preference;
  // With one there is nothing to weigh; the common case costs no more than this.
  const weighed = clusters.flatMap((cluster) => {
    const shared = countShared(cluster.ids, familiar);
    const isOpen =
      !intersects(cluster.ids, foreign) && (familiar.size === 0 || isNamed(cluster, seeds));
    return shared > 0 || isOpen ? [{ cluster, shared }] : [];
  });
  if (weighed.length < 2) return weighed[0]?.cluster ?? null;
  const ranked = weighed.map(({ cluster, shared }) => {
    const named = seedsOf(cluster, clusters, preference);
    const key = [-shared, cluster.ownsSlots ? 0 : 1, -named.length, seeds.indexOf(named[0] ?? '')];
    // Without a seed it comes last.
    if (named.length === 0) key[3] = seeds.length;
    return { cluster, key };
  });
  // They come ordered by id, and sorting keeps that order among equals.
  return ranked.sort((a, b) => compareKeys(a.key, b.key))[0]?.cluster ?? null;
}

/** Where the nodes that a cluster's views list are dialled. */
export function addressesOf({ views }: OneCluster, natMap: NatMap = new Map()): Set<string> {
  const addresses = new Set<string>();
  for (const { askedHost, lines } of views) {
    for (const { handshake, port, hostname, host: told } of lines) {
      if (handshake || port === 0) continue;
      const announced = told !== '';
      const host = announced ? told : askedHost;
      addresses.add(nodeAddress(dialAddress({ host, port, hostname, announced }, natMap)));
    }
  }
  return addresses;
}

export function askedAddress({ askedHost, askedPort }: ClusterView): string {
  return nodeAddress({ host: askedHost, port: askedPort });
}

export function isOneOf(view: ClusterView, ids: ReadonlySet<string>): boolean {
  return view.lines.some(({ id, handshake }) => !handshake && ids.has(id));
}

/** Of a seed that is silent, what the others list tells where it belongs. */
function seedsOf(
  cluster: OneCluster,
  clusters: readonly OneCluster[],
  { seeds, natMap }: Preference,
): string[] {
  const own = new Set(cluster.views.map(askedAddress));
  const answered = new Set(clusters.flatMap(({ views }) => views.map(askedAddress)));
  const listed = addressesOf(cluster, natMap);
  return seeds.filter((seed) => own.has(seed) || (!answered.has(seed) && listed.has(seed)));
}

/** A seed answered as a node of it. */
function isNamed({ views }: OneCluster, seeds: readonly string[]): boolean {
  return views.some((view) => seeds.includes(askedAddress(view)));
}

function hasSlots({ lines }: ClusterView): boolean {
  return lines.some(({ slots }) => slots.length > 0);
}

function smallest(ids: ReadonlySet<string>): string {
  return [...ids].reduce((least, id) => (id < least ? id : least));
}

function countShared(ids: ReadonlySet<string>, others: ReadonlySet<string>): number {
  let count = 0;
  for (const id of ids) if (others.has(id)) count++;
  return count;
}

function intersects(ids: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  const [few, many] = ids.size < others.size ? [ids, others] : [others, ids];
  for (const id of few) if (many.has(id)) return true;
  return false;
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] as number) - (b[at] as number);
}
