/**
 * Keeps what answers and is not ours away from the picture: nodes of another cluster, empty nodes and
 * servers of the other mode. They come in by a seed that is wrong or out of date, or live by now at the
 * address of a node of ours. What they say is left out, and as an upstream's node counts as silent there,
 * no command goes to its address. Seeds among them are told to the operator.
 */

import type { NatMap, NodeEndpoint } from '../topology/build.ts';
import {
  addressesOf,
  askedAddress,
  chooseCluster,
  clustersOf,
  isOneOf,
  type OneCluster,
} from '../topology/one-cluster.ts';
import type { ClusterView, Picture } from '../topology/picture.ts';
import { NO_SHARD, nodeAddress, type Snapshot } from '../topology/snapshot.ts';
import { neighboursOf } from '../topology/standalone.ts';
import type { KnownNode } from './known-nodes.ts';
import type { NodeFailure } from './node-failure.ts';
import type { PollOutcome } from './poll.ts';
import type { SeedBook } from './seeds.ts';

export type StrayKind = 'other' | 'alone' | 'clustered' | 'standalone';

/** Seeds of one kind that are not used. */
export interface StraySeeds {
  readonly kind: StrayKind;
  /** As the operator knows them. */
  readonly seeds: readonly string[];
}

/** What is known when a poll has ended. */
export interface Standing {
  readonly picture: Picture | null;
  readonly snapshot: Snapshot | null;
  /** Monotonic ms. */
  readonly now: number;
}

interface Stray {
  readonly kind: StrayKind;
  /** Of its cluster. */
  readonly ids: ReadonlySet<string>;
  readonly since: number;
  readonly seenAt: number;
}

/** A cluster in the making looks like several for a moment. */
const TOLD_AFTER_MS = 1000;
/** They are asked again this often, so that the word of them ends when they are mended. */
const ASK_AGAIN_MS = 30_000;
/** At the start a seed that may be of another cluster is waited for, so that speed does not decide. */
const UNDECIDED_MAX_MS = 1000;
const NOBODY: ReadonlySet<string> = new Set();

const WHY: Readonly<Record<StrayKind, string>> = {
  other: 'belongs to another cluster',
  alone: 'belongs to no cluster',
  clustered: 'has cluster mode',
  standalone: 'has no cluster mode',
};

export class Strays {
  readonly #seeds: SeedBook;
  readonly #natMap: NatMap;
  readonly #known: ReadonlySet<string>;
  /** By dialled address of the seed. */
  readonly #strays = new Map<string, Stray>();
  #askedAt = 0;
  /** Since when anybody has answered; null while nobody has. */
  #answeredAt: number | null = null;
  #familiarIn: Picture | null = null;
  #familiar: ReadonlySet<string>;

  constructor(seeds: SeedBook, known: readonly KnownNode[], natMap: NatMap) {
    this.#seeds = seeds;
    this.#natMap = natMap;
    this.#known = new Set(known.map(({ id }) => id));
    this.#familiar = this.#known;
  }

