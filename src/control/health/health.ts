/**
 * Watches every node of the newest snapshot: probes each, keeps what is known, and logs what
 * changes. INFO replication is asked in rounds: in each shard first the primary, a moment later its
 * replicas, so that a replica that keeps up has the offset that the primary has just told.
 *
 * One timer serves all nodes, and rounds are spread over part of their interval, so that hundreds of
 * nodes are not asked in one breath.
 */

import type { Hint } from '../../lib/planes.ts';
import { nodeAddress, type Snapshot } from '../../topology/snapshot.ts';
import { type ControlLog, RareLog } from '../control-log.ts';
import type { NodeLogin } from '../node-login.ts';
import type { HealthView, NodeHealth, NodeState } from './health-view.ts';
import { FULL_WORDS, UNWRITABLE_WORDS, wordsFor } from './health-words.ts';
import { NodeProbe, type ProbeContext, type ProbedNode, type ProbeSettings } from './node-probe.ts';

export interface HealthSettings extends ProbeSettings {
  /** How often each node is asked for INFO replication. */
  readonly infoIntervalMs: number;
}

export interface HealthOptions {
  readonly username: string;
  readonly password: string;
  readonly settings: HealthSettings;
  readonly log: ControlLog;
  /** Monotonic ms. */
  readonly now: () => number;
}

interface Refusing {
  readonly word: string;
  readonly since: number;
  readonly heardAt: number;
}

type ChangeListener = (node: NodeHealth, before: NodeState) => void;

/** What is due within this time is done in one turn. */
const TIMER_STEP_MS = 5;
/** Between the nodes (first questions) and shards (rounds) that are asked one after the other. */
const SPREAD_MS = 1;
/** Replicas are asked this long after their primary, which must have answered by then. */
const REPLICA_DELAY_MS = 10;
/** Workers tell of what is refused every 5 s at most, each: so long without a word, it is over. */
const REFUSING_MS = 15_000;
/** A round ends this long after its last question: most answers are there. */
const SETTLE_MS = 20;

