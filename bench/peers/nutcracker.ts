/** nutcracker (twemproxy) over as many plain servers as the cluster has shards. */

import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, temporaryFolder } from '../proc.ts';
import type { PeerContext, PeerDefinition } from './peer.ts';
import { startPeer } from './start.ts';

export function nutcrackerPeer({ backends, ports }: PeerContext): PeerDefinition {
  return {
    name: 'nutcracker',
    setting: 'over plain servers, ketama, fnv1a_64',
    overCluster: false,
    unavailable: installedOrWhyNot,
    version: async () => {
      const { stdout, stderr } = spawnSync(findProgram('nutcracker'), ['--version']);
      return /nutcracker-(\S+)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
    },
    async start() {
      const port = await ports.take();
      const servers = (await backends.plain()).map((node) => `127.0.0.1:${node.port}:1`);
      const folder = temporaryFolder('nutcracker');
      const file = join(folder, 'nutcracker.yml');
      writeFileSync(file, nutcrackerConfig(port, servers));
      const statsPort = await ports.take();
      const args = ['-c', file, '-a', '127.0.0.1', '-s', `${statsPort}`, '-v', '4'];
      return startPeer(
        { name: 'nutcracker', command: findProgram('nutcracker'), args, cwd: folder },
        port,
      );
    },
  };
}

export function nutcrackerConfig(port: number, servers: readonly string[]): string {
  return [
    'bench:',
    `  listen: 127.0.0.1:${port}`,
    '  hash: fnv1a_64',
    '  distribution: ketama',
    '  redis: true',
    '  auto_eject_hosts: false',
    '  servers:',
    ...servers.map((server) => `   - ${server}`),
    '',
  ].join('\n');
}

/** Installs it where that is ours to do: on Debian and its kin, as root. */
function installedOrWhyNot(): string {
  if (findProgram('nutcracker') !== '') return '';
  const apt = findProgram('apt-get');
  if (apt === '') return 'nutcracker is not in PATH and this system has no apt-get to install it';
  if (process.getuid?.() !== 0) {
    return 'nutcracker is not in PATH; install it with: sudo apt-get install nutcracker';
  }
  process.stdout.write('Installing nutcracker with apt-get for the comparison …\n');
  const why = install(apt);
  return findProgram('nutcracker') === '' ? `apt-get install nutcracker failed: ${why}` : '';
}

function install(apt: string): string {
  // RUNLEVEL=1 keeps the package from starting its service.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['install', '-y', '-q', '--no-install-recommends', 'nutcracker'];
  let why = '';
  // A fresh image has no package lists yet: the second try comes after fetching them.
  for (const before of [[], ['update', '-q']]) {
    try {
      if (before.length > 0) execFileSync(apt, before, { env, stdio: 'pipe' });
      execFileSync(apt, install, { env, stdio: 'pipe' });
      return '';
    } catch (error) {
      why = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    }
  }
  return why.split('\n').at(-1) ?? '';
}
