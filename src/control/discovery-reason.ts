/** One sentence for /readyz and the log: what keeps discovery from a whole picture. */

import { fieldAt } from '../config/fields.ts';
import { CONFIG_FIELDS } from '../config/schema.ts';
import { dialAddress, type NatMap, type NodeEndpoint } from '../topology/build.ts';
import { nodeAddress, SLOT_COUNT, type Snapshot, type SnapshotNode } from '../topology/snapshot.ts';
import type { NodeFailure, NodeFailureCode } from './node-failure.ts';
import type { PollOutcome } from './poll.ts';

export interface Problem {
  readonly outcome: PollOutcome;
  /** Seeds whose names did not resolve. */
  readonly unresolved: ReadonlyMap<string, NodeFailure>;
  /** The poll gave a picture. */
  readonly answered: boolean;
  /** Of the snapshot in force, null before the first. */
  readonly mode: 'cluster' | 'standalone' | null;
  readonly gaps: { readonly unowned: number; readonly silent: readonly SnapshotNode[] };
  /** Nobody has named a node: what is asked is the default of cluster.seeds. */
  readonly isDefaultSeeds: boolean;
  /** What is amiss with the roles of servers without cluster mode, or with the Sentinels. */
  readonly note: string;
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

export interface Warning {
  /** Of one standing matter, which is logged rarely. */
  readonly key: string;
  readonly fields: object;
  readonly words: string;
}

/** What an operator should look at among a poll's answers. */
export function warningsOf(outcome: PollOutcome, natMap: NatMap): Warning[] {
  const warnings: Warning[] = [];
  for (const [node, { code, message }] of outcome.failures) {
    const words = adviceFor(code);
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

/** '' for a failure that ends by itself or by Redis' own doing. */
function adviceFor(code: NodeFailureCode): string {
  switch (code) {
    case 'auth':
      return (
        'a node refuses our credentials: check cluster.username and cluster.password, and that ' +
        'the account may run CLUSTER NODES, CLUSTER INFO, INFO and COMMAND'
      );
    case 'reply':
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
  const { outcome, answered, gaps, mode, note } = problem;
  if (!answered) return describeSilence(problem);
  const parts: string[] = note === '' ? [] : [note];
  // Without cluster mode slots mean nothing to people, and the note says why nobody serves.
  if (gaps.unowned > 0 && mode === 'cluster') parts.push(unownedText(gaps.unowned));
  if (gaps.silent.length > 0) {
    const names = gaps.silent.map((node) => describeNode(nodeAddress(node), outcome));
    parts.push(`primaries without an answer: ${list(names)}`);
  }
  return parts.join('; ');
}

function unownedText(count: number): string {
  if (count === SLOT_COUNT) {
    return 'no slot has an owner: the nodes form no cluster yet (redis-cli --cluster create)';
  }
  return count === 1 ? '1 slot has no owner' : `${count} slots have no owner`;
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
  const said = `no seed answers: ${list([...names, ...failureNames(outcome)])}`;
  return isDefaultSeeds ? `${said} (the default of cluster.seeds)` : said;
}

function failureNames(outcome: PollOutcome): string[] {
  const addresses = new Set([...outcome.failures.keys(), ...outcome.late]);
  return [...addresses].map((address) => describeNode(address, outcome));
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
