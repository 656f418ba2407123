/**
 * Which replica to promote. Pure. The one that has most of the primary's writes, of equals one that
 * the voters know, of those the one with the lowest id: so every slotgate instance that hears the same replicas names the same one.
 */

import type { ReplicationFacts } from '../health/health-view.ts';

export interface Candidate {
  readonly id: string;
  readonly address: string;
  /** Its newest answer; null: it could not be asked. */
  readonly facts: ReplicationFacts | null;
  /** The primary's own CLUSTER NODES, as last seen, names it as its replica. */
  readonly isListed: boolean;
  /** A majority of the primaries lists it under the dead one, so that they would vote for it. */
  readonly isKnown: boolean;
  /** Elected, or ordered to stand, within the last 4 × cluster-node-timeout. */
  readonly isRecent: boolean;
}

/** What is known of the primary that is to be replaced. */
export interface LostPrimary {
  readonly replid: string;
  /** Its last known master_repl_offset. */
  readonly offset: number;
}

export type Unfit =
  | 'silent'
  | 'not-listed'
  | 'not-a-replica'
  | 'loading'
  | 'syncing'
  | 'never-synced'
  | 'other-history' // its data is of another replication id: offsets cannot be compared
  | 'recently-elected'
  | 'too-far-behind';

export interface Rejected {
  readonly address: string;
  readonly unfit: Unfit;
  /** Bytes behind the primary, where that can be told. */
  readonly lagBytes: number | null;
}

export interface Choice<C extends Candidate> {
  readonly chosen: C | null;
  /** Of the chosen one, at least 0. */
  readonly lagBytes: number;
  readonly rejected: readonly Rejected[];
}

export function chooseCandidate<C extends Candidate>(
  primary: LostPrimary,
  candidates: readonly C[],
  maxLagBytes: number,
): Choice<C> {
  const rejected: Rejected[] = [];
  let chosen: C | null = null;
  for (const candidate of candidates) {
    const lagBytes = lagOf(candidate, primary);
    const unfit = unfitness(candidate, primary, maxLagBytes);
    if (unfit !== null) rejected.push({ address: candidate.address, unfit, lagBytes });
    else if (chosen === null || isBetter(candidate, chosen)) chosen = candidate;
  }
  return { chosen, lagBytes: (chosen && lagOf(chosen, primary)) ?? 0, rejected };
}

function unfitness(
  { facts, isListed, isRecent }: Candidate,
  primary: LostPrimary,
  maxLagBytes: number,
): Unfit | null {
  if (facts === null) return 'silent';
  if (!isListed) return 'not-listed';
  if (facts.role !== 'replica') return 'not-a-replica';
  if (facts.isLoading) return 'loading';
  if (facts.isSyncing) return 'syncing';
  if (!facts.linkUp && facts.linkDownSeconds < 0) return 'never-synced';
  if (facts.replid !== primary.replid) return 'other-history';
  if (isRecent) return 'recently-elected';
  return primary.offset - facts.offset > maxLagBytes ? 'too-far-behind' : null;
}

/** Null where the histories differ. A replica may be ahead of what was last heard of its primary. */
function lagOf({ facts }: Candidate, primary: LostPrimary): number | null {
  if (facts === null || facts.replid !== primary.replid) return null;
  return Math.max(0, primary.offset - facts.offset);
}

function isBetter(one: Candidate, other: Candidate): boolean {
  const ahead = (one.facts?.offset ?? 0) - (other.facts?.offset ?? 0);
  if (ahead !== 0) return ahead > 0;
  return one.isKnown === other.isKnown ? one.id < other.id : one.isKnown;
}
