/**
 * The one schema of slotgate's configuration: names, types, limits, defaults and words. Redis' own
 * settings keep their own names; all others are camelCase. Everything else that knows fields
 * (the commented default file, JSON Schema, help, environment names) is derived from this.
 */
import { availableParallelism } from 'node:os';
import type { LevelWithSilent } from 'pino';
import { z } from 'zod';
import {
  failover,
  health,
  hold,
  reads,
  scaling,
  spares,
  upstream,
  writes,
} from './availability.ts';
import { field, fieldTree, section } from './fields.ts';
import * as leaf from './leaves.ts';

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const HOUR_MS = 3_600_000;
/** Node's buffers end at 4 GB on the oldest release supported; half of it leaves room to grow. */
const BUFFER_BYTES_MAX = 2 * GB;
const WORKERS_MAX = 64;
const WORKERS_AUTO_MAX = 4;

const LOG_LEVELS = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
] as const satisfies readonly LevelWithSilent[];

const http = section(
  {
    bind: field(leaf.bindAddress(), '127.0.0.1', 'Address of the HTTP listener.'),
    port: field(leaf.port(), 8379, 'Port of the HTTP listener: metrics and health.'),
    hosts: field(
      leaf.hostNames(),
      [],
      'Public host names under which it may be asked for more than its health. Addresses and names of the local network need not be listed.',
    ),
  },
  'HTTP: /metrics, /livez, /healthz and /readyz.',
);

const cluster = section(
  {
    seeds: field(
      leaf.endpoints(),
      ['127.0.0.1:7000'],
      'Nodes of the Redis Cluster to ask first; the others are found through them.',
    ),
    username: field(
      leaf.text('a user name of the nodes'),
      '',
      'ACL user on the nodes (Redis 6 and later).',
    ),
    password: field(leaf.secret('a password of the nodes'), '', 'Password on the nodes.'),
    connectTimeoutMs: field(
      leaf.duration({ min: 10, max: 60_000 }),
      '2s',
      'How long a connection to a node may take to open.',
    ),
    commandTimeoutMs: field(
      leaf.duration({ min: 10, max: HOUR_MS }),
      '5s',
      'How long a node may take to answer a command.',
    ),
    refreshIntervalMs: field(
      leaf.duration({ min: 100, max: 600_000 }),
      '2s',
      'How often the picture of the cluster is read anew. Redirects and failures cause it at once.',
    ),
    natMap: field(
      leaf.endpointMap(),
      {},
      'Addresses that nodes tell, to the addresses where slotgate reaches them.',
    ),
  },
  'The Redis Cluster behind slotgate.',
);

const retry = section(
  {
    sentWrites: field(
      leaf.boolean(),
      false,
      'Send a write again when its connection died before the answer. It may then be applied twice; when off, the client gets -UNCERTAIN.',
    ),
    uncertain: field(
      leaf.choice(['error', 'disconnect']),
      'error',
      'How a client is told that nobody knows whether its write was applied: error (-UNCERTAIN) or disconnect, for libraries that recover from lost connections only (Celery).',
    ),
  },
  'Sending commands a second time. Reads and writes that never left are always retried.',
);

const limits = section(
  {
    maxRequestBuffer: field(
      leaf.size({ min: 64 * KB, max: BUFFER_BYTES_MAX }),
      '64mb',
      'Requests kept per client while it does not read its replies.',
    ),
    maxRequestBytes: field(
      leaf.size({ min: 64 * KB, max: BUFFER_BYTES_MAX }),
      '1gb',
      'Largest single request.',
    ),
    maxBulkBytes: field(
      leaf.size({ min: 1 * KB, max: BUFFER_BYTES_MAX }),
      '512mb',
      "Largest single argument (Redis' proto-max-bulk-len).",
    ),
    maxArguments: field(
      leaf.integer({ min: 16, max: 16_777_216 }),
      1_048_576,
      'Most arguments of one request.',
    ),
    maxInlineBytes: field(
      leaf.size({ min: 1 * KB, max: 16 * MB }),
      '64kb',
      'Longest inline request (plain text instead of RESP).',
    ),
    replyHighWater: field(
      leaf.size({ min: 4 * KB, max: BUFFER_BYTES_MAX }),
      '1mb',
      'Replies waiting for a client above which its further commands are not sent to nodes.',
    ),
    replyHardLimit: field(
      leaf.size({ min: 64 * KB, max: BUFFER_BYTES_MAX }),
      '64mb',
      'Replies waiting for a client above which it is disconnected if it reads nothing.',
    ),
    slowReaderSeconds: field(
      leaf.integer({ min: 1, max: 3600 }),
      5,
      'How long a client above replyHardLimit may read nothing before it is disconnected.',
    ),
    maxInflightPerSession: field(
      leaf.integer({ min: 1, max: 1_048_576 }),
      4096,
      'Commands of one client on their way to nodes at once.',
    ),
    pinnedConnections: field(
      leaf.integer({ min: 1, max: 65_536 }),
      8192,
      'Connections to nodes lent to clients that block (BLPOP …) or watch (WATCH), per worker.',
    ),
    subscriptions: field(
      leaf.integer({ min: 16, max: 1_000_000 }),
      10_000,
      'Channels and patterns that one client may be subscribed to.',
    ),
    laneMaxRequests: field(
      leaf.integer({ min: 16, max: 16_777_216 }),
      65_536,
      'Commands waiting on one shared connection to a node.',
    ),
    laneMaxBytes: field(
      leaf.size({ min: 64 * KB, max: BUFFER_BYTES_MAX }),
      '64mb',
      'Bytes waiting to be sent on one shared connection to a node.',
    ),
    bigReplyBytes: field(
      leaf.size({ min: 16 * KB, max: BUFFER_BYTES_MAX }),
      '1mb',
      'Replies from this size on get a connection of their own, so that nobody waits behind them.',
    ),
    sharedReplyBudget: field(
      leaf.size({ min: 1 * MB, max: 64 * GB }),
      '512mb',
      'Replies waiting for all clients of one worker together.',
    ),
  },
  'Bounds of memory, per client and per node.',
);

