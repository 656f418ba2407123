/** The HTTP API of a running slotgate, as the command line uses it. */
import { type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { API_PATH } from '../admin/api.ts';
import type { SwitchProgress, SwitchResult } from '../control/failover/planned.ts';
import type { NodesReport } from '../control/nodes-report.ts';
import type {
  ClusterReport,
  JobKind,
  JobReport,
  PlanReport,
} from '../control/scaling/job-report.ts';
import type { ScaleRequest } from '../control/scaling/scale-request.ts';
import { nodeCode, ProxyError, proxyErrorFrom } from '../lib/errors.ts';

/** A request that was understood and refused, or that failed on its way. */
export class ApiRefusal extends Error {
  /** A word for programs, '' where none was given. */
  readonly reason: string;
  /** After so long it may succeed; undefined where waiting alone changes nothing. */
  readonly retryAfterSeconds: number | undefined;
  /** Of the HTTP answer; 0 where it came after one that began well. */
  readonly status: number;

  constructor(problem: Problem) {
    super(problem.detail ?? 'refused without a reason');
    this.name = 'ApiRefusal';
    this.status = problem.status ?? 0;
    this.reason = problem.reason ?? '';
    this.retryAfterSeconds = problem.retryAfterSeconds;
  }
}

interface Problem {
  readonly status?: number;
  readonly detail?: string;
  readonly reason?: string;
  readonly retryAfterSeconds?: number;
}

/** The last line of a stream. */
type StreamEnd<T> = ({ readonly done: true } & T) | { readonly error: Problem };

export type JobOrder = 'pause' | 'resume' | 'cancel';

interface Question {
  readonly body?: object;
  /** The status of an answer that is none of refusal. */
  readonly expects?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Silence for so long ends a request; a switch tells of each of its steps. */
const SILENCE_MS = 30_000;

export class ApiClient {
  readonly #base: URL;

  constructor(base: URL) {
    this.#base = base;
  }

  /** @throws ProxyError when slotgate cannot be asked; ApiRefusal when it does not tell */
  nodes(): Promise<NodesReport> {
    return this.#ask('GET', '/nodes');
  }

  /** As all that follow, @throws as {@link nodes}. */
  status(signal?: AbortSignal): Promise<ClusterReport> {
    return this.#ask('GET', '/status', { signal });
  }

  plan(kind: JobKind, request: ScaleRequest): Promise<PlanReport> {
    return this.#ask('POST', `/${kind}`, { body: { ...request, dryRun: true } });
  }

  start(kind: JobKind, request: ScaleRequest): Promise<JobReport> {
    return this.#ask('POST', `/${kind}`, { body: request, expects: 202 });
  }

  async jobs(): Promise<readonly JobReport[]> {
    const { jobs } = await this.#ask<{ readonly jobs: readonly JobReport[] }>('GET', '/jobs');
    return jobs;
  }

  job(id: string, signal?: AbortSignal): Promise<JobReport> {
    return this.#ask('GET', `/jobs/${id}`, { signal });
  }

  steer(id: string, order: JobOrder): Promise<JobReport> {
    return this.#ask('POST', `/jobs/${id}/${order}`, { body: {} });
  }

  /** @throws ProxyError when slotgate cannot be asked; ApiRefusal when it does not come about */
  async failover(
    wanted: { readonly shard: string; readonly to?: string | undefined },
    tell: (progress: SwitchProgress) => void,
  ): Promise<SwitchResult> {
    const response = await this.#send('POST', '/failover', { body: wanted });
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

  async #ask<T>(method: string, path: string, question: Question = {}): Promise<T> {
    const response = await this.#send(method, path, question);
    const { expects = 200 } = question;
    if (response.statusCode !== expects) throw new ApiRefusal(await this.#problem(response));
    return JSON.parse(await this.#textOf(response)) as T;
  }

  #send(method: string, path: string, { body, signal }: Question): Promise<IncomingMessage> {
    const url = new URL(API_PATH + path, this.#base);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: ClientRequestArgs = { method, agent: false, timeout: SILENCE_MS };
    if (signal !== undefined) options.signal = signal;
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
    const doing = `ask slotgate at ${this.#base.origin}`;
    // Node's HTTP parser could not read the answer.
    const isOther = nodeCode(cause).startsWith('HPE_');
    const { code, message } = isOther
      ? new ProxyError('protocol', `could not ${doing}: no HTTP server`, { source: 'control' })
      : proxyErrorFrom(cause, { source: 'control', doing });
    const advice = 'name a running one with --http-port or --url, or its configuration with -c';
    return new ProxyError(code, `${message}; ${advice}`, { source: 'control', cause });
  }

  async #problem(response: IncomingMessage): Promise<Problem> {
    const text = await this.#textOf(response);
    if (response.headers['content-type'] === 'application/problem+json') {
      return JSON.parse(text) as Problem;
    }
    const { statusCode: status = 0 } = response;
    return { detail: `${this.#base.origin} answered ${status}: is it a slotgate?`, status };
  }

  /** @throws ProxyError where the answer ends half-way */
  async #textOf(response: IncomingMessage): Promise<string> {
    response.setEncoding('utf8');
    let text = '';
    try {
      for await (const part of response) text += part;
    } catch (error) {
      throw this.#unreachable(error as Error);
    }
    return text;
  }
}
