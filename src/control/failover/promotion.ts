/**
 * One attempt to replace a primary whose port refuses, a straight sequence over injected questions:
 *
 *     confirm ── proof ── decision ── jitter, turn, fence ── proof again ── CLUSTER FAILOVER, once
 *
 * Whatever speaks for the primary's life ends it at any step. What is proven is that nobody listens
 * at one address; so while the proof is repeated the other nodes are asked whether they have a
 * connection to it at another one, since a primary that was started again elsewhere serves under the
 * same id. Whether the order led to an election is for the caller to watch.
 */

import type { ReplicationFacts } from '../health/health-view.ts';
import type { Candidate, Choice, LostPrimary } from './candidate.ts';
import { type Decision, decide, isKnownTo, type Refusal, type Voters } from './decision.ts';
import {
  type ConnectOutcome,
  type ConnectTry,
  judge,
  PROOF_SPAN_MS,
  type ReplicaWord,
} from './proof.ts';

export interface NodeRef {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** "host:port". */
  readonly address: string;
}

export interface ReplicaAnswer {
  readonly facts: ReplicationFacts | null;
  /** '' or why there are no facts. */
  readonly failure: string;
}

export interface PromotionIo {
  /** Monotonic ms. */
  now(): number;
  /** Ends early, and does not reject, when the signal is aborted. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
  /** One fresh connect, closed at once; never rejects. */
  connect(node: NodeRef): Promise<ConnectTry>;
  /** INFO replication, within a short deadline; never rejects. */
  askReplica(node: NodeRef): Promise<ReplicaAnswer>;
  /**
   * Which of these replicas this other primary lists under `primary`, within a short deadline; null
   * when it does not answer. Never rejects.
   */
  askVoter(
    node: NodeRef,
    primary: NodeRef,
    replicas: readonly NodeRef[],
  ): Promise<readonly string[] | null>;
  /**
   * The address at which this node has a connection to `primary` on the cluster bus, within a short
   * deadline; '' when it has none or does not answer. Never rejects.
   */
  askWhereabouts(node: NodeRef, primary: NodeRef): Promise<string>;
  /** CLUSTER FAILOVER; resolves with '' or with why it was not accepted. */
  order(node: NodeRef, how: Order): Promise<string>;
}

export type Order = 'FORCE' | 'TAKEOVER';

/** What a snapshot shows that no question to the nodes concerned would. */
export type Objection =
  | 'superseded' // the slots have another owner
  | 'moved' // the primary lives at another address: that the old one refuses says nothing
  | 'candidate-moved'; // another node than the one that was asked is at the candidate's address

export interface ReplicaRef extends NodeRef {
  readonly wasUp: boolean;
  readonly isListed: boolean;
  readonly isRecent: boolean;
}

/** What the attempt goes by besides what it asks; read anew where it says so. */
export interface Target {
  readonly primary: NodeRef;
  readonly replicas: readonly ReplicaRef[];
  /** The other primaries that own slots. */
  readonly voters: readonly NodeRef[];
  readonly lost: LostPrimary | null;
  readonly wasDeposed: boolean;
  readonly wasTried: boolean;
  readonly maxLagBytes: number;
  readonly takeoverAllowed: boolean;
  /** Until when (monotonic ms) the primary may come back. */
  readonly confirmUntil: number;
  readonly jitterMs: number;
  /** Resolves when this primary may be replaced: elections at one time would take each other's votes. */
  readonly turn: () => Promise<void>;
  /**
   * Resolves when the workers send nothing to the primary any more, or after a short while: one that
   * came back between the proof and the election would acknowledge what is lost then.
   */
  readonly fence: () => Promise<void>;
  /** What the newest snapshot has against ordering this replica to replace the primary. */
  readonly objection: (candidate: NodeRef) => Objection | null;
  /**
   * Called when the order is about to be sent: it counts whatever becomes of it. What it returns is
   * called when the order had no effect.
   */
  readonly onOrder: (candidate: ReplicaRef, order: Order) => () => void;
}

