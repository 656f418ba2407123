/** A redis-server by itself, the yardstick of the differential run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RespClient } from '../../../src/lib/resp-client.ts';
import { Guardian, TEMPORARY_MARK } from '../../../src/local/guardian.ts';
import { NodeProcess } from '../../../src/local/node-process.ts';
import { freePorts, LOOPBACK } from '../../../src/local/ports.ts';
import { findRedisServer } from '../../../src/local/redis-binary.ts';

export interface SingleServer {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  connect(): Promise<RespClient>;
  close(): Promise<void>;
}

/**
 * Starts it as the nodes of a cluster are started, but for being none.
 * @param settings further lines of redis.conf
 */
export async function startSingleServer(
  settings: Readonly<Record<string, string>>,
): Promise<SingleServer> {
  const server = findRedisServer();
  if (server === undefined) throw new Error('no redis-server found');
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-single-'));
  writeFileSync(join(folder, TEMPORARY_MARK), '');
  const guardian = new Guardian(folder, () => undefined);
  const node = new NodeProcess(
    {
      server,
      folder,
      port,
      nodeTimeoutMs: 15_000,
      persistent: false,
      extraConfig: {
        ...settings,
        'cluster-enabled': 'no',
        // By default a subscriber is cut whose replies, too, pass 32 MB; slotgate counts its messages.
        'client-output-buffer-limit': 'pubsub 0 0 0',
      },
    },
    guardian,
    () => undefined,
  );
  const close = async (): Promise<void> => {
    await node.stop(0);
    rmSync(folder, { recursive: true, force: true });
    await guardian.release();
  };
  node.start();
  try {
    (await node.ready()).close();
  } catch (error) {
    await close();
    throw error;
  }
  const connect = (): Promise<RespClient> => node.connect();
  return { host: LOOPBACK, port, version: server.version, connect, close };
}
