/** One sentence for /readyz and the log: what keeps discovery from a whole picture, and how it is told. */

import { fieldAt } from '../config/fields.ts';
import { CONFIG_FIELDS } from '../config/schema.ts';
import { dialAddress, type NatMap, type NodeEndpoint } from '../topology/build.ts';
import {
  nodeAddress,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
  type UnownedSlots,
} from '../topology/snapshot.ts';
import { type ControlLog, RareLog } from './control-log.ts';
import { credentialsAdvice, isKnownRefusal, type NodeFailure } from './node-failure.ts';
import type { PollOutcome } from './poll.ts';
import type { StrayKind, StraySeeds } from './strays.ts';

export interface Gaps {
  readonly unowned: UnownedSlots;
  /** Primaries that own slots and are silent or failed. */
  readonly silent: readonly SnapshotNode[];
}

export interface Problem {
  readonly outcome: PollOutcome;
  /** Seeds whose names did not resolve. */
  readonly unresolved: ReadonlyMap<string, NodeFailure>;
  /** The poll gave a picture. */
  readonly answered: boolean;
  /** Of the snapshot in force, null before the first. */
  readonly mode: 'cluster' | 'standalone' | null;
  readonly gaps: Gaps;
  /** Nobody has named a node: what is asked is the default of cluster.seeds. */
  readonly isDefaultSeeds: boolean;
  /** What is amiss with the roles of servers without cluster mode, or with the Sentinels. */
  readonly note: string;
  /** Seeds that are no nodes of the upstream, with their names. */
  readonly strays: readonly StraySeeds[];
}

/** A node that answers where it was asked, and not where its own word leads. */
interface MisledNode {
  /** Where it answered. */
  readonly node: string;
  /** What it says its address is. */
  readonly told: string;
  /** Where that leads from here, by cluster.natMap, and what happens there. */
  readonly dialled: string;
  readonly reason: string;
}

const NAMES_MAX = 8;
/** One node's view during a move may lack a slot for a moment. */
const UNOWNED_TOLD_AFTER_MS = 1000;
const BY_PLACE = new Intl.Collator('en', { numeric: true });

export interface Warning {
  /** Of one standing matter, which is logged rarely. */
  readonly key: string;
  readonly fields: object;
  readonly words: string;
}

/** Tells in the log what each poll finds: what stands rarely, and that slots have owners again once. */
export class DiscoveryLog {
  readonly #log: ControlLog;
  readonly #rare: RareLog;
  readonly #natMap: NatMap;
  readonly #now: () => number;
  /** Monotonic ms since which slots had no owner when that was told; null while no end is owed. */
  #unownedAt: number | null = null;
  /** Since when slots have had no owner, told or not. */
  #unownedSince: number | null = null;

  constructor(log: ControlLog, now: () => number, natMap: NatMap) {
    this.#log = log;
    this.#rare = new RareLog(log, now);
    this.#natMap = natMap;
    this.#now = now;
  }

