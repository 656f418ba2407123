/**
 * Finds a redis-server that really runs, or installs one where that needs no question.
 *
 * Debian and Ubuntu ship the server inside redis-tools as `redis-check-rdb`: one binary that looks at
 * the name it was started under. So every candidate is started under the name `redis-server`, and
 * only its own `--version` line is believed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { localError } from './errors.ts';

export const REDIS_SERVER_VARIABLE = 'SLOTGATE_REDIS_SERVER';

export interface RedisServer {
  readonly path: string;
  /** The name to start it under. */
  readonly argv0: string;
  readonly flavor: 'Redis' | 'Valkey';
  /** For example "7.0.15". */
  readonly version: string;
}

export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  readonly isRoot: boolean;
  /** Contents of /etc/os-release, '' where there is none. */
  readonly osRelease: string;
}

const ARGV0 = 'redis-server';
const NAMES = ['redis-server', 'valkey-server', 'redis-check-rdb', 'valkey-check-rdb'];
/** Where packages put servers that a plain user's PATH, or a desktop's, leaves out. */
const MORE_FOLDERS = [
  '/usr/local/bin',
  '/usr/local/sbin',
  '/usr/bin',
  '/usr/sbin',
  '/opt/homebrew/bin',
];
const OLDEST_MAJOR = 4;
const PROBE_TIMEOUT_MS = 10_000;

export function thisHost(): Host {
  return {
    env: process.env,
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    osRelease: readOsRelease(),
  };
}

/**
 * The server named by SLOTGATE_REDIS_SERVER, else the first usable one on PATH.
 * @throws ProxyError when the variable names something that is no usable server
 */
export function findRedisServer(host: Host = thisHost()): RedisServer | undefined {
  const named = host.env[REDIS_SERVER_VARIABLE];
  if (named !== undefined && named !== '') {
    const server = probeRedisServer(named);
    if (typeof server !== 'string') return server;
    throw localError(
      'not-found',
      `${REDIS_SERVER_VARIABLE} is ${named}, which is no usable redis-server: ${server}.`,
    );
  }
  for (const candidate of candidates(host.env.PATH ?? '')) {
    const server = probeRedisServer(candidate);
    if (typeof server !== 'string') return server;
  }
  return undefined;
}

/**
 * As {@link findRedisServer}; where there is none, installs it (root on Debian or Ubuntu) and says so.
 * @throws ProxyError with the command for this system when there is none to be had
 */
export function ensureRedisServer(
  say: (line: string) => void,
  host: Host = thisHost(),
): RedisServer {
  const found = findRedisServer(host);
  if (found !== undefined) return found;
  if (!host.isRoot || !isDebianLike(host)) {
    throw localError('not-found', adviceFor(host));
  }
  say('No redis-server here: installing it (apt-get install -y redis-tools) …');
  const failure = aptInstall('redis-tools');
  const installed = findRedisServer(host);
  if (installed !== undefined) return installed;
  const why = failure === undefined ? 'redis-tools brought no server' : `it failed:\n${failure}`;
  throw localError('not-found', `${adviceFor(host)}\napt-get install: ${why}`);
}

/** The server at `path`, or in words why it is none. */
export function probeRedisServer(path: string): RedisServer | string {
  const run = spawnSync(path, ['--version'], {
    argv0: ARGV0,
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.error !== undefined) return startFailure(run.error);
  const seen = /^(Redis server|Valkey server) v=(\d+)(\.[^\s]+)?/m.exec(run.stdout);
  if (seen === null) return `its --version does not say "Redis server v=" or "Valkey server v="`;
  const version = `${seen[2]}${seen[3] ?? ''}`;
  if (Number(seen[2]) < OLDEST_MAJOR) return `version ${version} is older than ${OLDEST_MAJOR}.0`;
  return { path, argv0: ARGV0, flavor: seen[1] === 'Redis server' ? 'Redis' : 'Valkey', version };
}

function startFailure(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such file';
  if (error.code === 'EACCES') return 'it may not be run by this user';
  return error.message;
}

/** True when the server's version is at least major.minor. */
export function versionAtLeast(server: RedisServer, major: number, minor = 0): boolean {
  const [ownMajor = 0, ownMinor = 0] = server.version.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** One line: what is missing and the command that brings it on this system. */
export function adviceFor(host: Host): string {
  const or = `or name one in ${REDIS_SERVER_VARIABLE}`;
  const command = installCommand(host);
  return command === undefined
    ? `slotgate needs a redis-server (4.0 or newer): install Redis or Valkey, ${or}.`
    : `slotgate needs a redis-server (4.0 or newer): install it with \`${command}\`, ${or}.`;
}

function installCommand(host: Host): string | undefined {
  if (host.platform === 'darwin') return 'brew install redis';
  const sudo = host.isRoot ? '' : 'sudo ';
  const system = systemIds(host);
  for (const [ids, command] of INSTALL_COMMANDS) {
    if (ids.some((id) => system.includes(id))) return sudo + command;
  }
  return undefined;
}

const INSTALL_COMMANDS: readonly (readonly [readonly string[], string])[] = [
  [['debian', 'ubuntu'], 'apt-get install -y redis-tools'],
  [['alpine'], 'apk add redis'],
  [['fedora', 'rhel', 'centos', 'amzn'], 'dnf install -y redis'],
  [['arch'], 'pacman -S redis'],
  [['suse', 'opensuse'], 'zypper install -y redis'],
];

function isDebianLike(host: Host): boolean {
  return systemIds(host).some((id) => id === 'debian' || id === 'ubuntu');
}

/** ID and ID_LIKE of /etc/os-release. */
function systemIds(host: Host): string[] {
  if (host.platform !== 'linux') return [];
  const values = host.osRelease.matchAll(/^ID(?:_LIKE)?=(.*)$/gm);
  return [...values].flatMap((match) => (match[1] ?? '').replaceAll(/["']/g, '').split(/\s+/));
}

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    // Only Linux has it; without it the general advice is given.
    return '';
  }
}

/** Undefined when it went well, else apt-get's own output. */
function aptInstall(name: string): string | undefined {
  const install = (): string | undefined =>
    // Another apt-get at work is waited for rather than reported.
    runApt(['-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends', name]);
  // Package lists are missing in fresh images and outdated in old ones; both show as a failed install.
  if (install() === undefined) return undefined;
  return runApt(['update']) ?? install();
}

function runApt(args: readonly string[]): string | undefined {
  const run = spawnSync('apt-get', ['-q', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (run.error !== undefined) return run.error.message;
  return run.status === 0 ? undefined : `${run.stdout}${run.stderr}`.trim();
}

function* candidates(path: string): Generator<string> {
  const folders = [...new Set([...path.split(delimiter), ...MORE_FOLDERS])];
  // By name first: a real redis-server anywhere is preferred to the one inside redis-check-rdb.
  for (const name of NAMES) {
    for (const folder of folders) {
      if (folder === '') continue;
      const file = join(folder, name);
      if (isExecutableFile(file)) yield file;
    }
  }
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Absent or not ours to run: simply no candidate.
    return false;
  }
}
