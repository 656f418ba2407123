/**
 * Finds out what the cluster looks like and tells the workers: polls the nodes, merges what they
 * say and publishes a snapshot after every poll that was answered.
 *
 * One poll runs at a time (poll.ts), when poll-schedule.ts says so. Every failure is a state with a
 * reason that `status()` shows; nothing here gives up.
 */

import type { Hint } from '../lib/planes.ts';
import type { NatMap, NodeEndpoint } from '../topology/build.ts';
import { askedAddress } from '../topology/one-cluster.ts';
import type { ClusterView } from '../topology/picture.ts';
import { nodeAddress, type Snapshot } from '../topology/snapshot.ts';
import { neighboursOf } from '../topology/standalone.ts';
import { ClientPool } from './client-pool.ts';
import type { ControlLog } from './control-log.ts';
import { cpuMs } from './cpu-clock.ts';
import {
  changeFields,
  DiscoveryLog,
  describeProblem,
  firstQuestionText,
  isDefaultSeeds,
  silenceAdvice,
  strayText,
} from './discovery-reason.ts';
import type { KnownNode } from './known-nodes.ts';
import { Neighbours } from './neighbours.ts';
import type { InstanceNodes } from './node-access.ts';
import { NodeCallError, type UpstreamMode } from './node-client.ts';
import type { NodeFailure } from './node-failure.ts';
import type { NodeLogin } from './node-login.ts';
import { PictureKeeper } from './picture-keeper.ts';
import { PictureWaiters } from './picture-waiters.ts';
import { type PollOutcome, runPoll } from './poll.ts';
import { PollSchedule } from './poll-schedule.ts';
import { type Resolver, SeedBook, systemResolver } from './seeds.ts';
import {
  NO_WORD,
  type SentinelPicture,
  type SentinelSettings,
  Sentinels,
} from './sentinel/sentinels.ts';
import { Strays } from './strays.ts';
import { Zones } from './zones.ts';