  /** `reason`: as {@link describeProblem} has it; `advice`: for an upstream that was never reached. */
  tell(problem: Problem, reason: string, advice: string): void {
    const { outcome, answered, mode, gaps, note, strays } = problem;
    if (!answered) {
      const next = mode === null ? `: ${advice}` : '';
      this.#rare.warn('silent', { reason }, `the upstream cannot be reached${next}`);
    } else if (gaps.unowned.count > 0 && mode === 'cluster') {
      const words = 'commands for slots without an owner wait, then fail';
      this.#unownedSince ??= this.#now();
      const lasts = this.#now() - this.#unownedSince >= UNOWNED_TOLD_AFTER_MS;
      if (lasts && this.#rare.warn('unowned', { reason }, words)) {
        this.#unownedAt ??= this.#unownedSince;
      }
    } else {
      if (note !== '')
        this.#rare.warn('roles', { reason: note }, 'who is the primary needs attention');
      this.#onOwned();
    }
    for (const { key, fields, words } of warningsOf(outcome, this.#natMap)) {
      this.#rare.warn(key, fields, words);
    }
    for (const { kind, seeds } of strays) {
      const words = `${STRAYS[kind]}: ${strayAdvice(kind)}`;
      this.#rare.warn(`stray ${kind} ${seeds.join()}`, { seeds: seeds.slice(0, NAMES_MAX) }, words);
    }
  }

  #onOwned(): void {
    this.#unownedSince = null;
    if (this.#unownedAt === null) return;
    const afterMs = Math.round(this.#now() - this.#unownedAt);
    this.#unownedAt = null;
    this.#log.info({ afterMs }, 'every slot has an owner again');
  }
}

const STRAYS: Readonly<Record<StrayKind, string>> = {
  other: 'seeds of another cluster are not used',
  alone: 'seeds that belong to no cluster are not used',
  clustered: 'seeds with cluster mode are not used',
  standalone: 'seeds without cluster mode are not used',
};

function strayAdvice(kind: StrayKind): string {
  const advice = 'take them out of cluster.seeds';
  return kind === 'alone' ? `let them join the cluster, or ${advice}` : advice;
}

/** For /readyz. */
export function strayText({ kind, seeds }: StraySeeds): string {
  return `${STRAYS[kind]}: ${list(seeds)} (${strayAdvice(kind)})`;
}

/** What an operator should look at among a poll's answers. */
export function warningsOf(outcome: PollOutcome, natMap: NatMap): Warning[] {
  const warnings = credentialsWarnings(outcome);
  for (const [node, failure] of outcome.failures) {
    const { code, message } = failure;
    const words = adviceFor(failure);
    const fields = { node, reason: message };
    if (words !== '') warnings.push({ key: `${code} ${node}`, fields, words });
  }
  for (const misled of misledNodes(outcome, natMap)) {
    warnings.push({ key: `misled ${misled.dialled}`, fields: misled, words: misledWords(misled) });
  }
  const unread = outcome.errors[0];
  if (unread !== undefined) {
    const words = 'a line of CLUSTER NODES is not understood';
    warnings.push({ key: 'line', fields: { ...unread }, words });
  }
  return warnings;
}

/** One for all nodes that say the same: a password is changed at all of them, and health tells of each. */
function credentialsWarnings({ failures }: PollOutcome): Warning[] {
  const groups = new Map<string, { nodes: string[]; reason: string }>();
  for (const [node, { code, message }] of failures) {
    if (code !== 'auth') continue;
    const advice = credentialsAdvice(message);
    const group = groups.get(advice);
    if (group === undefined) groups.set(advice, { nodes: [node], reason: message });
    else group.nodes.push(node);
  }
  return [...groups].map(([advice, { nodes, reason }]) => {
    const who = nodes.length === 1 ? 'a node refuses' : 'nodes refuse';
    return {
      key: `auth ${advice}`,
      fields: { nodes: nodes.sort(BY_PLACE.compare).slice(0, NAMES_MAX), reason },
      words: `${who} our credentials: ${advice}`,
    };
  });
}

/** '' for a failure that ends by itself or by Redis' own doing, or that is told elsewhere. */
function adviceFor({ code, message }: NodeFailure): string {
  switch (code) {
    case 'reply':
      if (isKnownRefusal(message)) return '';
      return 'a node answers what is not understood: check that the seeds are Redis servers';
    case 'mode':
      return 'a server is not used: set upstream.mode to what it is, or to auto';
    default:
      return '';
  }
}

function misledNodes({ views, failures }: PollOutcome, natMap: NatMap): MisledNode[] {
  return views.flatMap(({ askedHost, askedPort, lines }) => {
    const self = lines.find(({ myself }) => myself);
    if (self === undefined || self.host === '' || self.port === 0) return [];
    const dialled = nodeAddress(dialAddress({ ...self, announced: true }, natMap));
    const node = nodeAddress({ host: askedHost, port: askedPort });
    const failure = failures.get(dialled);
    if (failure === undefined || dialled === node) return [];
    return { node, told: nodeAddress(self), dialled, reason: failure.message };
  });
}

/** What to do about it. */
function misledWords({ told, dialled }: MisledNode): string {
  return told === dialled
    ? 'a node answers here and not at the address that it tells, which clients of it are sent to: ' +
        'map that address to this one in cluster.natMap, or set cluster-announce-ip there'
    : 'a node answers here and not where cluster.natMap leads from the address that it tells: ' +
        'check that entry of cluster.natMap';
}

/** For the log. */
export function changeFields(snapshot: Snapshot, changedSlots: number): object {
  const { mode, nodes, shards, serverVersion } = snapshot;
  const failed = nodes.filter((node) => node.failed).map(nodeAddress);
  // Without cluster mode slots mean nothing to people.
  const ofSlots = mode === 'cluster' ? { shards: shards.length, changedSlots } : {};
  return { mode, ...ofSlots, nodes: nodes.length, failed, serverVersion };
}

export function isDefaultSeeds(seeds: readonly NodeEndpoint[]): boolean {
  const initial = fieldAt(CONFIG_FIELDS, ['cluster', 'seeds'])?.initial;
  return Array.isArray(initial) && initial.join() === seeds.map(nodeAddress).join();
}

/** For the log, while nothing is known of the upstream. */
export function silenceAdvice(seeds: readonly NodeEndpoint[], hasSentinels: boolean): string {
  if (hasSentinels) return 'check upstream.sentinels and upstream.masterName';
  return isDefaultSeeds(seeds)
    ? 'cluster.seeds is at its default: name some of your nodes there, or with --seeds'
    : 'check cluster.seeds (--seeds)';
}

/** '' when nothing is amiss. */
export function describeProblem(problem: Problem): string {
  const { outcome, answered, gaps, mode, note, strays } = problem;
  if (!answered) return describeSilence(problem);
  const parts: string[] = note === '' ? [] : [note];
  // Without cluster mode slots mean nothing to people, and the note says why nobody serves.
  if (gaps.unowned.count > 0 && mode === 'cluster') parts.push(unownedText(gaps.unowned));
  if (gaps.silent.length > 0) {
    const names = gaps.silent.map((node) => describeNode(nodeAddress(node), outcome));
    parts.push(`primaries without an answer: ${list(names)}`);
  }
  parts.push(...strays.map(strayText));
  return parts.join('; ');
}

function unownedText({ count, ranges }: Gaps['unowned']): string {
  if (count === SLOT_COUNT) {
    return 'no slot has an owner: the nodes form no cluster yet (redis-cli --cluster create)';
  }
  return `${count === 1 ? '1 slot has' : `${count} slots have`} no owner (${list(ranges)})`;
}

/** Until the first poll has ended, which hung nodes make long. */
export function firstQuestionText(asked: readonly NodeEndpoint[], sinceMs: number): string {
  return `no answer yet from ${list(asked.map(nodeAddress))}, asked for ${Math.round(sinceMs / 1000)} s`;
}

function describeSilence(problem: Problem): string {
  const { outcome, unresolved, mode, note, isDefaultSeeds } = problem;
  const failures = [...outcome.failures];
  if (failures.length > 0 && failures.every(([, { code }]) => code === 'mode')) {
    return `the servers do not fit the configuration: ${list(failureNames(outcome))}`;
  }
  if (note !== '') return note;
  if (outcome.standalone.length > 0) {
    if (mode === 'cluster') return 'only servers without cluster mode answer';
    return `only replicas answer: ${list(failureNames(outcome))}`;
  }
  if (outcome.views.length > 0) return 'the nodes that answer do not tell who they are';
  const names = [...unresolved].map(([seed, { message }]) => `${seed} ${message}`);
  const said = `no seed answers: ${list([...names, ...failureNames(outcome)].sort(BY_PLACE.compare))}`;
  return isDefaultSeeds ? `${said} (the default of cluster.seeds)` : said;
}

function failureNames(outcome: PollOutcome): string[] {
  const addresses = new Set([...outcome.failures.keys(), ...outcome.late]);
  // As answers come in, their order is another in every poll; who compares two looks is to see none.
  return [...addresses].sort(BY_PLACE.compare).map((address) => describeNode(address, outcome));
}

function describeNode(address: string, outcome: PollOutcome): string {
  const failure = outcome.failures.get(address);
  if (failure !== undefined) return `${address} ${failure.message}`;
  return outcome.late.includes(address) ? `${address} no answer in time` : `${address} failed`;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(', ');
  return names.length > NAMES_MAX ? `${shown} and ${names.length - NAMES_MAX} more` : shown;
}
