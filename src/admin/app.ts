/**
 * The routes of the admin server, free of sockets, so that tests can ask them directly.
 *
 *     /livez    the event loop answers           /readyz   may traffic come here, and if not, why
 *     /healthz  what runs, since when            /metrics  Prometheus
 *     /         for people                     /api/v1   see api.ts
 */
import { type Context, Hono } from 'hono';
import { except } from 'hono/combine';
import { timeout } from 'hono/timeout';
import { type MediaOffer, preferredOffer } from '../metrics/accept.ts';
import { type AdminApi, API_PATH, createApi } from './api.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { ownHosts } from './own-hosts.ts';
import { problem } from './problem.ts';
import { START_PAGE_CSP, startPage } from './start-page.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, one short sentence each; empty when ready. */
  readonly reasons: readonly string[];
  /** What is not served although it is ready, one short sentence each. */
  readonly degraded: readonly string[];
}

/** The part of a pino logger that is used here. */
export interface AdminLog {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AdminAppOptions {
  readonly readiness: () => Readiness;
  /** The metrics in the format that the Accept header asks for. */
  readonly metrics: (
    accept: string | undefined,
  ) => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly version: string;
  /** Where Redis clients connect; absent: not known. */
  readonly clients?: string;
  readonly log: AdminLog;
  /** Names that are ours besides those that can be nobody else's, see own-hosts.ts. */
  readonly hosts?: readonly string[];
  /** Absent: there is no API. */
  readonly api?: AdminApi;
}

/** A page that takes longer has hung; Prometheus itself gives up after 10 s by default. */
const PAGE_TIMEOUT_MS = 8_000;

/** They say nothing worth stealing, and health checkers send any Host or none. */
const HEALTH_PATHS = ['/livez', '/healthz', '/readyz'];
const API_PATHS = `${API_PATH}/*`;

const JSON_OFFER: MediaOffer = { type: 'application/json' };
const TEXT_OFFER: MediaOffer = { type: 'text/plain' };

export function createAdminApp(options: AdminAppOptions): Hono {
  const startedAt = performance.now();
  const app = new Hono();

  app.use(async (c, next) => {
    await next();
    setSecurityHeaders(c);
  });
  const isOwnHost = ownHosts(options.hosts ?? []);
  app.use(except(HEALTH_PATHS, async (c, next) => foreignHost(c, isOwnHost) ?? next()));
  // The API says itself what it takes, and how long it may take.
  app.use(except(API_PATHS, async (c, next) => refusal(c) ?? next()));
  const late = () => problem(503, 'The answer took too long.');
  app.use(except(API_PATHS, timeout(PAGE_TIMEOUT_MS, late)));

  app.get('/livez', (c) => c.text('ok\n'));
  app.get('/healthz', (c) => {
    const uptimeSeconds = Math.floor((performance.now() - startedAt) / 1000);
    const health = { status: 'ok', version: options.version, uptimeSeconds };
    return wantsJson(c) ? c.json(health) : c.text('ok\n');
  });
  app.get('/readyz', (c) => {
    const readiness = options.readiness();
    const status = readiness.ready ? 200 : 503;
    return wantsJson(c) ? c.json(readiness, status) : c.text(readinessText(readiness), status);
  });
  const metrics = oneAtATime(options.metrics);
  app.get('/metrics', async (c) => {
    const { contentType, body } = await metrics(c.req.header('accept'));
    return c.body(body, 200, { 'Content-Type': contentType });
  });
  app.get('/', (c) => {
    c.header('Content-Security-Policy', START_PAGE_CSP);
    return c.html(
      startPage({
        version: options.version,
        readiness: options.readiness(),
        clients: options.clients ?? '',
        hasApi: options.api !== undefined,
      }),
    );
  });

  if (options.api !== undefined) app.route(API_PATH, createApi(options.api, options.log));

  app.notFound((c) => problem(404, `There is no page ${c.req.path}.`, c.req.path).getResponse());
  app.onError((error, c) => {
    if ('getResponse' in error) return error.getResponse();
    options.log.error({ err: error, path: c.req.path }, 'admin page failed');
    return problem(500, 'The page failed; the log says why.', c.req.path).getResponse();
  });
  return app;
}

/** Asked under a name that a stranger may have given to this machine. */
function foreignHost(c: Context, isOwn: (host: string) => boolean): Response | undefined {
  const host = c.req.header('host');
  if (host === undefined || isOwn(host)) return undefined;
  const detail =
    'This name is not known as one of this machine: use its address, or add it to http.hosts.';
  return problem(421, detail, c.req.path).getResponse();
}

/** Only reading is offered, and reading needs no body. */
function refusal(c: Context): Response | undefined {
  const { method, path } = c.req;
  if (method !== 'GET' && method !== 'HEAD') {
    const response = problem(405, `${method} is not offered here.`, path).getResponse();
    response.headers.set('Allow', 'GET, HEAD');
    response.headers.set('Connection', 'close');
    return response;
  }
  const length = c.req.header('content-length') ?? '0';
  if (length === '0' && c.req.header('transfer-encoding') === undefined) return undefined;
  const response = problem(413, 'No page takes a request body.', path).getResponse();
  response.headers.set('Connection', 'close');
  return response;
}

/** Plain text unless JSON is asked for: probes and `curl` send no preference. */
function wantsJson(c: Context): boolean {
  return preferredOffer(c.req.header('accept'), [TEXT_OFFER, JSON_OFFER]) === JSON_OFFER;
}

/** One line, because health checkers show the first line of an answer and no more. */
function readinessText({ ready, reasons, degraded }: Readiness): string {
  if (!ready) return `not ready: ${reasons.join('; ')}\n`;
  return degraded.length === 0 ? 'ready\n' : `ready, degraded: ${degraded.join('; ')}\n`;
}

function setSecurityHeaders(c: Context): void {
  const { headers } = c.res;
  headers.set('Cache-Control', 'no-store');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  headers.set('Referrer-Policy', 'no-referrer');
  headers.set('X-Content-Type-Options', 'nosniff');
  headers.set('X-Frame-Options', 'DENY');
  if (!headers.has('Content-Security-Policy')) {
    headers.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
  }
}
