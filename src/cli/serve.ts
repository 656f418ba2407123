/**
 * `slotgate serve`: the proxy in front of an existing cluster, until a signal stops it. Others make
 * it read its configuration anew or replace its processes.
 */
import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { environmentName, fieldAt } from '../config/fields.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import { CONFIG_FIELDS, type Config, workerCountOf } from '../config/schema.ts';
import type { FlagSetting } from '../config/text-source.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import type { Running } from '../lib/running.ts';
import { serverTitle } from '../process/child-life.ts';
import type { SteeredRunning } from '../process/steering.ts';
import { addSetOption, loadChecked, settingsOf } from './checked-config.ts';
import { type CliContext, configFileOf } from './context.ts';

/** How much later than its children a process may hear of a signal to their group. */
const OWN_SIGNAL_MS = 200;

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
A second signal stops at once (exit 143 or 130). A configuration or start that fails: exit 1.
SIGHUP reads the configuration again, from the same file, environment and flags: what may change
takes effect, the log names what needs a restart; one with a mistake changes nothing.
SIGUSR2 replaces the workers one by one and then control, by the program that is on disk now: no
connection is refused (workers: 2 or more).`;

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
  addSetOption(command)
    .addHelpText('after', HELP_AFTER)
    .action(async (given: Readonly<Record<string, unknown>>) => {
      const flags = options.flatMap(({ option, path }): FlagSetting[] => {
        const value = given[option.attributeName()];
        return typeof value === 'string'
          ? [{ flag: option.long ?? option.flags, path, value }]
          : [];
      });
      const all = [...flags, ...settingsOf(given)];
      context.finish(await serve(context, configFileOf(given, context), all), { isFinal: true });
    });
}

async function serve(
  context: CliContext,
  file: string | undefined,
  flags: readonly FlagSetting[],
): Promise<number> {
  const load = (): LoadedConfig =>
    loadChecked({ env: context.env, flags, ...(file === undefined ? {} : { file }) });
  const loaded = load();
  const log = createLogger(loaded.config.log);
  for (const warning of loaded.warnings) log.warn(warning);
  return runServer(loaded.config, {
    log,
    ...(file === undefined ? {} : { configFile: file }),
    load,
    onReady: ({ endpoint, httpUrl }) => log.info({ endpoint, http: httpUrl }, 'listening'),
  });
}

export type StartServer = (
  config: Config,
  options: {
    readonly log: Logger;
    readonly configFile?: string;
    /** Aborted when a signal comes: a start under way may then reject with whatever. */
    readonly stop?: AbortSignal;
  },
) => Promise<SteeredRunning>;

export interface RunOptions {
  readonly log: Logger;
  readonly configFile?: string;
  /** Hears of the server once it accepts clients, e.g. to print a banner. */
  readonly onReady?: (running: Running) => void;
  /** Reads the configuration anew, for SIGHUP; without it that signal is not heard. */
  readonly load?: () => LoadedConfig;
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
  const wheel = new Wheel(options, signals);
  try {
    const running = await start(config, {
      log,
      ...(configFile === undefined ? {} : { configFile }),
      stop: stop.signal,
    }).catch(async (error: unknown) => {
      // A signal to the whole group may have ended a child before it has reached us.
      if (!stop.signal.aborted) await Promise.race([stop.requested, setTimeout(OWN_SIGNAL_MS)]);
      if (!stop.signal.aborted) throw error;
      log.debug({ err: error }, 'stopped while it was being started');
      return null;
    });
    if (running === null) {
      log.info('stopped');
      return 0;
    }
    if (!stop.signal.aborted) {
      options.onReady?.(running);
      wheel.take(running);
      await Promise.race([stop.requested, running.done]);
    }
    await running.close();
    // What went wrong while draining is not to end as a success.
    await running.done;
    log.info('stopped');
    return 0;
  } finally {
    wheel.dispose();
    stop.dispose();
  }
}

async function startMain(...args: Parameters<StartServer>): Promise<SteeredRunning> {
  process.title = serverTitle(workerCountOf(args[0]));
  const { startServer } = await import('../main.ts');
  return startServer(...args);
}

/** The first signal asks for a stop, also while the start is under way; the second does not ask. */
function awaitStop(
  signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>,
  log: Logger,
  exit: (code: number) => void,
): { readonly requested: Promise<void>; readonly signal: AbortSignal; dispose(): void } {
  const asked = new AbortController();
  let onSignal: (signal: 'SIGINT' | 'SIGTERM') => void = () => {};
  const requested = new Promise<void>((resolve) => {
    let isStopping = false;
    onSignal = (signal) => {
      if (isStopping) {
        exit(128 + constants.signals[signal]);
        return;
      }
      isStopping = true;
      asked.abort();
      log.info({ signal }, 'stopping: answering what is in flight (a second signal stops at once)');
      resolve();
    };
  });
  signals.on('SIGINT', onSignal);
  signals.on('SIGTERM', onSignal);
  return {
    requested,
    signal: asked.signal,
    dispose() {
      signals.off('SIGINT', onSignal);
      signals.off('SIGTERM', onSignal);
    },
  };
}

/** SIGHUP and SIGUSR2; those that come during the start take effect after it. */
class Wheel {
  readonly #log: Logger;
  readonly #load: (() => LoadedConfig) | undefined;
  readonly #signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  #running: SteeredRunning | null = null;
  #early: (() => void)[] = [];

  constructor({ log, load }: RunOptions, signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>) {
    this.#log = log;
    this.#load = load;
    this.#signals = signals;
    if (load !== undefined) signals.on('SIGHUP', this.#onReload);
    signals.on('SIGUSR2', this.#onRoll);
  }

  take(running: SteeredRunning): void {
    this.#running = running;
    for (const again of this.#early.splice(0)) again();
  }

  dispose(): void {
    this.#signals.off('SIGHUP', this.#onReload);
    this.#signals.off('SIGUSR2', this.#onRoll);
  }

  readonly #onReload = (): void => {
    if (this.#running === null) {
      this.#early.push(this.#onReload);
      return;
    }
    const loaded = this.#read();
    if (loaded !== undefined) this.#running.reload?.(loaded.config);
  };

  /** Undefined, and told in the log, when something is wrong with it. */
  #read(): LoadedConfig | undefined {
    try {
      const loaded = this.#load?.();
      for (const warning of loaded?.warnings ?? []) this.#log.warn(warning);
      return loaded;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const { where, message } of error.problems) {
        this.#log.error({ where }, `the configuration stays as it was: ${message}`);
      }
      return undefined;
    }
  }

  readonly #onRoll = (): void => {
    if (this.#running === null) this.#early.push(this.#onRoll);
    else this.#running.roll?.();
  };
}

function describeField(path: string): string {
  const keys = path.split('.');
  const field = fieldAt(CONFIG_FIELDS, keys);
  if (field === undefined) throw new Error(`no such setting: ${path}`);
  return `${field.description} Default ${String(field.initial)} (${environmentName(keys)})`;
}
