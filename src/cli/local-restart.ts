/**
 * `slotgate local restart-nodes`: restarts the nodes of a running `slotgate local`. That one brings
 * back every node that ends, so it is enough to end them; this is what makes sure first that the node
 * is one of its own, as any other would stay away.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { parseEndpoint } from '../config/endpoint.ts';
import type { NodeReport } from '../control/nodes-report.ts';
import { ProxyError } from '../lib/errors.ts';
import { connectResp, type RespClient } from '../lib/resp-client.ts';
import { readManifest } from '../local/data-dir.ts';
import { TEMPORARY_MARK } from '../local/guardian.ts';
import type { CliContext } from './context.ts';
import { addRestartOptions, type RestartOptions, runRestart } from './restart-nodes.ts';

const HELP_AFTER = `
Replicas first, then a planned switch, then the former primary, one shard after another: clients see
no error. With --data the nodes keep their data; without, they copy it from each other.

Examples:
  slotgate local restart-nodes
  slotgate local restart-nodes --http-port 9379      where slotgate local was given that port`;

export function registerLocalRestart(local: Command, context: CliContext): void {
  const command = local
    .command('restart-nodes')
    .summary('restart the nodes of a running slotgate local, without an error')
    .description('Restarts all nodes of a running slotgate local, one after another.');
  addRestartOptions(command)
    .addHelpText('after', HELP_AFTER)
    .action(() => {
      // --http-port is also an option of `slotgate local` itself, which takes it first.
      const given = command.optsWithGlobals<RestartOptions>();
      return runRestart('local restart-nodes', given, context, shutDownEmbedded);
    });
}

async function shutDownEmbedded({ address }: NodeReport): Promise<void> {
  const endpoint = parseEndpoint(address);
  if (endpoint === undefined) throw notEmbedded(address);
  const client = await connectResp(endpoint);
  try {
    if (!(await isEmbedded(client))) throw notEmbedded(address);
    await client.call('SHUTDOWN').catch((error: unknown) => {
      // It ends without an answer.
      if (!(error instanceof ProxyError && error.code === 'connection-lost')) throw error;
    });
  } finally {
    client.close();
  }
}

/** Its folder is one that `slotgate local` has made. */
async function isEmbedded(client: RespClient): Promise<boolean> {
  const reply = await client.call('CONFIG', 'GET', 'dir');
  if (!Array.isArray(reply)) return false;
  const folder = dirname(String(reply[1]));
  return existsSync(join(folder, TEMPORARY_MARK)) || readManifest(folder) !== undefined;
}

function notEmbedded(address: string): ProxyError {
  const what = `${address} is no node of a slotgate local: nobody would start it again`;
  return new ProxyError('usage', `${what}; for other clusters use slotgate restart-nodes --exec`, {
    source: 'control',
  });
}
