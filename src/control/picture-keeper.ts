/**
 * Turns the outcome of each poll into the next snapshot, and decides whether it is a new one.
 *
 * Every poll that was answered yields a snapshot, also when nothing changed: then it has the old
 * epoch and a newer `polledAt`, by which workers drop what they learnt from MOVED before that poll.
 */

import { buildSnapshot, dialAddress, type NatMap } from '../topology/build.ts';
import { changedSlots, hasChanged } from '../topology/diff.ts';
import { mergeViews } from '../topology/merge.ts';
import type { Picture } from '../topology/picture.ts';
import { lowestVersion } from '../topology/server-info.ts';
import {
  NO_SHARD,
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
  unownedSlots,
} from '../topology/snapshot.ts';
import type { Gaps } from './discovery-reason.ts';
import type { NodeFailureCode } from './node-failure.ts';
import type { PollOutcome } from './poll.ts';
import { NO_WORD, type SentinelPicture } from './sentinel/sentinels.ts';
import { StandaloneKeeper } from './standalone-keeper.ts';

export interface PictureKeeperOptions {
  readonly upstreamId: number;
  readonly natMap: NatMap;
}

export interface Absorbed {
  /** Null when the answers hold no picture, such as replicas of a primary never seen. */
  readonly snapshot: Snapshot | null;
  /** Slots whose owner or motion changed; empty with `changed` when something else did. */
  readonly changedSlots: readonly number[];
  readonly changed: boolean;
  /** Every slot has a primary that answered this poll, at the address that workers use. */
  readonly complete: boolean;
}

/**
 * Epochs start from the machine's monotonic clock in tenths of a second, so that control, started
 * again, continues above what the workers already hold. Polls are further apart than that.
 */
const EPOCH_STEP_MS = 100;

export class PictureKeeper {
  readonly #options: PictureKeeperOptions;
  #picture: Picture | null = null;
  #snapshot: Snapshot | null = null;
  #zones: ReadonlyMap<string, string> = new Map();
  readonly #standalone: StandaloneKeeper;

  constructor(options: PictureKeeperOptions) {
    this.#options = options;
    this.#standalone = new StandaloneKeeper(options.natMap);
  }

  get picture(): Picture | null {
    return this.#picture;
  }

  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  setZones(zones: ReadonlyMap<string, string>): void {
    this.#zones = zones;
  }

  /** What is amiss with the roles of servers without cluster mode; '' when nothing is. */
  get standaloneNote(): string {
    return this.#standalone.note;
  }

