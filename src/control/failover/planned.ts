/**
 * Planned switches: a replica takes over from its living primary, and no client sees an error.
 *
 *     choose ─ catch up ─ hold ─ drain ─ CLUSTER FAILOVER ─ elected ─ workers know ─ release
 *                         └────────────── the pause that clients feel ─────────────┘
 *
 * Redis itself loses nothing here: the primary stops writing and the replica stands for election
 * only at the same offset. Holding adds that no command is under way at the primary while it turns
 * into a replica. Invariant: every hold is ended, whatever fails in between.
 */

import { errorText } from '../../lib/errors.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import type { BroadcastResult } from '../calls.ts';
import type { ControlLog } from '../control-log.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import type { ElectionHistory } from './elections.ts';
import { askReplication, askRole, askView } from './node-questions.ts';
import { type FoundShard, findNode, findShard } from './shard-reference.ts';
import {
  type Choice,
  chooseCandidate,
  type RefusalReason,
  SwitchRefused,
  type SwitchSituation,
} from './switch-choice.ts';
import { Situations } from './switch-situation.ts';

/** The part of ElectionHistory that planned switches go by and add to. */
export type Elections = Pick<ElectionHistory, 'electedAt' | 'deposedAt' | 'noteOrder'>;

/** The topology and the connections to the nodes; discovery has both. */
export interface SwitchNodes extends NodeAccess {
  snapshot(): Snapshot | null;
  /** See Discovery.pictureAfter. */
  pictureAfter(time: number, timeoutMs: number, also?: SnapshotNode): Promise<Snapshot | null>;
}

export interface PlannedOptions {
  readonly nodes: SwitchNodes;
  readonly workers: {
    broadcast(method: string, argument: unknown, deadlineMs: number): Promise<BroadcastResult>;
  };
  readonly elections: Elections;
  /** Told right before this node is asked to stand for election. */
  readonly onOrder: (id: string) => void;
  readonly log: ControlLog;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

export interface SwitchRequest {
  /** A shard's number, or the address or id of one of its nodes. */
  readonly shard: string;
  /** Address or id of the replica; by default the freshest that may. */
  readonly to?: string | undefined;
}

export interface SwitchProgress {
  readonly step: 'chosen' | 'catching-up' | 'held' | 'promoted' | 'released';
  readonly node: string;
  readonly text: string;
}

export interface SwitchResult {
  readonly shard: number;
  readonly from: string;
  readonly to: string;
  /** How long commands for the shard were kept back, milliseconds. */
  readonly pauseMs: number;
}

/** The switch was begun and did not come to its end; what clients see is as before it. */
export class SwitchFailed extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'SwitchFailed';
  }
}

/** A drain that takes longer is not waited for: what is left is redirected by the nodes. */
const DRAIN_MS = 40;
const CALL_MS = 1000;
const POLL_MS = 5;
/** Redis gives a manual failover five seconds, in which the primary takes no writes. */
const ELECTION_MS = 5500;
const KNOWN_MS = 5000;
/** What the replica may be behind before the hold begins; the rest arrives within it. */
const LAG_BYTES_MAX = 1024 * 1024;
/** After a switch or a restart the nodes need a moment to hear of each other's new roles. */
const SETTLE_MS = 2000;
const SETTLE_POLL_MS = 50;
const SETTLES: ReadonlySet<RefusalReason> = new Set(['unlisted', 'unheard', 'link-down']);
const CATCH_UP_MS = 10_000;
const CATCH_UP_POLL_MS = 50;

interface Parties {
  readonly shard: FoundShard;
  readonly candidate: SnapshotNode;
  /** Config epoch of the primary's claim: a true election gives a higher one. */
  readonly epoch: number;
}

export class PlannedSwitches {
  readonly #options: PlannedOptions;
  readonly #situations: Situations;
  #isBusy = false;

  constructor(options: PlannedOptions) {
    this.#options = options;
    this.#situations = new Situations(options);
  }

  /**
   * @throws SwitchRefused when it must not be tried (now); nothing was done then
   * @throws SwitchFailed when it was tried in vain
   */
  async run(
    request: SwitchRequest,
    tell: (progress: SwitchProgress) => void = () => {},
  ): Promise<SwitchResult> {
    if (this.#isBusy) {
      throw new SwitchRefused('busy', 'another planned switch is under way: try again after it');
    }
    this.#isBusy = true;
    try {
      return await this.#run(request, tell);
    } finally {
      this.#isBusy = false;
    }
  }

