/**
 * Asks one node: PING as its state demands, INFO replication when told to, never more than one of
 * each at a time. A node that is well is asked over one connection that stays open. When that
 * fails, a fresh connection finds out why: how it fails tells a dead process from a stopped, cut-off,
 * loading or busy one.
 */

import type { ProxyError } from '../../lib/errors.ts';
import type { NodeLogin } from '../node-login.ts';
import type { NodeHealth, ReplicationFacts } from './health-view.ts';
import {
  type LinkOptions,
  lossTrouble,
  NodeLink,
  type Trouble,
  type Unclear,
} from './node-link.ts';
import {
  type Condition,
  type Finding,
  isFlapping,
  observe,
  unknownCondition,
} from './node-state.ts';
import { readFacts } from './replication-facts.ts';

export interface ProbeSettings {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly downAfter: number;
  readonly upAfter: number;
}

export interface ProbedNode {
  /** '' without cluster mode. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

export interface ProbeContext {
  readonly login: () => NodeLogin;
  readonly settings: () => ProbeSettings;
  readonly now: () => number;
  readonly onTransition: (probe: NodeProbe, before: NodeHealth, detail: string) => void;
  /** It is down as before, and looks otherwise now. */
  readonly onOtherEvidence: (probe: NodeProbe, detail: string) => void;
  /** It lives but does not tell its facts: its own words. */
  readonly onRefusal: (probe: NodeProbe, detail: string) => void;
  /** Something is due at this moment (monotonic ms), earlier than was said. */
  readonly onDue: (at: number) => void;
}

/** A suspect is asked this often, so that a dead process is known after 0.1 s. */
const SUSPECT_INTERVAL_MS = 50;
/** A node that is down, or comes back, is asked this often at first, then as any other. */
const RETURN_INTERVAL_MS = 100;
const RETURN_SOON_MS = 10_000;
/** Least time between the fresh connections that hints about a node cause while it answers. */
const HINT_GAP_MS = 250;
/** So many unanswered commands within {@link TIMEOUT_WINDOW_MS} make one that answers PING suspect. */
const TIMEOUTS_SUSPICIOUS = 2;
const TIMEOUT_WINDOW_MS = 5000;

type Findings = Finding | Trouble | Unclear;

export class NodeProbe {
  readonly node: ProbedNode;
  readonly #context: ProbeContext;
  #condition: Condition;
  #health: NodeHealth;
  #link: NodeLink | null = null;
  #isLoading = false;
  #pinging: Promise<void> | null = null;
  #asking: Promise<void> | null = null;
  #fresh: Promise<void> | null = null;
  #again: Promise<void> | null = null;
  #pingAt: number;
  #infoAt = Number.POSITIVE_INFINITY;
  #freshStartedAt = Number.NEGATIVE_INFINITY;
  /** Monotonic ms of the newest hints about commands without an answer, at most two. */
  #timeouts: readonly number[] = [];
  #closed = false;

  /** `startAt`: when it is asked for the first time. */
  constructor(node: ProbedNode, context: ProbeContext, startAt: number) {
    this.node = node;
    this.#context = context;
    this.#pingAt = startAt;
    const now = context.now();
    this.#condition = unknownCondition(now);
    const { id, address } = node;
    this.#health = { id, address, state: 'suspect', since: now, evidence: '', facts: null };
  }

  /** A new object with every change. */
  get health(): NodeHealth {
    return this.#health;
  }

  /** How long it was not up before its last transition, in ms; 0 where it never was. */
  get awayMs(): number {
    const { since, leftUpAt } = this.#condition;
    return since - (leftUpAt.at(-1) ?? since);
  }

