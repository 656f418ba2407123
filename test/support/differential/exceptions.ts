/**
 * All that a client may see different through slotgate and at a single server where both were asked:
 * every other reply must be the same bytes. The run checks the list against the command table: an
 * exception by COMMAND's tips must be one; and it counts how often each was needed.
 */
import type { Comparison } from './compare.ts';

export type Tip = 'nondeterministic_output' | 'nondeterministic_output_order';

export interface Exception {
  /** Names as in the command table, with blanks between. */
  readonly commands: string;
  readonly compare: Comparison;
  /** The tip of COMMAND that says so; null where servers keep silent about it. */
  readonly tip: Tip | null;
  readonly reason: string;
  /** Only for these arguments (behind the name, latin1); by default for all. */
  readonly when?: (args: readonly string[], isInMulti: boolean) => boolean;
  /** Commands that make both sides equal again where the chance was in the effect. */
  readonly settle?: (args: readonly string[]) => readonly (readonly string[])[];
}

const dropKey = (args: readonly string[]): readonly (readonly string[])[] => [
  ['DEL', args[0] as string],
];

function has(args: readonly string[], word: string): boolean {
  return args.some((arg) => arg.toUpperCase() === word);
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    commands: 'smembers sdiff sinter sunion hkeys hvals keys',
    compare: 'elements',
    tip: 'nondeterministic_output_order',
    reason: 'in the order of a hash table, whose seed each server draws at its start',
  },
  {
    commands: 'hgetall',
    compare: 'pairs',
    tip: 'nondeterministic_output_order',
    reason: 'in the order of a hash table, whose seed each server draws at its start',
  },
  {
    commands: 'sort sort_ro',
    compare: 'elements',
    tip: null,
    reason: '"BY nosort" leaves a set in the order of its hash table',
    when: (args) => has(args, 'BY') && !has(args, 'STORE'),
  },
  {
    commands: 'sort sort_ro',
    compare: 'elements',
    tip: null,
    reason:
      'ALPHA compares up to a NUL byte: equal elements of a set stay as its hash table has them',
    when: (args) => has(args, 'ALPHA') && !has(args, 'STORE'),
  },
  {
    commands: 'spop',
    compare: 'shape',
    tip: 'nondeterministic_output',
    reason: 'random members',
    settle: dropKey,
  },
  {
    commands: 'srandmember hrandfield zrandmember',
    compare: 'shape',
    tip: 'nondeterministic_output',
    reason: 'random members',
  },
  {
    commands: 'randomkey',
    compare: 'type',
    tip: 'nondeterministic_output',
    reason: 'a random key, at a moment when other connections add and remove keys',
  },
  {
    commands: 'dbsize',
    compare: 'shape',
    tip: null,
    reason: 'other connections add and remove keys meanwhile; exact at the end of the run',
  },
  {
    commands: 'scan sscan hscan zscan',
    compare: 'type',
    tip: 'nondeterministic_output',
    reason: 'a part, by a cursor of its own; the end of the run scans everything',
    when: (args) => !args.includes('1000000'),
  },
  {
    commands: 'scan',
    compare: 'type',
    tip: 'nondeterministic_output',
    reason: 'TYPE none names keys that expired a moment ago, by chance',
    when: (args) => has(args, 'NONE'),
  },
  {
    commands: 'scan sscan',
    compare: 'scan',
    tip: 'nondeterministic_output',
    reason: 'in the order of a hash table; COUNT is large enough for one call to bring everything',
  },
  {
    commands: 'hscan zscan',
    compare: 'scanPairs',
    tip: 'nondeterministic_output',
    reason: 'in the order of a hash table; COUNT is large enough for one call to bring everything',
  },
  { commands: 'time', compare: 'shape', tip: 'nondeterministic_output', reason: 'the time' },
  {
    commands: 'ttl',
    compare: 'seconds',
    tip: 'nondeterministic_output',
    reason: 'the two servers are asked at slightly different times',
  },
  {
    commands: 'pttl',
    compare: 'milliseconds',
    tip: 'nondeterministic_output',
    reason: 'the two servers are asked at slightly different times',
  },
  {
    commands: 'object|idletime',
    compare: 'shape',
    tip: 'nondeterministic_output',
    reason: 'small integers are one object for all keys of a server that hold them',
  },
  {
    commands: 'expiretime',
    compare: 'seconds',
    tip: null,
    reason: 'deadlines set relative to now were set at slightly different times',
  },
  {
    commands: 'pexpiretime',
    compare: 'milliseconds',
    tip: null,
    reason: 'deadlines set relative to now were set at slightly different times',
  },
  {
    commands: 'dump',
    compare: 'payload',
    tip: 'nondeterministic_output',
    reason: 'the order of hash tables and the times inside streams are in the payload',
  },
  {
    commands: 'memory|usage',
    compare: 'type',
    tip: null,
    reason:
      'cluster nodes keep a few bytes more with each key; and it still sees a key whose deadline ' +
      'has passed, until the server happens to remove it',
  },
  {
    commands: 'xadd',
    compare: 'shape',
    tip: 'nondeterministic_output',
    reason: 'an automatic id holds the time',
    when: (args) => args.includes('*'),
    settle: dropKey,
  },
  {
    commands: 'xpending xinfo|consumers',
    compare: 'times',
    tip: 'nondeterministic_output',
    reason: 'idle times',
  },
  {
    commands: 'xinfo|stream',
    compare: 'times',
    tip: null,
    reason: 'FULL tells when entries were delivered and consumers seen',
    when: (args) => has(args, 'FULL'),
  },
  // ------------------------------------------------------------- about servers and connections
  {
    commands: 'info lolwut client|list client|info command|docs latency|histogram latency|doctor',
    compare: 'type',
    tip: null,
    reason: 'about slotgate itself, or about all nodes',
  },
  {
    commands: 'memory|stats memory|doctor memory|malloc-stats slowlog|get latency|latest',
    compare: 'type',
    tip: null,
    reason: 'of all nodes',
  },
  {
    commands: 'config|get hello function|stats',
    compare: 'type',
    tip: null,
    reason: 'settings, name, version and ids of slotgate',
  },
  {
    commands: 'client|id slowlog|len lastsave role acl|genpass pubsub|numpat latency|reset',
    compare: 'shape',
    tip: null,
    reason: 'a number or word of slotgate’s own',
  },
  {
    commands: 'command|list acl|cat',
    compare: 'offered',
    tip: null,
    reason: 'slotgate lists what it offers: commands of newer servers, PROXY and SENTINEL, too',
  },
  {
    commands: 'command|info function|list',
    compare: 'anyOrder',
    tip: null,
    reason: 'subcommands, libraries and functions in the order of hash tables',
  },
  {
    commands: 'command command|count',
    compare: 'type',
    tip: null,
    reason: 'slotgate knows commands of newer servers, and PROXY and SENTINEL',
  },
  {
    commands: 'pubsub|channels pubsub|shardchannels',
    compare: 'elements',
    tip: null,
    reason: 'in the order of a hash table',
  },
  {
    commands: 'function|dump',
    compare: 'type',
    tip: null,
    reason: 'holds the other connections’ libraries as they are just then',
  },
  {
    commands: 'zrank zrevrank',
    compare: 'lateError',
    tip: null,
    reason:
      'newer servers take more or fewer arguments: the node says so, in MULTI as EXEC’s error',
  },
  {
    commands: 'publish spublish',
    compare: 'shape',
    tip: null,
    reason: 'in a transaction the home counts its own connections, slotgate’s among them',
    when: (_, isInMulti) => isInMulti,
  },
  {
    commands: 'unsubscribe punsubscribe sunsubscribe',
    compare: 'confirmations',
    tip: null,
    reason: 'without arguments in the order of subscription; a server’s is that of a hash table',
    when: (args) => args.length === 0,
  },
];

