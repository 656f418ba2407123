/**
 * Failover: hears of trouble with primaries, has replicas promoted where that is proven right
 * (promotion.ts), and makes the workers see a new primary at once, whoever promoted it.
 *
 * Invariants: a primary is replaced only on proof of its death (proof.ts); one order per primary in
 * 4 × cluster-node-timeout, all else is left to the cluster's own votes.
 */

import type { Hint } from '../../lib/planes.ts';
import type { NatMap } from '../../topology/build.ts';
import type { ClusterView } from '../../topology/picture.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import type { ControlLog } from '../control-log.ts';
import type { HealthView, NodeHealth } from '../health/health-view.ts';
import type { NodeAccess } from '../node-access.ts';
import { type Election, type ElectionHistory, owningShards } from './elections.ts';
import { type FailoverKind, FailoverMetrics } from './failover-metrics.ts';
import { FailoverReport } from './failover-report.ts';
import { NodeSettings } from './node-settings.ts';
import { OrderTurns } from './order-turns.ts';
import { promotionIo } from './probes.ts';
import type { NodeRef, Objection, PromotionIo, ReplicaRef, Target } from './promotion.ts';
import { ShardMemory } from './shard-memory.ts';
import { Trouble } from './trouble.ts';

export interface FailoverSettings {
  readonly mode: 'observe' | 'assist';
  readonly confirmMs: number | 'auto';
  readonly takeover: boolean;
  readonly maxReplicaLagBytes: number;
}

export interface FailoverOptions {
  /** The topology and the connections to the nodes; discovery has both. */
  readonly nodes: NodeAccess & {
    snapshot(): Snapshot | null;
    /** See Discovery.pictureAfter. */
    pictureAfter(time: number, timeoutMs: number, also?: NodeRef): Promise<Snapshot | null>;
  };
  /** See CallServer.broadcast. */
  readonly workers: {
    broadcast(method: string, argument: unknown, deadlineMs: number): Promise<unknown>;
  };
  readonly health: HealthView;
  readonly history: ElectionHistory;
  readonly settings: FailoverSettings;
  /** Of this slotgate among several on one cluster. */
  readonly instanceId: string;
  readonly log: ControlLog;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** As discovery has it: nodes tell addresses that mean others here. */
  readonly natMap: NatMap;
  readonly io?: PromotionIo;
}

/** A primary that persists is given this long to come back by itself. */
const CONFIRM_MS = 1000;
/** Several instances act apart from each other by up to this much. */
const JITTER_MAX_MS = 60;
const SAMPLE_MS = 200;
const PICTURE_MS = 1000;
/** How long workers are waited for; they take a millisecond. */
const FENCE_MS = 50;
const UNFENCE_MS = 1000;

export class Failover {
  readonly #options: FailoverOptions;
  readonly #io: PromotionIo;
  readonly #memory = new ShardMemory();
  readonly #nodeSettings: NodeSettings;
  readonly #metrics = new FailoverMetrics();
  readonly #report: FailoverReport;
  /** By the primary's id. */
  readonly #troubles = new Map<string, Trouble>();
  readonly #turns = new OrderTurns();
  /** Ids of primaries to which the workers send nothing now. */
  readonly #fenced = new Set<string>();
  #settings: FailoverSettings;
  #snapshot: Snapshot | null = null;
  /** Those of the snapshot that own slots. */
  #primaries: readonly SnapshotNode[] = [];
  #asksForPicture = false;
  readonly #sampler: NodeJS.Timeout;

