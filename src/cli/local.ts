/** `slotgate local`: a real Redis Cluster on this machine, with the proxy in front of it. */
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { FlagSetting } from '../config/text-source.ts';
import { createLogger, type Logger, setLogLevel } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import { readManifest } from '../local/data-dir.ts';
import { notAllowed } from '../local/errors.ts';
import { type LocalCluster, startLocalCluster } from '../local/local-cluster.ts';
import type { NodeExit } from '../local/node-process.ts';
import {
  checkOptions,
  type LocalClusterOptions,
  type LocalNode,
  REPLICAS,
  SHARDS,
} from '../local/options.ts';
import { requireFreePort } from '../local/ports.ts';
import { ensureRedisServer } from '../local/redis-binary.ts';
import type { CliContext } from './context.ts';
import { registerLocalRestart } from './local-restart.ts';
import { localBanner, Progress, sizeText } from './local-words.ts';
import { runServer, type StartServer } from './serve.ts';

const DEFAULT_SHARDS = '3';
const DEFAULT_REPLICAS = '1';
const PORTS = { min: 1, max: 65_535 } as const;
/** npm passes a Ctrl-C on that the terminal has sent us already: one press must not count as two. */
const SAME_SIGNAL_MS = 1000;

const HELP_AFTER = `
Every shard is one primary redis-server and its replicas, on loopback, ended with slotgate whatever
ends it. Without --data everything is in a temporary folder and gone at the end; with it, the next
start with the same --data brings cluster and data back. A node that dies is brought back.

A dead primary is replaced by the votes of the other primaries, which one or two shards are too few
for; slotgate then promotes the replica on its own proof that the primary is dead. --witnesses lets
the nodes vote: two more redis-servers of a few MB, each with one slot (0.006 % of the keys) and no
replica of it.

Examples:
  slotgate local                                  3 shards, 1 replica each, endpoint 127.0.0.1:6379
  slotgate local --shards 6 --replicas 2          18 nodes
  slotgate local --shards 1 --witnesses           one shard that fails over by the nodes' own votes
  slotgate local --shard-memory 64mb              each shard refuses writes beyond 64 MB
  slotgate local --data ~/redis-data              keep the data
  slotgate local --node-port 7000                 nodes on 7000, 7001 … instead of any free ports
  slotgate local restart-nodes                    restart its nodes while clients use them
  npm start -- --shards 5                         the same from a clone
  SLOTGATE_REQUIREPASS=secret npm start           clients must give this password
  redis-cli -p 6379 set greeting hello            and any Redis client can use it

Other settings of slotgate come from the environment, as SLOTGATE_HOLD__TIMEOUT_MS=5s; slotgate config
print-default lists them all. SLOTGATE_REDIS_SERVER names the redis-server (or
valkey-server) to run; by default the first on PATH.
Ctrl-C or SIGTERM: what is in flight is answered, then all stops, exit 0. A second one stops at once.`;

interface Given {
  readonly shards: string;
  readonly replicas: string;
  readonly witnesses?: true;
  readonly port?: string;
  readonly httpPort?: string;
  readonly nodePort?: string;
  readonly data?: string;
  readonly shardMemory?: string;
  readonly workers?: string;
  readonly logLevel?: string;
}

export function registerLocal(program: Command, context: CliContext): void {
  const command = program
    .command('local')
    .summary('start a Redis Cluster on this machine with the proxy in front')
    .description('Starts a real Redis Cluster on this machine and the proxy in front of it.')
    .option('--shards <count>', `shards, ${rangeText(SHARDS)}`, DEFAULT_SHARDS)
    .option(
      '--replicas <count>',
      `replicas of each shard, ${rangeText(REPLICAS)}`,
      DEFAULT_REPLICAS,
    )
    .option('--witnesses', 'with 1 or 2 shards: two tiny primaries more, that only vote')
    .option('-p, --port <port>', 'port for Redis clients (default: 6379)')
    .option('--http-port <port>', 'port for metrics, health and API (default: 8379)')
    .option('--node-port <port>', 'port of the first node, the others follow (default: free ports)')
    .option('--data <folder>', 'keep the data here (default: a temporary folder)')
    .option('--shard-memory <size>', 'memory of each node, such as 64mb (default: no limit)')
    .option('--workers <count>', 'worker processes of the proxy (default: auto)')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent')
    .addHelpText('after', HELP_AFTER)
    .action(async (given: Given) => {
      const isDefault = (name: string): boolean => command.getOptionValueSource(name) === 'default';
      const sized = isDefault('shards') && isDefault('replicas') ? sizeOfFolder(given) : given;
      context.finish(await runLocal(sized, context), { isFinal: true });
    });
  registerLocalRestart(command, context);
}