  /**
   * `startedAt`: monotonic milliseconds; `seedOrder`: dialled addresses of the seeds; `word`: that
   * of the Sentinels.
   */
  absorb(
    outcome: PollOutcome,
    startedAt: number,
    seedOrder: readonly string[],
    word: SentinelPicture = NO_WORD,
  ): Absorbed {
    const cluster = this.#mergeCluster(outcome, startedAt);
    const candidate = cluster ?? this.#standaloneSnapshot(outcome, startedAt, seedOrder, word);
    if (candidate === null) {
      return { snapshot: null, changedSlots: [], changed: false, complete: false };
    }
    const previous = this.#snapshot;
    const changed = hasChanged(previous, candidate);
    const slots = changed ? changedSlots(previous, candidate) : [];
    // The old arrays are kept while they hold, so that equality by reference means "no change".
    const snapshot =
      changed || previous === null
        ? { ...candidate, epoch: this.#nextEpoch(startedAt) }
        : { ...previous, polledAt: startedAt };
    this.#snapshot = snapshot;
    return { snapshot, changedSlots: slots, changed, complete: this.#isComplete(outcome) };
  }

  /**
   * Nobody is to be written to until the next poll says more; null without a picture. Only without
   * cluster mode.
   */
  withhold(now: number): Snapshot | null {
    const snapshot = this.#snapshot;
    if (snapshot === null || snapshot.mode === 'cluster') return null;
    const slots = new Uint16Array(snapshot.slots.length).fill(NO_SHARD);
    this.#snapshot = { ...snapshot, slots, epoch: this.#nextEpoch(now), polledAt: now };
    return this.#snapshot;
  }

  gaps(outcome: PollOutcome): Gaps {
    const snapshot = this.#snapshot;
    if (snapshot === null) return { unowned: { count: 0, ranges: [] }, silent: [] };
    const unowned = unownedSlots(snapshot);
    const owning = new Set(snapshot.slots);
    owning.delete(NO_SHARD);
    const silent: SnapshotNode[] = [];
    for (const shard of owning) {
      const node = snapshot.nodes[snapshot.shards[shard]?.primary ?? -1];
      if (node !== undefined && (node.failed || !this.#hasAnswered(node, outcome))) {
        silent.push(node);
      }
    }
    return { unowned, silent };
  }

  #isComplete(outcome: PollOutcome): boolean {
    const { unowned, silent } = this.gaps(outcome);
    return unowned.count === 0 && silent.length === 0;
  }

  #hasAnswered(node: SnapshotNode, outcome: PollOutcome): boolean {
    if (this.#snapshot?.mode === 'standalone') {
      const address = nodeAddress(node);
      // One that calls itself a replica now serves no writes: its successor is looked for.
      return outcome.standalone.some(
        ({ asked, role }) => role === 'primary' && nodeAddress(asked) === address,
      );
    }
    // That it answers elsewhere (a seed, before some NAT) is of no use to workers.
    if (outcome.failures.has(nodeAddress(node))) return false;
    return this.#picture?.nodes.find(({ id }) => id === node.id)?.answered === true;
  }

  #nextEpoch(now: number): number {
    return Math.max((this.#snapshot?.epoch ?? 0) + 1, Math.floor(now / EPOCH_STEP_MS));
  }

  #mergeCluster(outcome: PollOutcome, startedAt: number): Snapshot | null {
    const picture = mergeViews(outcome.views, this.#picture);
    if (picture === null) return null;
    this.#picture = picture;
    return buildSnapshot(picture, {
      ...this.#common(outcome, startedAt),
      zones: this.#zones,
      unusable: this.#refusedNodes(picture, outcome),
    });
  }

  #common(outcome: PollOutcome, polledAt: number) {
    const { upstreamId, natMap } = this.#options;
    // Nodes that did not answer this time may be the older ones: their version stays in force.
    const missed = outcome.failures.size > 0 || outcome.late.length > 0;
    const known = missed ? [this.#snapshot?.serverVersion ?? ''] : [];
    const serverVersion = lowestVersion([...outcome.versions.values(), ...known]);
    return { upstreamId, natMap, epoch: 0, polledAt, serverVersion };
  }

  /** Two node addresses may be one machine behind NAT, so a node that answered is never dead. */
  #refusedNodes(picture: Picture, outcome: PollOutcome): ReadonlySet<string> {
    const refused = refusedAddresses(outcome);
    for (const node of picture.nodes) {
      if (node.answered) refused.delete(nodeAddress(dialAddress(node, this.#options.natMap)));
    }
    return refused;
  }

  #standaloneSnapshot(
    outcome: PollOutcome,
    startedAt: number,
    seedOrder: readonly string[],
    word: SentinelPicture,
  ): Snapshot | null {
    if (outcome.standalone.length === 0 || this.#picture !== null) return null;
    return this.#standalone.absorb(outcome, seedOrder, word, {
      ...this.#common(outcome, startedAt),
      unusable: refusedAddresses(outcome),
    });
  }
}

/** Refusal, absence of a route or a stranger say that a node is gone; a time-out may be a busy one. */
const GONE: ReadonlySet<NodeFailureCode> = new Set(['refused', 'unreachable', 'stray']);

function refusedAddresses(outcome: PollOutcome): Set<string> {
  const refused = new Set<string>();
  for (const [address, { code }] of outcome.failures) {
    if (GONE.has(code)) refused.add(address);
  }
  return refused;
}