export interface Evidence {
  readonly connects: readonly ConnectTry[];
  readonly words: readonly ReplicaWord[];
  readonly voters: Voters;
}

export type FoundReplica = ReplicaRef & ReplicaAnswer & Candidate;

type NotRefused = ConnectTry & { readonly outcome: Exclude<ConnectOutcome, 'refused'> };

export type AttemptResult =
  /** One connect was not refused: nothing was done. */
  | { readonly kind: 'not-dead'; readonly last: NotRefused }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal | Objection;
      readonly evidence: Evidence;
      readonly choice: Choice<FoundReplica> | null;
    }
  | {
      readonly kind: 'ordered' | 'order-failed';
      readonly order: Order;
      readonly candidate: FoundReplica;
      readonly evidence: Evidence;
      readonly choice: Choice<FoundReplica>;
      readonly orderedAt: number;
      /** '' or what the candidate answered. */
      readonly failure: string;
    };

const CONFIRM_STEP_MS = 50;
/** Of the failures of an order: after the others the replica certainly does nothing. */
const MAY_HAVE_ARRIVED: ReadonlySet<string> = new Set(['timeout', 'closed']);
/** When the connects of a proof start; the last one a little later than it must. */
const CONNECT_AT_MS = [0, 50, PROOF_SPAN_MS + 5] as const;

/** Nobody waits for the result of an attempt that is called off by its signal. */
const CALLED_OFF: AttemptResult = {
  kind: 'refused',
  refusal: 'superseded',
  evidence: { connects: [], words: [], voters: { total: 0, known: [] } },
  choice: null,
};

export async function attempt(
  target: Target,
  io: PromotionIo,
  signal?: AbortSignal,
): Promise<AttemptResult> {
  const returned = await confirm(target, io, signal);
  if (returned !== null) return returned;
  const evidence = await gather(target, io);
  const denied = firstNotRefused(evidence);
  if (denied !== null) return { kind: 'not-dead', last: denied };
  const decision = decideBy(target, evidence);
  if (decision.action === 'none') return refused(decision, evidence);
  await io.pause(target.jitterMs);
  await target.turn();
  await target.fence();
  const [again, hasMoved] = await Promise.all([
    gatherAgain(target, io, evidence),
    livesElsewhere(target, io),
  ]);
  const deniedAgain = firstNotRefused(again);
  if (deniedAgain !== null) return { kind: 'not-dead', last: deniedAgain };
  const last = decideBy(target, again);
  if (last.action === 'none') return refused(last, again);
  // The other instances wait for another time: one of them may have acted by now.
  const refusal = hasMoved ? 'moved' : target.objection(last.candidate);
  if (refusal !== null) return { kind: 'refused', refusal, evidence: again, choice: last.choice };
  return send(target, io, last, again);
}

async function send(
  target: Target,
  io: PromotionIo,
  decision: Exclude<Decision<FoundReplica>, { action: 'none' }>,
  evidence: Evidence,
): Promise<AttemptResult> {
  const { candidate, choice } = decision;
  const order: Order = decision.action === 'force' ? 'FORCE' : 'TAKEOVER';
  const orderedAt = io.now();
  const withdraw = target.onOrder(candidate, order);
  const failure = await io.order(candidate, order);
  if (failure !== '' && !MAY_HAVE_ARRIVED.has(failure)) withdraw();
  const kind = failure === '' ? 'ordered' : 'order-failed';
  return { kind, order, candidate, choice, evidence, orderedAt, failure };
}

/**
 * Connects until the time to confirm is over, less what the proof itself takes. Null: it was
 * refused every time.
 */
