/**
 * One page of a node's SCAN together with what the node then says of its slots, in one transaction,
 * and the run id of the very process that answered. On connections of its own: a large page must
 * not hold up the polls.
 */

import { nodeAddress, type Snapshot, type SnapshotNode } from '../../topology/snapshot.ts';
import { ClientPool } from '../client-pool.ts';
import {
  NodeCallError,
  type NodeClient,
  type NodeClientOptions,
  type NodeCommand,
} from '../node-client.ts';
import type { NodeLogin } from '../node-login.ts';
import { type OwnView, readOwnView, wholeView } from './own-view.ts';

/** Words after SCAN and the cursor. */
export type ScanWords = readonly (string | Buffer)[];

export interface NodePage {
  readonly runId: string;
  readonly view: OwnView;
  readonly cursor: string;
  readonly keys: readonly Buffer[];
}

export type PageAnswer =
  | { readonly kind: 'page'; readonly page: NodePage }
  /** The node cannot answer now. */
  | { readonly kind: 'away'; readonly reason: string }
  /** The node's own error reply, without '-'. */
  | { readonly kind: 'error'; readonly text: string };

/** Errors by which a node says that it does not serve at present. */
const NOT_NOW = /^(LOADING|MASTERDOWN|CLUSTERDOWN|EXECABORT)\b/;

export interface ScanPlace {
  readonly node: SnapshotNode;
  readonly mode: Snapshot['mode'];
  /** 0 in cluster mode. */
  readonly database: number;
}

export class NodePages {
  readonly #clients: ClientPool;
  /** Those on which a database was selected. */
  readonly #hasSelected = new WeakSet<NodeClient>();

  constructor(options: Omit<NodeClientOptions, 'onLost'>) {
    this.#clients = new ClientPool({ ...options, onLost: () => {} });
  }

  /** From the next connection on. */
  setLogin(login: NodeLogin): void {
    this.#clients.setLogin(login);
  }

  /** The keys and the cursor are those of the node; never rejects for what a node does. */
  async ask(
    { node, mode, database }: ScanPlace,
    cursor: string,
    words: ScanWords,
  ): Promise<PageAnswer> {
    const commands: NodeCommand[] = [['SCAN', cursor, ...words]];
    if (mode === 'cluster') commands.push(['CLUSTER', 'NODES']);
    try {
      const client = this.#clients.get({ host: node.host, port: node.port });
      const selects = database !== 0 || this.#hasSelected.has(client);
      if (selects) {
        // The connection stays in the database, so from now on each page selects its own.
        this.#hasSelected.add(client);
        commands.unshift(['SELECT', String(database)]);
      }
      const { runId, replies } = await client.transaction(commands);
      const failed = replies.find((reply) => reply instanceof Error);
      if (failed instanceof Error) return refusal(failed.message);
      const view = mode === 'cluster' ? readOwnView(String(replies[1])) : wholeView(node.id);
      if (view === null) return { kind: 'away', reason: 'it does not say which slots it has' };
      const [next, keys] = replies[selects ? 1 : 0] as [Buffer, Buffer[]];
      return { kind: 'page', page: { runId, view, cursor: next.toString(), keys } };
    } catch (error) {
      if (!(error instanceof NodeCallError)) throw error;
      const { code, message } = error.failure;
      return code === 'reply' || code === 'auth' ? refusal(message) : away(message);
    }
  }

  /** Closes the connections to nodes that are not primaries any more. */
  onSnapshot({ nodes }: Snapshot): void {
    const primaries = nodes.filter(({ role }) => role === 'primary');
    this.#clients.keepOnly(new Set(primaries.map(nodeAddress)));
  }

  close(): void {
    this.#clients.closeAll();
  }
}

function refusal(text: string): PageAnswer {
  return NOT_NOW.test(text) ? away(text) : { kind: 'error', text };
}

function away(reason: string): PageAnswer {
  return { kind: 'away', reason };
}
