/**
 * One poll: ask nodes, follow what they say to further nodes, and come back with whatever answered.
 *
 * A node that hangs must not delay what the others say. So a poll is over when every node has
 * answered or failed, or when at least one has answered and the rest are past their patience; the
 * late ones stay suspect, and no poll waits for them again until they have answered.
 */

import type { NodeEndpoint } from '../topology/build.ts';
import { type ClusterNodesError, parseClusterNodes } from '../topology/cluster-nodes.ts';
import type { ClusterView } from '../topology/picture.ts';
import type { StandaloneView } from '../topology/standalone.ts';
import type { ClientPool } from './client-pool.ts';
import { cpuMs } from './cpu-clock.ts';
import type { NodeAnswer, NodeClient } from './node-client.ts';
import type { NodeFailure } from './node-failure.ts';

export interface PollPlan {
  readonly clients: ClientPool;
  readonly targets: readonly NodeEndpoint[];
  /** More nodes to ask because of a view. */
  readonly followView: (view: ClusterView) => readonly NodeEndpoint[];
  /** The same for a server without cluster mode. */
  readonly followStandalone: (view: StandaloneView) => readonly NodeEndpoint[];
  /** More nodes to ask because this one failed or is late. */
  readonly followSilence: (client: NodeClient) => readonly NodeEndpoint[];
  /** Called after the poll for each late node, once its answer or failure is there. */
  readonly onLate: (client: NodeClient, answer: NodeAnswer) => void;
  readonly now: () => number;
  /** How long a node is waited for while others have answered. */
  readonly patienceMs: number;
}

export interface PollOutcome {
  readonly views: readonly ClusterView[];
  readonly standalone: readonly StandaloneView[];
  /** By dialled address. */
  readonly versions: ReadonlyMap<string, string>;
  /** By dialled address. */
  readonly failures: ReadonlyMap<string, NodeFailure>;
  /** Dialled addresses of nodes that have not answered yet. */
  readonly late: readonly string[];
  /** Lines of CLUSTER NODES that could not be read; the others of their view count. */
  readonly errors: readonly ClusterNodesError[];
  /** Processor time spent reading the answers, in milliseconds. */
  readonly busyMs: number;
}

const CONCURRENCY_MAX = 32;
/** A node that is slow but alive is given more patience, up to here, or it would always be late. */
const PATIENCE_MAX_MS = 1000;
/** A hung node gets one fresh connection per this time: its listen backlog keeps each one. */
const HUNG_RETRY_MS = 1000;

export function runPoll(plan: PollPlan): Promise<PollOutcome> {
  return new Promise((resolve) => {
    new Poll(plan, resolve).start();
  });
}

class Poll {
  readonly #plan: PollPlan;
  readonly #resolve: (outcome: PollOutcome) => void;
  readonly #seen = new Set<string>();
  readonly #queue: NodeClient[] = [];
  /** Asked and unanswered, with the timer of their patience; null once it ran out. */
  readonly #pending = new Map<NodeClient, NodeJS.Timeout | null>();
  readonly #views: ClusterView[] = [];
  readonly #standalone: StandaloneView[] = [];
  readonly #versions = new Map<string, string>();
  readonly #failures = new Map<string, NodeFailure>();
  readonly #errors: ClusterNodesError[] = [];
  #busyMs = 0;
  #waitedFor = 0;
  #finished = false;

  constructor(plan: PollPlan, resolve: (outcome: PollOutcome) => void) {
    this.#plan = plan;
    this.#resolve = resolve;
  }

  start(): void {
    this.#enqueue(this.#plan.targets);
    this.#advance();
  }

  #enqueue(endpoints: readonly NodeEndpoint[]): void {
    for (const endpoint of endpoints) {
      const client = this.#plan.clients.get(endpoint);
      if (this.#seen.has(client.address)) continue;
      this.#seen.add(client.address);
      this.#queue.push(client);
    }
  }

  #advance(): void {
    while (this.#queue.length > 0 && this.#waitedFor < CONCURRENCY_MAX) {
      this.#ask(this.#queue.shift() as NodeClient);
    }
    if (this.#isOver()) this.#finish();
  }

