/** `slotgate healthcheck`: for containers, whose images have neither curl nor redis-cli. */
import { get } from 'node:http';
import { type Command, Option } from 'commander';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../config/endpoint.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { errorText, ProxyError, proxyErrorFrom } from '../lib/errors.ts';
import { connectResp } from '../lib/resp-client.ts';
import { parseDuration } from '../lib/units.ts';
import { type CliContext, configFileOf, EXIT } from './context.ts';
import { reachable } from './http-target.ts';

/** Only the first line of the answer is shown; the rest is not worth keeping. */
const BODY_CHARS_MAX = 1024;

const HELP_AFTER = `
Without options it asks where the configuration of this container or shell (SLOTGATE_… variables,
-c FILE) says that slotgate listens; with --redis it logs in with the same requirepass. A port that
is given for one of the two says nothing of the other: give both, or the configuration.

Examples:
  slotgate healthcheck
  slotgate healthcheck --url http://10.0.0.5:8379/readyz
  slotgate healthcheck --http-port 9379 --redis 7379
  slotgate healthcheck --redis --timeout 2s
  HEALTHCHECK CMD ["node", "dist/cli/slotgate.js", "healthcheck"]     (in a Dockerfile)

Exit codes: 0 ready   3 not ready or not reachable   1 configuration not valid   2 wrong usage`;

const ELSEWHERE =
  'if slotgate listens elsewhere, name its HTTP port with --http-port (or --url), or its configuration with -c';

interface Given {
  readonly config?: string;
  readonly url?: string;
  readonly host?: string;
  readonly httpPort?: string;
  readonly port?: string;
  readonly redis?: string | true;
  readonly timeout: string;
}

export function registerHealthcheck(program: Command, context: CliContext): void {
  program
    .command('healthcheck')
    .summary('ask a running slotgate whether it is ready')
    .description('Asks a running slotgate whether it is ready (HTTP GET /readyz).')
    .option('-c, --config <file>', 'YAML file with the configuration (SLOTGATE_CONFIG)')
    .addOption(new Option('--url <url>', 'what to GET').conflicts(['host', 'httpPort', 'port']))
    .option('--host <host>', 'host of the HTTP listener (default: http.bind)')
    .option('--http-port <port>', 'port of the HTTP listener (default: http.port)')
    .addOption(
      new Option(
        '--port <port>',
        'the same; the port for Redis clients goes with --redis',
      ).conflicts('httpPort'),
    )
    .option(
      '--redis [address]',
      'also PING as a Redis client: a port, or host:port (default: bind and port)',
    )
    .option('--timeout <time>', 'for each of the two, e.g. 500ms or 3s', '3s')
    .addHelpText('after', HELP_AFTER)
    .action(async (given: Given) => {
      const verdict = await checkHealth(given, context);
      const say = verdict.ready ? context.out : context.err;
      say(`${verdict.words}\n`);
      if (!verdict.ready) context.finish(EXIT.unhealthy);
    });
}

interface Verdict {
  readonly ready: boolean;
  readonly words: string;
}

async function checkHealth(given: Given, context: CliContext): Promise<Verdict> {
  const timeoutMs = parseDuration(given.timeout);
  if (timeoutMs === undefined || timeoutMs === 0) {
    refuse('--timeout', given.timeout, 'a time such as 500ms or 3s');
  }
  const file = configFileOf({ ...given }, context);
  const { config } = loadConfig({ env: context.env, ...(file === undefined ? {} : { file }) });
  const verdicts = [await askHttp(httpUrl(given, config), timeoutMs)];
  if (given.redis !== undefined) {
    const { ready, words } = await askRedis(given.redis, config, timeoutMs);
    const isGuess = file === undefined && context.env.SLOTGATE_PORT === undefined && isMixed(given);
    verdicts.push({ ready, words: isGuess ? `${words} (${DEFAULT_PORT})` : words });
  }
  return {
    ready: verdicts.every((verdict) => verdict.ready),
    words: verdicts.map((verdict) => verdict.words).join('\n'),
  };
}

const DEFAULT_PORT = 'the default port; --redis PORT or -c FILE names another';

/** The HTTP listener was named and its slotgate's Redis port was not: they may be of two slotgates. */
function isMixed({ url, host, httpPort, port, redis }: Given): boolean {
  return redis === true && [url, host, httpPort, port].some((each) => each !== undefined);
}

function httpUrl(given: Given, config: Config): URL {
  if (given.url !== undefined) {
    const url = URL.canParse(given.url) ? new URL(given.url) : undefined;
    if (url?.protocol === 'http:') return url;
    refuse('--url', given.url, 'an http:// URL such as http://127.0.0.1:8379/readyz');
  }
  const host = given.host ?? reachable(config.http.bind);
  const port = given.httpPort ?? given.port ?? String(config.http.port);
  const address = endpointOf(host, port);
  if (address === undefined) {
    const option = given.port === undefined ? '--http-port' : '--port';
    refuse(`--host and ${option}`, `${host} ${port}`, 'a host and a port from 1 to 65535');
  }
  return new URL(`http://${formatEndpoint(address)}/readyz`);
}

function endpointOf(host: string, port: string): Endpoint | undefined {
  return parseEndpoint(`${host.includes(':') ? `[${host}]` : host}:${port}`);
}

function askHttp(url: URL, timeoutMs: number): Promise<Verdict> {
  return new Promise((resolve) => {
    const request = get(
      url,
      { signal: AbortSignal.timeout(timeoutMs), agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          if (body.length < BODY_CHARS_MAX) body += text;
        });
        response.on('error', fail);
        response.on('end', () => {
          const ready = response.statusCode === 200;
          const line = body.trim().split('\n', 1)[0]?.slice(0, BODY_CHARS_MAX) ?? '';
          resolve({ ready, words: `${url.href}: ${response.statusCode} ${line}`.trimEnd() });
        });
      },
    );
    request.on('error', fail);

    function fail(error: Error): void {
      const isTimeout = error.name === 'AbortError' || error.name === 'TimeoutError';
      const words = isTimeout
        ? `no answer within ${timeoutMs} ms`
        : `${proxyErrorFrom(error, { source: 'control', doing: 'connect' }).message}; ${ELSEWHERE}`;
      resolve({ ready: false, words: `${url.href}: ${words}` });
    }
  });
}

async function askRedis(given: string | true, config: Config, timeoutMs: number): Promise<Verdict> {
  const bind = reachable(config.bind[0] as string);
  const target =
    given === true
      ? { host: bind, port: config.port }
      : /^\d+$/.test(given)
        ? endpointOf(bind, given)
        : parseEndpoint(given);
  if (target === undefined) {
    refuse('--redis', String(given), 'a port, or host:port with IPv6 in [brackets]');
  }
  const name = `redis://${formatEndpoint(target)}`;
  const password = config.requirepass === '' ? {} : { password: config.requirepass };
  try {
    const client = await connectResp({ ...target, timeoutMs, ...password });
    try {
      const reply = await client.call('PING');
      return { ready: reply === 'PONG', words: `${name}: ${String(reply)}` };
    } finally {
      client.close();
    }
  } catch (error) {
    // Whatever failed, the answer to "is it healthy?" is no, and why.
    return { ready: false, words: `${name}: ${errorText(error)}` };
  }
}

function refuse(option: string, value: string, allowed: string): never {
  throw new ProxyError(
    'usage',
    `healthcheck: ${option} ${JSON.stringify(value)} is not allowed; allowed: ${allowed}`,
    { source: 'config' },
  );
}
