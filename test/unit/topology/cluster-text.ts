/** Writes CLUSTER NODES as a node would, from a few words per node. */
import { type ClusterNodeLine, parseClusterNodes } from '../../../src/topology/cluster-nodes.ts';
import type { ClusterView } from '../../../src/topology/picture.ts';

export interface NodeWords {
  /** One hex digit; the id repeats it 40 times. */
  readonly name: string;
  readonly flags?: string;
  readonly address?: string;
  readonly follows?: string;
  readonly epoch?: number;
  readonly pong?: number;
  readonly slots?: string;
}

export function idOf(name: string): string {
  return name.repeat(40);
}

export function portOf(name: string): number {
  return 7000 + Number.parseInt(name, 16);
}

export function lineOf(words: NodeWords): string {
  const { name, flags = 'master', epoch = 1, pong = 0, slots = '' } = words;
  const port = portOf(name);
  const address = words.address ?? `127.0.0.1:${port}@${port + 10000}`;
  const follows = words.follows === undefined ? '-' : idOf(words.follows);
  return `${idOf(name)} ${address} ${flags} ${follows} 0 ${pong} ${epoch} connected ${slots}`;
}

export function textOf(...nodes: NodeWords[]): string {
  return nodes.map((node) => `${lineOf(node)}\n`).join('');
}

/** The view of node `self`, whose words get the flag "myself". */
export function viewOf(
  self: string,
  nodes: readonly NodeWords[],
  options: { readonly stateOk?: boolean } = {},
): ClusterView {
  const lines = nodes.map((node) =>
    node.name === self ? { ...node, flags: `myself,${node.flags ?? 'master'}` } : node,
  );
  return {
    askedHost: '127.0.0.1',
    askedPort: portOf(self),
    stateOk: options.stateOk ?? true,
    lines: linesOf(textOf(...lines)),
  };
}

export function linesOf(text: string): readonly ClusterNodeLine[] {
  const { lines, errors } = parseClusterNodes(text);
  if (errors.length > 0) throw new Error(`test text is wrong: ${JSON.stringify(errors)}`);
  return lines;
}
