/** One plain redis-server, for tests that compare with Redis itself or have it as the upstream. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { freePorts, LOOPBACK } from '../../src/local/ports.ts';
import { ensureRedisServer } from '../../src/local/redis-binary.ts';
import { until } from './cluster.ts';

export interface PlainRedis {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  connect(): Promise<RespClient>;
  stop(): Promise<void>;
}

/** Keeps nothing on disk. `settings` are options of redis.conf. */
export async function startRedis(
  settings: Readonly<Record<string, string>> = {},
): Promise<PlainRedis> {
  const server = ensureRedisServer(() => undefined);
  const port = Number(settings.port ?? (await freePorts(1))[0]);
  const own: Readonly<Record<string, string>> = {
    bind: LOOPBACK,
    port: String(port),
    save: '',
    appendonly: 'no',
    ...settings,
  };
  const args = Object.entries(own).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(server.path, args, { argv0: server.argv0, stdio: 'ignore' });
  const password = own.requirepass;
  const connect = (): Promise<RespClient> => connectResp({ host: LOOPBACK, port, password });
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  try {
    await until('redis-server answers', async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      return connect().then(
        (client) => {
          client.close();
          return true;
        },
        () => false,
      );
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: LOOPBACK, port, version: server.version, connect, stop };
}
