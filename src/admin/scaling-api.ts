/**
 * The pages of the HTTP API that show the cluster's size and change it.
 *
 *     GET  /api/v1/status             shards, slots, memory, skew, and the job
 *     POST /api/v1/scale              {shards?, replicas?, spec?, any?, nodes?, by?, bigKeys?, dryRun?}
 *     POST /api/v1/rebalance          {by?, bigKeys?, dryRun?}
 *     GET  /api/v1/jobs               {jobs: […]}
 *     GET  /api/v1/jobs/ID            one of them
 *     POST /api/v1/jobs/ID/pause      and resume, cancel
 *
 * A job outlives the request that starts it: that is answered 202 with the job as it begins, or 200
 * with the plan for a dry run. Here fields are known by name and form; which values are offered is
 * for those to say who do the work.
 */
import type { Context, Hono } from 'hono';
import { methodRefused, problemOf } from './api-error.ts';
import { requireChangeAllowed } from './change-guard.ts';
import { type ApiLog, jsonBody } from './json-body.ts';
import { problem } from './problem.ts';

export interface ScaleRequest {
  readonly shards?: number;
  readonly replicas?: number;
  /** Shards, replicas and memory in one word, such as 5x1x4gb. */
  readonly spec?: string;
  readonly by?: 'slots' | 'bytes' | 'keys';
  /** "host:port" of empty nodes that may be taken. */
  readonly nodes?: readonly string[];
  /** Also numbers of shards that are not in the catalogue. */
  readonly any?: boolean;
  readonly bigKeys?: 'refuse' | 'move';
}

export type ScalingKind = 'scale' | 'rebalance';
export type JobOrder = 'pause' | 'resume' | 'cancel';

/** Each rejects with an ApiError for what the caller is to know. */
export interface ScalingApi {
  /** Null while nothing is known of the upstream. */
  status(): Promise<object | null>;
  plan(kind: ScalingKind, request: ScaleRequest): Promise<object>;
  start(kind: ScalingKind, request: ScaleRequest): Promise<object>;
  jobs(): Promise<readonly object[]>;
  /** Null where there is no such job. */
  job(id: string): Promise<object | null>;
  steer(id: string, order: JobOrder): Promise<object>;
}

const ORDERS: readonly JobOrder[] = ['pause', 'resume', 'cancel'];
/** Room for the names of 768 nodes: 128 shards with 5 replicas each. */
const BODY_BYTES_MAX = 64 * 1024;

interface Routes {
  readonly app: Hono;
  readonly scaling: ScalingApi;
  readonly log: ApiLog;
  /** What the pages' paths begin with. */
  readonly base: string;
}

export function addScalingRoutes(routes: Routes): void {
  const { app, scaling } = routes;
  app.get('/status', async (c) => {
    const status = await told(c, scaling.status());
    if (status === null) throw problem(503, 'Nothing is known of the upstream yet.', c.req.path);
    return c.json(status);
  });
  app.all('/status', (c) => methodRefused(c, 'GET, HEAD'));
  addStart(routes, 'scale');
  addStart(routes, 'rebalance');
  addJobs(routes);
}

function addStart({ app, scaling, log, base }: Routes, kind: ScalingKind): void {
  app.post(`/${kind}`, async (c) => {
    requireChangeAllowed(c, `${base}/${kind}`);
    const body = await jsonBody(c, log, BODY_BYTES_MAX);
    const { isDryRun, request } = scaleRequest(kind, body, c.req.path);
    if (isDryRun) return c.json(await told(c, scaling.plan(kind, request)));
    return c.json(await told(c, scaling.start(kind, request)), 202);
  });
  app.all(`/${kind}`, (c) => methodRefused(c, 'POST'));
}

function addJobs({ app, scaling, log, base }: Routes): void {
  app.get('/jobs', async (c) => c.json({ jobs: await told(c, scaling.jobs()) }));
  app.all('/jobs', (c) => methodRefused(c, 'GET, HEAD'));
  app.get('/jobs/:id', async (c) => {
    const id = c.req.param('id');
    const job = await told(c, scaling.job(id));
    if (job !== null) return c.json(job);
    throw problem(404, `There is no job ${id}.`, c.req.path, { reason: 'unknown-job' });
  });
  app.all('/jobs/:id', (c) => methodRefused(c, 'GET, HEAD'));
  for (const order of ORDERS) {
    app.post(`/jobs/:id/${order}`, async (c) => {
      const id = c.req.param('id');
      requireChangeAllowed(c, `${base}/jobs/${id}/${order}`);
      fieldsOf(await jsonBody(c, log), [], c.req.path);
      return c.json(await told(c, scaling.steer(id, order)));
    });
    app.all(`/jobs/:id/${order}`, (c) => methodRefused(c, 'POST'));
  }
}

/** Refusals as problem replies. */
async function told<T>(c: Context, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw problemOf(error, c);
  }
}

interface Field {
  readonly is: (value: unknown) => boolean;
  readonly allowed: string;
}

const BOOLEAN: Field = { is: (value) => typeof value === 'boolean', allowed: 'true or false' };
const TEXT = (value: unknown): boolean => typeof value === 'string';

const FIELDS = {
  shards: { is: Number.isInteger, allowed: 'a whole number' },
  replicas: { is: Number.isInteger, allowed: 'a whole number' },
  spec: { is: TEXT, allowed: 'a size such as "5x1x4gb"' },
  by: oneOf('slots', 'bytes', 'keys'),
  nodes: {
    is: (value: unknown) => Array.isArray(value) && value.every(TEXT),
    allowed: 'a list such as ["10.0.0.4:7000"]',
  },
  any: BOOLEAN,
  bigKeys: oneOf('refuse', 'move'),
  dryRun: BOOLEAN,
} as const satisfies Readonly<Record<keyof ScaleRequest | 'dryRun', Field>>;

type FieldName = keyof typeof FIELDS;

const FIELDS_OF: Readonly<Record<ScalingKind, readonly FieldName[]>> = {
  scale: Object.keys(FIELDS) as FieldName[],
  rebalance: ['by', 'bigKeys', 'dryRun'],
};

function oneOf(...words: readonly string[]): Field {
  return {
    is: (value) => words.some((word) => word === value),
    allowed: words.map((word) => JSON.stringify(word)).join(' or '),
  };
}

function scaleRequest(kind: ScalingKind, body: unknown, path: string) {
  const { dryRun, ...request } = fieldsOf(body, FIELDS_OF[kind], path);
  return { isDryRun: dryRun === true, request: request as ScaleRequest };
}

/** @throws HTTPException that names the field, and what is allowed */
function fieldsOf(
  body: unknown,
  names: readonly FieldName[],
  path: string,
): Readonly<Record<string, unknown>> {
  const list = names.length === 0 ? '{}' : `an object with ${names.join(', ')}`;
  const refuse = (what: string, allowed: string) =>
    problem(400, `${what}; allowed: ${allowed}`, path, { reason: 'not-allowed' });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw refuse('The body is no object', list);
  }
  for (const [name, value] of Object.entries(body)) {
    const known = names.find((each) => each === name);
    if (known === undefined) throw refuse(`${shown(name)} is no field here`, list);
    const { is, allowed } = FIELDS[known];
    if (!is(value)) throw refuse(`${name}: ${shown(value)} is not allowed`, allowed);
  }
  return { ...body };
}

const SHOWN_CHARS_MAX = 80;

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}
