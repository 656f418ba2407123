/** Finds out what a planned switch is decided by: asks the primary, its replicas and who would vote. */

import { errorText } from '../../lib/errors.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import type { ElectionHistory } from './elections.ts';
import {
  askNodeTimeoutMs,
  askReplicasOf,
  askReplication,
  askServer,
  askView,
  type NodeView,
  type Replication,
} from './node-questions.ts';
import { type Candidate, SwitchRefused, type SwitchSituation, votersIn } from './switch-choice.ts';

export interface SituationOptions {
  readonly nodes: NodeAccess & { snapshot(): Snapshot | null };
  readonly elections: Pick<ElectionHistory, 'electedAt' | 'deposedAt'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class Situations {
  readonly #options: SituationOptions;
  readonly #startedAt: number;

  constructor(options: SituationOptions) {
    this.#options = options;
    this.#startedAt = options.now();
  }

  /** @throws SwitchRefused when the primary does not answer */
  async of(primary: SnapshotNode, replicas: readonly SnapshotNode[]): Promise<SwitchSituation> {
    const { nodes, elections, now } = this.#options;
    const address = nodeAddress(primary);
    const { id } = primary;
    const view = await askView(nodes, primary).catch((error: unknown) => {
      const why = errorText(error);
      throw new SwitchRefused('primary-silent', `the primary ${address} does not answer: ${why}`);
    });
    const own = await askReplication(nodes, primary);
    return {
      now: now(),
      nodeTimeoutMs: await askNodeTimeoutMs(nodes, primary),
      primary: { id, address, view, deposedAt: this.#since(id, elections.deposedAt(id), own) },
      candidates: await this.#candidates(replicas, primary, view),
    };
  }

  async #candidates(
    replicas: readonly SnapshotNode[],
    primary: SnapshotNode,
    view: NodeView,
  ): Promise<Candidate[]> {
    const ids = new Set(votersIn(view).map(({ id }) => id));
    const voters = this.#options.nodes.snapshot()?.nodes.filter(({ id }) => ids.has(id)) ?? [];
    const heard = await Promise.all(voters.map((voter) => this.#hasHeardOf(voter, primary.id)));
    return Promise.all(
      replicas.map((replica) => {
        const heardBy = heard.filter((known) => known === null || known.includes(replica.id));
        return this.#candidate(replica, heardBy.length);
      }),
    );
  }

  /** Ids; null where it cannot be asked that and gets the benefit of the doubt. */
  #hasHeardOf(voter: SnapshotNode, primaryId: string): Promise<readonly string[] | null> {
    return askReplicasOf(this.#options.nodes, voter, primaryId).catch((error: unknown) => {
      if (error instanceof NodeCallError) return [];
      throw error;
    });
  }

  async #candidate(replica: SnapshotNode, heardBy: number): Promise<Candidate> {
    const { nodes, elections, now } = this.#options;
    const { id } = replica;
    const address = nodeAddress(replica);
    try {
      const replication = await askReplication(nodes, replica);
      const electedAt = this.#since(id, elections.electedAt(id), replication);
      const { uptimeSeconds } = await askServer(nodes, replica);
      // Whole seconds, rounded down: it may be a second older.
      const startedAfter = now() - (uptimeSeconds + 1) * 1000;
      return { id, address, replication, electedAt, startedAfter, heardBy };
    } catch (error) {
      if (!(error instanceof NodeCallError)) throw error;
      const never = Number.NEGATIVE_INFINITY;
      const times = { electedAt: never, startedAfter: never };
      return { id, address, replication: null, ...times, heardBy };
    }
  }

  /** `seenAt`, or the moment we started where the node has a past that we have seen nothing of. */
  #since(id: string, seenAt: number, { hasSwitched }: Replication): number {
    const { elections } = this.#options;
    const isSeen = Math.max(elections.electedAt(id), elections.deposedAt(id)) >= this.#startedAt;
    return hasSwitched && !isSeen ? this.#startedAt : seenAt;
  }
}
