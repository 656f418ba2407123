/** The questions of an attempt, answered by a script over a clock that only pauses move. */

import type {
  NodeRef,
  Order,
  PromotionIo,
  ReplicaAnswer,
  ReplicaRef,
  Target,
} from '../../../../src/control/failover/promotion.ts';
import type { ConnectOutcome, ConnectTry } from '../../../../src/control/failover/proof.ts';
import { facts, REPLID } from './facts.ts';

export function ref(id: string): NodeRef {
  return { id, host: id, port: 1, address: `${id}:1` };
}

export function replica(id: string, over: Partial<ReplicaRef> = {}): ReplicaRef {
  return { ...ref(id), wasUp: true, isListed: true, isRecent: false, ...over };
}

/** A primary `p` with replica `r` in a cluster of three, with nothing in the way. */
export function target(over: Partial<Target> = {}): Target {
  return {
    primary: ref('p'),
    replicas: [replica('r')],
    voters: [ref('v'), ref('w')],
    lost: { replid: REPLID, offset: 1000 },
    wasDeposed: false,
    wasTried: false,
    maxLagBytes: 100,
    takeoverAllowed: false,
    confirmUntil: 0,
    jitterMs: 20,
    turn: async () => {},
    fence: async () => {},
    objection: () => null,
    onOrder: () => () => {},
    ...over,
  };
}

export class FakeIo implements PromotionIo {
  time = 0;
  /** Everything that was asked, in order, with its time. */
  readonly asked: string[] = [];
  connectOutcome: (time: number) => ConnectOutcome = () => 'refused';
  replicaAnswer: (node: NodeRef, time: number) => ReplicaAnswer = (_, time) => ({
    facts: facts({ askedAt: time }),
    failure: '',
  });
  /** Null: it does not answer. */
  voterAnswers: (node: NodeRef, replicas: readonly NodeRef[]) => readonly string[] | null = (
    _,
    replicas,
  ) => replicas.map(({ id }) => id);
  whereabouts: (node: NodeRef) => string = () => '';
  orderFailure = '';

  get orders(): string[] {
    return this.asked.filter((line) => line.includes('order'));
  }

  now(): number {
    return this.time;
  }

  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted !== true) this.time += ms;
  }

  async connect(node: NodeRef): Promise<ConnectTry> {
    const startedAt = this.time;
    this.#note(`connect ${node.id}`);
    const outcome = this.connectOutcome(startedAt);
    const code = outcome === 'refused' ? 'ECONNREFUSED' : '';
    return { startedAt, endedAt: this.time, outcome, code };
  }

  async askReplica(node: NodeRef): Promise<ReplicaAnswer> {
    this.#note(`replica ${node.id}`);
    return this.replicaAnswer(node, this.time);
  }

  async askVoter(
    node: NodeRef,
    _: NodeRef,
    replicas: readonly NodeRef[],
  ): Promise<readonly string[] | null> {
    this.#note(`voter ${node.id}`);
    return this.voterAnswers(node, replicas);
  }

  async askWhereabouts(node: NodeRef): Promise<string> {
    return this.whereabouts(node);
  }

  async order(node: NodeRef, how: Order): Promise<string> {
    this.#note(`order ${how} ${node.id}`);
    return this.orderFailure;
  }

  #note(what: string): void {
    this.asked.push(`${Math.round(this.time)} ${what}`);
  }
}