async function confirm(
  target: Target,
  io: PromotionIo,
  signal?: AbortSignal,
): Promise<AttemptResult | null> {
  const until = target.confirmUntil - PROOF_SPAN_MS;
  for (let left = until - io.now(); left > 0; left = until - io.now()) {
    await io.pause(Math.min(CONFIRM_STEP_MS, left), signal);
    if (signal?.aborted === true) return CALLED_OFF;
    const last = await io.connect(target.primary);
    if (isNotRefused(last)) return { kind: 'not-dead', last };
  }
  return null;
}

async function gather(target: Target, io: PromotionIo): Promise<Evidence> {
  const connects: ConnectTry[] = [];
  let words: Promise<ReplicaWord[]> = Promise.resolve([]);
  let voters: Promise<Voters> = Promise.resolve({ total: target.voters.length + 1, known: [] });
  for (const atMs of CONNECT_AT_MS) {
    const first = connects[0];
    if (first !== undefined) await pauseUntil(io, first.startedAt + atMs);
    const next = await io.connect(target.primary);
    connects.push(next);
    if (next.outcome !== 'refused') break;
    if (first !== undefined) continue;
    words = askReplicas(target, io);
    voters = askVoters(target, io);
  }
  return { connects, words: await words, voters: await voters };
}

/** One more connect and the replicas' newest words, beside the connects that were. */
async function gatherAgain(target: Target, io: PromotionIo, before: Evidence): Promise<Evidence> {
  const [connect, words] = await Promise.all([io.connect(target.primary), askReplicas(target, io)]);
  return { ...before, connects: [...before.connects, connect], words };
}

async function pauseUntil(io: PromotionIo, time: number): Promise<void> {
  // A timer may fire a little early.
  for (let left = time - io.now(); left > 0; left = time - io.now()) await io.pause(left);
}

function askReplicas(target: Target, io: PromotionIo): Promise<ReplicaWord[]> {
  return Promise.all(
    target.replicas.map(async (replica) => {
      const { facts, failure } = await io.askReplica(replica);
      const { id, address, wasUp } = replica;
      return { id, address, wasUp, facts, failure };
    }),
  );
}

async function askVoters({ voters, primary, replicas }: Target, io: PromotionIo): Promise<Voters> {
  const answers = await Promise.all(voters.map((voter) => io.askVoter(voter, primary, replicas)));
  return { total: voters.length + 1, known: answers.filter((answer) => answer !== null) };
}

/** A connection to it, not an address alone: those that were never told of a move keep the old one. */
async function livesElsewhere(
  { primary, voters, replicas }: Target,
  io: PromotionIo,
): Promise<boolean> {
  const nodes = [...voters, ...replicas];
  const places = await Promise.all(nodes.map((node) => io.askWhereabouts(node, primary)));
  return places.some((place) => place !== '' && place !== primary.address);
}

function decideBy(target: Target, evidence: Evidence): Decision<FoundReplica> {
  const words = new Map(evidence.words.map((word) => [word.id, word]));
  const candidates = target.replicas.map((replica) => {
    const { facts = null, failure = 'not asked' } = words.get(replica.id) ?? {};
    return { ...replica, facts, failure, isKnown: isKnownTo(evidence.voters, replica.id) };
  });
  return decide({
    verdict: judge(evidence.connects, evidence.words),
    primary: target.lost,
    candidates,
    voters: evidence.voters,
    maxLagBytes: target.maxLagBytes,
    takeoverAllowed: target.takeoverAllowed,
    wasDeposed: target.wasDeposed,
    wasTried: target.wasTried,
  });
}

function refused(
  { refusal, choice }: Extract<Decision<FoundReplica>, { action: 'none' }>,
  evidence: Evidence,
): AttemptResult {
  return { kind: 'refused', refusal, evidence, choice };
}

function firstNotRefused({ connects }: Evidence): NotRefused | null {
  return connects.find(isNotRefused) ?? null;
}

function isNotRefused(connect: ConnectTry): connect is NotRefused {
  return connect.outcome !== 'refused';
}
