/** One sentence for /readyz and the log: what keeps discovery from a whole picture. */

import { nodeAddress, type SnapshotNode } from '../topology/snapshot.ts';
import type { NodeFailure } from './node-failure.ts';
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
}

const NAMES_MAX = 8;

/** '' when nothing is amiss. */
export function describeProblem(problem: Problem): string {
  const { outcome, answered, gaps } = problem;
  if (!answered) return describeSilence(problem);
  const parts: string[] = [];
  if (gaps.unowned > 0) parts.push(`${gaps.unowned} slots have no owner`);
  if (gaps.silent.length > 0) {
    const names = gaps.silent.map((node) => describeNode(nodeAddress(node), outcome));
    parts.push(`primaries without an answer: ${list(names)}`);
  }
  return parts.join('; ');
}

function describeSilence({ outcome, unresolved, mode }: Problem): string {
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
