/** A redis-server by itself, the yardstick of the differential run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectResp } from '../../../src/lib/resp-client.ts';
import { Guardian } from '../../../src/local/guardian.ts';
import { freePorts, LOOPBACK } from '../../../src/local/ports.ts';
import { findRedisServer } from '../../../src/local/redis-binary.ts';
import { until } from '../cluster.ts';

export interface SingleServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** @param settings further lines of redis.conf */
export async function startSingleServer(
  settings: Readonly<Record<string, string>>,
): Promise<SingleServer> {
  const server = findRedisServer();
  if (server === undefined) throw new Error('no redis-server found');
  const [port] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-single-'));
  const guardian = new Guardian(folder, () => undefined);
  const own = { bind: LOOPBACK, port: String(port), dir: folder, save: '', appendonly: 'no' };
  const options = Object.entries({ ...own, ...settings }).flatMap(([name, value]) => [
    `--${name}`,
    value,
  ]);
  const child = spawn(server.path, options, { argv0: server.argv0, cwd: folder, stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (child.pid !== undefined) guardian.watch(child.pid);
  const close = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
    await guardian.release();
  };
  try {
    await until('the single server answers', () => answers(child, port as number));
  } catch (error) {
    await close();
    throw error;
  }
  return { host: LOOPBACK, port: port as number, close };
}

async function answers(child: ChildProcess, port: number): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`redis-server ended with code ${child.exitCode}`);
  try {
    const client = await connectResp({ host: LOOPBACK, port });
    client.close();
    return true;
  } catch {
    // Not listening yet.
    return false;
  }
}
