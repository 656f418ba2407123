/**
 * Which replica a planned switch goes to, or why none may be taken now. Pure.
 *
 * Two waits come from how Redis votes. A node that stood for election keeps its votes for four
 * node-timeouts: asked again within two, it "wins" on the old ones at an old config epoch, is
 * demoted a moment later and loses every write in between; within four it does nothing. And the
 * other primaries give no second vote against one primary within two node-timeouts. A third one
 * comes from gossip: who has not heard yet that a node became a replica votes no, and the node asks
 * again only seconds later, while its primary takes no writes.
 */

import type { ClusterNodeLine } from '../../topology/cluster-nodes.ts';
import type { NodeView, Replication } from './node-questions.ts';

export type RefusalReason =
  | 'unknown-shard' // nothing in the picture goes by this name
  | 'unknown-node' // --to names no node of the picture
  | 'not-a-replica' // --to names a node that does not follow this shard's primary
  | 'no-cluster' // the upstream has no cluster mode
  | 'no-replica'
  | 'no-majority' // too few primaries to vote
  | 'primary-silent' // the primary does not answer, or no longer is one
  | 'in-motion' // slots are on their way: a switch would lose the marks
  | 'unlisted' // the primary does not know the candidate as its replica
  | 'unheard' // too few primaries know it as that yet: they would vote no
  | 'silent' // the candidate does not answer
  | 'link-down'
  | 'syncing'
  | 'lagging'
  | 'elected-lately' // the candidate still has votes of its last election
  | 'switched-lately' // the others would not vote against this primary again yet
  | 'busy'; // another switch is under way here

export class SwitchRefused extends Error {
  readonly reason: RefusalReason;
  /** Milliseconds after which it can succeed; 0 where waiting alone changes nothing. */
  readonly waitMs: number;

  constructor(reason: RefusalReason, message: string, waitMs = 0) {
    super(message);
    this.name = 'SwitchRefused';
    this.reason = reason;
    this.waitMs = waitMs;
  }
}

export interface Candidate {
  readonly id: string;
  readonly address: string;
  /** Null when it does not answer. */
  readonly replication: Replication | null;
  /** Monotonic ms at which it was last elected or ordered to stand, -Infinity: never seen. */
  readonly electedAt: number;
  /** Monotonic ms before which its process cannot have started; a new process has no old votes. */
  readonly startedAfter: number;
  /** Primaries that know it as a replica of this shard's: only those would vote for it. */
  readonly heardBy: number;
}

export interface SwitchSituation {
  readonly now: number;
  readonly nodeTimeoutMs: number;
  readonly primary: {
    readonly id: string;
    readonly address: string;
    readonly view: NodeView;
    /** Monotonic ms at which it was last seen to lose the role, -Infinity when never. */
    readonly deposedAt: number;
  };
  readonly candidates: readonly Candidate[];
}

export interface PassedOver {
  readonly address: string;
  readonly refusal: SwitchRefused;
}

export interface Choice {
  readonly candidate: Candidate;
  readonly passedOver: readonly PassedOver[];
}

/** Redis' auth_timeout is two node-timeouts, but never less than this. */
const VOTE_MS_MIN = 2000;
/** Nobody knows how long a copy takes: so soon it may be asked again. */
const SYNC_WAIT_MS = 5000;

/** How long after its last election a node must not be asked to stand again, milliseconds. */
export function candidateRestMs(nodeTimeoutMs: number): number {
  return 2 * Math.max(2 * nodeTimeoutMs, VOTE_MS_MIN);
}

/** How long after one of its replicas was elected a primary's others get no vote, milliseconds. */
function voterRestMs(nodeTimeoutMs: number): number {
  return 2 * nodeTimeoutMs;
}

/**
 * The eligible candidate with the highest offset, then the lowest id.
 * @throws SwitchRefused with the reason of the candidate that comes nearest
 */
export function chooseCandidate(situation: SwitchSituation): Choice {
  checkPrimary(situation);
  const eligible: Candidate[] = [];
  const passedOver: PassedOver[] = [];
  for (const candidate of situation.candidates) {
    const refusal = refusalOf(candidate, situation);
    if (refusal === null) eligible.push(candidate);
    else passedOver.push({ address: candidate.address, refusal });
  }
  const [best] = eligible.sort(byFreshness);
  if (best !== undefined) return { candidate: best, passedOver };
  const shortest = passedOver
    .filter(({ refusal }) => refusal.waitMs > 0)
    .sort((one, other) => one.refusal.waitMs - other.refusal.waitMs)[0];
  const first = shortest ?? passedOver[0];
  if (first !== undefined) throw first.refusal;
  const { address } = situation.primary;
  throw new SwitchRefused('no-replica', `${address} has no replica that could take over`);
}