  async #run(
    request: SwitchRequest,
    tell: (progress: SwitchProgress) => void,
  ): Promise<SwitchResult> {
    const { log, now } = this.#options;
    const shard = await this.#find(request.shard);
    const { primary } = shard;
    const from = nodeAddress(primary);
    const { choice, parties } = await this.#choose(shard, request.to);
    const to = choice.candidate.address;
    const others = choice.passedOver.map(({ refusal }) => refusal.message);
    tell({ step: 'chosen', node: to, text: ['takes over', ...others].join('; not chosen: ') });
    await this.#catchUp(parties, tell);
    await this.#checkPlace(parties);
    const heldAt = now();
    try {
      const drained = await this.#hold(from);
      tell({ step: 'held', node: from, text: drained ? 'held and drained' : 'held' });
      await this.#switch(parties);
      tell({ step: 'promoted', node: to, text: 'is the primary' });
    } finally {
      await this.#release(from);
    }
    const pauseMs = Math.round(now() - heldAt);
    // Nobody sends the old primary anything any more; but who asked may go on with it.
    await this.#becomes(primary, 'replica', KNOWN_MS);
    tell({ step: 'released', node: to, text: `serves; clients waited up to ${pauseMs} ms` });
    log.info({ shard: shard.index, from, to, pauseMs }, 'planned switch done');
    return { shard: shard.index, from, to, pauseMs };
  }

  async #find(reference: string): Promise<FoundShard> {
    const { nodes, now } = this.#options;
    const snapshot = (await nodes.pictureAfter(now(), CALL_MS)) ?? nodes.snapshot();
    if (snapshot === null) {
      throw new SwitchRefused('unknown-shard', 'nothing is known of the cluster yet: see /readyz');
    }
    if (snapshot.mode !== 'cluster') {
      throw new SwitchRefused('no-cluster', 'the upstream is no Redis Cluster: ask its Sentinels');
    }
    return findShard(snapshot, reference);
  }

  async #choose(
    shard: FoundShard,
    to: string | undefined,
  ): Promise<{ choice: Choice; parties: Parties }> {
    const { now, pause } = this.#options;
    const wanted = to === undefined ? shard.replicas : [this.#replica(shard, to)];
    const until = now() + SETTLE_MS;
    let situation = await this.#situations.of(shard.primary, wanted);
    let choice = tryChoice(situation);
    while (choice instanceof SwitchRefused) {
      if (!SETTLES.has(choice.reason) || now() > until) throw choice;
      await pause(SETTLE_POLL_MS);
      situation = await this.#situations.of(shard.primary, wanted);
      choice = tryChoice(situation);
    }
    const candidate = wanted.find(({ id }) => id === choice.candidate.id) as SnapshotNode;
    const epoch = situation.primary.view.self.configEpoch;
    return { choice, parties: { shard, candidate, epoch } };
  }

  #replica({ primary, replicas, index }: FoundShard, reference: string): SnapshotNode {
    const node = findNode(this.#options.nodes.snapshot() as Snapshot, reference);
    if (node.id === primary.id) {
      throw new SwitchRefused('not-a-replica', `${reference} already is the primary`);
    }
    const replica = replicas.find(({ id }) => id === node.id);
    if (replica !== undefined) return replica;
    throw new SwitchRefused('not-a-replica', `${reference} is no replica of shard ${index}`);
  }

  /** While held, what is missing would be waited for: so most of it must be there before. */
  async #catchUp(
    { shard, candidate }: Parties,
    tell: (progress: SwitchProgress) => void,
  ): Promise<void> {
    const { nodes, now, pause } = this.#options;
    const node = nodeAddress(candidate);
    const until = now() + CATCH_UP_MS;
    for (let isTold = false; ; isTold = true) {
      const { offset } = await askReplication(nodes, candidate);
      const lag = (await askReplication(nodes, shard.primary)).offset - offset;
      if (lag <= LAG_BYTES_MAX) return;
      if (now() > until) {
        throw new SwitchRefused(
          'lagging',
          `${node} stays ${lag} bytes behind its primary: a switch would make clients wait; try with less load`,
          CATCH_UP_MS,
        );
      }
      if (!isTold) tell({ step: 'catching-up', node, text: `is ${lag} bytes behind` });
      await pause(CATCH_UP_POLL_MS);
    }
  }

  /** Catching up takes its time: by now another node may live at the candidate's address. */
  async #checkPlace({ shard, candidate }: Parties): Promise<void> {
    const { self } = await askView(this.#options.nodes, candidate);
    if (self.id === candidate.id && self.primaryId === shard.primary.id) return;
    throw new SwitchRefused(
      'not-a-replica',
      `${nodeAddress(candidate)} is no replica of shard ${shard.index} any more: look again`,
    );
  }

  /** True when nothing is under way at the node any more. */
  async #hold(address: string): Promise<boolean> {
    const { workers, log } = this.#options;
    const argument = { addresses: [address], drainMs: DRAIN_MS };
    const { answers, missing } = await workers.broadcast('hold.start', argument, CALL_MS);
    for (const { worker, message } of missing) {
      log.warn({ worker, reason: message }, 'a worker holds nothing back for a planned switch');
    }
    const drained = answers.every(({ value }) => (value as { drained?: boolean })?.drained);
    return drained && missing.length === 0;
  }

  async #release(address: string): Promise<void> {
    const { workers, log } = this.#options;
    const { missing } = await workers.broadcast('hold.end', { addresses: [address] }, CALL_MS);
    for (const { worker, message } of missing) {
      log.debug({ worker, reason: message }, 'a worker did not confirm the end of a hold');
    }
  }

  async #switch(parties: Parties): Promise<void> {
    const { nodes, elections, now } = this.#options;
    const { shard, candidate } = parties;
    const to = nodeAddress(candidate);
    this.#options.onOrder(candidate.id);
    try {
      await nodes.callNode(candidate, ['CLUSTER', 'FAILOVER']);
    } catch (error) {
      const why = errorText(error);
      throw new SwitchFailed(`${to} would not take over: ${why}`, error);
    }
    if (!(await this.#becomes(candidate, 'primary', ELECTION_MS))) {
      // It may have votes by now: nobody may make it stand again on those.
      elections.noteOrder(candidate.id, shard.primary.id, now());
      throw new SwitchFailed(
        `${to} was not elected within ${ELECTION_MS} ms; ${nodeAddress(shard.primary)} is still ` +
          'the primary (the log of the replica says why)',
      );
    }
    await this.#confirm(parties);
  }

  /** It was truly elected, and the workers have a picture that says so. */
  async #confirm({ candidate, epoch }: Parties): Promise<void> {
    const { nodes, now } = this.#options;
    const to = nodeAddress(candidate);
    const { self } = await askView(nodes, candidate);
    if (self.configEpoch <= epoch) {
      // Won on the votes of an earlier election. The others know a newer claim: it will step down.
      await this.#becomes(candidate, 'replica', KNOWN_MS);
      throw new SwitchFailed(`${to} was elected with outdated votes and stepped down again`);
    }
    for (const until = now() + KNOWN_MS; now() < until; ) {
      // The others hear of it some 40 ms later; the elected one itself knows.
      const snapshot = await nodes.pictureAfter(now(), KNOWN_MS, candidate);
      if (snapshot !== null && isPrimary(snapshot, candidate.id)) return;
    }
    throw new SwitchFailed(`${to} was elected, but the other nodes do not show it as primary`);
  }

  /** False when the node has another role after `timeoutMs`. */
  async #becomes(
    node: SnapshotNode,
    role: 'primary' | 'replica',
    timeoutMs: number,
  ): Promise<boolean> {
    const { nodes, now, pause } = this.#options;
    const until = now() + timeoutMs;
    for (;;) {
      const current = await askRole(nodes, node).catch((error: unknown) => {
        if (error instanceof NodeCallError) return null;
        throw error;
      });
      if (current === role) return true;
      if (now() > until) return false;
      await pause(POLL_MS);
    }
  }
}

function tryChoice(situation: SwitchSituation): Choice | SwitchRefused {
  try {
    return chooseCandidate(situation);
  } catch (error) {
    if (error instanceof SwitchRefused) return error;
    throw error;
  }
}

function isPrimary(snapshot: Snapshot, id: string): boolean {
  return snapshot.shards.some(({ primary }) => snapshot.nodes[primary]?.id === id);
}
