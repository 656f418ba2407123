/**
 * The command line as a whole: which subcommands there are, and how their failures become exit
 * codes and lines. Each subcommand is loaded only when it is the one asked for, so that `--version`
 * and `--help` answer at once.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import type { ConfigError } from '../config/problems.ts';
import { errorText, ProxyError } from '../lib/errors.ts';
import { type CliContext, type CliInput, EXIT, type Register } from './context.ts';
import { keptByNpm } from './npm-flags.ts';

export interface CliResult {
  readonly exitCode: number;
  /** True after a server ran: the process is to end even if something still keeps it. */
  readonly isFinal: boolean;
}

interface Subcommand {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Register>;
}

/** A new subcommand is a file beside this one and an entry here. */
const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'serve',
    summary: 'run the proxy in front of a Redis Cluster',
    load: async () => (await import('./serve.ts')).registerServe,
  },
  {
    name: 'local',
    summary: 'start a Redis Cluster on this machine with the proxy in front',
    load: async () => (await import('./local.ts')).registerLocal,
  },
  {
    name: 'status',
    summary: 'show shards, slots, memory, replicas and the job that moves slots',
    load: async () => (await import('./status.ts')).registerStatus,
  },
  {
    name: 'scale',
    summary: 'change the number of shards and replicas while clients work',
    load: async () => (await import('./scale.ts')).registerScale,
  },
  {
    name: 'rebalance',
    summary: 'share slots, bytes or keys evenly among the shards',
    load: async () => (await import('./rebalance.ts')).registerRebalance,
  },
  {
    name: 'jobs',
    summary: 'list, show, pause, resume or cancel jobs of scale and rebalance',
    load: async () => (await import('./jobs.ts')).registerJobs,
  },
  {
    name: 'failover',
    summary: 'let a replica take over from its primary, without an error',
    load: async () => (await import('./failover.ts')).registerFailover,
  },
  {
    name: 'restart-nodes',
    summary: 'restart or upgrade all nodes, one after another, without an error',
    load: async () => (await import('./restart-nodes.ts')).registerRestartNodes,
  },
  {
    name: 'config',
    summary: 'check a configuration, print the default one or its JSON Schema',
    load: async () => (await import('./config.ts')).registerConfig,
  },
  {
    name: 'commands',
    summary: 'list what happens to each Redis command',
    load: async () => (await import('./commands.ts')).registerCommands,
  },
  {
    name: 'healthcheck',
    summary: 'ask a running slotgate whether it is ready',
    load: async () => (await import('./healthcheck.ts')).registerHealthcheck,
  },
];

const HELP_AFTER = `
Examples:
  slotgate local                                  a Redis Cluster on this machine, to try it out
  slotgate config print-default > slotgate.yaml   a configuration to start from, all explained
  slotgate serve -c slotgate.yaml                 one Redis endpoint in front of that cluster
  slotgate serve --seeds 10.0.0.1:7000            the same, with defaults for the rest
  redis-cli -p 6379 set greeting hello            and any Redis client can use it

Exit codes:
  0 done, or stopped as asked   1 failed (configuration, start, run)   2 wrong usage   3 not healthy
  130, 143 stopped at once by a second SIGINT or SIGTERM; 130 also: Ctrl-C left a job on its own

slotgate help COMMAND explains a command.`;

/** Runs one command line (without "node slotgate") to its end. Never throws, never exits. */
export async function runCli(args: readonly string[], input: CliInput): Promise<CliResult> {
  let result: CliResult = { exitCode: EXIT.ok, isFinal: false };
  const context: CliContext = {
    ...input,
    finish: (exitCode, options) => {
      result = { exitCode, isFinal: options?.isFinal ?? false };
    },
  };
  try {
    const line = withoutHelpWord(args);
    const program = await buildProgram(line, context);
    refuseFlagsOfNpm(program, line, input);
    if (line.length === 0) program.outputHelp();
    else await program.parseAsync([...line], { from: 'user' });
    return result;
  } catch (thrown) {
    return { ...result, exitCode: reportFailure(thrown, input) };
  }
}

/** `help config check` is `config check --help`, so that the command explained is also loaded. */
function withoutHelpWord(args: readonly string[]): readonly string[] {
  if (args[0] !== 'help') return args;
  const isKnown = SUBCOMMANDS.some(({ name }) => name === args[1]);
  // An unknown name goes on without --help, to be refused as any unknown command.
  return isKnown ? [...args.slice(1), '--help'] : args.slice(1);
}

