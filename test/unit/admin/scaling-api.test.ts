import { describe, expect, test } from 'vitest';
import { ApiError } from '../../../src/admin/api-error.ts';
import { createAdminApp } from '../../../src/admin/app.ts';
import { withCheckedRequests } from '../../../src/process/scaling-requests.ts';
import { FakeScaling, JOB, jobAt, PLAN, STATUS } from '../../support/scaling/fake-scaling.ts';

const BASE = '/api/v1';
const JSON_TYPE = { 'content-type': 'application/json' };

function setUp() {
  const scaling = new FakeScaling();
  const logged: object[] = [];
  const app = createAdminApp({
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    version: '1.2.3',
    log: { debug: () => {}, error: (fields) => logged.push(fields) },
    api: {
      nodes: async () => null,
      failover: async () => ({}),
      scaling: withCheckedRequests(scaling),
    },
  });
  const send = async (method: string, path: string, sent?: unknown, headers = JSON_TYPE) => {
    const init = sent === undefined ? { method } : { method, body: textOf(sent), headers };
    const env = { incoming: { url: BASE + path, socket: { remoteAddress: '127.0.0.1' } } };
    const response = await app.request(BASE + path, init, env);
    const body = (await response.json()) as object;
    return { status: response.status, headers: response.headers, body };
  };
  return { app, scaling, logged, send };
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

describe('what is shown', () => {
  test('the status; 503 while nothing is known', async () => {
    const { send, scaling } = setUp();
    expect(await send('GET', '/status')).toMatchObject({ status: 200, body: STATUS });
    scaling.statusNow = null;
    expect(await send('GET', '/status')).toMatchObject({
      status: 503,
      body: { detail: 'Nothing is known of the upstream yet.' },
    });
  });

  test('the jobs, one of them, and that there is no other', async () => {
    const { send, scaling } = setUp();
    scaling.reports = [jobAt(5)];
    expect((await send('GET', '/jobs')).body).toMatchObject({ jobs: [{ id: 'job-1' }, {}] });
    expect(await send('GET', '/jobs/job-1')).toMatchObject({ status: 200, body: jobAt(5) });
    expect(await send('GET', '/jobs/job-2')).toMatchObject({
      status: 404,
      body: { detail: 'There is no job job-2.', reason: 'unknown-job' },
    });
  });

  test('a refusal has its status, reason and wait', async () => {
    const { send, scaling } = setUp();
    scaling.refusal = new ApiError(503, 'busy', { reason: 'busy', retryAfterSeconds: 2 });
    for (const path of ['/status', '/jobs', '/jobs/job-1']) {
      const { status, headers, body } = await send('GET', path);
      expect([status, headers.get('retry-after')]).toEqual([503, '2']);
      expect(body).toMatchObject({ detail: 'busy', reason: 'busy', instance: BASE + path });
    }
  });

  test('a defect is logged and tells nothing', async () => {
    const { send, scaling, logged } = setUp();
    scaling.refusal = new Error('secret');
    const { status, body } = await send('GET', '/status');
    expect([status, JSON.stringify(body).includes('secret'), logged.length]).toEqual([
      500,
      false,
      1,
    ]);
  });
});

describe('scale and rebalance', () => {
  const FULL = {
    shards: 5,
    replicas: 1,
    by: 'bytes',
    nodes: ['10.0.0.4:7000', '[::1]:7001'],
    any: false,
    bigKeys: 'move',
  };

  test('start a job, whatever is in the request handed on', async () => {
    const { send, scaling } = setUp();
    expect(await send('POST', '/scale', FULL)).toMatchObject({ status: 202, body: JOB });
    expect(await send('POST', '/rebalance', {})).toMatchObject({ status: 202 });
    expect(await send('POST', '/scale', { spec: '5x1x4gb', dryRun: false })).toMatchObject({
      status: 202,
    });
    expect(scaling.asked).toEqual([
      ['start', 'scale', FULL],
      ['start', 'rebalance', {}],
      ['start', 'scale', { spec: '5x1x4gb' }],
    ]);
  });

  test('a dry run shows the plan and starts nothing', async () => {
    const { send, scaling } = setUp();
    expect(await send('POST', '/scale', { ...FULL, dryRun: true })).toMatchObject({
      status: 200,
      body: PLAN,
    });
    expect(await send('POST', '/rebalance', { by: 'keys', dryRun: true })).toMatchObject({
      status: 200,
    });
    expect(scaling.asked).toEqual([
      ['plan', 'scale', FULL],
      ['plan', 'rebalance', { by: 'keys' }],
    ]);
  });

  test('a refusal of the work', async () => {
    const { send, scaling } = setUp();
    scaling.refusal = new ApiError(409, 'a job runs', { reason: 'busy' });
    for (const dryRun of [true, false]) {
      expect(await send('POST', '/scale', { shards: 5, dryRun })).toMatchObject({
        status: 409,
        body: { detail: 'a job runs', reason: 'busy' },
      });
    }
  });

  test('the names of as many nodes as there may be', async () => {
    const { send, scaling } = setUp();
    const nodes = Array.from({ length: 768 }, (_, i) => `node-${i}.redis.internal.example:7000`);
    expect((await send('POST', '/scale', { shards: 128, replicas: 5, nodes })).status).toBe(202);
    expect(scaling.asked).toHaveLength(1);
    const more = await send('POST', '/scale', { shards: 128, nodes: [...nodes, 'n:1'] });
    expect(more.body).toMatchObject({ detail: 'nodes: 769 nodes; allowed: up to 768' });
  });

  test.each([
    ['', 'The body is no JSON.'],
    ['{', 'The body is no JSON.'],
    [null, 'The body is no object; allowed: an object with shards, replicas, spec, by'],
    [[], 'The body is no object; allowed'],
    [7, 'The body is no object; allowed'],
    ['{"__proto__": {"shards": 5}}', '"__proto__" is no field here; allowed: an object with sha'],
    [{ shard: 5 }, '"shard" is no field here; allowed: an object with shards, replicas, spec'],
    [{ shards: '5' }, 'shards: "5" is not allowed; allowed: a whole number'],
    [{ shards: 5.5 }, 'shards: 5.5 is not allowed; allowed: a whole number'],
    [{ shards: null }, 'shards: null is not allowed'],
    [{ shards: 0 }, 'shards: 0 shards; allowed: 1 to 128'],
    [{ shards: 129, any: true }, 'shards: 129 shards; allowed: 1 to 128'],
    [{ shards: 7 }, 'shards: 7 shards; allowed: 1, 3, 5, 8,'],
    [{ shards: 5, replicas: 6 }, 'replicas: 6 replicas of each shard; allowed: 0 to 5'],
    [{ replicas: true }, 'replicas: true is not allowed; allowed: a whole number'],
    [{ spec: 5 }, 'spec: 5 is not allowed; allowed: a size such as "5x1x4gb"'],
    [{ spec: '5x1' }, 'spec: "5x1" is no size; allowed: SHARDSxREPLICASxMEMORY'],
    [{ spec: '5x1x4gb', replicas: 1 }, 'spec: "5x1x4gb" names shards and replicas already; allow'],
    [{}, 'no size is named; allowed: shards, replicas or both, or a spec'],
    [{ shards: 5, by: 'size' }, 'by: "size" is not allowed; allowed: "slots" or "bytes" or "keys"'],
    [{ shards: 5, nodes: 'a:1' }, 'nodes: "a:1" is not allowed; allowed: a list such as ['],
    [{ shards: 5, nodes: [1] }, 'nodes: [1] is not allowed; allowed: a list such as ['],
    [{ shards: 5, nodes: ['a'] }, 'nodes: "a" is no node; allowed: host:port such as'],
    [{ shards: 5, nodes: ['a:1', 'a:1'] }, 'nodes: a:1 twice; allowed: each node once'],
    [{ shards: 5, any: 1 }, 'any: 1 is not allowed; allowed: true or false'],
    [{ shards: 5, bigKeys: 'no' }, 'bigKeys: "no" is not allowed; allowed: "refuse" or "move"'],
    [{ shards: 5, dryRun: 'yes' }, 'dryRun: "yes" is not allowed; allowed: true or false'],
    [{ by: 'x'.repeat(500) }, `by: "${'x'.repeat(79)}… is not allowed`],
  ])('what is not allowed is named, and what is: %j', async (body, detail) => {
    const { send, scaling } = setUp();
    const { status, body: answer } = await send('POST', '/scale', body);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ detail: expect.stringContaining(detail) });
    expect(scaling.asked).toEqual([]);
  });

  test('rebalance changes no numbers', async () => {
    const { send } = setUp();
    expect((await send('POST', '/rebalance', { shards: 5 })).body).toMatchObject({
      status: 400,
      detail: '"shards" is no field here; allowed: an object with by, bigKeys, dryRun',
      reason: 'not-allowed',
    });
  });

  test('a body that is too long', async () => {
    const { send } = setUp();
    expect((await send('POST', '/scale', { spec: 'x'.repeat(65_536) })).status).toBe(413);
  });
});