export interface DiscoveryOptions {
  /** Host names or addresses; at least one. */
  readonly seeds: readonly NodeEndpoint[];
  /** What was known before, by a process that this one follows. */
  readonly known?: readonly KnownNode[];
  /** '' for none. */
  readonly username: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly refreshIntervalMs: number;
  readonly natMap?: NatMap;
  /** What the servers have to be; default: whatever they are. */
  readonly mode?: UpstreamMode;
  /** Who says which server is the primary; the seeds are then not asked. */
  readonly sentinels?: SentinelSettings | undefined;
  readonly upstreamId?: number;
  readonly log: ControlLog;
  /** Monotonic milliseconds, of one clock with the workers. */
  readonly now: () => number;
  /** Called after every poll that was answered; see Snapshot.epoch for telling changes. */
  readonly publish: (snapshot: Snapshot) => void;
  /** Called before it, with what the nodes of a cluster said one by one. */
  readonly onViews?: (views: readonly ClusterView[]) => void;
  readonly resolve?: Resolver;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

export interface DiscoveryStatus {
  /** There is a snapshot with at least one shard, and the last poll was answered. */
  readonly ready: boolean;
  /** Why not ready, or what is amiss although it is; '' when all is well. */
  readonly reason: string;
  readonly snapshot: Snapshot | null;
  /** Monotonic milliseconds at which the last poll that was answered started; 0 before. */
  readonly lastPollAt: number;
  /** Unix milliseconds of the last poll that was answered; 0 before. */
  readonly lastRefreshUnixMs: number;
  readonly refreshesOk: number;
  readonly refreshesFailed: number;
  readonly hints: number;
  /** Addresses of nodes that refuse all commands: they said cluster_state:fail in the last poll. */
  readonly refusing: ReadonlySet<string>;
  /** Sentences that name seeds which are not used, as they are no nodes of the upstream. */
  readonly strays: readonly string[];
}

/** How long a poll waits for a node that has not been slow before. */
const PATIENCE_MS = 150;

export class Discovery implements InstanceNodes {
  readonly #options: DiscoveryOptions;
  readonly #natMap: NatMap;
  readonly #clients: ClientPool;
  readonly #keeper: PictureKeeper;
  readonly #schedule: PollSchedule;
  readonly #news: DiscoveryLog;
  readonly #seeds: SeedBook;
  readonly #strays: Strays;
  #timer: NodeJS.Timeout | null = null;
  #polling: Promise<void> | null = null;
  #running = false;
  #answered = false;
  #complete = false;
  /** Null until the first poll has ended. */
  #reason: string | null = null;
  #startedAt = 0;
  #refusing: ReadonlySet<string> = new Set();
  #lastPollAt = 0;
  #lastRefreshUnixMs = 0;
  #refreshesOk = 0;
  #refreshesFailed = 0;
  #hints = 0;
  readonly #waiters = new PictureWaiters();
  readonly #askedToo: NodeEndpoint[] = [];
  readonly #sentinels: Sentinels | null;
  readonly #zones: Zones;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#natMap = options.natMap ?? new Map();
    this.#seeds = new SeedBook(options);
    this.#strays = new Strays(this.#seeds, options.known ?? [], this.#natMap);
    this.#clients = new ClientPool({ ...options, onLost: () => this.#pollSoon() });
    this.#keeper = new PictureKeeper({
      upstreamId: options.upstreamId ?? 0,
      natMap: this.#natMap,
    });
    this.#schedule = new PollSchedule(options.refreshIntervalMs, options.random ?? Math.random);
    this.#news = new DiscoveryLog(options.log, options.now, this.#natMap);
    this.#sentinels = this.#createSentinels();
    this.#zones = new Zones({
      callAny: (command) => this.callAny(command),
      log: options.log,
      onZones: (zones) => {
        this.#keeper.setZones(zones);
        if (zones.size > 0) this.#pollSoon();
      },
    });
  }

  #createSentinels(): Sentinels | null {
    const { sentinels, resolve = systemResolver } = this.#options;
    if (sentinels === undefined) return null;
    return new Sentinels({
      ...this.#options,
      ...sentinels,
      natMap: this.#natMap,
      resolve,
      onNews: () => {
        this.#schedule.onDemand();
        this.#arm();
      },
      onSwitching: () => {
        const snapshot = this.#keeper.withhold(this.#options.now());
        if (snapshot !== null) this.#options.publish(snapshot);
      },
    });
  }

  /** From the next connection on. */
  setLogin(login: NodeLogin): void {
    this.#clients.setLogin(login);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#startedAt = this.#options.now();
    this.#arm();
  }

  /** Something looks different: poll soon. Cheap; may be called for every redirect. */
  hint(_hint: Hint): void {
    this.#hints++;
    this.#pollSoon();
  }

  /** Closes all connections; resolves when nothing of discovery runs any more. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiters.giveUp();
    this.#sentinels?.close();
    this.#clients.closeAll();
    await this.#polling;
    await this.#seeds.settled();
    // A poll that was under way may have opened connections meanwhile.
    this.#clients.closeAll();
  }

  status(): DiscoveryStatus {
    const { snapshot } = this.#keeper;
    return {
      ready: this.#answered && snapshot !== null && snapshot.shards.length > 0,
      reason: this.#reason ?? this.#firstReason(),
      snapshot,
      lastPollAt: this.#lastPollAt,
      lastRefreshUnixMs: this.#lastRefreshUnixMs,
      refreshesOk: this.#refreshesOk,
      refreshesFailed: this.#refreshesFailed,
      hints: this.#hints,
      refusing: this.#refusing,
      strays: this.#strays.told.map(strayText),
    };
  }

  #firstReason(): string {
    if (!this.#running) return 'not asked yet';
    const { seeds, sentinels, now } = this.#options;
    return firstQuestionText(sentinels?.endpoints ?? seeds, now() - this.#startedAt);
  }

  async callAny(command: readonly [string, ...string[]]): Promise<unknown> {
    const failure: NodeFailure = { code: 'unreachable', message: 'no node answers' };
    let last = new NodeCallError('upstream', failure);
    for (const client of this.#clients.usable()) {
      try {
        return await client.call(command);
      } catch (error) {
        if (!(error instanceof NodeCallError)) throw error;
        last = error;
        // The server itself refused the command: the others would say the same.
        if (error.failure.code === 'reply' || error.failure.code === 'auth') break;
      }
    }
    throw last;
  }

  snapshot(): Snapshot | null {
    return this.status().snapshot;
  }

  /**
   * The first picture of a poll that began after `time` (monotonic milliseconds), asked for at
   * once; null when there is none within `timeoutMs`. The poll asks the node `also` too, which may
   * know what those that it asks anyway have not heard yet.
   */
  pictureAfter(time: number, timeoutMs: number, also?: NodeEndpoint): Promise<Snapshot | null> {
    const known = this.snapshot();
    if (known !== null && known.polledAt > time) return Promise.resolve(known);
    if (!this.#running) return Promise.resolve(null);
    if (also !== undefined) this.#askedToo.push({ host: also.host, port: also.port });
    const waiting = this.#waiters.wait(time, timeoutMs);
    this.#schedule.onDemand();
    this.#arm();
    return waiting;
  }

  /** One command to the node at this address; texts as Buffers. */
  callNode(node: NodeEndpoint, command: readonly [string, ...string[]]): Promise<unknown> {
    return this.#clients.get({ host: node.host, port: node.port }).callBuffer(command);
  }

  #pollSoon(): void {
    this.#schedule.onHint();
    this.#arm();
  }

  #arm(): void {
    if (!this.#running || this.#polling !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delayMs = Math.max(0, this.#schedule.nextAt() - this.#options.now());
    this.#timer = setTimeout(() => this.#startPoll(), delayMs);
  }

  #startPoll(): void {
    this.#timer = null;
    this.#polling = this.#poll()
      .catch((error: unknown) => {
        // Not a node's failure: those are values. Polling goes on, and the defect shows.
        this.#reason = 'discovery failed: see the log';
        this.#options.log.error({ err: error }, 'a topology poll failed');
        this.#schedule.onPollEnded(this.#options.now(), SILENT);
      })
      .finally(() => {
        this.#polling = null;
        // They came while a poll ran that had begun too early for them.
        if (this.#answered && this.#waiters.size > 0) this.#schedule.onDemand();
        this.#arm();
      });
  }

  async #poll(): Promise<void> {
    const { now } = this.#options;
    const startedAt = now();
    this.#schedule.onPollStarted(startedAt);
    const word = (await this.#sentinels?.ask()) ?? NO_WORD;
    const { picture } = this.#keeper;
    const asksStrays = this.#strays.takeTurn(startedAt);
    if (this.#sentinels === null) await this.#refreshSeeds(asksStrays);
    const neighbours = new Neighbours(picture, this.#natMap);
    const targets = this.#targets(neighbours, asksStrays);
    const polled = await runPoll({
      clients: this.#clients,
      targets: [...targets, ...word.nodes, ...this.#askedToo.splice(0)],
      followStandalone: (view) => neighboursOf(view, this.#natMap),
      followView: (view) => (this.#strays.mayFollow(view, picture) ? neighbours.onView(view) : []),
      followSilence: (client) => neighbours.onSilence(client.address),
      onLate: (_client, answer) => {
        if (answer.kind !== 'failure') this.#pollSoon();
      },
      now,
      patienceMs: PATIENCE_MS,
    });
    if (!this.#running) return;
    const busyFrom = cpuMs();
    const { snapshot } = this.#keeper;
    const outcome = this.#strays.sift(polled, { picture, snapshot, now: now() });
    if (outcome === null) return this.#schedule.onPollEnded(now(), SILENT);
    this.#refusing = new Set(outcome.views.filter(({ stateOk }) => !stateOk).map(askedAddress));
    this.#absorb(outcome, startedAt, word);
    this.#schedule.onPollEnded(now(), {
      answered: this.#answered,
      complete: this.#complete,
      busyMs: outcome.busyMs + cpuMs() - busyFrom,
    });
  }

  /** Known nodes are enough while they answer for everything; else the seeds may lead elsewhere. */
  #targets(neighbours: Neighbours, asksStrays: boolean): NodeEndpoint[] {
    const { snapshot } = this.#keeper;
    const seeds = asksStrays ? this.#seeds.endpoints : this.#strays.otherSeeds();
    const standalone = snapshot?.mode === 'standalone' ? snapshot.nodes : [];
    if (snapshot?.mode === 'cluster' && this.#complete) {
      return [...neighbours.primaries(), ...(asksStrays ? seeds : [])];
    }
    const known = snapshot === null ? (this.#options.known ?? []) : [];
    return [...neighbours.primaries(), ...standalone, ...seeds, ...known];
  }

  /** Waited for only while no node is known; a slow name server must not delay the others. */
  async #refreshSeeds(asksStrays: boolean): Promise<void> {
    if (this.#complete && !asksStrays) return;
    const resolved = this.#seeds.refresh();
    if (!this.#answered) await resolved;
  }

  #absorb(outcome: PollOutcome, startedAt: number, word: SentinelPicture): void {
    const order = this.#seeds.endpoints.map(nodeAddress);
    const { snapshot, changed, changedSlots, complete } = this.#keeper.absorb(
      outcome,
      startedAt,
      order,
      word,
    );
    this.#answered = snapshot !== null;
    this.#complete = complete;
    const { seeds, sentinels } = this.#options;
    const problem = {
      outcome,
      unresolved: this.#seeds.failures,
      strays: this.#strays.told,
      answered: this.#answered,
      mode: this.#keeper.snapshot?.mode ?? null,
      gaps: this.#keeper.gaps(outcome),
      isDefaultSeeds: sentinels === undefined && isDefaultSeeds(seeds),
      note: word.problem || this.#keeper.standaloneNote,
    };
    this.#reason = describeProblem(problem);
    this.#news.tell(problem, this.#reason, silenceAdvice(seeds, sentinels !== undefined));
    if (snapshot === null) {
      this.#refreshesFailed++;
      return;
    }
    this.#refreshesOk++;
    this.#lastPollAt = startedAt;
    this.#lastRefreshUnixMs = Date.now();
    this.#keepConnections(snapshot, word);
    if (changed) {
      this.#options.log.info(changeFields(snapshot, changedSlots.length), 'topology changed');
    }
    this.#options.onViews?.(outcome.views);
    this.#options.publish(snapshot);
    this.#waiters.tell(snapshot);
    this.#zones.onSnapshot(snapshot);
  }

  #keepConnections(snapshot: Snapshot, word: SentinelPicture): void {
    const addresses = [...snapshot.nodes, ...word.nodes].map(nodeAddress);
    // Until all is well the seeds are asked again and again, so their connections are kept too.
    if (!this.#complete || snapshot.mode === 'standalone') {
      addresses.push(...this.#strays.otherSeeds().map(nodeAddress));
    }
    this.#clients.keepOnly(new Set(addresses));
  }
}

const SILENT = { answered: false, complete: false, busyMs: 0 };
