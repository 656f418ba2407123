/**
 * A primary with replicas and Sentinels, all without cluster mode and each a process of its own,
 * which tests kill, stop and start again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { type Logger, silentLogger } from '../../src/lib/log.ts';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { freePorts, LOOPBACK } from '../../src/local/ports.ts';
import { ensureRedisServer } from '../../src/local/redis-binary.ts';
import { startServer } from '../../src/main.ts';
import { until } from './cluster.ts';

export interface StandaloneOptions {
  /** Default 1. */
  readonly replicas?: number;
  /** Default 0. */
  readonly sentinels?: number;
  /** Default 500. */
  readonly downAfterMs?: number;
  /** Default "mymaster". */
  readonly masterName?: string;
  /** Of each server, as in redis.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

export type ServerKind = 'redis-server' | 'redis-sentinel';

/** One process, which can be killed and started again with the same settings. */
export class ServerProcess {
  readonly host = LOOPBACK;
  readonly port: number;
  readonly #kind: ServerKind;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;

  constructor(kind: ServerKind, port: number, args: readonly string[]) {
    this.#kind = kind;
    this.port = port;
    this.#args = args;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves once it answers. */
  async start(): Promise<void> {
    const { path } = ensureRedisServer(() => undefined);
    const child = spawn(path, this.#args, { argv0: this.#kind, stdio: 'ignore' });
    this.#child = child;
    await until(`${this.#kind} ${this.port} answers`, async () => {
      if (!this.isRunning) throw new Error(`${this.#kind} ended with ${child.exitCode}`);
      return this.connect().then(
        (client) => {
          client.close();
          return true;
        },
        () => false,
      );
    });
  }

  connect(): Promise<RespClient> {
    return connectResp({ host: this.host, port: this.port });
  }

  /** One question on a connection of its own. */
  async ask(...args: [string, ...string[]]): Promise<unknown> {
    const client = await this.connect();
    try {
      return await client.call(...args);
    } finally {
      client.close();
    }
  }

  /** "master" or "slave". */
  async role(): Promise<string> {
    return String(((await this.ask('ROLE')) as unknown[])[0]);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || !this.isRunning) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}

export interface StandaloneStage {
  /** The first began as the primary. */
  readonly servers: readonly ServerProcess[];
  readonly sentinels: readonly ServerProcess[];
  /** "host:port" of each. */
  readonly seeds: string[];
  readonly sentinelSeeds: string[];
  stop(): Promise<void>;
}

const QUORUM = 2;

/** Resolves once the replicas are in step and the Sentinels know them and each other. */
export async function startStandalone(options: StandaloneOptions = {}): Promise<StandaloneStage> {
  const { replicas = 1, sentinels: count = 0, masterName = 'mymaster' } = options;
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-standalone-'));
  const ports = await freePorts(1 + replicas + count);
  const [first = 0] = ports;
  const servers = ports.slice(0, 1 + replicas).map((port, i) => {
    const follows = i === 0 ? {} : { replicaof: `${LOOPBACK} ${first}` };
    return new ServerProcess('redis-server', port, serverArgs(port, folder, follows, options));
  });
  const sentinels = ports.slice(1 + replicas).map((port) => {
    const file = join(folder, `sentinel-${port}.conf`);
    writeFileSync(file, sentinelFile(port, first, folder, options));
    return new ServerProcess('redis-sentinel', port, [file]);
  });
  const stop = async (): Promise<void> => {
    for (const each of [...servers, ...sentinels]) await each.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(servers.map((each) => each.start()));
    await until('the replicas are in step', async () => {
      const info = String(await (servers[0] as ServerProcess).ask('INFO', 'replication'));
      return info.split('state=online').length - 1 === replicas;
    });
    await Promise.all(sentinels.map((each) => each.start()));
    for (const each of sentinels) await knowsAll(each, masterName, replicas, count);
  } catch (error) {
    await stop();
    throw error;
  }
  const addresses = (list: readonly ServerProcess[]) => list.map(({ address }) => address);
  return {
    servers,
    sentinels,
    seeds: addresses(servers),
    sentinelSeeds: addresses(sentinels),
    stop,
  };
}

function serverArgs(
  port: number,
  folder: string,
  more: Readonly<Record<string, string>>,
  { settings = {} }: StandaloneOptions,
): string[] {
  const all: Readonly<Record<string, string>> = {
    bind: LOOPBACK,
    port: String(port),
    dir: folder,
    dbfilename: `${port}.rdb`,
    save: '',
    'repl-diskless-sync-delay': '0',
    ...more,
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]);
}

function sentinelFile(
  port: number,
  primary: number,
  folder: string,
  { downAfterMs = 500, masterName = 'mymaster' }: StandaloneOptions,
): string {
  return [
    `port ${port}`,
    `bind ${LOOPBACK}`,
    `dir ${folder}`,
    `sentinel monitor ${masterName} ${LOOPBACK} ${primary} ${QUORUM}`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 2000`,
    '',
  ].join('\n');
}

async function knowsAll(
  sentinel: ServerProcess,
  masterName: string,
  replicas: number,
  sentinels: number,
): Promise<void> {
  await until(`Sentinel ${sentinel.port} knows the others`, async () => {
    const reply = (await sentinel.ask('SENTINEL', 'MASTER', masterName)) as string[];
    const field = (name: string): number => Number(reply[reply.indexOf(name) + 1]);
    return field('num-slaves') === replicas && field('num-other-sentinels') === sentinels - 1;
  });
}

export interface StandaloneProxy {
  readonly port: number;
  readonly httpUrl: string;
  /** A connection to slotgate. */
  connect(): Promise<RespClient>;
  /** Why /readyz says no; '' when it says yes. */
  reason(): Promise<string>;
  close(): Promise<void>;
}

/** slotgate in this process, on free ports with one worker; it need not be ready. */
export async function startStandaloneProxy(
  config: ConfigInput,
  log: Logger = silentLogger(),
): Promise<StandaloneProxy> {
  const whole = configSchema.parse({
    port: 0,
    workers: 1,
    drainTimeoutMs: '2s',
    ...config,
    http: { port: 0 },
  });
  const running = await startServer(whole, { log });
  const port = Number(running.endpoint.slice(running.endpoint.lastIndexOf(':') + 1));
  return {
    port,
    httpUrl: running.httpUrl,
    connect: () => connectResp({ host: LOOPBACK, port, timeoutMs: 30_000 }),
    reason: async () => {
      const response = await fetch(new URL('/readyz', running.httpUrl));
      const text = await response.text();
      return response.status === 200 ? '' : text;
    },
    close: () => running.close(),
  };
}

export async function isReady(proxy: StandaloneProxy): Promise<void> {
  await until('the proxy is ready', async () => (await proxy.reason()) === '');
}