  /** Those that have been there for a while. */
  get told(): StraySeeds[] {
    const kinds = new Map<StrayKind, string[]>();
    for (const [seed, stray] of this.#strays) {
      if (!isStanding(stray)) continue;
      const seeds = kinds.get(stray.kind) ?? [];
      kinds.set(stray.kind, seeds);
      seeds.push(this.#seeds.describe(seed));
    }
    return [...kinds].map(([kind, seeds]) => ({ kind, seeds }));
  }

  /** It is time to look at the seeds that are not used: true once, then not for a while. */
  takeTurn(now: number): boolean {
    if (this.#strays.size === 0) return false;
    const isNews = [...this.#strays.values()].some((stray) => !isStanding(stray));
    if (now - this.#askedAt < (isNews ? TOLD_AFTER_MS : ASK_AGAIN_MS)) return false;
    this.#askedAt = now;
    return true;
  }

  /** The seeds without those that were found not to be ours. */
  otherSeeds(): NodeEndpoint[] {
    return this.#seeds.endpoints.filter((seed) => !this.#strays.has(nodeAddress(seed)));
  }

  /** Further nodes are asked because of this view. */
  mayFollow(view: ClusterView, picture: Picture | null): boolean {
    const familiar = this.#familiarIds(picture);
    return familiar.size > 0 ? isOneOf(view, familiar) : !isOneOf(view, this.#foreignIds());
  }

  /** What ours say; null while it is too early to tell who that is. */
  sift(polled: PollOutcome, standing: Standing): PollOutcome | null {
    const clusters = clustersOf(polled.views);
    const isStandalone = servesStandalone(polled, standing.snapshot);
    const seeds = this.#seeds.endpoints.map(nodeAddress);
    const chosen = isStandalone
      ? null
      : chooseCluster(clusters, {
          familiar: this.#familiarIds(standing.picture),
          foreign: this.#foreignIds(),
          seeds,
          natMap: this.#natMap,
        });
    if (this.#isUndecided(polled, chosen, standing)) return null;
    const isCluster = chosen !== null || standing.snapshot?.mode === 'cluster';
    const found = new Map([
      ...straysAmong(clusters, chosen, isStandalone),
      ...(isCluster ? standaloneOf(polled) : []),
    ]);
    // While there is no cluster yet, who belongs to it is not known.
    const isFirm = isStandalone || chosen?.ownsSlots === true;
    if (isFirm) this.#note(found, seeds, standing.now);
    const answered = new Set(polled.versions.keys());
    this.#forget((seed) => {
      return seeds.includes(seed) && (found.has(seed) || !answered.has(seed));
    }, chosen);
    return withoutStrays(polled, found);
  }

  #isUndecided(
    { late, standalone }: PollOutcome,
    chosen: OneCluster | null,
    at: Standing,
  ): boolean {
    if (at.snapshot !== null || this.#known.size > 0) return false;
    if (chosen === null && standalone.length === 0) return false;
    this.#answeredAt ??= at.now;
    if (at.now - this.#answeredAt >= UNDECIDED_MAX_MS) return false;
    const listed = chosen === null ? new Set<string>() : addressesOf(chosen, this.#natMap);
    for (const view of chosen === null ? standalone : []) {
      for (const neighbour of neighboursOf(view, this.#natMap)) listed.add(nodeAddress(neighbour));
    }
    return this.#seeds.endpoints
      .map(nodeAddress)
      .some((seed) => late.includes(seed) && !listed.has(seed));
  }

  /** A picture without slots binds nobody: it may be of an empty node that answered first. */
  #familiarIds(picture: Picture | null): ReadonlySet<string> {
    if (picture === null) return this.#known;
    if (picture !== this.#familiarIn) {
      const ownsSlots = picture.owners.some((owner) => owner !== NO_SHARD);
      this.#familiarIn = picture;
      this.#familiar = ownsSlots ? new Set(picture.nodes.map(({ id }) => id)) : NOBODY;
    }
    return this.#familiar;
  }

  /** Empty nodes are no cluster: they may yet become ours. */
  #foreignIds(): ReadonlySet<string> {
    const kinds = [...this.#strays.values()].filter(({ kind }) => kind !== 'alone');
    return kinds.length === 0 ? NOBODY : new Set(kinds.flatMap(({ ids }) => [...ids]));
  }

  #note(found: ReadonlyMap<string, Found>, seeds: readonly string[], now: number): void {
    for (const seed of seeds) {
      const seen = found.get(seed);
      if (seen === undefined) continue;
      const before = this.#strays.get(seed);
      // Asked by now, whether it was its turn or not.
      this.#askedAt = now;
      const since = before?.kind === seen.kind ? before.since : now;
      this.#strays.set(seed, { ...seen, since, seenAt: now });
    }
  }

  /** Those that are no seeds any more, that have answered as ours, or that ours have met. */
  #forget(isStill: (seed: string) => boolean, chosen: OneCluster | null): void {
    for (const [seed, stray] of this.#strays) {
      if (!isStill(seed) || hasJoined(stray, chosen)) this.#strays.delete(seed);
    }
  }
}

interface Found {
  readonly kind: StrayKind;
  readonly ids: ReadonlySet<string>;
}

function isStanding({ since, seenAt }: Stray): boolean {
  return seenAt - since >= TOLD_AFTER_MS;
}

function hasJoined({ ids }: Stray, chosen: OneCluster | null): boolean {
  return chosen !== null && [...ids].some((id) => chosen.ids.has(id));
}

/** As long as the primary in force answers, no cluster takes its place. */
function servesStandalone(polled: PollOutcome, snapshot: Snapshot | null): boolean {
  const primary = snapshot?.mode === 'standalone' ? snapshot.nodes[0] : undefined;
  if (primary === undefined) return false;
  return polled.standalone.some(({ asked }) => nodeAddress(asked) === nodeAddress(primary));
}

/** Who answered and is not ours, by dialled address. */
function straysAmong(
  clusters: readonly OneCluster[],
  chosen: OneCluster | null,
  isStandalone: boolean,
): [string, Found][] {
  return clusters.flatMap((cluster) => {
    if (cluster === chosen) return [];
    const { views, ids, ownsSlots } = cluster;
    const isAlone = ids.size === 1 && !ownsSlots;
    const kind = isStandalone ? 'clustered' : isAlone ? 'alone' : 'other';
    return views.map((view): [string, Found] => [askedAddress(view), { kind, ids }]);
  });
}

function standaloneOf({ standalone }: PollOutcome): [string, Found][] {
  return standalone.map(({ asked }) => [nodeAddress(asked), { kind: 'standalone', ids: NOBODY }]);
}

function withoutStrays(polled: PollOutcome, found: ReadonlyMap<string, Found>): PollOutcome {
  if (found.size === 0) return polled;
  const views = polled.views.filter((view) => !found.has(askedAddress(view)));
  const versions = new Map(polled.versions);
  const failures = new Map(polled.failures);
  for (const [address, { kind }] of found) {
    versions.delete(address);
    failures.set(address, { code: 'stray', message: WHY[kind] } satisfies NodeFailure);
  }
  return { ...polled, views, versions, failures };
}
