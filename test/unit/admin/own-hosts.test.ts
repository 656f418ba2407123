import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { createAdminApp } from '../../../src/admin/app.ts';
import { ownHosts } from '../../../src/admin/own-hosts.ts';

const isOwn = ownHosts(['Redis.Example.com']);

test.each([
  '127.0.0.1:8379',
  '10.1.2.3',
  '[::1]:8379',
  'localhost:8379',
  'slotgate',
  'slotgate:8379',
  'slotgate.redis.svc.cluster.local:8379',
  'slotgate.redis.svc',
  'db7.internal',
  hostname(),
  'redis.example.com:80',
  'REDIS.example.com.',
])('%s is ours', (host) => {
  expect(isOwn(host)).toBe(true);
});

test.each([
  'evil.example:8379',
  'localhost.evil.example',
  '127.0.0.1.nip.io',
  'x.redis.example.com',
])('%s may be anybody', (host) => {
  expect(isOwn(host)).toBe(false);
});

describe('the pages', () => {
  const app = createAdminApp({
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    version: '1',
    log: { debug: () => {}, error: () => {} },
    hosts: ['slotgate.example.com'],
  });
  const statusFor = async (path: string, host: string) =>
    (await app.request(path, { headers: { host } })).status;

  test.each(['/', '/metrics', '/api/v1/nodes', '/nothing'])(
    '%s is not shown under a foreign name',
    async (path) => {
      const response = await app.request(path, { headers: { host: 'evil.example' } });
      expect(response.status).toBe(421);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(await response.text()).toContain('http.hosts');
    },
  );

  test.each(['/livez', '/readyz', '/healthz'])('%s is shown under any name', async (path) => {
    expect(await statusFor(path, 'evil.example')).toBe(200);
  });

  test('under our own names they are shown', async () => {
    expect(await statusFor('/metrics', 'slotgate.example.com:80')).toBe(200);
    expect(await statusFor('/metrics', '127.0.0.1:8379')).toBe(200);
  });
});
