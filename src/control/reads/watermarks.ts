/**
 * Up to when each replica is known to have its primary's writes. Pure.
 *
 * A primary's offset O comes from an INFO that was sent at t: whatever it had acknowledged before t
 * is below O. A replica of the same history (replid) that is seen at an offset of O or more, in
 * whichever answer, has all of that: its watermark is t, and stays at least t, because a replica
 * only ever gains. It loses its watermark where that ends: another history, a full sync, a promotion,
 * another primary.
 */

import type { ReplicationFacts } from '../health/health-view.ts';

/** At `at` (monotonic ms) all that was acknowledged lay below `offset`. */
interface Mark {
  readonly at: number;
  readonly offset: number;
}

interface PrimaryMarks {
  readonly replid: string;
  /** Ascending in both. */
  readonly marks: readonly Mark[];
}

interface ReplicaMark {
  readonly primary: string;
  readonly replid: string;
  readonly offset: number;
  readonly watermark: number;
}

/** Of one shard: addresses ("host:port") and what the nodes said last, null where nothing. */
export interface ShardFacts {
  readonly primary: string;
  readonly primaryFacts: ReplicationFacts | null;
  readonly replicas: readonly {
    readonly address: string;
    readonly facts: ReplicationFacts | null;
  }[];
}

/**
 * Marks kept per primary: enough for one every 15 % of their age, from a fifth of a second to
 * {@link MARK_AGE_MAX_MS}, so that a replica far behind is still placed.
 */
const MARKS_MAX = 64;
/** No reader accepts older data by its age. */
const MARK_AGE_MAX_MS = 3_600_000;

export class Watermarks {
  readonly #primaries = new Map<string, PrimaryMarks>();
  readonly #replicas = new Map<string, ReplicaMark>();

  /** Takes in what is known now. Nodes that are in none of the shards are forgotten. */
  update(shards: readonly ShardFacts[]): void {
    const present = new Set<string>();
    for (const shard of shards) {
      present.add(shard.primary);
      this.#onPrimary(shard.primary, shard.primaryFacts);
      for (const { address, facts } of shard.replicas) {
        present.add(address);
        this.#primaries.delete(address);
        this.#onReplica(address, shard.primary, facts);
      }
      // A promoted replica begins anew, should it ever be one again.
      this.#replicas.delete(shard.primary);
    }
    keepOnly(this.#primaries, present);
    keepOnly(this.#replicas, present);
  }

  /** Monotonic ms; 0 where nothing is known. */
  of(replica: string): number {
    return this.#replicas.get(replica)?.watermark ?? 0;
  }

  #onPrimary(address: string, facts: ReplicationFacts | null): void {
    if (facts === null) return;
    if (facts.role !== 'primary') {
      this.#primaries.delete(address);
      return;
    }
    const { replid, offset, askedAt: at } = facts;
    const known = this.#primaries.get(address);
    const newest = known?.marks.at(-1);
    const isSame = known?.replid === replid && newest !== undefined && offset >= newest.offset;
    const marks = isSame ? withMark(known.marks, { at, offset }) : [{ at, offset }];
    this.#primaries.set(address, { replid, marks });
  }

  #onReplica(address: string, primary: string, facts: ReplicationFacts | null): void {
    // A node that answers no more has not lost anything.
    const before = this.#replicas.get(address);
    if (facts === null) {
      if (before?.primary !== primary) this.#replicas.delete(address);
      return;
    }
    const { replid, offset } = facts;
    const source = this.#primaries.get(primary);
    if (facts.role !== 'replica' || facts.isSyncing || offset < 0 || source?.replid !== replid) {
      this.#replicas.delete(address);
      return;
    }
    const isSame =
      before?.primary === primary && before.replid === replid && offset >= before.offset;
    const watermark = Math.max(isSame ? before.watermark : 0, newestAt(source.marks, offset));
    this.#replicas.set(address, { primary, replid, offset, watermark });
  }
}

/** At an unchanged offset the later mark says more. */
function withMark(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  const newest = marks.at(-1);
  if (newest !== undefined && newest.at >= mark.at) return marks;
  const kept = newest?.offset === mark.offset ? marks.slice(0, -1) : marks;
  const second = kept[1];
  const isOld = second !== undefined && mark.at - second.at > MARK_AGE_MAX_MS;
  if (isOld) return [...kept.slice(1), mark];
  return kept.length < MARKS_MAX ? [...kept, mark] : [...thinned(kept, mark.at), mark];
}

/** Without the mark whose neighbours are closest to each other, measured by its age. */
function thinned(marks: readonly Mark[], now: number): Mark[] {
  let least = Number.POSITIVE_INFINITY;
  let dropped = 1;
  for (let i = 1; i < marks.length - 1; i++) {
    const gap = (marks[i + 1] as Mark).at - (marks[i - 1] as Mark).at;
    const share = gap / (now - (marks[i] as Mark).at);
    if (share >= least) continue;
    least = share;
    dropped = i;
  }
  return marks.filter((_, index) => index !== dropped);
}

/** Of the newest mark that a replica at this offset has reached, 0 when it has reached none. */
function newestAt(marks: readonly Mark[], offset: number): number {
  for (let i = marks.length - 1; i >= 0; i--) {
    const mark = marks[i] as Mark;
    if (mark.offset <= offset) return mark.at;
  }
  return 0;
}

function keepOnly(map: Map<string, unknown>, present: ReadonlySet<string>): void {
  for (const key of map.keys()) if (!present.has(key)) map.delete(key);
}