  /** When {@link onTime} has something to do, monotonic ms. */
  get dueAt(): number {
    const isPinging = this.#pinging !== null || this.#fresh !== null;
    return Math.min(isPinging ? Number.POSITIVE_INFINITY : this.#pingAt, this.#infoAt);
  }

  /** When it is asked for INFO replication, monotonic ms. */
  get infoAt(): number {
    return this.#infoAt;
  }

  onTime(now: number): void {
    if (this.#closed) return;
    if (now >= this.#infoAt) {
      this.#infoAt = Number.POSITIVE_INFINITY;
      this.#askInfo();
    }
    if (now >= this.#pingAt) this.#ping(now);
  }

  /** INFO replication at this moment. A node that cannot be asked then tells it when it can. */
  askInfoAt(at: number): void {
    this.#infoAt = at;
  }

  /** A hint: a fresh connection tells at once whether the node still takes any. */
  suspect(): void {
    const now = this.#context.now();
    if (this.#closed || this.#fresh !== null || now - this.#freshStartedAt < HINT_GAP_MS) return;
    this.#startFresh(now);
  }

  /** A worker's command was not answered in time. */
  onCommandTimeout(): void {
    this.#timeouts = [...this.#timeouts, this.#context.now()].slice(-TIMEOUTS_SUSPICIOUS);
    this.suspect();
  }

  /** Resolves when questions that were sent after the call are answered or given up. */
  refresh(): Promise<void> {
    this.#again ??= this.#askAgain();
    return this.#again;
  }

  close(): void {
    this.#closed = true;
    this.#dropLink();
  }

  async #askAgain(): Promise<void> {
    // What is on its way may have been sent before the caller's moment.
    await Promise.all([this.#pinging, this.#asking, this.#fresh]);
    this.#again = null;
    if (this.#closed) return;
    this.#askInfo();
    this.#ping(this.#context.now());
    await Promise.all([this.#pinging, this.#asking, this.#fresh]);
  }

  #ping(now: number): void {
    if (this.#pinging !== null || this.#fresh !== null) return;
    const link = this.#link;
    if (link === null || link.timeoutMs !== this.#context.settings().pingTimeoutMs) {
      this.#startFresh(now);
      return;
    }
    this.#pinging = link.ping().then((answer) => {
      this.#pinging = null;
      if (link.isOpen) this.#found(answer, now);
      // The end of the connection was seen to by #onEnd, but nothing is due while one is on its way.
      else this.#context.onDue(this.dueAt);
    });
  }

  #askInfo(): void {
    const link = this.#link;
    if (link === null || this.#asking !== null) return;
    this.#asking = this.#readInfo(link).then((trouble) => {
      this.#asking = null;
      if (trouble !== null && link.isOpen) this.#found(trouble, this.#context.now());
    });
  }

  /** Null when it answered. */
  async #readInfo(link: NodeLink): Promise<Trouble | Unclear | null> {
    const { now } = this.#context;
    const answer = await link.info(now);
    if (answer.kind === 'failure' || answer.kind === 'unclear') return answer;
    if (answer.kind === 'refusal') {
      this.#context.onRefusal(this, answer.detail);
      return null;
    }
    const times = { askedAt: answer.askedAt, answeredAt: now() };
    const facts = readFacts(answer.text, times, this.#isLoading);
    if (facts === null) this.#context.onRefusal(this, 'INFO replication is not understood');
    else this.#keepFacts(facts);
    return null;
  }

  #keepFacts(facts: ReplicationFacts): void {
    if (!this.#closed) this.#health = { ...this.#health, facts };
  }

  #startFresh(now: number): void {
    this.#freshStartedAt = now;
    this.#fresh = this.#probeFresh().then((finding) => {
      this.#fresh = null;
      this.#found(finding, now);
    });
  }

  /** Connects, PING, INFO replication. A connection that answers stays, where there is none. */
  async #probeFresh(): Promise<Findings> {
    const opened = await NodeLink.open(this.#linkOptions());
    if (!(opened instanceof NodeLink)) return opened;
    let finding: Findings = await opened.ping();
    this.#notice(finding);
    if (finding.kind === 'answer' || isAlive(finding)) {
      const trouble = await this.#readInfo(opened);
      if (trouble !== null && finding.kind === 'answer') finding = afterPing(trouble);
    }
    if (this.#closed || !opened.isOpen || !this.#wants(finding)) opened.close();
    else this.#useLink(opened);
    return finding;
  }

  #wants(finding: Findings): boolean {
    if (finding.kind !== 'answer' && !isAlive(finding)) return false;
    const { pingTimeoutMs } = this.#context.settings();
    return this.#link === null || this.#link.timeoutMs !== pingTimeoutMs;
  }

  #useLink(link: NodeLink): void {
    this.#dropLink();
    this.#link = link;
    void link.takeName();
  }