/** @throws ProxyError when `npm start` did not pass flags of `local` on */
function refuseFlagsOfNpm(program: Command, [name, ...args]: readonly string[], input: CliInput) {
  if (name !== 'local') return;
  const options = program.commands.find((command) => command.name() === name)?.options ?? [];
  const flags = options.map(({ long, required }) => ({ long: long ?? '', takesValue: required }));
  const wrong = keptByNpm(flags, args, input.env);
  if (wrong !== '') throw new ProxyError('usage', wrong, { source: 'config' });
}

async function buildProgram(args: readonly string[], context: CliContext): Promise<Command> {
  const program = new Command('slotgate')
    .description('A Redis proxy that makes a whole Redis Cluster look like one Redis.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain')
    .helpCommand('help [command]', 'explain a command')
    .addHelpText('after', HELP_AFTER)
    // Usage errors are put into words once, by reportFailure.
    .configureOutput({ writeOut: context.out, writeErr: () => {} });
  for (const { name, summary, load } of SUBCOMMANDS) {
    if (name === args[0]) (await load())(program, context);
    else program.command(name).summary(summary).description(summary);
  }
  throwUsageErrors(program);
  return program;
}

class UsageError extends Error {
  readonly error: CommanderError;
  readonly command: Command;

  constructor(error: CommanderError, command: Command) {
    super(error.message);
    this.error = error;
    this.command = command;
  }
}

/** In place of commander's own exit; set on each command to learn which one was misused. */
function throwUsageErrors(command: Command): void {
  command.exitOverride((error) => {
    throw error.exitCode === 0 ? error : new UsageError(error, command);
  });
  for (const below of command.commands) throwUsageErrors(below as Command);
}

function reportFailure(thrown: unknown, input: CliInput): number {
  // Help and version were asked for, and printed.
  if (thrown instanceof CommanderError) return thrown.exitCode;
  if (thrown instanceof UsageError) {
    input.err(`${usageLine(thrown)}\n`);
    return EXIT.usage;
  }
  if (thrown instanceof ProxyError && thrown.code !== 'internal') {
    input.err(`slotgate: ${thrown.message}\n`);
    return isUsage(thrown) ? EXIT.usage : EXIT.failure;
  }
  // A defect of ours: only the stack says where.
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  input.err(`slotgate: unexpected error: ${stack ?? errorText(thrown)}\n`);
  return EXIT.failure;
}

/** A bad value after a flag is misuse of the command; one in a file or variable is not. */
function isUsage(error: ProxyError): boolean {
  if (error.code !== 'config-invalid') return error.code === 'usage';
  return (error as ConfigError).problems.every((problem) => problem.from === 'flag');
}

/** What was wrong and what is allowed, in one line. */
function usageLine({ error, command }: UsageError): string {
  const name = fullName(command);
  const meant = meantFile(error.code, command);
  if (meant !== '') return `${name}: did you mean -c ${meant}? (${name} --help explains)`;
  const isHelp = error.code === 'commander.help';
  const wrong = isHelp ? 'a subcommand is missing' : error.message.replace(/^error: /, '');
  const allowed = allowedFor(error.code, command);
  const near = error.message.includes('Did you mean') ? '' : longerOption(error, command);
  const tail = allowed === '' ? '' : `; allowed: ${allowed}`;
  return `${name}: ${wrong.replace(/\s*\n\s*/g, ' ')}${near}${tail} (${name} --help explains)`;
}

/** `--port` where there is only `--http-port`; spelling alone brings commander's own hint. */
function longerOption({ code, message }: CommanderError, command: Command): string {
  if (code !== 'commander.unknownOption') return '';
  const given = /'--([^'=]+)/.exec(message)?.[1];
  const meant = command.options.filter(({ long }) => long?.endsWith(`-${given}`) === true);
  return meant.length === 1 ? ` (Did you mean ${meant[0]?.long}?)` : '';
}

/** `serve slotgate.yaml` for `serve -c slotgate.yaml`; '' where it is not that. */
function meantFile(code: string, command: Command): string {
  const takesFile = command.options.some(({ long }) => long === '--config');
  if (code !== 'commander.excessArguments' || !takesFile) return '';
  return command.args.find((arg) => /\.(ya?ml|json)$/i.test(arg)) ?? '';
}

function allowedFor(code: string, command: Command): string {
  switch (code) {
    case 'commander.unknownOption':
      return [...command.options.map((option) => option.long ?? option.flags), '--help'].join(', ');
    case 'commander.unknownCommand':
    case 'commander.help':
      return command.commands.map((below) => below.name()).join(', ');
    default:
      return '';
  }
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

/** Two folders up both from the sources and from the compiled files. */
function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
