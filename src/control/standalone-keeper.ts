/**
 * Keeps who belongs to an upstream without cluster mode from poll to poll: the primary and its
 * history, and the replicas, also those that are silent for a while.
 */

import { createHash } from 'node:crypto';

import type { NatMap, NodeEndpoint } from '../topology/build.ts';
import { nodeAddress, type Snapshot } from '../topology/snapshot.ts';
import { buildStandalone, type StandaloneOptions } from '../topology/standalone.ts';
import { type Standing, standaloneRoles } from '../topology/standalone-roles.ts';
import type { PollOutcome } from './poll.ts';
import type { SentinelPicture } from './sentinel/sentinels.ts';

/** A replica that neither answers nor is listed by its primary any more is forgotten after this. */
const FORGET_AFTER_MS = 60_000;

interface Member {
  readonly endpoint: NodeEndpoint;
  /** Monotonic ms. */
  readonly seenAt: number;
}

export class StandaloneKeeper {
  readonly #natMap: NatMap;
  #primary: NodeEndpoint | null = null;
  #replid = '';
  #replicas = new Map<string, Member>();
  #rivals: ReadonlySet<string> = new Set();
  /** A primary that was replaced and does not answer: what it still owes will not come. */
  #fallen: Member | null = null;
  #note = '';

  constructor(natMap: NatMap) {
    this.#natMap = natMap;
  }

  /** What is amiss with the roles, '' when nothing is. */
  get note(): string {
    return this.#note;
  }

  /**
   * The next snapshot; null when none of those that answered can be the primary and none was known.
   */
  absorb(
    outcome: PollOutcome,
    seedOrder: readonly string[],
    { named, isSwitching }: Pick<SentinelPicture, 'named' | 'isSwitching'>,
    options: Omit<StandaloneOptions, 'idOf'>,
  ): Snapshot | null {
    const roles = standaloneRoles({
      views: outcome.standalone,
      order: seedOrder,
      natMap: this.#natMap,
      standing: this.#standing(),
      named,
    });
    const primary = roles.primary?.asked ?? this.#primary;
    const isReplaced = isSwitching && isSame(primary, this.#primary);
    this.#note = isReplaced
      ? 'the Sentinels are about to promote a replica'
      : describe(roles, named, primary, outcome);
    if (primary === null) return null;
    this.#noteFallen(primary, outcome, options.polledAt);
    this.#primary = primary;
    if (roles.primary !== null) {
      this.#replid = roles.primary.replid;
      this.#rivals = new Set(roles.rivals);
    }
    this.#keepReplicas(roles.replicas, outcome, options.polledAt);
    const unusable = new Set(options.unusable);
    const replicas = [...this.#replicas.values()].map(({ endpoint }) => endpoint);
    if (this.#fallen !== null) {
      const { endpoint } = this.#fallen;
      replicas.push(endpoint);
      unusable.add(nodeAddress(endpoint));
    }
    return buildStandalone(
      { primary, replicas, isWithheld: roles.isWithheld || isReplaced },
      { ...options, unusable, idOf: standaloneId },
    );
  }

  #noteFallen(next: NodeEndpoint, outcome: PollOutcome, now: number): void {
    const before = this.#primary;
    if (before !== null && nodeAddress(before) !== nodeAddress(next)) {
      this.#fallen = { endpoint: before, seenAt: now };
    }
    if (this.#fallen === null) return;
    const { endpoint, seenAt } = this.#fallen;
    const address = nodeAddress(endpoint);
    const isBack = outcome.standalone.some(({ asked }) => nodeAddress(asked) === address);
    if (isBack || address === nodeAddress(next) || now - seenAt >= FORGET_AFTER_MS) {
      this.#fallen = null;
    }
  }

  #standing(): Standing | null {
    if (this.#primary === null) return null;
    return {
      primary: this.#primary,
      replid: this.#replid,
      replicas: new Set(this.#replicas.keys()),
      rivals: this.#rivals,
    };
  }

  #keepReplicas(present: readonly NodeEndpoint[], outcome: PollOutcome, now: number): void {
    const next = new Map(
      present.map((endpoint) => [nodeAddress(endpoint), { endpoint, seenAt: now }]),
    );
    const answered = new Set(outcome.standalone.map(({ asked }) => nodeAddress(asked)));
    for (const [address, member] of this.#replicas) {
      const isSilent = !answered.has(address) && now - member.seenAt < FORGET_AFTER_MS;
      if (isSilent && !next.has(address)) next.set(address, member);
    }
    if (this.#primary !== null) next.delete(nodeAddress(this.#primary));
    this.#replicas = next;
  }
}

function isSame(one: NodeEndpoint | null, other: NodeEndpoint | null): boolean {
  return one !== null && other !== null && nodeAddress(one) === nodeAddress(other);
}

function describe(
  { primary, isWithheld, rivals }: ReturnType<typeof standaloneRoles>,
  named: string,
  present: NodeEndpoint | null,
  outcome: PollOutcome,
): string {
  if (isWithheld || (primary === null && present === null && named !== '')) {
    return `the Sentinels name ${named}, which does not say yet that it is a primary`;
  }
  if (present === null) return '';
  const address = nodeAddress(present);
  const parts: string[] = [];
  if (primary === null && outcome.standalone.some(({ asked }) => nodeAddress(asked) === address)) {
    parts.push(`${address} says that it is a replica, and who replaces it is not known`);
  }
  if (rivals.length > 0) {
    parts.push(`${rivals.join(', ')} calls itself a primary too and is not used`);
  }
  return parts.join('; ');
}

/** Servers without cluster mode have no lasting id of their own: run ids change at a restart. */
function standaloneId(address: string): string {
  return createHash('sha1').update(address).digest('hex');
}