export interface RunLocalOptions {
  /** By default slotgate itself. */
  readonly start?: StartServer;
  readonly signals?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  readonly exit?: (code: number) => void;
}

/**
 * Runs cluster and proxy until a signal; resolves to the exit code.
 * @throws ProxyError when something stands in the way of the start; nothing is left running then
 */
async function runLocal(
  given: Given,
  context: CliContext,
  options: RunLocalOptions = {},
): Promise<number> {
  const config = configOf(given, context);
  const wanted = clusterOptions(given);
  checkOptions(wanted);
  const log = createLogger(config.log);
  await requireFreePort(config.port, '--port', config.bind[0]);
  await requireFreePort(config.http.port, '--http-port', config.http.bind);
  const progress = new Progress(context.err, process.stderr.isTTY === true);
  const server = ensureRedisServer((line) => progress.say(line));
  const stops = new StopSignals(options.signals ?? process, options.exit ?? process.exit);
  // The terminal is gone then: a line that cannot be written would keep the process from its end.
  stops.once('hangup', () => setLogLevel(log, 'silent'));
  try {
    const cluster = await startCluster(wanted, config, { log, progress, server, stops });
    if (cluster === undefined) return 0;
    try {
      const settled = configOf(given, context, cluster.seeds);
      return await serveCluster(settled, cluster, { context, log, stops, options });
    } finally {
      await cluster.stop();
    }
  } finally {
    stops.dispose();
  }
}

interface Start {
  readonly log: Logger;
  readonly progress: Progress;
  readonly server: ReturnType<typeof ensureRedisServer>;
  readonly stops: StopSignals;
}

/** Undefined when a signal ended the start. */
async function startCluster(
  wanted: LocalClusterOptions,
  config: Config,
  { log, progress, server, stops }: Start,
): Promise<LocalCluster | undefined> {
  const size = sizeText(wanted);
  progress.start(`Forming a Redis Cluster of ${size}, ${server.flavor} ${server.version}`);
  try {
    const cluster = await startLocalCluster({
      ...wanted,
      avoidPorts: [config.port, config.http.port],
      redisServer: server,
      log: (line, level) => log[level](line),
      progress: (stage) => progress.stage(stage),
      onNodeExit: (node, exit) => logExit(log, node, exit),
      signal: stops.first,
    });
    progress.end('done');
    if (!stops.first.aborted) return cluster;
    await cluster.stop();
    return undefined;
  } catch (error) {
    progress.end(stops.first.aborted ? 'stopped' : 'failed');
    if (stops.first.aborted) return undefined;
    throw error;
  }
}

interface Serve {
  readonly context: CliContext;
  readonly log: Logger;
  readonly stops: StopSignals;
  readonly options: RunLocalOptions;
}

function serveCluster(
  config: Config,
  cluster: LocalCluster,
  { context, log, stops, options }: Serve,
): Promise<number> {
  return runServer(config, {
    log,
    signals: stops,
    onReady: (running: Running) => {
      const hasPassword = config.requirepass !== '';
      context.out(localBanner(running, cluster, { hasPassword }));
    },
    ...(options.start === undefined ? {} : { start: options.start }),
  });
}

function clusterOptions(given: Given): LocalClusterOptions {
  const { nodePort } = given;
  return {
    shards: count('--shards', given.shards, SHARDS),
    replicas: count('--replicas', given.replicas, REPLICAS),
    witnesses: given.witnesses,
    nodePort: nodePort === undefined ? undefined : count('--node-port', nodePort, PORTS),
    dataDir: given.data,
    shardMemory: given.shardMemory,
    heal: true,
  };
}