function checkPrimary({ now, nodeTimeoutMs, primary }: SwitchSituation): void {
  const { self } = primary.view;
  if (self.role !== 'primary') {
    throw new SwitchRefused(
      'primary-silent',
      `${primary.address} is no longer a primary: look again (slotgate failover --list)`,
    );
  }
  if (self.importing.length + self.migrating.length > 0) {
    throw new SwitchRefused(
      'in-motion',
      `slots are being moved from or to ${primary.address}: finish that first, a switch would lose its marks`,
    );
  }
  const voters = votersIn(primary.view);
  const ready = voters.filter(isReachable).length;
  if (ready * 2 <= voters.length) {
    throw new SwitchRefused(
      'no-majority',
      `${ready} of ${voters.length} primaries are reachable from ${primary.address}: too few to vote`,
    );
  }
  const waitMs = primary.deposedAt + voterRestMs(nodeTimeoutMs) - now;
  if (waitMs > 0) {
    throw new SwitchRefused(
      'switched-lately',
      `this shard was switched a moment ago, and the other primaries do not vote about ` +
        `${primary.address} again before 2 x cluster-node-timeout: wait ${secondsText(waitMs)}`,
      waitMs,
    );
  }
}

/** The primaries that vote: those with slots. */
export function votersIn({ lines }: NodeView): readonly ClusterNodeLine[] {
  return lines.filter(({ role, slots }) => role === 'primary' && slots.length > 0);
}

function isReachable({ myself, failed, suspected, linked }: ClusterNodeLine): boolean {
  return myself || (linked && !failed && !suspected);
}

function refusalOf(candidate: Candidate, situation: SwitchSituation): SwitchRefused | null {
  const { address, id, replication } = candidate;
  const { primary } = situation;
  const line = primary.view.lines.find((one) => one.id === id);
  if (line?.role !== 'replica' || line.primaryId !== primary.id || !isReachable(line)) {
    const what = `${primary.address} does not list ${address} as a replica it can reach`;
    return new SwitchRefused('unlisted', `${what}: see CLUSTER NODES there`);
  }
  if (replication === null) {
    return new SwitchRefused('silent', `${address} does not answer`);
  }
  if (replication.isSyncing) {
    const what = `${address} is still copying the data of its primary`;
    return new SwitchRefused('syncing', what, SYNC_WAIT_MS);
  }
  if (replication.role !== 'replica' || !replication.linkUp) {
    return new SwitchRefused(
      'link-down',
      `${address} has no connection to its primary (INFO replication there: master_link_status)`,
    );
  }
  return electionRefusal(candidate, situation) ?? unheardRefusal(candidate, situation);
}

function unheardRefusal(
  { address, heardBy }: Candidate,
  { primary, nodeTimeoutMs }: SwitchSituation,
): SwitchRefused | null {
  const voters = votersIn(primary.view).length;
  if (heardBy * 2 > voters) return null;
  // Every node hears from every other within half a node-timeout.
  const waitMs = Math.ceil(nodeTimeoutMs / 2);
  return new SwitchRefused(
    'unheard',
    `${heardBy} of ${voters} primaries know yet that ${address} is a replica of ` +
      `${primary.address}: too few to vote for it; wait ${secondsText(waitMs)}`,
    waitMs,
  );
}

function electionRefusal(
  { address, electedAt, startedAfter }: Candidate,
  { now, nodeTimeoutMs }: SwitchSituation,
): SwitchRefused | null {
  const waitMs = electedAt + candidateRestMs(nodeTimeoutMs) - now;
  if (waitMs <= 0 || electedAt < startedAfter) return null;
  return new SwitchRefused(
    'elected-lately',
    `${address} was elected a moment ago and may not stand again before 4 x cluster-node-timeout: ` +
      `wait ${secondsText(waitMs)}, or choose another replica`,
    waitMs,
  );
}

function byFreshness(one: Candidate, other: Candidate): number {
  const offsets = (other.replication?.offset ?? 0) - (one.replication?.offset ?? 0);
  return offsets || (one.id < other.id ? -1 : 1);
}

/** Rounded up: who waits so long has waited long enough. */
function secondsText(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
