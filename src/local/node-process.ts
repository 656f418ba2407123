/**
 * One embedded redis-server: its folder, its configuration, its process.
 *
 * Every node leads a process group of its own, so a Ctrl-C in the terminal does not reach it before
 * we have drained, and a forked child (saving, rewriting) can be ended together with it. Settings go
 * into a file of mode 0600, never to the command line, where every user could read the password.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProxyError } from '../lib/errors.ts';
import { connectResp, ReplyError, type RespClient } from '../lib/resp-client.ts';
import { localError } from './errors.ts';
import type { Guardian } from './guardian.ts';
import { LOOPBACK } from './ports.ts';
import { type RedisServer, versionAtLeast } from './redis-binary.ts';

export interface NodeSettings {
  readonly server: RedisServer;
  readonly folder: string;
  readonly port: number;
  readonly nodeTimeoutMs: number;
  /** Appends every write to disk, so that a restart brings the data back. */
  readonly persistent: boolean;
  readonly shardMemory?: string | undefined;
  readonly password?: string | undefined;
  readonly extraConfig?: Readonly<Record<string, string>> | undefined;
}

export interface NodeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const LOG_FILE = 'redis.log';
const CONFIG_FILE = 'redis.conf';
/** A node that is loading its data may take as long as it says so; one that says nothing, not. */
const SILENT_LIMIT_MS = 30_000;
const DUMP_FILE = 'dump.rdb';
const READY_POLL_MS = 15;
const ASK_AGAIN_MS = 500;

export class NodeProcess {
  readonly settings: NodeSettings;
  readonly #guardian: Guardian;
  readonly #onExit: (exit: NodeExit) => void;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(settings: NodeSettings, guardian: Guardian, onExit: (exit: NodeExit) => void) {
    this.settings = settings;
    this.#guardian = guardian;
    this.#onExit = onExit;
  }

  /** 0 while no process runs. */
  get pid(): number {
    return this.isRunning ? (this.#child?.pid ?? 0) : 0;
  }

  get child(): ChildProcess | undefined {
    return this.#child;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get logFile(): string {
    return join(this.settings.folder, LOG_FILE);
  }

  /** Starts the process; {@link ready} tells when it answers. */
  start(): void {
    if (this.isRunning) return;
    const { server, folder, persistent, extraConfig } = this.settings;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // What it got as a replica once stays there, and would bring old values back.
    const keepsData = persistent || extraConfig?.save || extraConfig?.appendonly === 'yes';
    if (!keepsData) rmSync(join(folder, DUMP_FILE), { force: true });
    const configFile = join(folder, CONFIG_FILE);
    writeFileSync(configFile, nodeConfig(this.settings), { mode: 0o600 });
    // The mode above counts only for a new file.
    chmodSync(configFile, 0o600);
    const log = openSync(this.logFile, 'a', 0o600);
    const child = spawn(server.path, [configFile], {
      argv0: server.argv0,
      cwd: folder,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    const pid = child.pid;
    if (pid !== undefined) this.#guardian.watch(pid);
    this.#exited = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (pid !== undefined) this.#guardian.forget(pid);
        resolve();
        this.#onExit({ code, signal });
      };
      child.once('exit', ended);
      // Could not be started at all: there is no exit event then.
      child.once('error', () => {
        if (pid === undefined) ended(null, null);
      });
    });
  }

  /**
   * Resolves with a connection once the node answers PING; the caller closes it.
   * @throws ProxyError with the last log lines when the process ends or stays silent
   */
  async ready(callTimeoutMs?: number): Promise<RespClient> {
    let silentSince = performance.now();
    for (;;) {
      if (!this.isRunning) throw this.death();
      const answer = await this.#probe(callTimeoutMs);
      if (typeof answer !== 'string') return answer;
      if (answer === 'LOADING') silentSince = performance.now();
      if (performance.now() - silentSince > SILENT_LIMIT_MS) {
        const seconds = SILENT_LIMIT_MS / 1000;
        const what = `The node on port ${this.settings.port} did not answer in ${seconds} s (${answer})`;
        throw localError('timed-out', `${what}. Its log ends:\n${this.logTail()}`);
      }
      await delay(READY_POLL_MS);
    }
  }

  /** @throws ProxyError when the node does not accept */
  connect(timeoutMs?: number): Promise<RespClient> {
    const { port, password } = this.settings;
    return connectResp({ host: LOOPBACK, port, password, timeoutMs });
  }

  /** Sends `signal`; SIGKILL also ends the node's forked children. False when it does not run. */
  kill(signal: NodeJS.Signals): boolean {
    const pid = this.pid;
    if (pid === 0) return false;
    try {
      process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
      return true;
    } catch (error) {
      // It ended between the look and the signal.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  }

  /** Resolves when no process runs (any more). */
  whenExited(): Promise<void> {
    return this.#exited;
  }

  /** Ends the process: at once, or after `graceMs` in which it may write out its data. */
  async stop(graceMs: number): Promise<void> {
    if (graceMs === 0) {
      this.kill('SIGKILL');
      return this.#exited;
    }
    const ask = (): void => {
      this.kill('SIGTERM');
      // A stopped process would keep the TERM pending for ever.
      this.kill('SIGCONT');
    };
    ask();
    // Older servers forget a TERM that comes while they write their first append-only file.
    const again = setInterval(ask, ASK_AGAIN_MS);
    const late = setTimeout(() => this.kill('SIGKILL'), graceMs);
    await this.#exited;
    clearInterval(again);
    clearTimeout(late);
  }

  /** The last lines of the node's log, for messages. */
  logTail(lines = 8): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }

  /** Why the process is no more, with the end of its log, as an error to throw. */
  death(cause?: unknown): ProxyError {
    const child = this.#child;
    const how =
      child?.signalCode ?? (child?.exitCode == null ? 'not started' : `code ${child.exitCode}`);
    const what = `redis-server on port ${this.settings.port} ended at its start (${how})`;
    return localError('process-died', `${what}. Its log ends:\n${this.logTail()}`, cause);
  }

  /** A connection that answered PING, or in a word why there is none yet. */
  async #probe(callTimeoutMs?: number): Promise<RespClient | string> {
    let client: RespClient | undefined;
    try {
      client = await this.connect(callTimeoutMs);
      await client.call('PING');
      return client;
    } catch (error) {
      client?.close();
      return error instanceof ReplyError ? error.code : String(error);
    }
  }
}

