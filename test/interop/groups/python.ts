/** redis-py: plain with RESP3 and RESP2, cluster mode, and through Sentinel. */
import { join } from 'node:path';
import type { ClientGroup } from '../clients.ts';
import { Toolchain } from '../toolchain.ts';

const toolchain = new Toolchain('python');
let python = '';

async function prepare(): Promise<void> {
  const kept = await toolchain.kept(['requirements.txt'], async (folder) => {
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const own = join(folder, 'venv', 'bin', 'python');
    await toolchain.prepare('python3', ['-m', 'venv', 'venv'], folder);
    await toolchain.prepare(own, [...pip, '-r', 'requirements.txt'], folder);
  });
  python = join(kept, 'venv', 'bin', 'python');
}

export const PYTHON: ClientGroup = {
  toolchain,
  prepare,
  clients: ['plain', 'resp2', 'cluster', 'sentinel'].map((mode) => ({
    name: `redis-py, ${mode}`,
    command: (port) => [python, join(toolchain.folder, 'client.py'), String(port), mode],
  })),
};
