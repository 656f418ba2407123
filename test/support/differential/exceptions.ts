/**
 * All that a client may see different through slotgate and at a single server: every other reply must
 * be the same bytes. Also the data commands that the run does not send at all. The run checks both
 * lists against the command table: an exception by COMMAND's tips must be one, and what is neither
 * exercised nor listed fails.
 */
import type { KindName } from '../../../src/commands/verdicts.ts';
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
  readonly when?: (args: readonly string[]) => boolean;
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
    compare: 'noError',
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
    commands: 'scan',
    compare: 'noError',
    tip: 'nondeterministic_output',
    reason: 'cursors are ids of slotgate; the end of the run scans everything',
    when: (args) => !has(args, 'MATCH'),
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
    compare: 'length',
    tip: 'nondeterministic_output',
    reason: 'the order of hash tables and the times inside streams are in the payload',
  },
  {
    commands: 'memory|usage',
    compare: 'noError',
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
];

/** Which exception applies to this request, if any. */
export function exceptionFor(name: string, args: readonly string[]): Exception | undefined {
  return BY_NAME.get(name)?.find(({ when }) => when === undefined || when(args));
}

const BY_NAME = new Map<string, Exception[]>();
for (const exception of EXCEPTIONS) {
  for (const name of exception.commands.split(' ')) {
    BY_NAME.set(name, [...(BY_NAME.get(name) ?? []), exception]);
  }
}

/** Whole kinds of commands that are no data commands. */
export const KINDS_LEFT_OUT: Readonly<Partial<Record<KindName, string>>> = {
  local: 'answered by slotgate about itself or the connection; its own tests compare those',
  refused: 'not available through slotgate, on purpose',
  later: 'refused by this version with an error that says so',
  block: 'waits: scripts of several sessions compare these',
  transaction: 'state of a session: scripts of several sessions compare these',
  pubsub: 'concerns several sessions: scripts of several sessions compare these',
  flow: 'takes several steps, its own tests compare it',
  container: 'no command by itself: its subcommands are',
};

/** Data commands that the run leaves out. */
export const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  ['move', 'a cluster has one database: its nodes refuse what a single server does'],
  ['cluster|help', 'a server that is no cluster node has no CLUSTER command'],
  ...['delete', 'dump', 'flush', 'list', 'load', 'restore'].map((sub): [string, string] => [
    `function|${sub}`,
    'about libraries, not data: its own tests compare it',
  ]),
]);

/** Forms of commands, left out for the same kind of reason: no maker makes them. */
export const FORMS_LEFT_OUT: readonly (readonly [form: string, reason: string])[] = [
  ['SORT … BY pattern, SORT … GET', 'cluster nodes refuse them'],
  ['COPY … DB n', 'a cluster has one database'],
  ['XREAD … BLOCK, XREADGROUP … BLOCK', 'refused by this version with an error that says so'],
  ['EVAL with keys not named in KEYS', 'Redis Cluster forbids it'],
  ['keys of several slots, but for MGET MSET DEL UNLINK EXISTS TOUCH', 'refused with CROSSSLOT'],
  ['BYLEX, ZLEXCOUNT … where scores differ', 'undefined: depends on levels drawn for a skip list'],
  ['numbers beyond the range of a double', 'a later SORT of numbers then fails: a stale errno'],
  ['SCAN with a cursor that no SCAN gave', 'it begins anew'],
  ['COMMAND GETKEYS with one word', 'its least number of words differs between server versions'],
  ['KEYS and SCAN over other connections’ keys', 'no defined order; the end of the run does it'],
];
