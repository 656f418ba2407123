/**
 * `slotgate serve` as a process of its own, run from source: for tests of its command line, its
 * memory, its logs and its end. Settings go into a YAML file, as people write them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../src/config/schema.ts';
import { until } from './cluster.ts';

const SLOTGATE = fileURLToPath(new URL('../../src/cli/slotgate.ts', import.meta.url));
const MEMORY_PROBE = new URL('./memory-probe.ts', import.meta.url).href;
const START_TIMEOUT_MS = 30_000;
const CLI_TIMEOUT_MS = 60_000;

export interface CliResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `slotgate ARGS…` to its end; one that does not come to it is killed, its code is null. */
export async function runSlotgate(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, ['--import', 'tsx', SLOTGATE, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  const late = setTimeout(() => child.kill('SIGKILL'), CLI_TIMEOUT_MS);
  child.stdout.on('data', (text) => (output.out += String(text)));
  child.stderr.on('data', (text) => (output.err += String(text)));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(late);
  return { code, ...output };
}

/** Runs `body` with the path of a configuration file of these settings, or of this text. */
export async function withConfigFile<T>(
  config: ConfigInput | string,
  body: (file: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-config-'));
  const file = join(folder, 'slotgate.yaml');
  writeFileSync(file, typeof config === 'string' ? config : stringify(config), { mode: 0o600 });
  try {
    return await body(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface MemoryPicture {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

export class ProxyProcess {
  readonly port: number;
  readonly httpUrl: string;
  readonly configFile: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #output: () => string;

  constructor(parts: {
    readonly child: ChildProcess;
    readonly folder: string;
    readonly configFile: string;
    readonly port: number;
    readonly httpUrl: string;
    readonly output: () => string;
  }) {
    this.#child = parts.child;
    this.#folder = parts.folder;
    this.#output = parts.output;
    this.port = parts.port;
    this.httpUrl = parts.httpUrl;
    this.configFile = parts.configFile;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Everything it has written so far, logs and errors. */
  get output(): string {
    return this.#output();
  }

  /** Resident bytes of the process at this moment. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** Its memory after a garbage collection. */
  async memory(): Promise<MemoryPicture> {
    const answer = once(this.#child, 'message');
    this.#child.send('memory');
    return ((await answer) as [MemoryPicture])[0];
  }

  get(path: string, accept = '*/*'): Promise<Response> {
    return fetch(this.httpUrl + path, { headers: { accept } });
  }

  async isReady(): Promise<boolean> {
    return (await this.get('/readyz')).status === 200;
  }

  /** Sends `signal` and waits for the end; resolves with the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
    return child.exitCode;
  }
}

/**
 * Starts `slotgate serve -c FILE` on ports of the kernel's choice with one worker, unless the
 * configuration says otherwise, and waits until it listens; not until it is ready. `program`: in
 * place of the sources, a compiled cli/slotgate.js, whose memory cannot be asked for. `openFiles`:
 * its `ulimit -n`.
 */
export async function startProxyProcess(
  config: ConfigInput,
  program?: string,
  openFiles?: number,
): Promise<ProxyProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-proxy-'));
  const configFile = join(folder, 'slotgate.yaml');
  const whole = {
    port: 0,
    workers: 1,
    drainTimeoutMs: 2000,
    ...config,
    http: { port: 0, ...config.http },
    log: { format: 'json', level: 'debug', ...config.log },
  };
  writeFileSync(configFile, stringify(whole), { mode: 0o600 });
  const sources = ['--expose-gc', '--import', 'tsx', '--import', MEMORY_PROBE, SLOTGATE];
  const start = program === undefined ? sources : [program];
  const args = [...start, 'serve', '-c', configFile];
  const [command, given] =
    openFiles === undefined
      ? [process.execPath, args]
      : ['sh', ['-c', `ulimit -n ${openFiles}; exec "$0" "$@"`, process.execPath, ...args]];
  const child = spawn(command, given, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, SLOTGATE_TEST_PID: String(process.pid) },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => (output += String(text)));
  }
  try {
    const address = await listening(child, () => output);
    return new ProxyProcess({ child, folder, configFile, output: () => output, ...address });
  } catch (error) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Address {
  readonly port: number;
  readonly httpUrl: string;
}

async function listening(child: ChildProcess, output: () => string): Promise<Address> {
  let address: Address | undefined;
  await until(
    'slotgate says where it listens',
    () => {
      if (child.exitCode !== null) throw new Error(`slotgate ended:\n${output()}`);
      address = addressIn(output());
      return address !== undefined;
    },
    START_TIMEOUT_MS,
  );
  return address as Address;
}

function addressIn(log: string): Address | undefined {
  for (const line of log.split('\n')) {
    if (!line.includes('"endpoint":')) continue;
    const { endpoint, http } = JSON.parse(line) as { endpoint: string; http: string };
    return { port: Number(endpoint.slice(endpoint.lastIndexOf(':') + 1)), httpUrl: http };
  }
  return undefined;
}
