/** The command line of the benchmark. Pure: argv in, options or a message for people out. */

import { parseArgs } from 'node:util';

export type Part =
  | 'load'
  | 'stalled-shard'
  | 'sessions'
  | 'memory'
  | 'micro'
  | 'failover'
  | 'reads'
  | 'scaling';

export interface BenchOptions {
  /** What to run; a plain run is load, stalled-shard and sessions. */
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** The number of rounds was asked for, and is not the default of the load part. */
  readonly hasRounds: boolean;
  /** Part of the names of the failover scenarios to play, '' for all. */
  readonly scenario: string;
  readonly scaling: ScalingOptions;
  /** Aimed-at length of one cell against one peer. */
  readonly cellSeconds: number;
  /** Keys per value size, all present on every peer before anything is measured. */
  readonly keys: number;
  /** Cell filter, '' for all. */
  readonly only: string;
  /** Peer names, empty for all that this machine can run. */
  readonly peers: readonly string[];
  /** Where the JSON report goes, '' for nowhere. */
  readonly json: string;
  /** Servers behind each proxy. */
  readonly shards: number;
  /** Idle connections of the memory part. */
  readonly connections: number;
  /** First port that the benchmark's own servers try. */
  readonly basePort: number;
  readonly quick: boolean;
  readonly help: boolean;
}

export interface ScalingOptions {
  readonly keys: number;
  readonly megabytes: number;
  /** Commands a second, of all clients together. */
  readonly rate: number;
  /** Sizes that the cluster of 3x1 goes through, "5x1,8x1,3x1". */
  readonly steps: string;
  readonly movers: readonly string[];
}

export const USAGE = `npm run bench -- [options]

  --quick              two short rounds: a look, not a measurement
  --rounds N           rounds, interleaved over all peers (5)
  --seconds S          aimed-at length of one cell against one peer (1.5)
  --only CELLS         cells by name, comma-separated, * at the end allowed (GET-64-p16,SET-*)
  --peers NAMES        only these peers (slotgate,direct,nutcracker,predixy, or your own)
  --shards N           servers behind each proxy (3)
  --keys N             keys per value size, preloaded on every side (100000)
  --json FILE          write everything measured to FILE
  --stalled-shard      only: p99 of one shard's commands while another shard's node is stopped
  --sessions           only: a message to 1,000 subscribers, and 1,000 clients in BLPOP served
  --memory             only: 10,000 idle connections, then hostile input, and what memory does
  --connections N      idle connections for --memory (10000)
  --micro              only: nanoseconds per call of the framers, the command table and the slot
  --failover           only: how long clients cannot write or read when a primary dies (20 rounds)
  --scenario TEXT      for --failover: only scenarios with this in their names
  --reads              only: reads of one shard over 0 to 5 replicas
  --scaling            only: shards added and removed under load, by redis-cli and by slotgate
  --scaling-steps S    for --scaling: sizes after 3x1 (5x1,8x1,3x1)
  --scaling-keys N     keys of 10 B to 1 MB that are moved (50000)
  --scaling-mb N       their megabytes together (300)
  --scaling-rate N     commands/s of the 100 clients together (3000)
  --scaling-movers M   who moves (redis-cli,slotgate)
  --base-port N        first port tried for the benchmark's own servers (25000)

PREDIXY=/path/to/predixy adds predixy. PEER_NAME='command … {port} … {cluster}' adds any other
program that speaks Redis: {port} is where it must listen on 127.0.0.1, {cluster} the cluster's nodes
and {servers} the plain servers as host:port,host:port, {dir} a folder of its own.`;

const FLAGS = {
  quick: { type: 'boolean' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  only: { type: 'string' },
  peers: { type: 'string' },
  shards: { type: 'string' },
  keys: { type: 'string' },
  json: { type: 'string' },
  'stalled-shard': { type: 'boolean' },
  sessions: { type: 'boolean' },
  memory: { type: 'boolean' },
  micro: { type: 'boolean' },
  failover: { type: 'boolean' },
  scenario: { type: 'string' },
  reads: { type: 'boolean' },
  scaling: { type: 'boolean' },
  'scaling-steps': { type: 'string' },
  'scaling-keys': { type: 'string' },
  'scaling-mb': { type: 'string' },
  'scaling-rate': { type: 'string' },
  'scaling-movers': { type: 'string' },
  connections: { type: 'string' },
  'base-port': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws RangeError or TypeError with one line that names the option and what it allows. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({ args: [...argv], options: FLAGS, allowPositionals: false });
  const quick = values.quick ?? false;
  const only = values.only ?? '';
  return {
    parts: chosenParts(values, only),
    rounds: numberIn('--rounds', values.rounds, quick ? 2 : 5, 1, 1000),
    hasRounds: values.rounds !== undefined,
    scenario: values.scenario ?? '',
    scaling: {
      keys: numberIn('--scaling-keys', values['scaling-keys'], 50_000, 10, 10_000_000),
      megabytes: numberIn('--scaling-mb', values['scaling-mb'], 300, 1, 100_000),
      rate: numberIn('--scaling-rate', values['scaling-rate'], 3000, 100, 1_000_000),
      steps: values['scaling-steps'] ?? '5x1,8x1,3x1',
      movers: (values['scaling-movers'] ?? 'redis-cli,slotgate').split(','),
    },
    cellSeconds: numberIn('--seconds', values.seconds, quick ? 0.3 : 1.5, 0.05, 600),
    keys: numberIn('--keys', values.keys, 100_000, 100, 10_000_000),
    only,
    peers: (values.peers ?? '').split(',').filter((name) => name !== ''),
    json: values.json ?? '',
    shards: numberIn('--shards', values.shards, 3, 3, 128),
    connections: numberIn('--connections', values.connections, 10_000, 100, 60_000),
    basePort: numberIn('--base-port', values['base-port'], 25_000, 1024, 55_000),
    quick,
    help: values.help ?? false,
  };
}

interface PartFlags {
  readonly 'stalled-shard'?: boolean | undefined;
  readonly sessions?: boolean | undefined;
  readonly memory?: boolean | undefined;
  readonly micro?: boolean | undefined;
  readonly failover?: boolean | undefined;
  readonly reads?: boolean | undefined;
  readonly scaling?: boolean | undefined;
}

function chosenParts(flags: PartFlags, only: string): Part[] {
  const parts: Part[] = [];
  if (only !== '') parts.push('load');
  if (flags['stalled-shard']) parts.push('stalled-shard');
  if (flags.sessions) parts.push('sessions');
  if (flags.memory) parts.push('memory');
  if (flags.micro) parts.push('micro');
  if (flags.failover) parts.push('failover');
  if (flags.reads) parts.push('reads');
  if (flags.scaling) parts.push('scaling');
  return parts.length > 0 ? parts : ['load', 'stalled-shard', 'sessions'];
}

function numberIn(
  option: string,
  text: string | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw new RangeError(`${option} takes a number from ${min} to ${max}, not "${text}"`);
  }
  if (option !== '--seconds' && !Number.isInteger(value)) {
    throw new RangeError(`${option} takes a whole number, not "${text}"`);
  }
  return value;
}
