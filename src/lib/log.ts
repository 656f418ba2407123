/**
 * Logging: JSON lines for machines, short coloured lines for a person at a terminal. Secrets are
 * taken out here, once, so that no caller has to remember; level changes reach child loggers too.
 */
import pino, { type DestinationStream, type Level, type LevelWithSilent } from 'pino';
import { formatLogLine } from './log-pretty.ts';

export type Logger = pino.Logger;
export type LogLevel = LevelWithSilent;
export type LogFormat = 'auto' | 'json' | 'pretty';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Fields on every line, e.g. `{ role: 'worker', worker: 2 }`; the process id by default. */
  readonly base?: Readonly<Record<string, unknown>>;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
  /** Whether the output is a terminal: decides `auto` and colour. */
  readonly isTerminal?: boolean;
}

const CENSORED = '[redacted]';
const SECRET_NAMES = ['password', 'requirepass', 'masterauth', 'secret', 'token', 'authorization'];
/**
 * ioredis hangs the failed command with its arguments on errors, AUTH's password among them; the
 * error serializer below drops that, this covers a command logged by itself.
 */
const REDACTED_PATHS = [
  ...SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
  'command.args',
  '*.command.args',
];

/** Output is bounded: a stuck terminal or pipe loses lines instead of growing the process. */
const PENDING_OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** Children of each root logger: pino gives a child its own level, which the root's does not move. */
const childrenOf = new WeakMap<Logger, Set<WeakRef<Logger>>>();

export function createLogger(options: LogOptions): Logger {
  const children = new Set<WeakRef<Logger>>();
  const isTerminal = options.isTerminal ?? process.stdout.isTTY === true;
  const logger: Logger = pino(
    {
      level: options.level,
      base: { ...(options.base ?? { pid: process.pid }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, error: serializeError },
      redact: { paths: REDACTED_PATHS, censor: CENSORED },
      onChild: (child) => remember(children, child as Logger),
    },
    openDestination(options, isTerminal),
  );
  childrenOf.set(logger, children);
  return logger;
}

/** Changes the level of a logger made by {@link createLogger} and of every child made from it. */
export function setLogLevel(logger: Logger, level: LogLevel): void {
  logger.level = level;
  for (const child of childrenOf.get(logger) ?? []) {
    const alive = child.deref();
    if (alive !== undefined) alive.level = level;
  }
}

/** A logger that says nothing, for tests and for callers that have none. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' }, { write: () => {} });
}

/**
 * Logs a standing reason at most once per `everyMs` and key; the next line that gets through says
 * how many were left out. `now` is monotonic milliseconds.
 */
export type LogRarely = (
  key: string,
  everyMs: number,
  line: { level: Level; message: string; fields?: Readonly<Record<string, unknown>> },
) => void;

/** Keys can hold node addresses: beyond this many the oldest is forgotten. */
const RARE_KEYS_MAX = 1024;

export function createLogRarely(logger: Logger, now: () => number): LogRarely {
  const seen = new Map<string, { loggedAt: number; left: number }>();
  return (key, everyMs, line) => {
    const at = now();
    const earlier = seen.get(key);
    if (earlier !== undefined && at - earlier.loggedAt < everyMs) {
      earlier.left++;
      return;
    }
    seen.delete(key);
    seen.set(key, { loggedAt: at, left: 0 });
    if (seen.size > RARE_KEYS_MAX) seen.delete(seen.keys().next().value as string);
    const left = earlier?.left ?? 0;
    logger[line.level](
      left > 0 ? { ...line.fields, suppressed: left } : { ...line.fields },
      line.message,
    );
  };
}

function openDestination(options: LogOptions, isTerminal: boolean): DestinationStream {
  const out =
    options.destination ??
    pino.destination({ fd: 1, sync: false, maxLength: PENDING_OUTPUT_BYTES_MAX });
  const pretty = options.format === 'pretty' || (options.format === 'auto' && isTerminal);
  if (!pretty) return out;
  const color = isTerminal && (process.env.NO_COLOR ?? '') === '';
  return { write: (line) => out.write(formatLogLine(line, { color })) };
}

function remember(children: Set<WeakRef<Logger>>, child: Logger): void {
  for (const ref of children) if (ref.deref() === undefined) children.delete(ref);
  children.add(new WeakRef(child));
}

/** Only known fields: what libraries hang on their errors may hold secrets. */
function serializeError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { code, source } = thrown as Error & { code?: unknown; source?: unknown };
  return {
    type: thrown.name,
    message: thrown.message,
    ...(code === undefined ? {} : { code }),
    ...(source === undefined ? {} : { source }),
    stack: thrown.stack,
    ...(thrown.cause === undefined ? {} : { cause: serializeError(thrown.cause) }),
  };
}
