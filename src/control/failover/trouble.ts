/**
 * One primary in trouble, from the first sign until it serves again or another has its slots. Runs
 * one attempt after the other while its port refuses, and the watch over its replicas.
 */

import type { ControlLog } from '../control-log.ts';
import type { NodeAccess } from '../node-access.ts';
import {
  type AttemptResult,
  attempt,
  type NodeRef,
  type PromotionIo,
  type Target,
} from './promotion.ts';
import { SuccessionWatch } from './succession-watch.ts';

export interface TroubleOptions {
  readonly primary: NodeRef;
  readonly io: PromotionIo;
  readonly nodes: NodeAccess;
  readonly log: ControlLog;
  /** May a replica be promoted (assist), or is it left to the cluster (observe)? Read anew. */
  readonly mayPromote: () => boolean;
  /** Null once the primary owns no slots any more. `refusedSince`: monotonic ms. */
  readonly target: (refusedSince: number) => Target | null;
  /** Ends the turn that the target waited for, or its waiting. */
  readonly leave: () => void;
  /** Ends the fence around the primary; a successor's snapshot does so otherwise. */
  readonly unfence: () => void;
  readonly replicas: () => readonly NodeRef[];
  /** A replica says that it is a primary now; may be called several times. */
  readonly onSuccessor: (node: NodeRef) => void;
  readonly onResult: (result: AttemptResult) => void;
  /** An order was not followed by an election in time. */
  readonly onNotElected: (result: Ordered) => void;
  /** Nothing is going on any more, until the next {@link Trouble.look}. */
  readonly onRest: () => void;
}

export type Ordered = Extract<AttemptResult, { kind: 'ordered' | 'order-failed' }>;

/** Between two looks at one node, whatever the number of hints. */
const LOOK_GAP_MS = 100;
/** Many refusals clear up within a moment: a link that breaks, a replica that answers again. */
const REFUSED_PAUSE_MS = 100;
/** The others stand for long, and each attempt asks all primaries. */
const REFUSED_PAUSE_MAX_MS = 2000;
const OBSERVE_PAUSE_MS = 1000;
const ORDERED_PAUSE_MS = 1000;
/** A replica gives an order up after 5 s (CLUSTER_MF_TIMEOUT). */
const ELECTION_MS = 5000;

export class Trouble {
  readonly primary: NodeRef;
  /** Monotonic ms of the first sign. */
  readonly startedAt: number;
  readonly #options: TroubleOptions;
  #refusedSince: number | null = null;
  /** In a row. */
  #refusals = 0;
  #isSucceeded = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isWanted = false;
  #running: Promise<void> | null = null;
  #watch: SuccessionWatch | null = null;
  readonly #ending = new AbortController();
  #onSuccession: () => void = () => {};

  constructor(options: TroubleOptions) {
    this.#options = options;
    this.primary = options.primary;
    this.startedAt = options.io.now();
  }

  /** Its port refused when it was last asked, or it is being asked. */
  get isOpen(): boolean {
    return this.#refusedSince !== null || this.#running !== null;
  }

  /** Resolves once nothing of it runs any more. */
  async end(): Promise<void> {
    this.#ending.abort();
    this.#watch?.stop();
    this.#onSuccession();
    this.#options.leave();
    await this.#running;
  }

  /** Asks the replicas for a successor from now on, until the end. */
  watch(): void {
    if (this.#ending.signal.aborted) return;
    const { nodes, io, replicas } = this.#options;
    this.#watch ??= new SuccessionWatch({
      nodes,
      now: () => io.now(),
      replicas,
      onPrimary: (node) => {
        this.#onSuccession();
        this.#options.onSuccessor(node);
      },
    });
  }

  /** Looks soon whether the port refuses, and does what follows from it. */
  look(): void {
    this.#isWanted = true;
    if (this.#ending.signal.aborted) return;
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        // Not a node's failure: those are values. The next hint begins anew.
        this.#options.log.error({ err: error }, 'looking after a dead primary failed');
      })
      .finally(() => {
        this.#running = null;
        this.#options.onRest();
      });
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#ending.signal.aborted) {
      await this.#pause(this.#lookedAt + LOOK_GAP_MS - this.#options.io.now());
      if (this.#ending.signal.aborted) return;
      this.#isWanted = false;
      this.#lookedAt = this.#options.io.now();
      const pauseMs = await this.#lookOnce();
      if (pauseMs === null) continue;
      await this.#pause(pauseMs);
      this.#isWanted = true;
    }
  }

  /** Milliseconds until the next look; null: none is needed. */
  async #lookOnce(): Promise<number | null> {
    const { io, target, mayPromote } = this.#options;
    const first = await io.connect(this.primary);
    if (first.outcome !== 'refused') {
      this.#refusedSince = null;
      this.#refusals = 0;
      return null;
    }
    this.#refusedSince ??= first.startedAt;
    this.watch();
    const found = target(this.#refusedSince);
    if (found === null) return null;
    if (!mayPromote()) return OBSERVE_PAUSE_MS;
    try {
      const { signal } = this.#ending;
      const result = await attempt(found, io, signal);
      return signal.aborted ? null : await this.#conclude(result);
    } finally {
      this.#options.leave();
      if (!this.#isSucceeded) this.#options.unfence();
    }
  }

  async #conclude(result: AttemptResult): Promise<number | null> {
    this.#options.onResult(result);
    switch (result.kind) {
      case 'not-dead':
        this.#refusedSince = null;
        // A connect that only took too long, as on a busy machine, says nothing of the next one.
        return result.last.outcome === 'accepted' ? null : REFUSED_PAUSE_MS;
      case 'refused':
        return Math.min(REFUSED_PAUSE_MS * 2 ** this.#refusals++, REFUSED_PAUSE_MAX_MS);
      case 'order-failed':
        return ORDERED_PAUSE_MS;
      case 'ordered':
        if (!(await this.#succession(ELECTION_MS))) this.#options.onNotElected(result);
        return ORDERED_PAUSE_MS;
      default:
        return result satisfies never;
    }
  }

  /** True when a replica says within this time that it is a primary; or it does not matter any more. */
  async #succession(timeoutMs: number): Promise<boolean> {
    const succeeded = new Promise<boolean>((resolve) => {
      this.#onSuccession = () => resolve(true);
    });
    const late = this.#pause(timeoutMs).then(() => this.#ending.signal.aborted);
    this.#isSucceeded = await Promise.race([succeeded, late]);
    this.#onSuccession = () => {};
    return this.#isSucceeded;
  }

  /** Ends early with the trouble. */
  async #pause(ms: number): Promise<void> {
    if (ms > 0) await this.#options.io.pause(ms, this.#ending.signal);
  }
}