  constructor(options: FailoverOptions) {
    this.#options = options;
    const { nodes, now, health, log, natMap } = options;
    this.#io = options.io ?? promotionIo(nodes, now, natMap);
    this.#nodeSettings = new NodeSettings(nodes, now);
    this.#report = new FailoverReport({ log, now, metrics: this.#metrics });
    this.#settings = options.settings;
    health.onChange((node) => this.#onHealth(node));
    this.#sampler = setInterval(() => this.#memory.onHealth(health.all()), SAMPLE_MS);
    this.#sampler.unref();
  }

  /** For Exposition.add. */
  get metrics(): FailoverMetrics['all'] {
    return this.#metrics.all;
  }

  /** From the next look on. */
  configure(settings: FailoverSettings): void {
    this.#settings = settings;
  }

  /** Resolves once nothing of it runs any more. */
  async stop(): Promise<void> {
    clearInterval(this.#sampler);
    const troubles = [...this.#troubles.values()];
    this.#troubles.clear();
    this.#snapshot = null;
    this.#primaries = [];
    await Promise.all(troubles.map((trouble) => trouble.end()));
  }

  /** Workers notice a death first: their connections break. */
  onHint({ reason, node }: Hint): void {
    if (reason === 'refused') this.#look(this.#primaryAt(node));
  }

  /** What the nodes said in the last poll. */
  onViews(views: readonly ClusterView[]): void {
    this.#memory.onViews(views);
  }

  /** `id` is about to be elected because of something that we do. `since`: monotonic ms. */
  expect(id: string, kind: FailoverKind, since: number): void {
    this.#report.expect(id, kind, since);
  }

  /** Feed every snapshot, after it went to the workers, with the elections that it shows. */
  onSnapshot(snapshot: Snapshot, elections: readonly Election[]): void {
    if (snapshot.mode !== 'cluster') return;
    if (snapshot.epoch !== this.#snapshot?.epoch) this.#primaries = owningPrimaries(snapshot);
    this.#snapshot = snapshot;
    for (const election of elections) {
      const trouble = this.#troubles.get(election.deposed?.id ?? '');
      this.#report.onElection(election, trouble?.startedAt ?? null);
    }
    for (const trouble of this.#troubles.values()) this.#endIfOver(trouble.primary);
    for (const primary of this.#primaries) if (primary.failed) this.#look(primary);
    for (const trouble of this.#troubles.values()) this.#review(trouble);
    this.#memory.keepOnly(new Set(snapshot.nodes.map(({ id }) => id)));
    void this.#nodeSettings.refresh(this.#primaries);
  }

  #onHealth(node: NodeHealth): void {
    const primary = this.#primaryAt(node.address);
    if (primary === undefined) return;
    if (node.evidence === 'refused') this.#look(primary);
    else if (node.state !== 'up') this.#review(this.#troubleOf(primary));
    else this.#reviewId(primary.id);
  }

  #look(primary: SnapshotNode | undefined): void {
    if (primary === undefined) return;
    this.#memory.onHealth(this.#options.health.all());
    this.#troubleOf(primary).look();
  }

  /** Watches while there is trouble, ends when there is none. */
  #review(trouble: Trouble): void {
    const { id, address } = trouble.primary;
    const state = this.#options.health.of(address)?.state ?? 'up';
    const isFailed = this.#snapshot?.nodes.some((node) => node.id === id && node.failed) === true;
    if (state === 'down' || isFailed) trouble.watch();
    else if (state === 'up' && !trouble.isOpen) this.#end(id);
  }

  /** What was found out about a primary is about its address: one that moved is another case. */
  #endIfOver({ id, address }: NodeRef): void {
    const now = this.#primaries.find((node) => node.id === id);
    if (now !== undefined && nodeAddress(now) === address) return;
    this.#end(id);
    if (now === undefined) return;
    const fields = { primary: address, now: nodeAddress(now) };
    // Health tells that it lives elsewhere; this is the end of our case.
    this.#options.log.debug(fields, 'a primary that refused connections lives at another address');
  }

  #reviewId(id: string): void {
    const trouble = this.#troubles.get(id);
    if (trouble !== undefined) this.#review(trouble);
  }

  #end(id: string): void {
    const trouble = this.#troubles.get(id);
    if (trouble === undefined) return;
    this.#troubles.delete(id);
    this.#unfence(trouble.primary);
    void trouble.end();
  }

  /** A worker that does not answer in time is one whose commands are not kept back: no more. */
  async #fence({ id, address }: NodeRef): Promise<void> {
    this.#fenced.add(id);
    const argument = { addresses: [address], drainMs: 0 };
    await this.#options.workers.broadcast('hold.start', argument, FENCE_MS);
  }

  #unfence({ id, address }: NodeRef): void {
    if (!this.#fenced.delete(id)) return;
    void this.#options.workers.broadcast('hold.end', { addresses: [address] }, UNFENCE_MS);
  }