const announce = section(
  {
    host: field(
      leaf.optionalHost(),
      '',
      'Host that CLUSTER SLOTS and the like name as the only node. Empty: the address the client connected to.',
    ),
    port: field(
      leaf.port(' (0: the port the client connected to)'),
      0,
      'Port that goes with it. 0: the port the client connected to.',
    ),
    proxies: field(
      leaf.optionalEndpoints(),
      [],
      'All slotgates in front of this cluster, this one too: cluster-aware clients are shown one node each, with equal shares of the slots. Any of them takes any slot.',
    ),
    masterName: field(
      leaf.text('a name'),
      'mymaster',
      'Name of the primary in SENTINEL MASTERS. Clients that ask for an address may use any name.',
    ),
  },
  'How slotgate presents itself to cluster-aware clients, where NAT or a load balancer is in front.',
);

const log = section(
  {
    level: field(leaf.choice(LOG_LEVELS), 'info', `One of ${LOG_LEVELS.join(', ')}.`),
    format: field(
      leaf.choice(['auto', 'json', 'pretty']),
      'auto',
      'json, pretty, or auto: pretty on a terminal, else json.',
    ),
  },
  'Logging, to standard output.',
);

const commands = section(
  {
    deny: field(
      leaf.commandNames(),
      [],
      'Commands to refuse for everyone, e.g. flushall or config|set.',
    ),
  },
  'What clients may run.',
);

const crossSlot = section(
  {
    emulate: field(
      leaf.boolean(),
      false,
      'Run SUNION, ZINTERSTORE, RENAME, LMOVE and the like over keys of several slots, in steps that are not atomic. When off they get -CROSSSLOT.',
    ),
    maxBytes: field(
      leaf.size({ min: 1 * KB, max: BUFFER_BYTES_MAX }),
      '64mb',
      "Values that one such command may bring together, as large as the nodes' DUMP makes them.",
    ),
  },
  'Commands over keys of several slots that Redis Cluster cannot run.',
);

export const configSchema = z
  .strictObject({
    bind: field(
      leaf.bindAddresses(),
      '127.0.0.1',
      'Address or list of addresses to listen on for Redis clients.',
    ),
    port: field(leaf.port(), 6379, 'Port for Redis clients.'),
    'sentinel-port': field(
      leaf.port(' (0: none)'),
      0,
      'A further port for clients that look for a Sentinel; port answers SENTINEL too.',
    ),
    face: field(
      leaf.choice(['cluster', 'standalone']),
      'cluster',
      'What clients take slotgate for: a node of Redis Cluster, or a single Redis, where CLUSTER is disabled.',
    ),
    http,
    workers: field(
      leaf.workerCount({ min: 1, max: WORKERS_MAX }),
      'auto',
      `Worker processes. auto: one per core, at most ${WORKERS_AUTO_MAX}. 1: everything in one process.`,
    ),
    requirepass: field(
      leaf.secret('a password'),
      '',
      'Password that clients must give with AUTH. Empty: none.',
    ),
    'protected-mode': field(
      leaf.boolean(),
      true,
      'Refuse clients from other machines while there is no requirepass.',
    ),
    timeout: field(
      leaf.integer({ min: 0, max: 2_147_483 }, ' (seconds)'),
      0,
      'Seconds after which an idle client is disconnected. 0: never.',
    ),
    'tcp-keepalive': field(
      leaf.integer({ min: 0, max: 2_147_483 }, ' (seconds)'),
      300,
      'Seconds between TCP keep-alive probes to clients. 0: none.',
    ),
    'tcp-backlog': field(
      leaf.integer({ min: 1, max: 65_535 }),
      511,
      'Connections the kernel may hold ready to be accepted.',
    ),
    maxclients: field(
      leaf.integer({ min: 1, max: 1_000_000 }),
      10_000,
      'Most clients connected at once, over all workers.',
    ),
    cluster,
    upstream,
    reads,
    writes,
    hold,
    failover,
    spares,
    scaling,
    health,
    retry,
    limits,
    heartbeatMs: field(
      leaf.duration({ min: 100, max: 60_000 }),
      '1s',
      'How often each shared connection to a node is checked with an ECHO.',
    ),
    drainTimeoutMs: field(
      leaf.duration({ min: 0, max: HOUR_MS }),
      '25s',
      'How long a stop may wait for commands in flight, and how long clients may stay with a worker that is replaced.',
    ),
    announce,
    log,
    commands,
    crossSlot,
    transport: field(
      leaf.choice(['auto', 'public']),
      'auto',
      "How sockets are driven. auto: Node's inner handles where a test at start finds them usable; public: only the documented API.",
    ),
  })
  .meta({ title: 'slotgate', description: 'Configuration of slotgate.' });

export type Config = z.output<typeof configSchema>;
/** As written in a file: sizes and times may be text, every field may be left out. */
export type ConfigInput = z.input<typeof configSchema>;

export const CONFIG_FIELDS = fieldTree(configSchema);

/** What holds where nothing is configured. */
export function defaultConfig(): Config {
  return configSchema.parse({});
}

/** The number of workers that `workers` stands for on this machine. */
export function workerCountOf(config: Config, cores: number = availableParallelism()): number {
  if (config.workers !== 'auto') return config.workers;
  return Math.max(1, Math.min(cores, WORKERS_AUTO_MAX));
}
