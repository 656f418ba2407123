/** predixy over the same cluster as slotgate, when PREDIXY names its binary. */

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../proc.ts';
import type { PeerContext, PeerDefinition } from './peer.ts';
import { startPeer } from './start.ts';

export function predixyPeer({ backends, ports }: PeerContext): PeerDefinition {
  const program = process.env.PREDIXY ?? '';
  return {
    name: 'predixy',
    setting: 'one worker thread, over the cluster',
    overCluster: true,
    unavailable: () => {
      if (program === '') return 'set PREDIXY to its binary to compare with it';
      return existsSync(program) ? '' : `PREDIXY names ${program}, which does not exist`;
    },
    version: async () => {
      const { stdout, stderr } = spawnSync(program, ['--version']);
      return /predixy-(\S+)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
    },
    async start() {
      const port = await ports.take();
      const seeds = (await backends.cluster()).map((node) => `127.0.0.1:${node.port}`);
      const folder = temporaryFolder('predixy');
      const file = join(folder, 'predixy.conf');
      writeFileSync(file, predixyConfig(port, seeds));
      return startPeer({ name: 'predixy', command: program, args: [file], cwd: folder }, port);
    },
  };
}

export function predixyConfig(port: number, seeds: readonly string[]): string {
  return [
    'Name bench',
    `Bind 127.0.0.1:${port}`,
    'WorkerThreads 1',
    'LogInfoSample 0',
    'Authority {',
    '    Auth {',
    '        Mode write',
    '    }',
    '}',
    'ClusterServerPool {',
    '    Servers {',
    ...seeds.map((seed) => `        + ${seed}`),
    '    }',
    '}',
    '',
  ].join('\n');
}
