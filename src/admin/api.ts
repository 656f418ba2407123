/**
 * The HTTP API. What it does is passed in as functions; here is only how it is asked.
 *
 *     GET  /api/v1/nodes      shards and nodes: roles, state, staleness, offsets
 *     POST /api/v1/failover   {shard, to?}: a planned switch, told step by step
 *
 * What takes time answers as a stream, one JSON object a line (NDJSON): {step, node, text} as it
 * goes on, at last {done: true, …} or {error: {detail, …}}. What is refused before its first step is
 * a problem reply with its own status instead.
 */
import { type Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { errorText } from '../lib/errors.ts';
import { requireChangeAllowed } from './change-guard.ts';
import { type ProblemFacts, type ProblemStatus, problem } from './problem.ts';

export interface FailoverRequest {
  readonly shard: string;
  readonly to?: string;
}

export type Tell = (step: object) => void;

export interface AdminApi {
  /** Null while nothing is known of the upstream. */
  readonly nodes: () => Promise<object | null>;
  /** Rejects with an {@link ApiError} for what the caller is to know. */
  readonly failover: (request: FailoverRequest, tell: Tell) => Promise<object>;
}

/** A failure to tell the caller; any other is a defect, logged and told as such. */
export class ApiError extends Error {
  readonly status: ProblemStatus;
  readonly facts: ProblemFacts;

  constructor(status: ProblemStatus, message: string, facts: ProblemFacts = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.facts = facts;
  }
}

export interface ApiLog {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const API_PATH = '/api/v1';
const FAILOVER_PATH = `${API_PATH}/failover`;
const BODY_BYTES_MAX = 4096;
const DEFECT = 'The request failed; the log of slotgate says why.';

export function createApi(api: AdminApi, log: ApiLog): Hono {
  const app = new Hono();

  app.get('/nodes', async (c) => {
    const nodes = await api.nodes();
    if (nodes === null) throw problem(503, 'Nothing is known of the upstream yet.', c.req.path);
    return c.json(nodes);
  });
  app.post('/failover', async (c) => {
    requireChangeAllowed(c, FAILOVER_PATH);
    const request = failoverRequest(await jsonBody(c, log), c.req.path);
    return stream(c, log, (tell) => api.failover(request, tell));
  });
  app.all('/failover', (c) => methodRefused(c, 'POST'));
  return app;
}

function methodRefused(c: Context, allowed: string): Response {
  const response = problem(405, `Use ${allowed} here.`, c.req.path).getResponse();
  response.headers.set('Allow', allowed);
  return response;
}

async function jsonBody(c: Context, log: ApiLog): Promise<unknown> {
  const { path } = c.req;
  try {
    return JSON.parse(await bodyText(c));
  } catch (error) {
    if (error instanceof HTTPException) throw error;
    if (error instanceof SyntaxError) throw problem(400, 'The body is no JSON.', path);
    if (!hasLeft(c)) throw error;
    // Or was too slow, and cut: no failure of ours, and nobody hears this answer.
    log.debug({ path, reason: errorText(error) }, 'the body of an API request did not arrive');
    throw problem(400, 'The body did not arrive.', path);
  }
}

/** Bounded here, as a body in chunks does not say how long it is. */
async function bodyText(c: Context): Promise<string> {
  const { path, raw } = c.req;
  const tooLong = () => problem(413, 'The body is too long.', path);
  if (Number(c.req.header('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLong();
  // Never cancelled: that would take the connection away before the answer is written.
  const reader = raw.body?.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const part = (await reader?.read())?.value;
    if (part === undefined) return Buffer.concat(parts).toString();
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw tooLong();
    parts.push(part);
  }
}

/** The caller: before its body was here. */
function hasLeft(c: Context): boolean {
  const env = c.env as { readonly incoming?: { readonly destroyed?: boolean } } | undefined;
  return env?.incoming?.destroyed === true;
}

function failoverRequest(body: unknown, path: string): FailoverRequest {
  const { shard, to } = (body ?? {}) as { readonly shard?: unknown; readonly to?: unknown };
  const isShard = typeof shard === 'string' || Number.isInteger(shard);
  if (!isShard || (to !== undefined && typeof to !== 'string')) {
    const detail =
      'Allowed: {"shard": number | "host:port" | "node id", "to"?: "host:port or id"}.';
    throw problem(400, detail, path);
  }
  return { shard: String(shard), ...(to === undefined ? {} : { to }) };
}

/**
 * Runs `work` and sends what it tells. It goes on when the caller leaves: half a switch would be
 * worse than one that nobody watches.
 */
async function stream(
  c: Context,
  log: ApiLog,
  work: (tell: Tell) => Promise<object>,
): Promise<Response> {
  const lines = new Lines();
  let onFirst: () => void = () => {};
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  let hasBegun = false;
  const tell: Tell = (step) => {
    hasBegun = true;
    lines.write(step);
    onFirst();
  };
  const running = work(tell)
    .then((result) => lines.write({ done: true, ...result }))
    .catch((error: unknown) => {
      if (!(error instanceof ApiError)) {
        log.error({ err: error, path: c.req.path }, 'an API request failed');
      }
      const failure = error instanceof ApiError ? error : new ApiError(500, DEFECT);
      if (!hasBegun) throw problem(failure.status, failure.message, c.req.path, failure.facts);
      lines.write({ error: { detail: failure.message, ...failure.facts } });
    })
    .finally(() => lines.end());
  await Promise.race([first, running]);
  // A refusal after this moment is in the stream.
  running.catch(() => undefined);
  return c.body(lines.readable, 200, { 'Content-Type': 'application/x-ndjson' });
}

/** Lines of JSON on their way to a reader, who may leave at any time. */
class Lines {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor() {
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = null;
      },
    });
  }

  write(value: object): void {
    this.#controller?.enqueue(this.#encoder.encode(`${JSON.stringify(value)}\n`));
  }

  end(): void {
    this.#controller?.close();
    this.#controller = null;
  }
}