  #linkOptions(): LinkOptions {
    const { login, settings } = this.#context;
    return {
      host: this.node.host,
      port: this.node.port,
      ...login(),
      timeoutMs: settings().pingTimeoutMs,
      onEnd: (link, why) => this.#onEnd(link, why),
    };
  }

  /**
   * Silence is a failure by itself. An end is none: a node may close an idle connection. Either way
   * a fresh one tells what is the matter.
   */
  #onEnd(link: NodeLink, why: ProxyError): void {
    if (link !== this.#link) return;
    this.#link = null;
    const now = this.#context.now();
    const trouble = lossTrouble(why);
    if (trouble.kind === 'failure' && trouble.evidence === 'silent') this.#found(trouble, now);
    this.#askBy(Math.max(now, this.#freshStartedAt + SUSPECT_INTERVAL_MS));
  }

  /** `startedAt`: when the question was asked. */
  #found(finding: Findings, startedAt: number): void {
    if (this.#closed) return;
    this.#notice(finding);
    if (finding.kind !== 'unclear') this.#judge(finding);
    const interval = this.#intervalMs();
    // After a late answer there is a pause too: answers in a row are to be answers over a while.
    const pause = Math.min(interval, SUSPECT_INTERVAL_MS);
    this.#askBy(Math.max(startedAt + interval, this.#context.now() + pause));
  }

  #judge(found: Finding | Trouble): void {
    const { now, settings, onTransition, onOtherEvidence } = this.#context;
    const at = now();
    const finding = found.kind === 'answer' ? this.#weighed(at) : found;
    const before = this.#health;
    this.#condition = observe(this.#condition, finding, at, settings());
    const { state, since, evidence } = this.#condition;
    if (state === before.state && evidence === before.evidence) return;
    this.#health = { ...before, state, since, evidence };
    const detail = 'detail' in found ? found.detail : '';
    if (state !== before.state) onTransition(this, before, detail);
    else if (state === 'down') onOtherEvidence(this, detail);
  }

  /** An answer to PING counts for less while the workers' commands go unanswered. */
  #weighed(now: number): Finding {
    const oldest = this.#timeouts[0];
    const isStuck =
      this.#timeouts.length === TIMEOUTS_SUSPICIOUS &&
      oldest !== undefined &&
      now - oldest < TIMEOUT_WINDOW_MS;
    return isStuck ? { kind: 'doubt', evidence: 'stuck' } : { kind: 'answer' };
  }

  /** INFO replication does not say that a node is loading; the answer to PING does. */
  #notice(finding: Findings): void {
    if (finding.kind !== 'answer' && finding.kind !== 'failure') return;
    this.#isLoading = finding.kind === 'failure' && finding.evidence === 'loading';
    const { facts } = this.#health;
    if (this.#isLoading && facts !== null && !facts.isLoading) {
      this.#keepFacts({ ...facts, isLoading: true });
    }
  }

  #intervalMs(): number {
    const { settings, now } = this.#context;
    const { pingIntervalMs } = settings();
    const { state, since } = this.#condition;
    if (state === 'up') return pingIntervalMs;
    const at = now();
    if (state === 'suspect') return Math.min(pingIntervalMs, SUSPECT_INTERVAL_MS);
    if (state === 'recovering') {
      return isFlapping(this.#condition, at)
        ? pingIntervalMs
        : Math.min(pingIntervalMs, RETURN_INTERVAL_MS);
    }
    const isRecent = at - since < RETURN_SOON_MS;
    return isRecent ? Math.min(pingIntervalMs, RETURN_INTERVAL_MS) : pingIntervalMs;
  }

  #askBy(at: number): void {
    this.#pingAt = at;
    this.#context.onDue(this.dueAt);
  }

  #dropLink(): void {
    const link = this.#link;
    this.#link = null;
    link?.close();
  }
}

/** Its process runs and its network works, so the connection can be kept. */
function isAlive(finding: Findings): boolean {
  return (
    finding.kind === 'failure' && (finding.evidence === 'loading' || finding.evidence === 'busy')
  );
}

/** PING was answered on this very connection, so silence now is that of commands. */
function afterPing(trouble: Trouble | Unclear): Trouble | Unclear {
  if (trouble.kind === 'unclear' || trouble.evidence !== 'silent') return trouble;
  return { ...trouble, evidence: 'stuck' };
}
