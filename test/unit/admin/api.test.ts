import { describe, expect, test } from 'vitest';
import type { AdminApi, FailoverRequest } from '../../../src/admin/api.ts';
import { ApiError } from '../../../src/admin/api-error.ts';
import { createAdminApp } from '../../../src/admin/app.ts';
import { FakeScaling } from '../../support/scaling/fake-scaling.ts';

const PATH = '/api/v1/failover';
const LOCAL = { incoming: { url: PATH, socket: { remoteAddress: '127.0.0.1' } } };

function setUp(failover: AdminApi['failover'], nodes: object | null = { shards: [] }) {
  const logged: object[] = [];
  const app = createAdminApp({
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    version: '1.2.3',
    log: { debug: () => {}, error: (fields) => logged.push(fields) },
    api: { nodes: async () => nodes, failover, scaling: new FakeScaling() },
  });
  const post = (body: string, init: RequestInit = {}, env: object = LOCAL) =>
    app.request(
      '/api/v1/failover',
      { method: 'POST', body, headers: { 'content-type': 'application/json' }, ...init },
      env,
    );
  return { app, post, logged };
}

async function linesOf(response: Response): Promise<unknown[]> {
  const text = await response.text();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('GET /api/v1/nodes', () => {
  test('what control reports', async () => {
    const { app } = setUp(async () => ({}), { mode: 'cluster', shards: [] });
    const response = await app.request('/api/v1/nodes');
    expect([response.status, await response.json()]).toEqual([
      200,
      { mode: 'cluster', shards: [] },
    ]);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('503 while nothing is known', async () => {
    const response = await setUp(async () => ({}), null).app.request('/api/v1/nodes');
    expect([response.status, response.headers.get('content-type')]).toEqual([
      503,
      'application/problem+json',
    ]);
  });
});

describe('POST /api/v1/failover', () => {
  test.each([
    'Forwarded',
    'X-Forwarded-For',
    'x-forwarded-proto',
    'Via',
    'X-Real-IP',
    'CF-Connecting-IP',
    'True-Client-IP',
    'X-Client-IP',
    'Fastly-Client-IP',
    'Fly-Client-IP',
    'X-Cluster-Client-IP',
    'X-Original-Forwarded-For',
    'X-Envoy-External-Address',
    'CDN-Loop',
  ])('with %s somebody else may stand behind it', async (header) => {
    const { post } = setUp(async () => ({}));
    const headers = { 'content-type': 'application/json', [header]: 'for=127.0.0.1' };
    const response = await post('{"shard":"0"}', { headers });
    expect([response.status, await response.text()]).toEqual([
      403,
      expect.stringContaining('proxy'),
    ]);
  });

  test('tells each step in a line of its own, and the result in the last', async () => {
    const asked: FailoverRequest[] = [];
    const { post } = setUp(async (request, tell) => {
      asked.push(request);
      tell({ step: 'chosen', node: 'b' });
      await Promise.resolve();
      tell({ step: 'held', node: 'a' });
      return { shard: 0 };
    });
    const response = await post('{"shard": 0, "to": "b"}');
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(await linesOf(response)).toEqual([
      { step: 'chosen', node: 'b' },
      { step: 'held', node: 'a' },
      { done: true, shard: 0 },
    ]);
    expect(asked).toEqual([{ shard: '0', to: 'b' }]);
  });

  test('the first step is sent before the work is done', async () => {
    let finish: () => void = () => {};
    const { post } = setUp(async (_request, tell) => {
      tell({ step: 'chosen' });
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return {};
    });
    const reader = (await post('{"shard": 0}')).body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe('{"step":"chosen"}\n');
    finish();
    const last = await reader?.read();
    expect(new TextDecoder().decode(last?.value)).toBe('{"done":true}\n');
  });

  test('what is refused before the first step is a problem with its own status', async () => {
    const { post } = setUp(async () => {
      throw new ApiError(409, 'wait 3 s', { reason: 'elected-lately', retryAfterSeconds: 3 });
    });
    const response = await post('{"shard": "10.0.0.1:7000"}');
    expect([response.status, response.headers.get('retry-after')]).toEqual([409, '3']);
    expect(await response.json()).toMatchObject({
      title: 'Conflict',
      detail: 'wait 3 s',
      reason: 'elected-lately',
      retryAfterSeconds: 3,
      instance: '/api/v1/failover',
    });
  });

  test('what fails after it is the last line', async () => {
    const { post } = setUp(async (_request, tell) => {
      tell({ step: 'chosen' });
      throw new ApiError(503, 'not elected', { reason: 'failed' });
    });
    expect(await linesOf(await post('{"shard": 1}'))).toEqual([
      { step: 'chosen' },
      { error: { detail: 'not elected', reason: 'failed' } },
    ]);
  });

  test('a defect is logged and tells nothing', async () => {
    const before = setUp(async () => {
      throw new Error('secret');
    });
    const response = await before.post('{"shard": 1}');
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    expect(before.logged).toHaveLength(1);
    const after = setUp(async (_request, tell) => {
      tell({ step: 'chosen' });
      throw new Error('secret');
    });
    expect(await (await after.post('{"shard": 1}')).text()).not.toContain('secret');
    expect(after.logged).toHaveLength(1);
  });

  test('the work goes on when the caller leaves', async () => {
    let steps = 0;
    let finish: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { post } = setUp(async (_request, tell) => {
      tell({ step: 'chosen' });
      await new Promise((resolve) => setImmediate(resolve));
      tell({ step: 'held' });
      steps = 2;
      finish();
      return {};
    });
    const response = await post('{"shard": 0}');
    await response.body?.cancel();
    await done;
    expect(steps).toBe(2);
  });

  test.each([
    ['', 400],
    ['{', 400],
    ['null', 400],
    ['{}', 400],
    ['{"shard": 1.5}', 400],
    ['{"shard": 1, "to": 2}', 400],
    [`{"shard": "${'x'.repeat(5000)}"}`, 413],
  ])('the body %s', async (body, status) => {
    const { post } = setUp(async () => ({}));
    const init = {
      headers: { 'content-type': 'application/json', 'content-length': `${body.length}` },
    };
    expect((await post(body, init)).status).toBe(status);
  });

  test('is refused from elsewhere, before anything is done', async () => {
    let calls = 0;
    const { post } = setUp(async () => {
      calls++;
      return {};
    });
    const json = { 'content-type': 'application/json' };
    const remote = { incoming: { url: PATH, socket: { remoteAddress: '10.0.0.9' } } };
    expect((await post('{"shard": 0}', {}, remote)).status).toBe(403);
    expect((await post('{"shard": 0}', {}, {})).status).toBe(403);
    const page = { headers: { ...json, origin: 'http://evil.example' } };
    expect((await post('{"shard": 0}', page)).status).toBe(403);
    expect((await post('{"shard": 0}', { headers: { 'content-type': 'text/plain' } })).status).toBe(
      415,
    );
    expect(calls).toBe(0);
  });

  test.each(['GET', 'PUT', 'DELETE', 'OPTIONS'])('%s is 405', async (method) => {
    const { app } = setUp(async () => ({}));
    const response = await app.request('/api/v1/failover', { method }, LOCAL);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

test('without an API its paths are not there', async () => {
  const app = createAdminApp({
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    version: '1.2.3',
    log: { debug: () => {}, error: () => {} },
  });
  expect((await app.request('/api/v1/nodes')).status).toBe(404);
});
