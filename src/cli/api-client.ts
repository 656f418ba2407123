/** The HTTP API of a running slotgate, as the command line uses it. */
import { type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { API_PATH } from '../admin/api.ts';
import type { SwitchProgress, SwitchResult } from '../control/failover/planned.ts';
import type { NodesReport } from '../control/nodes-report.ts';
import { ProxyError, proxyErrorFrom } from '../lib/errors.ts';

/** A request that was understood and refused, or that failed on its way. */
export class ApiRefusal extends Error {
  /** A word for programs, '' where none was given. */
  readonly reason: string;
  /** After so long it may succeed; undefined where waiting alone changes nothing. */
  readonly retryAfterSeconds: number | undefined;

  constructor(problem: Problem) {
    super(problem.detail ?? 'refused without a reason');
    this.name = 'ApiRefusal';
    this.reason = problem.reason ?? '';
    this.retryAfterSeconds = problem.retryAfterSeconds;
  }
}

interface Problem {
  readonly detail?: string;
  readonly reason?: string;
  readonly retryAfterSeconds?: number;
}

/** The last line of a stream. */
type StreamEnd<T> = ({ readonly done: true } & T) | { readonly error: Problem };

/** Silence for so long ends a request; a switch tells of each of its steps. */
const SILENCE_MS = 30_000;

export class ApiClient {
  readonly #base: URL;

  constructor(base: URL) {
    this.#base = base;
  }

  /** @throws ProxyError when slotgate cannot be asked; ApiRefusal when it does not tell */
  async nodes(): Promise<NodesReport> {
    const response = await this.#send('GET', '/nodes');
    if (response.statusCode !== 200) throw new ApiRefusal(await this.#problem(response));
    return JSON.parse(await textOf(response)) as NodesReport;
  }

  /** @throws ProxyError when slotgate cannot be asked; ApiRefusal when it does not come about */
  async failover(
    wanted: { readonly shard: string; readonly to?: string | undefined },
    tell: (progress: SwitchProgress) => void,
  ): Promise<SwitchResult> {
    const response = await this.#send('POST', '/failover', wanted);
    if (response.statusCode !== 200) throw new ApiRefusal(await this.#problem(response));
    for await (const line of createInterface({ input: response })) {
      const step = JSON.parse(line) as SwitchProgress | StreamEnd<SwitchResult>;
      if ('error' in step) throw new ApiRefusal(step.error);
      if ('done' in step) return step;
      tell(step);
    }
    const what = `${this.#base.host} ended the connection before the switch was done`;
    throw new ProxyError('connection-lost', `${what}: look with slotgate failover --list`, {
      source: 'control',
    });
  }

  #send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    const url = new URL(API_PATH + path, this.#base);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: ClientRequestArgs = { method, agent: false, timeout: SILENCE_MS };
    if (text !== undefined) {
      options.headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      };
    }
    return new Promise((resolve, reject) => {
      const sent = request(url, options, resolve);
      sent.on('timeout', () => {
        sent.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }));
      });
      sent.on('error', (error) => reject(this.#unreachable(error)));
      sent.end(text);
    });
  }

  #unreachable(cause: Error): ProxyError {
    const { code, message } = proxyErrorFrom(cause, {
      source: 'control',
      doing: `ask slotgate at ${this.#base.origin}`,
    });
    const advice = 'name a running one with --http-port or --url, or its configuration with -c';
    return new ProxyError(code, `${message}; ${advice}`, { source: 'control', cause });
  }

  async #problem(response: IncomingMessage): Promise<Problem> {
    const text = await textOf(response);
    if (response.headers['content-type'] === 'application/problem+json') {
      return JSON.parse(text) as Problem;
    }
    return { detail: `${this.#base.origin} answered ${response.statusCode}: is it a slotgate?` };
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const part of response) text += part;
  return text;
}
