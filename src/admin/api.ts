/**
 * The HTTP API. What it does is passed in as functions; here is only how it is asked.
 *
 *     GET  /api/v1/nodes      shards and nodes: roles, state, staleness, offsets
 *     POST /api/v1/failover   {shard, to?}: a planned switch, told step by step
 *
 * and those of scaling-api.ts.
 *
 * What takes time answers as a stream, one JSON object a line (NDJSON): {step, node, text} as it
 * goes on, at last {done: true, …} or {error: {detail, …}}. What is refused before its first step is
 * a problem reply with its own status instead.
 */
import { type Context, Hono } from 'hono';
import { ApiError, methodRefused, problemOf } from './api-error.ts';
import { requireChangeAllowed } from './change-guard.ts';
import { type ApiLog, jsonBody } from './json-body.ts';
import { problem } from './problem.ts';
import { addScalingRoutes, type ScalingApi } from './scaling-api.ts';

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
  readonly scaling: ScalingApi;
}

export const API_PATH = '/api/v1';
const FAILOVER_PATH = `${API_PATH}/failover`;
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
  addScalingRoutes({ app, scaling: api.scaling, log, base: API_PATH });
  return app;
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
      if (!hasBegun) throw problemOf(failure, c);
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