export class Health implements HealthView {
  readonly #options: HealthOptions;
  readonly #rare: RareLog;
  readonly #context: ProbeContext;
  readonly #probes = new Map<string, NodeProbe>();
  readonly #listeners: ChangeListener[] = [];
  readonly #roundListeners: (() => void)[] = [];
  /** Nodes that refuse writes: the first word, and when that was heard first and last. */
  readonly #unwritable = new Map<string, Refusing>();
  /** Nodes that are at their maxclients. */
  readonly #full = new Map<string, Refusing>();
  #settings: HealthSettings;
  #login: NodeLogin;
  #snapshot: Snapshot | null = null;
  #nextRoundAt = 0;
  /** Of the round under way. */
  #roundEndsAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#rare = new RareLog(options.log, options.now);
    const { username, password, now } = options;
    this.#login = { username, password };
    this.#context = {
      login: () => this.#login,
      settings: () => this.#settings,
      now,
      onTransition: (probe, before, detail) => this.#onTransition(probe, before, detail),
      onOtherEvidence: (probe, detail) => this.#onOtherEvidence(probe, detail),
      onRefusal: (probe, reason) => this.#onRefusal(probe, reason),
      onDue: (at) => this.#arm(at),
    };
  }

  of(address: string): NodeHealth | undefined {
    return this.#probes.get(address)?.health;
  }

  /** '' or the first word of a node that refuses writes (MISCONF, OOM …), by the workers' hints. */
  refusalOf(address: string): string {
    return this.#unwritable.get(address)?.word ?? '';
  }

  /** Addresses of nodes that take no more connections, by the workers' hints. */
  get full(): readonly string[] {
    return [...this.#full.keys()];
  }

  all(): readonly NodeHealth[] {
    return Array.from(this.#probes.values(), (probe) => probe.health);
  }

  onChange(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  /** Called when most nodes have answered a round of INFO replication. */
  onRound(listener: () => void): void {
    this.#roundListeners.push(listener);
  }

  async refresh(address: string): Promise<NodeHealth | undefined> {
    const probe = this.#probes.get(address);
    await probe?.refresh();
    return probe?.health;
  }

  suspect(address: string): void {
    this.#probes.get(address)?.suspect();
  }

  /** A worker's hint. Those about the topology are not for us. */
  onHint({ reason, node, words = '' }: Hint): void {
    if (reason === 'unwritable') this.#onUnwritable(node, words);
    else if (reason === 'maxclients') this.#onFull(node, words);
    else if (reason === 'timeout') this.#probes.get(node)?.onCommandTimeout();
    else if (reason === 'refused' || reason === 'state') this.suspect(node);
  }

  /** Watches the nodes of this snapshot, and those alone. */
  onSnapshot(snapshot: Snapshot): void {
    if (this.#stopped || snapshot.nodes === this.#snapshot?.nodes) {
      this.#snapshot = snapshot;
      return;
    }
    this.#snapshot = snapshot;
    const now = this.#options.now();
    const before = new Map(this.#probes);
    const places = new Map<string, string>();
    for (const { id, host, port } of snapshot.nodes) {
      const address = nodeAddress({ host, port });
      const own = snapshot.mode === 'cluster' ? id : '';
      places.set(address, own);
      this.#watch({ id: own, host, port, address }, now);
    }
    for (const address of before.keys()) if (!places.has(address)) this.#probes.delete(address);
    for (const [address, probe] of before) {
      if (this.#probes.get(address) === probe) continue;
      probe.close();
      this.#tellGone(probe, places);
    }
    this.#arm(now);
  }

  /** From the next connection on. */
  setLogin(login: NodeLogin): void {
    this.#login = login;
  }

  /** From the next question on. */
  configure(settings: HealthSettings): void {
    const isFaster = settings.infoIntervalMs < this.#settings.infoIntervalMs;
    this.#settings = settings;
    const now = this.#options.now();
    if (isFaster) this.#nextRoundAt = Math.min(this.#nextRoundAt, now);
    this.#arm(now);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const probe of this.#probes.values()) probe.close();
  }

  #watch(node: ProbedNode, now: number): void {
    const known = this.#probes.get(node.address);
    if (known?.node.id === node.id) return;
    // Another node at the same address: what is known of the old one does not hold for it.
    const startAt = now + this.#probes.size * SPREAD_MS;
    this.#probes.set(node.address, new NodeProbe(node, this.#context, startAt));
  }

  #onTime(): void {
    this.#timer = null;
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (this.#stopped) return;
    const now = this.#options.now();
    if (now >= this.#nextRoundAt) this.#startRound(now);
    const soon = now + TIMER_STEP_MS / 2;
    let dueAt = this.#nextRoundAt;
    let hasAsked = false;
    for (const probe of this.#probes.values()) {
      if (probe.infoAt <= soon) hasAsked = true;
      if (probe.dueAt <= soon) probe.onTime(soon);
      dueAt = Math.min(dueAt, probe.dueAt);
    }
    // A busy machine asks late; the answers get their time all the same.
    if (hasAsked) this.#roundEndsAt = Math.max(this.#roundEndsAt, now + this.#settleMs());
    if (now >= this.#roundEndsAt) this.#endRound();
    this.#arm(Math.min(dueAt, this.#roundEndsAt));
  }

  #startRound(now: number): void {
    const { infoIntervalMs } = this.#settings;
    // On a grid while rounds come in time, so that answers are as old in every round.
    const onGrid = this.#nextRoundAt + infoIntervalMs;
    this.#nextRoundAt = onGrid > now ? onGrid : now + infoIntervalMs;
    if (this.#snapshot === null) return;
    this.#roundEndsAt = this.#planRound(this.#snapshot, now);
  }

  /** Returns when it ends, in monotonic ms. */
  #planRound(snapshot: Snapshot, startsAt: number): number {
    const { infoIntervalMs } = this.#settings;
    const { shards, nodes } = snapshot;
    const spread = Math.min(infoIntervalMs / 2, shards.length * SPREAD_MS);
    const delay = Math.min(infoIntervalMs / 8, REPLICA_DELAY_MS);
    const asks = (index: number, at: number): void => {
      const node = nodes[index];
      if (node !== undefined) this.#probes.get(nodeAddress(node))?.askInfoAt(at);
    };
    shards.forEach(({ primary, replicas }, index) => {
      const at = startsAt + (spread * index) / shards.length;
      asks(primary, at);
      for (const replica of replicas) asks(replica, at + delay);
    });
    return startsAt + spread + delay + this.#settleMs();
  }

  #settleMs(): number {
    return Math.min(this.#settings.infoIntervalMs / 4, SETTLE_MS);
  }

  #endRound(): void {
    this.#roundEndsAt = Number.POSITIVE_INFINITY;
    this.#endRefusals(this.#unwritable, 'writes');
    this.#endRefusals(this.#full, 'connections');
    for (const listener of this.#roundListeners) listener();
  }

  #arm(at: number): void {
    if (this.#stopped || at >= this.#timerAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const now = this.#options.now();
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#onTime(), Math.max(0, Math.ceil(at - now)));
  }

  #onTransition(probe: NodeProbe, before: NodeHealth, detail: string): void {
    const { health, node } = probe;
    this.#log(probe, before, detail);
    if (this.#probes.get(node.address) !== probe) return;
    for (const listener of this.#listeners) listener(health, before.state);
  }

  #log(probe: NodeProbe, before: NodeHealth, reason: string): void {
    const { log } = this.#options;
    const { address: node, state, evidence } = probe.health;
    const awayMs = Math.round(probe.awayMs);
    if (state === 'down' && before.state !== 'recovering') {
      log.warn({ node, evidence, reason, awayMs }, `a node is down: ${wordsFor(evidence, reason)}`);
    } else if (state === 'up' && before.state === 'recovering') {
      log.info({ node, was: before.evidence, awayMs }, 'a node is up again');
    } else {
      const fields = { node, from: before.state, to: state, evidence, reason, awayMs };
      log.debug(fields, 'the state of a node changed');
    }
  }

  /** Else the last word about its address would be that it is to be started again there. */
  #tellGone({ health, node: { id } }: NodeProbe, places: ReadonlyMap<string, string>): void {
    const { address: node, state, since } = health;
    if (state !== 'down' && state !== 'recovering') return;
    const { log, now } = this.#options;
    const downMs = Math.round(now() - since);
    const place = [...places].find(([, other]) => id !== '' && other === id);
    if (place === undefined)
      log.info({ node, downMs }, 'a node that was down is no member any more');
    else log.info({ node, now: place[0], downMs }, 'a node that was down lives at another address');
  }

  /** Else the last word about a node that loads its data would be that nobody listens there. */
  #onOtherEvidence({ health }: NodeProbe, reason: string): void {
    const { address: node, evidence } = health;
    const words = `a node is still down: ${wordsFor(evidence, reason)}`;
    this.#rare.warn(`down ${evidence} ${node}`, { node, evidence, reason }, words);
  }

  #onUnwritable(node: string, reason: string): void {
    const word = reason.slice(0, reason.indexOf(' '));
    const advice = UNWRITABLE_WORDS[word] ?? 'look at its log';
    this.#rare.warn(`${word} ${node}`, { node, reason }, `a node refuses writes: ${advice}`);
    this.#note(this.#unwritable, node, word);
  }

  #onFull(node: string, reason: string): void {
    this.#rare.warn(`maxclients ${node}`, { node, reason }, FULL_WORDS);
    this.#note(this.#full, node, 'maxclients');
  }

  #note(refusing: Map<string, Refusing>, node: string, word: string): void {
    if (!this.#probes.has(node)) return;
    const heardAt = this.#options.now();
    const since = refusing.get(node)?.since ?? heardAt;
    refusing.set(node, { word, since, heardAt });
  }

  /** Nobody says that a node takes them again: it is told that none was refused for a while. */
  #endRefusals(refusing: Map<string, Refusing>, what: 'writes' | 'connections'): void {
    const now = this.#options.now();
    for (const [node, { word, since, heardAt }] of refusing) {
      const isMember = this.#probes.has(node);
      if (isMember && now - heardAt < REFUSING_MS) continue;
      refusing.delete(node);
      const fields = { node, was: word, lastedMs: Math.round(heardAt - since) };
      const words = `a node has refused no more ${what} for ${REFUSING_MS / 1000} s`;
      if (isMember) this.#rare.info(`no more ${what} ${node}`, fields, words);
    }
  }

  #onRefusal({ node }: NodeProbe, reason: string): void {
    this.#rare.warn(
      `facts ${node.address}`,
      { node: node.address, reason },
      'a node does not tell its replication state: its account needs INFO; without it no replica ' +
        'of its shard serves reads and slotgate promotes none',
    );
  }
}