/** Which exception applies to this request, if any. */
export function exceptionFor(
  name: string,
  args: readonly string[],
  isInMulti: boolean,
): Exception | undefined {
  return BY_NAME.get(name)?.find(({ when }) => when === undefined || when(args, isInMulti));
}

const BY_NAME = new Map<string, Exception[]>();
for (const exception of EXCEPTIONS) {
  for (const name of exception.commands.split(' ')) {
    BY_NAME.set(name, [...(BY_NAME.get(name) ?? []), exception]);
  }
}

/** Commands that are followed by what makes both sides equal again. */
export const SETTLED: ReadonlySet<string> = new Set(
  EXCEPTIONS.flatMap(({ commands, settle }) => (settle === undefined ? [] : commands.split(' '))),
);

/** Forms of commands that are never sent, since no answer to them is defined. */
export const FORMS_LEFT_OUT: readonly (readonly [form: string, reason: string])[] = [
  ['EVAL with keys not named in KEYS', 'Redis Cluster forbids it'],
  ['BYLEX, ZLEXCOUNT … where scores differ', 'undefined: depends on levels drawn for a skip list'],
  ['numbers beyond the range of a double', 'a later SORT of numbers then fails: a stale errno'],
  ['deadlines within the time of a run', 'the two servers would not pass them at one moment'],
  ['KEYS and SCAN over other connections’ keys', 'no defined order; the end of the run does it'],
  ['SRANDMEMBER key -9223372036854775807 and kin', 'asks a server for as many elements'],
  ['COMMAND GETKEYS of what its command would refuse', 'servers differ in what they find'],
  ['PUBLISH in MULTI by a subscriber', 'up to 7.0.15 its message stands within EXEC’s array'],
  ['PUBLISH, then SUBSCRIBE, UNSUBSCRIBE or RESET in one pipeline', 'the message may come late'],
  ['CLIENT KILL, PAUSE, CONFIG SET that others feel', 'one client’s would be all clients’'],
];
