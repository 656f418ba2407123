/** The control connections by dialled address, opened when first asked for. */

import type { NodeEndpoint } from '../topology/build.ts';
import { nodeAddress } from '../topology/snapshot.ts';
import { NodeClient, type NodeClientOptions } from './node-client.ts';
import type { NodeLogin } from './node-login.ts';

export class ClientPool {
  /** Shared with all clients: each reads it when it connects. */
  readonly #options: { -readonly [K in keyof NodeClientOptions]: NodeClientOptions[K] };
  readonly #clients = new Map<string, NodeClient>();

  constructor(options: NodeClientOptions) {
    this.#options = { ...options };
  }

  get(endpoint: NodeEndpoint): NodeClient {
    const address = nodeAddress(endpoint);
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new NodeClient(endpoint, this.#options);
      this.#clients.set(address, client);
    }
    return client;
  }

  /** From the next connection on. */
  setLogin({ username, password }: NodeLogin): void {
    this.#options.username = username;
    this.#options.password = password;
  }

  find(address: string): NodeClient | undefined {
    return this.#clients.get(address);
  }

  /** Connected and answering ones first. */
  usable(): NodeClient[] {
    const clients = [...this.#clients.values()].filter((client) => !client.suspect);
    return clients.sort((a, b) => Number(b.connected) - Number(a.connected));
  }

  /** Closes the connections to nodes that are not among `addresses`. */
  keepOnly(addresses: ReadonlySet<string>): void {
    for (const [address, client] of this.#clients) {
      if (addresses.has(address)) continue;
      client.close();
      this.#clients.delete(address);
    }
  }

  closeAll(): void {
    this.keepOnly(new Set());
  }
}
