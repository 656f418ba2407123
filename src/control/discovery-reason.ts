/** One sentence for /readyz and the log: what keeps discovery from a whole picture. */

import { nodeAddress, type SnapshotNode } from '../topology/snapshot.ts';
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
  /** What is amiss with the roles of servers without cluster mode, or with the Sentinels. */
  readonly note: string;
}

const NAMES_MAX = 8;

/** What an operator should look at; '' for a failure that ends by itself or by Redis' own doing. */
export function adviceFor(code: NodeFailureCode): string {
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

/** '' when nothing is amiss. */
export function describeProblem(problem: Problem): string {
  const { outcome, answered, gaps, mode, note } = problem;
  if (!answered) return describeSilence(problem);
  const parts: string[] = note === '' ? [] : [note];
  // Without cluster mode slots mean nothing to people, and the note says why nobody serves.
  if (gaps.unowned > 0 && mode === 'cluster') parts.push(`${gaps.unowned} slots have no owner`);
  if (gaps.silent.length > 0) {
    const names = gaps.silent.map((node) => describeNode(nodeAddress(node), outcome));
    parts.push(`primaries without an answer: ${list(names)}`);
  }
  return parts.join('; ');
}

function describeSilence({ outcome, unresolved, mode, note }: Problem): string {
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
  return `no seed answers: ${list([...names, ...failureNames(outcome)])}`;
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
