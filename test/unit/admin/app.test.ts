import { describe, expect, test } from 'vitest';
import { createAdminApp, type Readiness } from '../../../src/admin/app.ts';
import { startPage } from '../../../src/admin/start-page.ts';

function setUp(readiness: Readiness | Error = { ready: true, reasons: [], degraded: [] }) {
  const logged: object[] = [];
  const app = createAdminApp({
    readiness: () => {
      if (readiness instanceof Error) throw readiness;
      return readiness;
    },
    metrics: async (accept) => {
      if (accept === 'broken/metrics') throw new Error('no metrics today');
      return { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: `# ${accept}\n` };
    },
    version: '1.2.3',
    log: { debug: () => {}, error: (fields) => logged.push(fields) },
  });
  const get = (path: string, accept?: string) =>
    app.request(path, accept === undefined ? {} : { headers: { accept } });
  return { app, get, logged };
}

const NOT_READY: Readiness = {
  ready: false,
  reasons: ['no node answers', 'slot 5 <unowned>'],
  degraded: [],
};
const DEGRADED: Readiness = { ready: true, reasons: [], degraded: ['shard 1', 'slot <2>'] };

describe('health', () => {
  test('livez and healthz answer even when not ready', async () => {
    const { get } = setUp(NOT_READY);
    expect((await get('/livez')).status).toBe(200);
    expect(await (await get('/healthz')).text()).toBe('ok\n');
    const health = await (await get('/healthz', 'application/json')).json();
    expect(health).toEqual({ status: 'ok', version: '1.2.3', uptimeSeconds: 0 });
  });

  test('readyz is 200 when ready', async () => {
    const response = await setUp().get('/readyz');
    expect([response.status, await response.text()]).toEqual([200, 'ready\n']);
  });

  test('readyz is 200 and names what is not served', async () => {
    const { get } = setUp(DEGRADED);
    const response = await get('/readyz');
    expect([response.status, await response.text()]).toEqual([
      200,
      'ready, degraded: shard 1; slot <2>\n',
    ]);
    expect(await (await get('/readyz', 'application/json')).json()).toEqual(DEGRADED);
    expect(await (await get('/')).text()).toContain('Ready, but not all is served:');
  });

  test('readyz is 503 with the reasons as text', async () => {
    const response = await setUp(NOT_READY).get('/readyz', '*/*');
    expect(response.status).toBe(503);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(await response.text()).toBe('not ready: no node answers; slot 5 <unowned>\n');
  });

  test('readyz is 503 with the reasons as JSON when that is asked for', async () => {
    const response = await setUp(NOT_READY).get('/readyz', 'application/json');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual(NOT_READY);
  });
});

test('metrics get the Accept header and give the content type', async () => {
  const response = await setUp().get('/metrics', 'application/openmetrics-text');
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toBe('# application/openmetrics-text\n');
});

test('the start page escapes what it shows and may load nothing but its own style', async () => {
  const response = await setUp(NOT_READY).get('/');
  const page = await response.text();
  expect(page).toContain('slotgate 1.2.3');
  expect(page).toContain('slot 5 &lt;unowned&gt;');
  expect(page).not.toContain('<unowned>');
  expect(response.headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; frame-ancestors 'none'$/,
  );
});

test('the start page says where clients connect, and links the API where there is one', async () => {
  const { app } = setUp();
  const bare = await (await app.request('/')).text();
  expect(bare).not.toMatch(/connect to|\/api\/v1/);
  const page = await startPage({
    version: '1',
    readiness: { ready: true, reasons: [], degraded: [] },
    clients: 'redis://127.0.0.1:6379',
    hasApi: true,
  });
  expect(String(page)).toContain('<code>redis://127.0.0.1:6379</code>');
  expect(String(page)).toContain('href="/api/v1/nodes"');
});

describe('what is refused', () => {
  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is 405', async (method) => {
    const response = await setUp().app.request('/readyz', { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  test('a page that is not there is a 404 problem', async () => {
    const response = await setUp().get('/nope?x=1');
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'There is no page /nope.',
      instance: '/nope',
    });
  });

  test.each([{ 'content-length': '5' }, { 'transfer-encoding': 'chunked' }])(
    'a request body (%j) is 413',
    async (headers) => {
      const response = await setUp().app.request('/livez', { headers });
      expect(response.status).toBe(413);
    },
  );

  test('a page that throws is a 500 problem that tells nothing, and a log entry that does', async () => {
    const { get, logged } = setUp(new Error('secret detail'));
    const response = await get('/readyz');
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    expect(logged).toEqual([{ err: new Error('secret detail'), path: '/readyz' }]);
    expect((await get('/metrics', 'broken/metrics')).status).toBe(500);
  });
});

test('HEAD answers as GET without a body', async () => {
  const response = await setUp(NOT_READY).app.request('/readyz', { method: 'HEAD' });
  expect([response.status, await response.text()]).toEqual([503, '']);
});

test.each(['/livez', '/nope', '/', '/metrics'])('%s carries the security headers', async (path) => {
  const { headers } = await setUp().get(path);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
});