describe('steering', () => {
  test.each(['pause', 'resume', 'cancel'])('%s', async (order) => {
    const { send, scaling } = setUp();
    expect(await send('POST', `/jobs/job-1/${order}`, {})).toMatchObject({
      status: 200,
      body: { state: 'pausing' },
    });
    expect(scaling.asked).toEqual([['steer', 'job-1', order]]);
    scaling.refusal = new ApiError(404, 'no job', { reason: 'unknown-job' });
    expect((await send('POST', `/jobs/job-9/${order}`, {})).status).toBe(404);
    expect((await send('POST', `/jobs/job-1/${order}`, { now: 1 })).body).toMatchObject({
      status: 400,
      detail: '"now" is no field here; allowed: {}',
    });
  });

  test('no other order', async () => {
    expect((await setUp().send('POST', '/jobs/job-1/stop', {})).status).toBe(404);
  });
});

describe('the guard', () => {
  const CHANGES = ['/scale', '/rebalance', '/jobs/job-1/pause', '/jobs/job-1/cancel'];

  test.each(CHANGES)('%s is taken from this machine, no page and no proxy', async (path) => {
    const { app, scaling, send } = setUp();
    const ask = (headers: Record<string, string>, incoming: object) =>
      app.request(BASE + path, { method: 'POST', body: '{}', headers }, { incoming });
    const here = { url: BASE + path, socket: { remoteAddress: '127.0.0.1' } };
    const remote = { ...here, socket: { remoteAddress: '10.0.0.9' } };
    expect((await ask(JSON_TYPE, remote)).status).toBe(403);
    expect((await ask({ ...JSON_TYPE, via: 'x' }, here)).status).toBe(403);
    expect((await ask({ ...JSON_TYPE, origin: 'http://evil.example' }, here)).status).toBe(403);
    expect((await ask(JSON_TYPE, { ...here, url: `/x/..${BASE}${path}` })).status).toBe(404);
    expect((await send('POST', path, '{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect(scaling.asked).toEqual([]);
  });

  test('an id in another spelling', async () => {
    const { send, scaling } = setUp();
    expect((await send('POST', '/jobs/%6aob-1/pause', {})).status).toBe(404);
    expect(scaling.asked).toEqual([]);
  });

  test.each([
    ...CHANGES.flatMap((path) => [
      ['GET', path, 'POST'],
      ['PUT', path, 'POST'],
    ]),
    ...['/status', '/jobs', '/jobs/job-1'].flatMap((path) => [
      ['POST', path, 'GET, HEAD'],
      ['DELETE', path, 'GET, HEAD'],
    ]),
  ])('%s %s is 405', async (method, path, allowed) => {
    const { headers, status } = await setUp().send(String(method), String(path));
    expect([status, headers.get('allow')]).toEqual([405, allowed]);
  });
});
