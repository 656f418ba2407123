/** slotgate itself: the built program, one worker, over the benchmark's cluster. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ALLOCATOR_ENVIRONMENT } from '../../src/lib/allocator.ts';
import { temporaryFolder } from '../proc.ts';
import type { PeerContext, PeerDefinition } from './peer.ts';
import { startPeer } from './start.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = join(ROOT, 'dist', 'cli', 'slotgate.js');

/** `openFiles` and `maxClients` are for the memory part, which opens more than a default allows. */
export function slotgatePeer(
  { backends, ports }: PeerContext,
  limits: { readonly openFiles?: number; readonly maxClients?: number } = {},
): PeerDefinition {
  return {
    name: 'slotgate',
    setting: 'one worker, over the cluster',
    overCluster: true,
    unavailable: () => (existsSync(PROGRAM) ? '' : `not built: there is no ${PROGRAM}`),
    version: async () => {
      const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
      return String((manifest as { version: unknown }).version);
    },
    async start() {
      const port = await ports.take();
      const seeds = (await backends.cluster()).map((node) => `127.0.0.1:${node.port}`);
      const folder = temporaryFolder('slotgate');
      const file = join(folder, 'slotgate.yaml');
      const config = {
        bind: '127.0.0.1',
        port,
        http: { bind: '127.0.0.1', port: await ports.take() },
        workers: 1,
        cluster: { seeds },
        log: { level: 'warn' },
        ...(limits.maxClients === undefined ? {} : { maxclients: limits.maxClients }),
      };
      writeFileSync(file, stringify(config));
      const { openFiles } = limits;
      return startPeer(
        {
          name: 'slotgate',
          command: process.execPath,
          args: [PROGRAM, 'serve', '-c', file],
          cwd: folder,
          // As the image sets it, and as the supervisor sets it for workers that it forks.
          env: ALLOCATOR_ENVIRONMENT,
          ...(openFiles === undefined ? {} : { openFiles }),
        },
        port,
      );
    },
  };
}
