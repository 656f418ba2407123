/** Asks all primaries through control, for answers that are merged here; reads what comes back. */

import { askControl, fieldOf, listOf } from './asking-control.ts';
import type { LocalServices } from './context.ts';
import { longArgument, tooMany } from './limits.ts';

/** How long the nodes may take together, milliseconds. */
const NODES_DEADLINE_MS = 2000;

export interface NodeAnswer {
  /** "host:port" */
  readonly address: string;
  readonly value: unknown;
}

/**
 * One answer per primary, in the shards' order, or the error's text: a part that is missing would
 * make the merged answer wrong, and the form that names a node is there for the others.
 */
export async function askPrimaries(
  services: LocalServices,
  command: readonly string[],
  method: 'nodes.primaries' | 'nodes.all' = 'nodes.primaries',
): Promise<readonly NodeAnswer[] | string> {
  const tooLong =
    longArgument(command.slice(0, 2).join(' '), command) ??
    tooMany(command.slice(0, 2).join(' '), 'arguments', command.length - 2);
  if (tooLong !== null) return tooLong;
  const answer = await askControl(services, method, command, NODES_DEADLINE_MS);
  if (!answer.ok) return `ERR ${answer.reason}`;
  const replies = listOf(answer.value);
  if (replies.length === 0) return 'ERR the cluster is not known yet';
  for (const reply of replies) {
    const error = String(fieldOf(reply, 'error'));
    if (error !== '') return `ERR ${String(fieldOf(reply, 'address'))}: ${error}`;
  }
  return replies.map((reply) => ({
    address: String(fieldOf(reply, 'address')),
    value: fieldOf(reply, 'value'),
  }));
}

/** A text that came between processes, where a Buffer may have become a plain byte array. */
export function bytesOf(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === 'string' ? value : String(value ?? ''));
}

export function textOf(value: unknown): string {
  return bytesOf(value).toString();
}

/** A flat list of names and values, as RESP2 has a map. */
export function pairsOf(value: unknown): [name: string, value: unknown][] {
  const list = listOf(value);
  const pairs: [string, unknown][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) pairs.push([textOf(list[i]), list[i + 1]]);
  return pairs;
}

/** What several nodes say in words, each under its address. */
export function paragraphs(answers: readonly NodeAnswer[]): string {
  return answers
    .map(({ address, value }) => `# ${address}\n${textOf(value).trimEnd()}\n`)
    .join('\n');
}
