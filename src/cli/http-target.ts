/** Where the HTTP listener of a running slotgate is, as options, environment or file say. */
import type { Command } from 'commander';
import { formatEndpoint, parseEndpoint } from '../config/endpoint.ts';
import { loadConfig } from '../config/load.ts';
import { ProxyError } from '../lib/errors.ts';
import { type CliContext, configFileOf } from './context.ts';

export interface TargetOptions {
  readonly config?: string;
  readonly url?: string;
  readonly httpPort?: string;
}

export function addTargetOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'YAML file with its configuration (SLOTGATE_CONFIG)')
    .option('--url <url>', 'where its HTTP listener is (default: http.bind and http.port)')
    .option('--http-port <port>', 'the same on this machine, by its port alone');
}

/** @throws ProxyError for what is no http:// URL or port */
export function httpTarget(command: string, given: TargetOptions, context: CliContext): URL {
  if (given.url !== undefined) {
    const url = URL.canParse(given.url) ? new URL(given.url) : undefined;
    if (url?.protocol === 'http:') return url;
    refuse(command, '--url', given.url, 'an http:// URL such as http://127.0.0.1:8379');
  }
  const file = configFileOf({ ...given }, context);
  const { config } = loadConfig({ env: context.env, ...(file === undefined ? {} : { file }) });
  const host = given.httpPort === undefined ? reachable(config.http.bind) : '127.0.0.1';
  const port = given.httpPort ?? String(config.http.port);
  const endpoint = parseEndpoint(`${host.includes(':') ? `[${host}]` : host}:${port}`);
  if (endpoint === undefined) refuse(command, '--http-port', port, '1 to 65535');
  return new URL(`http://${formatEndpoint(endpoint)}`);
}

/** Where a listener's address can be dialled from this machine. */
export function reachable(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1';
  return bind === '::' ? '::1' : bind;
}

function refuse(command: string, option: string, value: string, allowed: string): never {
  throw new ProxyError(
    'usage',
    `${command}: ${option} ${JSON.stringify(value)} is not allowed; allowed: ${allowed}`,
    { source: 'config' },
  );
}
