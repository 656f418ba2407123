/** go-redis: plain with RESP3 and RESP2, cluster mode, and through Sentinel. */
import { join } from 'node:path';
import type { ClientGroup } from '../clients.ts';
import { Toolchain } from '../toolchain.ts';

const toolchain = new Toolchain('go');
const program = join(toolchain.folder, 'client');

async function prepare(): Promise<void> {
  await toolchain.prepare('go', ['mod', 'download']);
  // The first build on a machine compiles the standard library too.
  await toolchain.prepare('go', ['build', '-o', program, '.']);
}

export const GO: ClientGroup = {
  toolchain,
  prepare,
  clients: ['plain', 'resp2', 'cluster', 'sentinel'].map((mode) => ({
    name: `go-redis, ${mode}`,
    command: (port) => [program, String(port), mode],
  })),
};
