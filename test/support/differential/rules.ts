/**
 * What slotgate does by its own documented rules and not as one Redis does. Such commands are never
 * sent to the single server, so that what is refused must have had no effect here either: what both
 * sides hold is compared all the time. Other refusals depend on slots; see {@link isRefusal}.
 */
import { BUILTIN } from '../../../src/commands/builtin.ts';
import { VERDICTS } from '../../../src/commands/verdicts.ts';
import type { Request } from './request.ts';
import { argumentsOf } from './request.ts';

export interface Rule {
  readonly commands: string;
  /** What the reply's first bytes must be, latin1. */
  readonly answer: RegExp;
  readonly reason: string;
  /** Only for these arguments; by default for all. */
  readonly when?: (args: readonly string[]) => boolean;
}

function has(args: readonly string[], word: string, from = 1): boolean {
  return args.slice(from).some((arg) => arg.toUpperCase() === word);
}

const NO_ERROR = '[^-]';

export const RULES: readonly Rule[] = [
  {
    commands: 'asking readonly readwrite',
    answer: /^\+OK\r\n/,
    reason: 'for clients made for a cluster; a server that is none refuses them',
  },
  {
    commands:
      'cluster|info cluster|links cluster|myid cluster|nodes cluster|shards cluster|slots cluster|keyslot cluster|help',
    answer: new RegExp(`^${NO_ERROR}`),
    reason: 'slotgate shows itself as one node of a cluster; a server that is none has no CLUSTER',
  },
  {
    commands: 'cluster|replicas cluster|slaves cluster|count-failure-reports',
    answer: new RegExp(`^(${NO_ERROR}|-ERR Unknown node )`),
    reason: 'slotgate shows itself as one node of a cluster; a server that is none has no CLUSTER',
  },
  {
    commands: 'cluster|countkeysinslot cluster|getkeysinslot',
    answer: new RegExp(
      `^(${NO_ERROR}|-ERR Invalid slot|-ERR value is not an integer or out of range)`,
    ),
    reason: 'of the slot’s owner; a server that is no cluster node has no CLUSTER',
  },
  {
    commands: 'select',
    answer: /^-ERR DB index is out of range/,
    reason: 'a cluster has one database',
    when: ([index = '', ...rest]) => rest.length === 0 && /^-?[1-9]\d{0,8}$/.test(index),
  },
  {
    commands: 'move',
    answer: /^-ERR MOVE is not allowed in cluster mode\r\n/,
    reason: 'a cluster has one database: its nodes refuse it',
  },
  {
    commands: 'copy',
    answer:
      /^-ERR (Copying to another database is not allowed in cluster mode|syntax error|value is not an integer|DB index is out of range|invalid DB index|source and destination objects are the same)/,
    reason: 'a cluster has one database: its nodes refuse another',
    when: (args) => args.some((arg, i) => i > 1 && /^db$/i.test(arg) && args[i + 1] !== '0'),
  },
  {
    commands: 'sort sort_ro',
    answer:
      /^-ERR (BY|GET) option of SORT denied in Cluster mode\.\r\n|^-ERR (syntax error|value is not an integer)/,
    reason: 'patterns may name keys of any slot: cluster nodes refuse them',
    when: (args) =>
      has(args, 'GET') || args.some((arg, i) => /^by$/i.test(arg) && /\*/.test(args[i + 1] ?? '')),
  },
  {
    commands: 'config|set',
    answer: /^(\+OK|-ERR )/,
    reason: 'about the settings of slotgate, in words of its own',
    when: ([name = '', value]) => name.toLowerCase() !== 'timeout' || value !== '0',
  },
  {
    commands: 'client|tracking',
    answer: /^-ERR (client-side caching is not available through slotgate|syntax error)/,
    reason: 'client-side caching is refused',
    when: ([mode = '', ...rest]) => mode.toUpperCase() !== 'OFF' || rest.length > 0,
  },
  {
    commands: 'client|caching',
    answer: /^-ERR (client-side caching is not available through slotgate|syntax error)/,
    reason: 'client-side caching is refused',
  },
];

const ROWS = new Map(BUILTIN.flatMap((row) => [row, ...row[9]]).map((row) => [row[0], row[1]]));
const BY_NAME = new Map<string, Rule[]>();
for (const rule of RULES) {
  for (const name of rule.commands.split(' ')) {
    BY_NAME.set(name, [...(BY_NAME.get(name) ?? []), rule]);
  }
}
/** Those that slotgate refuses by name: one rule each. */
for (const [name, { outside }] of VERDICTS) {
  if (outside === 'refused' && ROWS.has(name)) {
    const shown = name.replace('|', ' ').toUpperCase();
    BY_NAME.set(name, [
      {
        commands: name,
        answer: new RegExp(
          `^-ERR ('${shown}' is not available through slotgate|wrong number of arguments for '${name.replace('|', '\\|')}' command)\\r\\n`,
        ),
        reason: 'not available through slotgate, on purpose',
      },
    ]);
  }
}

/** Which rule applies to this request, if any. With a wrong number of
 * arguments only the refusals by name do. */
export function ruleFor(name: string, args: readonly string[]): Rule | undefined {
  const rules = BY_NAME.get(name);
  if (rules === undefined) return undefined;
  if (VERDICTS.get(name)?.outside !== 'refused' && !hasArity(name, args.length)) return undefined;
  return rules.find(({ when }) => when === undefined || when(args));
}

function hasArity(name: string, args: number): boolean {
  const arity = ROWS.get(name) ?? 0;
  const words = args + name.split('|').length;
  return arity > 0 ? words === arity : words >= -arity;
}

/** Looking at arguments is only worth it where some rule may apply. */
export function mayHaveRule(name: string): boolean {
  return BY_NAME.has(name);
}

/** Did slotgate answer by the rule? `reply` is the whole reply, latin1. */
export function isByRule(request: Request, reply: string): boolean {
  const rule = ruleFor(request.name, argumentsOf(request));
  return rule?.answer.test(reply) === true;
}

export type Refusal = 'slots' | 'transaction';

const CROSSSLOT = /^-CROSSSLOT .*\(.*use \{hash tags\}.*\)\r\n/;

/** Words by which slotgate refuses what one Redis would do; null for anything else. */
export function isRefusal(name: string, reply: string, isInMulti: boolean): Refusal | null {
  if (CROSSSLOT.test(reply)) return 'slots';
  if (!isInMulti || !reply.startsWith("-ERR '")) return null;
  const shown = name.replace('|', ' ').toUpperCase();
  const text = `-ERR '${shown}' is not available inside MULTI through slotgate\r\n`;
  return reply === text && VERDICTS.get(name)?.inMulti === 'refuse' ? 'transaction' : null;
}