/** redis.conf of one node: only settings that every supported version knows, or asked for by version. */
export function nodeConfig(settings: NodeSettings): string {
  const { server, persistent, shardMemory, password } = settings;
  const lines: [string, string][] = [
    ['bind', LOOPBACK],
    ['port', String(settings.port)],
    ['protected-mode', 'yes'],
    ['daemonize', 'no'],
    ['dir', settings.folder],
    ['cluster-enabled', 'yes'],
    ['cluster-config-file', 'nodes.conf'],
    ['cluster-node-timeout', String(settings.nodeTimeoutMs)],
    ['cluster-announce-ip', LOOPBACK],
    // One shard without a primary must not make the others refuse.
    ['cluster-require-full-coverage', 'no'],
    ['appendonly', persistent ? 'yes' : 'no'],
    ['save', ''],
    // Replicas come up at once instead of after the usual wait for more of them.
    ['repl-diskless-sync', 'yes'],
    ['repl-diskless-sync-delay', '0'],
  ];
  if (versionAtLeast(server, 6)) lines.push(['cluster-allow-reads-when-down', 'yes']);
  if (shardMemory !== undefined) {
    lines.push(['maxmemory', shardMemory], ['maxmemory-policy', 'noeviction']);
  }
  if (password !== undefined) lines.push(['requirepass', password], ['masterauth', password]);
  const own = lines.map(([name, value]) => `${name} ${quoted(value)}\n`);
  // As the caller wrote them: some settings take several words.
  const extra = Object.entries(settings.extraConfig ?? {});
  return [...own, ...extra.map(([name, value]) => `${name} ${value || '""'}\n`)].join('');
}

/** Redis' own quoting: a plain word as it is, all else in double quotes with escapes. */
function quoted(value: string): string {
  if (/^[\w./:-]+$/.test(value)) return value;
  return `"${value.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;
}
