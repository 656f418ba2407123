/**
 * Gives shards their number of replicas back: a spare takes the place of a node that stays away, and
 * goes back to the spares when that node returns. A node that returns rejoins as a replica by the
 * nodes' own doing.
 *
 * Every round begins anew with what the nodes say, and each of its steps may be repeated: so it does
 * not matter who ends a round that another slotgate began. That two of them take one spare is made
 * unlikely by a random delay, and harmless by looking again before each step.
 */

import { Counter } from 'prom-client';

import type { NodeEndpoint } from '../../topology/build.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import { type ControlLog, RareLog } from '../control-log.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import { askReplication, askView } from './node-questions.ts';
import { ReplicaCounts, type ShardNeed } from './replica-counts.ts';
import { type FreeSpare, ReplaceFailed, SpareNodes } from './spare-nodes.ts';

export interface ReplaceSettings {
  /** failover.replace */
  readonly replace: boolean;
  /** failover.replaceAfterMs */
  readonly replaceAfterMs: number;
}

export interface ReplacementsOptions {
  readonly spares: readonly NodeEndpoint[];
  readonly settings: ReplaceSettings;
  readonly nodes: NodeAccess & {
    pictureAfter(time: number, timeoutMs: number): Promise<Snapshot | null>;
  };
  /** Connections that stay open also to nodes that are no members. */
  readonly spareAccess: NodeAccess;
  readonly log: ControlLog;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** How long a number of replicas must have been there to be the one wanted. */
const STABLE_MS = 10_000;
/** Until the next round after one that did something, or could not. */
const ROUND_GAP_MS = 5000;
const JITTER_MS = 1000;
const PICTURE_MS = 2000;
/** A replica that is no further behind than this has what its primary has. */
const LAG_BYTES_MAX = 1024 * 1024;

export class Replacements {
  readonly #options: ReplacementsOptions;
  readonly #spares: SpareNodes;
  #counts: ReplicaCounts;
  readonly #rare: RareLog;
  /** Of the configured spares, as each last said. */
  #spareIds: ReadonlySet<string> = new Set();
  #needs: readonly ShardNeed[] = [];
  #settings: ReplaceSettings;
  #nextAt = Number.NEGATIVE_INFINITY;
  #round: Promise<void> | null = null;
  #stopped = false;
  #isAway = false;
  readonly #total = new Counter({
    name: 'slotgate_failover_replacements_total',
    help: 'Spares that took the place of a lost replica, or went back, and looks that found no spare, by outcome.',
    labelNames: ['outcome'],
    registers: [],
  });

  constructor(options: ReplacementsOptions) {
    this.#options = options;
    const { nodes, spareAccess, now, pause } = options;
    this.#settings = options.settings;
    this.#rare = new RareLog(options.log, now);
    this.#spares = new SpareNodes({ members: nodes, spares: spareAccess, now, pause });
    this.#counts = this.#newCounts();
  }

  #newCounts(): ReplicaCounts {
    const stableMs = Math.min(STABLE_MS, this.#options.settings.replaceAfterMs);
    return new ReplicaCounts({ stableMs, isSpare: (node) => this.#isSpare(node) });
  }

  /** For Exposition.add. */
  get metrics(): readonly Counter[] {
    return [this.#total];
  }

  configure(settings: ReplaceSettings): void {
    this.#settings = settings;
  }

  /** Feed every snapshot; what is to be done is begun, and not waited for. */
  onSnapshot(snapshot: Snapshot): void {
    if (snapshot.mode !== 'cluster' || this.#isAway) return;
    const now = this.#options.now();
    this.#needs = this.#counts.onSnapshot(snapshot, now);
    const needs = this.#due(this.#needs, now);
    if (this.#stopped || !this.#settings.replace || needs.length === 0) return;
    if (this.#round !== null || now < this.#nextAt) return;
    this.#round = this.#runRound()
      .catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'a replacement failed');
      })
      .finally(() => {
        this.#nextAt = this.#options.now() + ROUND_GAP_MS;
        this.#round = null;
      });
  }

  /** Somebody changes the numbers of replicas on purpose; what is there afterwards is what is wanted. */
  standBack(isAway: boolean): void {
    this.#isAway = isAway;
    this.#needs = [];
    if (!isAway) this.#counts = this.#newCounts();
  }

  /** Shards all of whose replicas are lost, by the newest snapshot; also while nothing is replaced. */
  get bare(): readonly ShardNeed[] {
    return this.#needs.filter(({ lack, replicas }) => lack > 0 && replicas.length === 0);
  }

  get #isOff(): boolean {
    return this.#stopped || this.#isAway;
  }

  /** A round under way is given up at its next step. */
  stop(): void {
    this.#stopped = true;
  }

  #due(needs: readonly ShardNeed[], now: number): ShardNeed[] {
    return needs.filter(({ since }) => now - since >= this.#settings.replaceAfterMs);
  }

  async #runRound(): Promise<void> {
    const { nodes, now, pause, random, spares } = this.#options;
    await pause(random() * JITTER_MS);
    const snapshot = await nodes.pictureAfter(now(), PICTURE_MS);
    if (snapshot === null || this.#isOff) return;
    const looks = await Promise.all(spares.map((spare) => this.#spares.look(spare, snapshot)));
    this.#spareIds = new Set(looks.map(({ id }) => id).filter((id) => id !== ''));
    const free = looks.filter((look): look is FreeSpare => 'isMember' in look);
    const needs = this.#due(this.#counts.onSnapshot(snapshot, now()), now());
    if (this.#isOff) return;
    // Copying a shard's data takes its time: the others do not wait for it.
    const missing = needs.filter(({ lack }) => lack > 0);
    const filled = Promise.all(missing.map((need) => this.#fill(need, free.shift())));
    for (const need of needs) {
      if (need.lack < 0 && !this.#isOff) await this.#giveBack(need, snapshot);
    }
    await filled;
  }

  async #fill(need: ShardNeed, spare: FreeSpare | undefined): Promise<void> {
    const { log, now } = this.#options;
    const { shard, primary, lack } = need;
    const primaryAddress = nodeAddress(primary);
    if (spare === undefined) {
      this.#total.inc({ outcome: 'no-spare' });
      const advice =
        'a shard has fewer replicas than before and no spare is free: start the lost node again, ' +
        'or name an empty node under spares';
      this.#rare.warn(`no-spare ${primary.id}`, { shard, primary: primaryAddress, lack }, advice);
      return;
    }
    if (this.#isOff || (await this.#isFilled(need))) return;
    const address = nodeAddress(spare.endpoint);
    const fields = { shard, primary: primaryAddress, spare: address };
    log.info(fields, 'a spare takes the place of a lost replica');
    const startedAt = now();
    await this.#attempt(fields, 'replaced', async () => {
      await this.#spares.enlist(spare, primary);
      return true;
    });
    log.debug({ ...fields, ms: Math.round(now() - startedAt) }, 'the replacement is over');
  }

  /** Another slotgate may have been quicker: the primary itself knows first. */
  async #isFilled({ primary, wanted }: ShardNeed): Promise<boolean> {
    try {
      const { lines } = await askView(this.#options.nodes, primary);
      const living = lines.filter(({ primaryId, failed }) => primaryId === primary.id && !failed);
      return living.length >= wanted;
    } catch (error) {
      if (error instanceof NodeCallError) return true;
      throw error;
    }
  }

  async #giveBack(need: ShardNeed, snapshot: Snapshot): Promise<void> {
    const { log } = this.#options;
    const { shard, primary, replicas } = need;
    const surplus = replicas.find((node) => this.#isSpare(node));
    // More replicas than before, and none of them a spare: somebody added one.
    if (surplus === undefined || snapshot.nodes.some(({ failed }) => failed)) return;
    const others = replicas.filter((node) => node !== surplus);
    if (!(await this.#areInStep(primary, others))) return;
    const fields = { shard, primary: nodeAddress(primary), spare: nodeAddress(surplus) };
    log.info(fields, 'the shard has all its replicas again: its spare goes back');
    await this.#attempt(fields, 'returned', () => this.#spares.dismiss(surplus, primary, snapshot));
  }

  async #areInStep(primary: SnapshotNode, replicas: readonly SnapshotNode[]): Promise<boolean> {
    const { nodes } = this.#options;
    try {
      const { offset } = await askReplication(nodes, primary);
      const answers = await Promise.all(replicas.map((node) => askReplication(nodes, node)));
      return answers.every(
        (answer) => answer.linkUp && !answer.isSyncing && offset - answer.offset <= LAG_BYTES_MAX,
      );
    } catch (error) {
      if (error instanceof NodeCallError) return false;
      throw error;
    }
  }

  async #attempt(
    fields: object,
    outcome: 'replaced' | 'returned',
    work: () => Promise<boolean>,
  ): Promise<void> {
    try {
      // Another slotgate was quicker, and counts it.
      if (!(await work())) return;
      this.#total.inc({ outcome });
      this.#options.log.info(
        fields,
        outcome === 'replaced' ? 'replica replaced' : 'spare returned',
      );
    } catch (error) {
      if (!(error instanceof ReplaceFailed || error instanceof NodeCallError)) throw error;
      this.#total.inc({ outcome: 'failed' });
      this.#options.log.warn(
        { ...fields, reason: error.message },
        'a replacement did not come about: it is tried again',
      );
    }
  }

  #isSpare(node: SnapshotNode): boolean {
    if (this.#spareIds.has(node.id)) return true;
    const names = [nodeAddress(node), ...(node.aliases ?? [])];
    return this.#options.spares.some((spare) => names.includes(nodeAddress(spare)));
  }
}
