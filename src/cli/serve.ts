/** `slotgate serve`: the proxy in front of an existing cluster, until a signal stops it. */
import { constants } from 'node:os';
import { type Command, Option } from 'commander';
import { environmentName, fieldAt } from '../config/fields.ts';
import { loadConfig } from '../config/load.ts';
import { CONFIG_FIELDS, type Config } from '../config/schema.ts';
import type { FlagSetting } from '../config/text-source.ts';
import { ProxyError } from '../lib/errors.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import { type CliContext, configFileOf } from './context.ts';

/** Flags for what is often changed; `--set` reaches every other setting. No flag takes a secret. */
const FLAGS: readonly { readonly flags: string; readonly path: string }[] = [
  { flags: '-p, --port <port>', path: 'port' },
  { flags: '--bind <addresses>', path: 'bind' },
  { flags: '--http-port <port>', path: 'http.port' },
  { flags: '--http-bind <address>', path: 'http.bind' },
  { flags: '--workers <count>', path: 'workers' },
  { flags: '--seeds <host:port,...>', path: 'cluster.seeds' },
  { flags: '--log-level <level>', path: 'log.level' },
  { flags: '--log-format <format>', path: 'log.format' },
];

const HELP_AFTER = `
Flags win over the environment (SLOTGATE_PORT, SLOTGATE_CLUSTER__SEEDS, …), the environment over the
file, the file over the defaults. Secrets come from the file or the environment, where
SLOTGATE_REQUIREPASS_FILE and SLOTGATE_CLUSTER__PASSWORD_FILE name a file that holds the secret.

Examples:
  slotgate serve -c slotgate.yaml
  slotgate serve --seeds 10.0.0.1:7000,10.0.0.2:7000 --bind 0.0.0.0 --workers 4
  SLOTGATE_REQUIREPASS_FILE=/run/secrets/redis slotgate serve -c slotgate.yaml
  slotgate serve -c slotgate.yaml --set limits.maxBulkBytes=64mb --set hold.timeoutMs=25s

SIGTERM and SIGINT drain: no new connections, what is in flight is answered, then exit 0.
A second signal stops at once (exit 143 or 130). A configuration or start that fails: exit 1.`;

export function registerServe(program: Command, context: CliContext): void {
  const command = program
    .command('serve')
    .summary('run the proxy in front of a Redis Cluster')
    .description('Runs the proxy in front of an existing Redis Cluster, in the foreground.')
    .option('-c, --config <file>', 'YAML file with the configuration (SLOTGATE_CONFIG)');
  const options = FLAGS.map(({ flags, path }) => {
    const option = new Option(flags, describeField(path));
    command.addOption(option);
    return { option, path };
  });
  command
    .option('--set <key=value>', 'any setting by its name in the file; may be repeated', collect)
    .addHelpText('after', HELP_AFTER)
    .action(async (given: Readonly<Record<string, unknown>>) => {
      const flags = options.flatMap(({ option, path }): FlagSetting[] => {
        const value = given[option.attributeName()];
        return typeof value === 'string'
          ? [{ flag: option.long ?? option.flags, path, value }]
          : [];
      });
      const settings = ((given.set ?? []) as readonly string[]).map(parseSetting);
      context.finish(await serve(context, configFileOf(given, context), [...flags, ...settings]), {
        isFinal: true,
      });
    });
}

async function serve(
  context: CliContext,
  file: string | undefined,
  flags: readonly FlagSetting[],
): Promise<number> {
  const loaded = loadConfig({ env: context.env, flags, ...(file === undefined ? {} : { file }) });
  const log = createLogger(loaded.config.log);
  for (const warning of loaded.warnings) log.warn(warning);
  return runServer(loaded.config, {
    log,
    ...(file === undefined ? {} : { configFile: file }),
    onReady: ({ endpoint, httpUrl }) => log.info({ endpoint, http: httpUrl }, 'listening'),
  });
}

export type StartServer = (
  config: Config,
  options: { readonly log: Logger; readonly configFile?: string },
) => Promise<Running>;

export interface RunOptions {
  readonly log: Logger;
  readonly configFile?: string;
  /** Hears of the server once it accepts clients, e.g. to print a banner. */
  readonly onReady?: (running: Running) => void;
  /** By default slotgate itself, the process' signals and its exit. */
  readonly start?: StartServer;
  readonly signals?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  readonly exit?: (code: number) => void;
}

/**
 * Runs a server until a signal or its own end; resolves to the exit code.
 * @throws ProxyError when it cannot start or cannot go on
 */
export async function runServer(config: Config, options: RunOptions): Promise<number> {
  const { log, configFile, signals = process, exit = process.exit } = options;
  const start = options.start ?? startMain;
  const stop = awaitStop(signals, log, exit);
  try {
    const running = await start(config, {
      log,
      ...(configFile === undefined ? {} : { configFile }),
    });
    options.onReady?.(running);
    await Promise.race([stop.requested, running.done]);
    await running.close();
    // What went wrong while draining is not to end as a success.
    await running.done;
    return 0;
  } finally {
    stop.dispose();
  }
}

async function startMain(...args: Parameters<StartServer>): Promise<Running> {
  const { startServer } = await import('../main.ts');
  return startServer(...args);
}

/** The first signal asks for a stop, also while the start is under way; the second does not ask. */
function awaitStop(
  signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>,
  log: Logger,
  exit: (code: number) => void,
): { readonly requested: Promise<void>; dispose(): void } {
  let onSignal: (signal: 'SIGINT' | 'SIGTERM') => void = () => {};
  const requested = new Promise<void>((resolve) => {
    let isStopping = false;
    onSignal = (signal) => {
      if (isStopping) {
        exit(128 + constants.signals[signal]);
        return;
      }
      isStopping = true;
      log.info({ signal }, 'stopping: answering what is in flight (a second signal stops at once)');
      resolve();
    };
  });
  signals.on('SIGINT', onSignal);
  signals.on('SIGTERM', onSignal);
  return {
    requested,
    dispose() {
      signals.off('SIGINT', onSignal);
      signals.off('SIGTERM', onSignal);
    },
  };
}

function describeField(path: string): string {
  const keys = path.split('.');
  const field = fieldAt(CONFIG_FIELDS, keys);
  if (field === undefined) throw new Error(`no such setting: ${path}`);
  return `${field.description} Default ${String(field.initial)} (${environmentName(keys)})`;
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

function parseSetting(text: string): FlagSetting {
  const [path = '', ...value] = text.split('=');
  if (path === '' || value.length === 0) {
    const given = JSON.stringify(text);
    throw new ProxyError('usage', `--set ${given} is not allowed; allowed: key=value`, {
      source: 'config',
    });
  }
  return { flag: `--set ${path}`, path, value: value.join('=') };
}
