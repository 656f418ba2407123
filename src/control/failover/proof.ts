/**
 * Proof that a primary is dead. Pure: connects and replicas' words in, a verdict out.
 *
 * CLUSTER FAILOVER FORCE on a primary that lives loses what it acknowledges meanwhile (818 to 2720
 * writes in trials), so less than this is not enough:
 * - at least 3 fresh connects over at least 100 ms to the node's own port, every one refused. One
 *   that is accepted and closed, reset or not answered proves nothing: a primary at maxclients does
 *   the first, a stopped or cut-off one the last, and both still serve somebody;
 * - every replica that can be reached and followed it until now says that its link is down, with no
 *   sync under way; asked after the first refusal, and at least one of them was heard.
 */

import type { ReplicationFacts } from '../health/health-view.ts';

export const PROOF_CONNECTS = 3;
export const PROOF_SPAN_MS = 100;

/** How one fresh connect ended. Only `refused` speaks for a dead process. */
export type ConnectOutcome = 'refused' | 'accepted' | 'timeout' | 'failed';

export interface ConnectTry {
  /** Monotonic ms. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: ConnectOutcome;
  /** Node's code, such as ECONNREFUSED; '' when accepted. */
  readonly code: string;
}

/** What one replica of the primary said when it was asked. */
export interface ReplicaWord {
  readonly id: string;
  readonly address: string;
  /** Its link was up when the primary was last heard. */
  readonly wasUp: boolean;
  /** Null: it did not answer. */
  readonly facts: ReplicationFacts | null;
  /** Why it did not answer, else ''. `refused`: its process is gone too. */
  readonly failure: string;
}

export type Doubt =
  | 'answers' // a connect was accepted
  | 'not-refused' // a time-out, a reset, no route
  | 'too-few-connects' // fewer than PROOF_CONNECTS, or within less than PROOF_SPAN_MS
  | 'promoted' // a replica is a primary already
  | 'replica-link-up' // a replica still has its link to it
  | 'replica-syncing' // a replica receives data from it
  | 'no-replica-heard'; // none that followed it could be asked

export type Verdict = { readonly proven: true } | { readonly proven: false; readonly doubt: Doubt };

export function judge(connects: readonly ConnectTry[], words: readonly ReplicaWord[]): Verdict {
  const doubt = doubtOfConnects(connects) ?? doubtOfReplicas(connects, words);
  return doubt === null ? { proven: true } : { proven: false, doubt };
}

function doubtOfConnects(connects: readonly ConnectTry[]): Doubt | null {
  if (connects.some(({ outcome }) => outcome === 'accepted')) return 'answers';
  if (connects.some(({ outcome }) => outcome !== 'refused')) return 'not-refused';
  const starts = connects.map(({ startedAt }) => startedAt);
  const span = Math.max(...starts) - Math.min(...starts);
  const isEnough = connects.length >= PROOF_CONNECTS && span >= PROOF_SPAN_MS;
  return isEnough ? null : 'too-few-connects';
}

function doubtOfReplicas(
  connects: readonly ConnectTry[],
  words: readonly ReplicaWord[],
): Doubt | null {
  const firstRefusal = Math.min(...connects.map(({ endedAt }) => endedAt));
  let heard = 0;
  for (const { wasUp, facts } of words) {
    if (facts === null) continue;
    if (facts.role === 'primary') return 'promoted';
    if (facts.isSyncing) return 'replica-syncing';
    // Also one that did not follow before: who has a link to it now has one to a living process.
    if (facts.linkUp) return 'replica-link-up';
    if (wasUp && facts.askedAt >= firstRefusal) heard++;
  }
  return heard > 0 ? null : 'no-replica-heard';
}
