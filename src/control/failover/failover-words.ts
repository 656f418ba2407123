/** Log lines of failovers: the whole evidence in fields, and what an operator can do in words. */

import type { Choice, Rejected } from './candidate.ts';
import type { AttemptResult, Evidence, FoundReplica } from './promotion.ts';
import type { ConnectOutcome } from './proof.ts';

export type RefusedResult = Extract<AttemptResult, { kind: 'refused' }>;

/** Every connect, every replica's word and the voters, as they were when it was decided. */
export function evidenceFields(evidence: Evidence, choice: Choice<FoundReplica> | null): object {
  const begin = evidence.connects[0]?.startedAt ?? 0;
  return {
    connects: evidence.connects.map(({ startedAt, code }) => ({
      atMs: Math.round(startedAt - begin),
      code: code || 'accepted',
    })),
    replicas: evidence.words.map(({ address, wasUp, facts, failure }) =>
      facts === null
        ? { node: address, failure }
        : {
            node: address,
            role: facts.role,
            wasUp,
            link: facts.linkUp ? 'up' : 'down',
            syncing: facts.isSyncing,
            offset: facts.offset,
          },
    ),
    voters: {
      total: evidence.voters.total,
      reachable: evidence.voters.known.length,
      aware: evidence.voters.known.filter((ids) => ids.includes(choice?.chosen?.id ?? '')).length,
    },
    ...(choice === null
      ? {}
      : { lagBytes: choice.lagBytes, rejected: choice.rejected.map(rejectedFields) }),
  };
}

function rejectedFields({ address, unfit, lagBytes }: Rejected): object {
  return { node: address, unfit, lagBytes };
}

/** What was seen in place of one more refusal; only a connection speaks for the primary's life. */
export function notDeadWords(outcome: Exclude<ConnectOutcome, 'refused'>): string {
  switch (outcome) {
    case 'accepted':
      return 'a primary that refused connections takes them again: left alone';
    case 'timeout':
      return 'a primary that refused connections gave no answer to one in time: nothing is proven, it is asked again';
    case 'failed':
      return 'a connection to a primary that refused them failed in another way: nothing is proven, it is asked again';
    default:
      return outcome satisfies never;
  }
}

/** Why no replica is promoted, and what to do about it. */
export function refusalWords({ refusal, choice }: RefusedResult, primary: string): string {
  if (refusal === 'moved') {
    return `the primary ${primary} lives at another address now: its old one refuses connections and is left alone`;
  }
  const start = `the primary ${primary} refuses connections, and slotgate promotes no replica: `;
  return start + reason(refusal, choice);
}

function reason(
  refusal: Exclude<RefusedResult['refusal'], 'moved'>,
  choice: RefusedResult['choice'],
): string {
  const best = choice?.chosen?.address ?? 'HOST:PORT of its freshest replica';
  switch (refusal) {
    case 'replica-link-up':
      return 'a replica still has its link to it, so it lives';
    case 'replica-syncing':
      return 'a replica receives data from it, so it lives';
    case 'no-replica-heard':
      return (
        'no replica that followed it answers, so nobody confirms its death: start it again, or one ' +
        'of its replicas (see replicas)'
      );
    case 'answers':
    case 'not-refused':
    case 'too-few-connects':
      return 'there is no proof that it is dead';
    case 'promoted':
    case 'superseded':
      return 'another node took its place already';
    case 'candidate-moved':
      return 'its replica is at another address now, or follows another primary';
    case 'order-pending':
      return "one was ordered to stand before; the cluster's own votes decide now";
    case 'recently-deposed':
      return 'it was deposed a moment ago, and the others do not vote again so soon';
    case 'offset-unknown':
      return 'it was never heard, so nobody knows how old the data of a replica is';
    case 'recently-elected':
      return (
        'its replica was elected a moment ago and would win on old votes; it may stand again ' +
        "4 x cluster-node-timeout after that. The cluster's own votes may come before"
      );
    case 'too-far-behind':
      return (
        'its replicas are further behind than failover.maxReplicaLagBytes. To accept the loss: ' +
        'redis-cli -h HOST -p PORT CLUSTER FAILOVER FORCE on the replica, or raise the setting'
      );
    case 'no-candidate':
      return 'it has no replica that is fit (see rejected)';
    case 'no-majority':
      return "too few of the other primaries answer to elect one; the cluster's own votes cannot either";
    case 'voters-unaware':
      return 'too few of the other primaries have heard yet that the replica follows it';
    case 'takeover-not-allowed':
      return (
        `fewer than three primaries cannot elect one. Run CLUSTER FAILOVER TAKEOVER on ${best}, or ` +
        'set failover.takeover to true to have slotgate do so on the same proof'
      );
    case 'replica-silent':
      return 'not all of its replicas answer, and without votes another slotgate might choose another';
    default:
      return refusal satisfies never;
  }
}
