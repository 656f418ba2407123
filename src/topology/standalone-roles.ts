/**
 * Which of several servers without cluster mode is the primary, and who its replicas are. Pure.
 *
 * Where Sentinels speak, the one they name is the primary once it says so itself. Without them:
 *
 * 1. The present primary stays as long as it says that it is one. Only a server promoted from its
 *    data that more replicas follow takes its place.
 * 2. When it says that it follows another, that one takes over.
 * 3. When it does not answer, a server takes over that says it is a primary *and* goes on with the
 *    same data: it was its replica, or its history says so. Any other that calls itself a primary is
 *    a rival and never used: an old primary that came back lacks what was written since, and a
 *    replica that was detached while the primary lived, with nobody following, is somebody's copy.
 * 4. At the start, nothing being known: the one that more replicas follow, then one that was promoted
 *    from the other's data, then the order of the seeds.
 *
 * So a primary that was replaced is not gone back to, unless it is promoted again.
 */

import type { NatMap, NodeEndpoint } from './build.ts';
import { nodeAddress } from './snapshot.ts';
import { dialled, type StandaloneView } from './standalone.ts';

/** What was in force before these answers. */
export interface Standing {
  /** The primary, as dialled. */
  readonly primary: NodeEndpoint;
  /** Its history as it told it last; '' when unknown. */
  readonly replid: string;
  /** Addresses of its replicas, as dialled. */
  readonly replicas: ReadonlySet<string>;
  /** Addresses of those that called themselves primaries while it did, too. */
  readonly rivals: ReadonlySet<string>;
}

export interface RolesInput {
  /** At most one per address. */
  readonly views: readonly StandaloneView[];
  /** Addresses of the seeds. */
  readonly order: readonly string[];
  readonly natMap: NatMap;
  readonly standing: Standing | null;
  /** Address of whom the Sentinels name, as dialled; '' when they do not speak. */
  readonly named: string;
}

export interface Roles {
  /** Null when none of those that answered can be it: who was it before is still waited for. */
  readonly primary: StandaloneView | null;
  /** The one before is replaced for sure and must not be written to any more. */
  readonly isWithheld: boolean;
  /** Replicas that answered, and those that the primary lists; as dialled. */
  readonly replicas: readonly NodeEndpoint[];
  /** Addresses of others that call themselves primaries. */
  readonly rivals: readonly string[];
}

export function standaloneRoles(input: RolesInput): Roles {
  const { standing, named } = input;
  const answers = new Answers(input);
  const primaries = answers.views.filter(({ role }) => role === 'primary');
  const chosen =
    named !== '' ? byName(named, answers, primaries) : byThemselves(input, answers, primaries);
  const present = standing === null ? '' : answers.addressOf(standing.primary);
  const isWithheld = chosen === null && named !== '' && answers.canonical(named) !== present;
  const head = chosen?.asked ?? standing?.primary ?? null;
  return {
    primary: chosen,
    isWithheld,
    replicas: head === null ? [] : replicasOf(head, chosen, answers),
    rivals: primaries
      .map(({ asked }) => nodeAddress(asked))
      .filter((address) => address !== present && address !== (head && nodeAddress(head))),
  };
}

/** What was answered, each process once: a server may be reached at two addresses. */
class Answers {
  readonly views: readonly StandaloneView[];
  readonly #natMap: NatMap;
  /** Address of a server → the one of its addresses that is used. */
  readonly #used = new Map<string, string>();

  constructor({ views, order, natMap, standing }: RolesInput) {
    this.#natMap = natMap;
    // The address in force counts, else that of the first seed.
    const rank = ({ asked }: StandaloneView): number => {
      const address = nodeAddress(asked);
      if (standing !== null && address === nodeAddress(standing.primary)) return -2;
      return standing?.replicas.has(address) === true ? -1 : seedRank(address, order);
    };
    const byRunId = new Map<string, string>();
    this.views = [...views]
      .sort((a, b) => rank(a) - rank(b))
      .filter(({ asked, runId }) => {
        const address = nodeAddress(asked);
        const used = byRunId.get(runId) ?? address;
        this.#used.set(address, used);
        if (runId !== '') byRunId.set(runId, used);
        return used === address;
      });
  }

  canonical(address: string): string {
    return this.#used.get(address) ?? address;
  }

  addressOf(endpoint: NodeEndpoint): string {
    return this.canonical(nodeAddress(endpoint));
  }

