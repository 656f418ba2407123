/**
 * What to do about a primary that may be dead: every rule in one place, pure, so that each is
 * tested alone. The first rule that stands in the way names the refusal.
 */

import { type Candidate, type Choice, chooseCandidate, type LostPrimary } from './candidate.ts';
import type { Doubt, Verdict } from './proof.ts';

export interface Voters {
  /** Primaries that own slots, the dead one among them. */
  readonly total: number;
  /** For each that answered just now: the ids that it lists as replicas of the dead one. */
  readonly known: readonly (readonly string[])[];
}

export interface Situation<C extends Candidate> {
  readonly verdict: Verdict;
  /** Null: it was never heard, so nobody can tell how old a replica's data is. */
  readonly primary: LostPrimary | null;
  readonly candidates: readonly C[];
  readonly voters: Voters;
  readonly maxLagBytes: number;
  readonly takeoverAllowed: boolean;
  /** The primary was deposed within the last 2 × cluster-node-timeout: voters would say no. */
  readonly wasDeposed: boolean;
  /** We ordered somebody to replace it within the last 4 × cluster-node-timeout. */
  readonly wasTried: boolean;
}

export type Refusal =
  | Doubt
  | 'order-pending' // ordered once already: the cluster's own votes decide now
  | 'recently-deposed'
  | 'offset-unknown'
  | 'recently-elected'
  | 'too-far-behind'
  | 'no-candidate'
  | 'no-majority'
  | 'voters-unaware' // too many list the candidate under another primary, or not at all
  | 'takeover-not-allowed'
  | 'replica-silent';

export type Decision<C extends Candidate> =
  | { readonly action: 'force' | 'takeover'; readonly choice: Choice<C>; readonly candidate: C }
  | {
      readonly action: 'none';
      readonly refusal: Refusal;
      readonly choice: Choice<C> | null;
    };

export function decide<C extends Candidate>(situation: Situation<C>): Decision<C> {
  const { verdict, primary, candidates, voters, maxLagBytes } = situation;
  if (!verdict.proven) return refuse(verdict.doubt);
  if (situation.wasTried) return refuse('order-pending');
  if (situation.wasDeposed) return refuse('recently-deposed');
  if (primary === null) return refuse('offset-unknown');
  const choice = chooseCandidate(primary, candidates, maxLagBytes);
  if (choice.chosen === null) return refuse(reasonOf(choice), choice);
  const candidate = choice.chosen;
  if (canVote(voters.total)) {
    if (voters.known.length < majorityOf(voters.total)) return refuse('no-majority', choice);
    // A replica that lost its election may not stand again for 4 x cluster-node-timeout.
    if (!candidate.isKnown) return refuse('voters-unaware', choice);
    return { action: 'force', choice, candidate };
  }
  if (!situation.takeoverAllowed) return refuse('takeover-not-allowed', choice);
  // Nobody arbitrates a takeover: instances that hear different replicas must not act at all.
  if (candidates.some(isUnaccounted)) return refuse('replica-silent', choice);
  return { action: 'takeover', choice, candidate };
}

/** Can the others elect a successor when one of `total` primaries is dead? */
export function canVote(total: number): boolean {
  return total - 1 >= majorityOf(total);
}

export function majorityOf(total: number): number {
  return Math.floor(total / 2) + 1;
}

/** Would a majority vote for this replica of the dead primary? */
export function isKnownTo({ total, known }: Voters, replicaId: string): boolean {
  return known.filter((ids) => ids.includes(replicaId)).length >= majorityOf(total);
}

/** Listed, not heard, and its process is not known to be gone. */
function isUnaccounted(candidate: Candidate & { readonly failure?: string }): boolean {
  return candidate.isListed && candidate.facts === null && candidate.failure !== 'refused';
}

/** Of several reasons, the one about which an operator can do something. */
function reasonOf(choice: Choice<Candidate>): Refusal {
  const reasons = new Set(choice.rejected.map(({ unfit }) => unfit));
  if (reasons.has('recently-elected')) return 'recently-elected';
  if (reasons.has('too-far-behind')) return 'too-far-behind';
  return 'no-candidate';
}

function refuse<C extends Candidate>(
  refusal: Refusal,
  choice: Choice<C> | null = null,
): Decision<C> {
  return { action: 'none', refusal, choice };
}