/** Settings of the proxy: this command's flags, then the environment, then the defaults. */
function configOf(given: Given, context: CliContext, seeds?: readonly string[]): Config {
  const flags: FlagSetting[] = [];
  const set = (flag: string, path: string, value: string | undefined): void => {
    if (value !== undefined) flags.push({ flag, path, value });
  };
  set('--port', 'port', given.port);
  set('--http-port', 'http.port', given.httpPort);
  set('--workers', 'workers', given.workers);
  set('--log-level', 'log.level', given.logLevel);
  set('the embedded cluster', 'cluster.seeds', seeds?.join(','));
  // Its nodes are our own children on this machine: there is no partition that could fool us.
  if (context.env.SLOTGATE_FAILOVER__TAKEOVER === undefined) {
    set('the embedded cluster', 'failover.takeover', 'yes');
  }
  // What the environment says of another cluster has no meaning for this one.
  const env = Object.entries(context.env).filter(
    ([name]) => !name.startsWith('SLOTGATE_CLUSTER__'),
  );
  return loadConfig({ env: Object.fromEntries(env), flags }).config;
}

/** Without --shards and --replicas, a folder's cluster comes back as it was. */
function sizeOfFolder(given: Given): Given {
  const held = given.data === undefined ? undefined : readManifest(resolve(given.data));
  if (held === undefined) return given;
  const size = { ...given, shards: String(held.shards), replicas: String(held.replicas) };
  return held.witnesses === true ? { ...size, witnesses: true } : size;
}

function logExit(log: Logger, node: LocalNode, exit: NodeExit): void {
  const name = `${node.host}:${node.port}`;
  const how = exit.signal ?? `code ${exit.code}`;
  const what = `node ${name} (shard ${node.shard}, started as ${node.role})`;
  const fields = { node: name, log: node.logFile };
  if (exit.code === 0) log.info(fields, `${what} was shut down; it will be brought back`);
  else log.warn(fields, `${what} ended by itself: ${how}; it will be brought back`);
}

function count(
  option: string,
  text: string,
  range: { readonly min: number; readonly max: number },
): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw notAllowed(option, JSON.stringify(text), rangeText(range));
}

function rangeText({ min, max }: { readonly min: number; readonly max: number }): string {
  return `${min} to ${max}`;
}

/**
 * The process' wish to end, heard from the first moment on: the first signal aborts a start under
 * way and is passed on to the server; a later one ends the process, and the guardian the nodes.
 */
class StopSignals extends EventEmitter {
  readonly #source: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  readonly #exit: (code: number) => void;
  readonly #abort = new AbortController();
  #stoppingSince: number | undefined;

  constructor(source: Pick<NodeJS.EventEmitter, 'on' | 'off'>, exit: (code: number) => void) {
    super();
    this.#source = source;
    this.#exit = exit;
    for (const signal of STOP_SIGNALS) source.on(signal, this.#onSignal);
    source.on('SIGUSR2', this.#onRoll);
  }

  get first(): AbortSignal {
    return this.#abort.signal;
  }

  dispose(): void {
    for (const signal of STOP_SIGNALS) this.#source.off(signal, this.#onSignal);
    this.#source.off('SIGUSR2', this.#onRoll);
  }

  /** No wish to end, but without a listener it would be one. */
  readonly #onRoll = (): void => void this.emit('SIGUSR2', 'SIGUSR2');

  readonly #onSignal = (signal: (typeof STOP_SIGNALS)[number]): void => {
    const now = performance.now();
    if (this.#stoppingSince === undefined) {
      this.#stoppingSince = now;
      this.#abort.abort(new Error(`stopped by ${signal}`));
      if (signal === 'SIGHUP') this.emit('hangup');
      // A closed terminal means the same here: there is no configuration file to read anew.
      this.emit(signal === 'SIGHUP' ? 'SIGTERM' : signal, signal);
    } else if (now - this.#stoppingSince > SAME_SIGNAL_MS) {
      this.#exit(128 + constants.signals[signal]);
    }
  };
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