  /** Of a server that is announced so. */
  announced(endpoint: NodeEndpoint): string {
    return this.addressOf(dialled(endpoint, this.#natMap));
  }

  /** Those that `view` lists and that did not answer themselves, as dialled. */
  silentReplicas(view: StandaloneView): NodeEndpoint[] {
    return view.replicas
      .map((replica) => dialled(replica, this.#natMap))
      .filter((replica) => !this.#used.has(nodeAddress(replica)));
  }

  followersOf(address: string): StandaloneView[] {
    return this.views.filter(({ primary }) => {
      return primary !== null && this.announced(primary) === address;
    });
  }

  /** A replica that answers speaks for itself; of others the primary's own list is believed. */
  countFollowers(view: StandaloneView): number {
    return this.followersOf(nodeAddress(view.asked)).length + this.silentReplicas(view).length;
  }
}

function seedRank(address: string, order: readonly string[]): number {
  const at = order.indexOf(address);
  return at === -1 ? order.length : at;
}

function byName(
  named: string,
  answers: Answers,
  primaries: readonly StandaloneView[],
): StandaloneView | null {
  const used = answers.canonical(named);
  return primaries.find(({ asked }) => nodeAddress(asked) === used) ?? null;
}

function byThemselves(
  { standing, order }: RolesInput,
  answers: Answers,
  primaries: readonly StandaloneView[],
): StandaloneView | null {
  const best = (candidates: readonly StandaloneView[]): StandaloneView | null =>
    bestOf(candidates, answers, order);
  if (standing === null) return best(primaries);
  const address = answers.addressOf(standing.primary);
  const present = answers.views.find(({ asked }) => nodeAddress(asked) === address);
  const heirs = primaries.filter((view) => view !== present && continues(view, standing));
  if (present?.role === 'primary') {
    const heir = best(heirs);
    const isDeserted =
      heir !== null && answers.countFollowers(heir) > answers.countFollowers(present);
    return isDeserted ? heir : present;
  }
  const followed = present === undefined ? '' : leaderOf(present, answers);
  const leader = primaries.find(({ asked }) => nodeAddress(asked) === followed);
  return leader ?? best(heirs.filter((view) => !isCopy(view, standing, answers)));
}

/** The address at the end of the chain of those that a replica follows. */
function leaderOf(replica: StandaloneView, answers: Answers): string {
  const passed = new Set<string>();
  let at: StandaloneView | undefined = replica;
  let address = nodeAddress(replica.asked);
  while (at?.primary && !passed.has(address)) {
    passed.add(address);
    address = answers.announced(at.primary);
    at = answers.views.find(({ asked }) => nodeAddress(asked) === address);
  }
  return address;
}

/** Detached while the primary lived, and nobody follows it. */
function isCopy(view: StandaloneView, { rivals }: Standing, answers: Answers): boolean {
  return rivals.has(nodeAddress(view.asked)) && answers.countFollowers(view) === 0;
}

/** Has it the data of the primary in force? */
function continues(view: StandaloneView, { replid, replicas }: Standing): boolean {
  if (replicas.has(nodeAddress(view.asked))) return true;
  return replid !== '' && (view.replid === replid || view.formerReplid === replid);
}

/** Another of them was promoted from this one's data. */
function wasReplaced(view: StandaloneView, others: readonly StandaloneView[]): boolean {
  return others.some(
    (other) => other !== view && view.replid !== '' && other.formerReplid === view.replid,
  );
}

function bestOf(
  candidates: readonly StandaloneView[],
  answers: Answers,
  order: readonly string[],
): StandaloneView | null {
  const ranked = candidates.map((view) => ({
    view,
    followers: answers.countFollowers(view),
    wasReplaced: Number(wasReplaced(view, candidates)),
    seed: seedRank(nodeAddress(view.asked), order),
  }));
  ranked.sort(
    (a, b) => b.followers - a.followers || a.wasReplaced - b.wasReplaced || a.seed - b.seed,
  );
  return ranked[0]?.view ?? null;
}

/** Those that follow it directly or through each other, and those it lists that did not answer. */
function replicasOf(
  head: NodeEndpoint,
  view: StandaloneView | null,
  answers: Answers,
): NodeEndpoint[] {
  const found = new Map<string, NodeEndpoint>();
  for (const replica of view === null ? [] : answers.silentReplicas(view)) {
    found.set(nodeAddress(replica), replica);
  }
  const leaders = [answers.addressOf(head)];
  for (const leader of leaders) {
    for (const { asked } of answers.followersOf(leader)) {
      const address = nodeAddress(asked);
      if (leaders.includes(address)) continue;
      leaders.push(address);
      found.set(address, asked);
    }
  }
  found.delete(nodeAddress(head));
  return [...found.values()];
}