  #troubleOf(primary: SnapshotNode): Trouble {
    // Those of primaries that moved have ended with the snapshot that showed it.
    let trouble = this.#troubles.get(primary.id);
    if (trouble === undefined) {
      trouble = this.#newTrouble(refOf(primary));
      this.#troubles.set(primary.id, trouble);
    }
    return trouble;
  }

  #newTrouble(primary: NodeRef): Trouble {
    const { nodes, log } = this.#options;
    const trouble: Trouble = new Trouble({
      primary,
      io: this.#io,
      nodes,
      log,
      mayPromote: () => this.#settings.mode === 'assist',
      target: (refusedSince) => this.#target(trouble, refusedSince),
      leave: () => this.#turns.leave(primary.id),
      unfence: () => this.#unfence(primary),
      replicas: () => this.#replicasOf(primary.id).map(refOf),
      onSuccessor: (node) => this.#onSuccessor(node),
      onResult: (result) => this.#report.onResult(this.#shardOf(primary.id), primary, result),
      onNotElected: (result) =>
        this.#report.onNotElected(this.#shardOf(primary.id), primary, result),
      onRest: () => this.#reviewId(primary.id),
    });
    return trouble;
  }

  #target(trouble: Trouble, refusedSince: number): Target | null {
    const { history, now, instanceId } = this.#options;
    const { primary } = trouble;
    const { id } = primary;
    if (!this.#isOwner(trouble)) return null;
    const { confirmMs, takeover, maxReplicaLagBytes } = this.#settings;
    const confirm = confirmMs === 'auto' ? this.#autoConfirmMs(id) : confirmMs;
    const timeoutMs = this.#nodeSettings.nodeTimeoutMs(id);
    return {
      primary,
      replicas: this.#replicasOf(id).map((node) => this.#replica(node, id, 4 * timeoutMs)),
      voters: this.#voters(id),
      lost: this.#memory.lost(id),
      wasDeposed: now() - history.deposedAt(id) < 2 * timeoutMs,
      wasTried: now() - history.orderedAt(id) < 4 * timeoutMs,
      maxLagBytes: maxReplicaLagBytes,
      takeoverAllowed: takeover,
      confirmUntil: refusedSince + confirm,
      jitterMs: hash(instanceId) % (JITTER_MAX_MS + 1),
      turn: () => this.#turns.enter(id),
      fence: () => this.#fence(primary),
      objection: (candidate) => this.#objection(trouble, candidate),
      onOrder: (candidate, order) => {
        this.expect(candidate.id, order === 'FORCE' ? 'assist' : 'takeover', trouble.startedAt);
        return history.noteOrder(candidate.id, id, now());
      },
    };
  }

  #autoConfirmMs(id: string): number {
    return this.#nodeSettings.persists(id) ? CONFIRM_MS : 0;
  }

  #replica(node: SnapshotNode, primaryId: string, recentMs: number): ReplicaRef {
    const { history, now } = this.#options;
    return {
      ...refOf(node),
      wasUp: this.#memory.wasUp(node.id, primaryId),
      isListed: this.#memory.isListed(node.id, primaryId),
      isRecent: now() - history.electedAt(node.id) < recentMs,
    };
  }

  #voters(primaryId: string): NodeRef[] {
    return this.#primaries.filter(({ id }) => id !== primaryId).map(refOf);
  }

  /** The trouble is a present one, and its primary owns slots and lives where it was looked for. */
  #isOwner(trouble: Trouble): boolean {
    const { primary } = trouble;
    return this.#troubles.get(primary.id) === trouble && this.#primaries.some(isAt(primary));
  }

  #objection(trouble: Trouble, candidate: NodeRef): Objection | null {
    const { primary } = trouble;
    if (!this.#primaries.some(({ id }) => id === primary.id)) return 'superseded';
    if (!this.#isOwner(trouble)) return 'moved';
    return this.#replicasOf(primary.id).some(isAt(candidate)) ? null : 'candidate-moved';
  }

  #replicasOf(primaryId: string): SnapshotNode[] {
    const snapshot = this.#snapshot;
    const shard = snapshot?.shards.find(({ primary }) => snapshot.nodes[primary]?.id === primaryId);
    return (shard?.replicas ?? []).flatMap((index) => snapshot?.nodes[index] ?? []);
  }

  /** The primary with slots at this address, also under another name that redirects give it. */
  #primaryAt(address: string): SnapshotNode | undefined {
    return this.#primaries.find(
      (node) => nodeAddress(node) === address || node.aliases?.includes(address) === true,
    );
  }

  /** The snapshot in which it owns the slots ends the trouble. */
  #onSuccessor(node: NodeRef): void {
    if (this.#asksForPicture) return;
    this.#asksForPicture = true;
    const { nodes, now, log } = this.#options;
    log.debug({ node: node.address }, 'a replica of a primary in trouble is a primary now');
    nodes.pictureAfter(now(), PICTURE_MS, node).finally(() => {
      this.#asksForPicture = false;
    });
  }

  /** -1 when it owns no slots any more. */
  #shardOf(primaryId: string): number {
    const snapshot = this.#snapshot;
    if (snapshot === null) return -1;
    return snapshot.shards.findIndex(({ primary }) => snapshot.nodes[primary]?.id === primaryId);
  }
}

function refOf(node: SnapshotNode): NodeRef {
  const { id, host, port } = node;
  return { id, host, port, address: nodeAddress(node) };
}

function isAt({ id, address }: NodeRef): (node: SnapshotNode) => boolean {
  return (node) => node.id === id && nodeAddress(node) === address;
}

function owningPrimaries(snapshot: Snapshot): SnapshotNode[] {
  return [...owningShards(snapshot)].flatMap((shard) => {
    const primary = snapshot.shards[shard]?.primary;
    return snapshot.nodes[primary ?? -1] ?? [];
  });
}

/** FNV-1a, 32 bits: spreads similar ids apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}