  #ask(client: NodeClient): void {
    if (!client.busy && client.suspect && this.#plan.now() < client.retryAt) {
      this.#failures.set(client.address, { code: 'timeout', message: 'no answer in time' });
      this.#enqueue(this.#plan.followSilence(client));
      return;
    }
    // The answer to a request sent before this poll may be older than this poll: it only shows
    // that the node is back, and causes the next poll.
    const counts = !client.busy;
    if (client.suspect) this.#stopWaiting(client);
    else this.#startWaiting(client);
    const askedAt = this.#plan.now();
    client.ask().then((answer) => {
      if (counts) client.answerMs = this.#plan.now() - askedAt;
      this.#onAnswer(client, answer, counts);
    });
  }

  #startWaiting(client: NodeClient): void {
    this.#waitedFor++;
    const patienceMs = Math.min(2 * client.answerMs, PATIENCE_MAX_MS);
    const timer = setTimeout(
      () => {
        this.#waitedFor--;
        client.suspect = true;
        this.#stopWaiting(client);
        this.#advance();
      },
      Math.max(this.#plan.patienceMs, patienceMs),
    );
    this.#pending.set(client, timer);
  }

  #stopWaiting(client: NodeClient): void {
    this.#pending.set(client, null);
    this.#enqueue(this.#plan.followSilence(client));
  }

  #onAnswer(client: NodeClient, answer: NodeAnswer, counts: boolean): void {
    this.#noteHealth(client, answer);
    if (this.#finished || !counts) this.#plan.onLate(client, answer);
    if (this.#finished) return;
    const timer = this.#pending.get(client) ?? null;
    if (timer !== null) {
      clearTimeout(timer);
      this.#waitedFor--;
    }
    this.#pending.delete(client);
    if (counts) this.#record(client, answer);
    this.#advance();
  }

  #noteHealth(client: NodeClient, answer: NodeAnswer): void {
    if (answer.kind !== 'failure') {
      client.suspect = false;
    } else if (answer.failure.code === 'timeout') {
      client.suspect = true;
      client.retryAt = this.#plan.now() + HUNG_RETRY_MS;
    } else {
      // It failed at once, so waiting for it costs nothing.
      client.suspect = false;
    }
  }

  #record(client: NodeClient, answer: NodeAnswer): void {
    switch (answer.kind) {
      case 'cluster':
        this.#versions.set(client.address, answer.version);
        this.#recordView(client.endpoint, answer.nodesText, answer.stateOk);
        break;
      case 'standalone':
        this.#versions.set(client.address, answer.version);
        this.#standalone.push(answer.view);
        this.#enqueue(this.#plan.followStandalone(answer.view));
        break;
      case 'failure':
        this.#failures.set(client.address, answer.failure);
        this.#enqueue(this.#plan.followSilence(client));
        break;
      default:
        answer satisfies never;
    }
  }

  #recordView(asked: NodeEndpoint, nodesText: string, stateOk: boolean): void {
    const busyFrom = cpuMs();
    const { lines, errors } = parseClusterNodes(nodesText);
    const view = { askedHost: asked.host, askedPort: asked.port, stateOk, lines };
    this.#views.push(view);
    this.#errors.push(...errors);
    this.#enqueue(this.#plan.followView(view));
    this.#busyMs += cpuMs() - busyFrom;
  }

  #isOver(): boolean {
    if (this.#finished || this.#queue.length > 0) return false;
    if (this.#pending.size === 0) return true;
    const answered = this.#views.length > 0 || this.#standalone.length > 0;
    return answered && this.#waitedFor === 0;
  }

  #finish(): void {
    this.#finished = true;
    this.#resolve({
      views: this.#views,
      standalone: this.#standalone,
      versions: this.#versions,
      failures: this.#failures,
      late: [...this.#pending.keys()].map((client) => client.address),
      errors: this.#errors,
      busyMs: this.#busyMs,
    });
  }
}
