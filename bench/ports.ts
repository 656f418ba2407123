/**
 * Free ports for servers that must be told theirs. Taken upwards from a base below the kernel's own
 * range, so that no outgoing connection of the load takes one between the look and the bind.
 */

import { createServer } from 'node:net';

/** Redis Cluster's bus listens here above the port, where a server cannot be told otherwise. */
export const BUS_OFFSET = 10_000;

export class Ports {
  #next: number;

  constructor(base: number) {
    this.#next = base;
  }

  async take(): Promise<number> {
    for (;;) {
      const port = this.#next++;
      if (port > 65_535) throw new Error('no free port left: choose another --base-port');
      if (await isFree(port)) return port;
    }
  }

  /** A port whose bus port is free, too. */
  async takeWithBus(): Promise<number> {
    for (;;) {
      const port = await this.take();
      if (await isFree(port + BUS_OFFSET)) return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
