import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type Admin, type AdminOptions, startAdmin } from '../../../src/admin/http.ts';
import { inTurn } from '../../../src/admin/serve-in-turn.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { FakeScaling } from '../../support/scaling/fake-scaling.ts';

const open: Admin[] = [];

const UNENDING =
  'POST /api/v1/failover HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
  'Content-Length: 4000\r\n\r\n{';

afterEach(async () => {
  await Promise.all(open.splice(0).map((admin) => admin.close()));
});

async function start(options: Partial<AdminOptions> = {}): Promise<Admin> {
  const admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: 'up 1\n' }),
    version: '1.2.3',
    log: { debug: () => {}, error: () => {} },
    ...options,
  });
  open.push(admin);
  return admin;
}

/** Sends raw bytes and returns all that comes until the server closes. */
async function exchange(admin: Admin, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

test('port 0 is replaced by the port the kernel chose', async () => {
  const admin = await start();
  expect(admin.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const response = await fetch(`${admin.url}/metrics`);
  expect(await response.text()).toBe('up 1\n');
});

test('a wildcard address is shown as loopback', async () => {
  const admin = await start({ host: '0.0.0.0' });
  expect(admin.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
});

test('a busy port is a ProxyError that names address and option', async () => {
  const port = Number(new URL((await start()).url).port);
  const error = await start({ port }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProxyError);
  expect((error as ProxyError).code).toBe('address-in-use');
  expect((error as ProxyError).message).toContain(`127.0.0.1:${port}`);
  expect((error as ProxyError).message).toContain('choose another with --http-port');
});

test('an address of another machine is a ProxyError too', async () => {
  const error = await start({ host: '203.0.113.7' }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'address-not-available' });
});

test.each([
  ['no HTTP', 'PING\r\n\r\n', '400'],
  ['no Host header', 'GET / HTTP/1.1\r\n\r\n', '400'],
  ['a Host that is no host', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', '400'],
  ['headers of 20 KB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, '431'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', '4'],
  ['a body', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nabc', '413'],
])('%s is refused and closed, and the server goes on', async (_name, bytes, status) => {
  const admin = await start();
  expect(await exchange(admin, bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status}`));
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
});

test('close ends idle keep-alive connections and frees the port', async () => {
  const admin = await start();
  const port = Number(new URL(admin.url).port);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'data');
  socket.resume();
  await Promise.all([admin.close(), once(socket, 'close')]);
  await start({ port });
});

test('close cuts a connection that never finishes its request', async () => {
  const admin = await start();
  const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET /livez HTTP/1.1\r\nHost:');
  await (await fetch(`${admin.url}/livez`)).text();
  socket.on('error', () => {});
  await Promise.all([admin.close(), once(socket, 'close')]);
});

/** Pages that take until the test lets them go. */
function slowPages() {
  const begun: (() => void)[] = [];
  const metrics: AdminOptions['metrics'] = () =>
    new Promise((resolve) => {
      begun.push(() => resolve({ contentType: 'text/plain', body: `page ${begun.length}\n` }));
    });
  return { begun, metrics };
}

test('what a client sends ahead is begun only when the answer before it is written', async () => {
  const { begun, metrics } = slowPages();
  const admin = await start({ metrics });
  const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
  let answers = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answers += text;
  });
  for (const count of [1, 2, 3]) {
    await expect.poll(() => begun.length).toBe(count);
    // Whatever else was sent has long been read: another connection is served meanwhile.
    await (await fetch(`${admin.url}/livez`)).text();
    expect(begun.length).toBe(count);
    begun.at(-1)?.();
    await expect.poll(() => answers).toContain(`page ${count}\n`);
  }
  socket.destroy();
});

test('a client that sends very much ahead is cut', async () => {
  const { begun, metrics } = slowPages();
  const admin = await start({ metrics });
  expect(await exchange(admin, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(40))).toBe('');
  expect(begun.length).toBe(1);
});

test('with more connections than there may be, the newest is served', async () => {
  const admin = await start();
  const port = Number(new URL(admin.url).port);
  const sockets = Array.from({ length: 262 }, () => connect(port, '127.0.0.1'));
  let closed = 0;
  for (const socket of sockets) {
    socket.on('error', () => {}).once('close', () => closed++);
    socket.write('GET /livez HTTP/1.1\r\nHost:');
  }
  await expect.poll(() => closed, { timeout: 5000 }).toBe(6);
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
  await expect.poll(() => closed).toBe(7);
  for (const socket of sockets) socket.destroy();
});

test('a probe that asks late is served while a crowd keeps coming with bodies that do not end', async () => {
  const failover = () => Promise.reject(new Error('not asked'));
  const admin = await start({
    api: { nodes: async () => null, failover, scaling: new FakeScaling() },
  });
  const port = Number(new URL(admin.url).port);
  let closed = 0;
  const crowd = (size: number) =>
    Array.from({ length: size }, () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {}).once('close', () => closed++);
      socket.write(UNENDING);
      return socket;
    });
  const first = crowd(256);
  const probe = connect(port, '127.0.0.1');
  const all = [...first, ...crowd(40), probe];
  await expect.poll(() => closed, { timeout: 5000 }).toBe(41);
  expect(probe.destroyed).toBe(false);
  probe.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
  const [answer] = (await once(probe, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 200/);
  for (const socket of all) socket.destroy();
});

const FAILOVER = 'POST /api/v1/failover HTTP/1.1\r\nHost: localhost\r\n';
const JSON_TYPE = 'Content-Type: application/json\r\nConnection: close\r\n';

/** Starts one whose switches are kept instead of done. */
async function startWithSwitches() {
  const asked: object[] = [];
  const failover = async (request: object) => {
    asked.push(request);
    return {};
  };
  return {
    asked,
    admin: await start({ api: { nodes: async () => null, failover, scaling: new FakeScaling() } }),
  };
}

function inChunks(...parts: readonly string[]): string {
  const chunks = [...parts, ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return `Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}`;
}

test('a body in chunks is taken as any other', async () => {
  const { admin, asked } = await startWithSwitches();
  const answer = await exchange(admin, FAILOVER + JSON_TYPE + inChunks('{"sha', 'rd":', '1}'));
  expect(answer).toMatch(/^HTTP\/1.1 200 .*\{"done":true\}/s);
  expect(asked).toEqual([{ shard: '1' }]);
  expect(await exchange(admin, FAILOVER + JSON_TYPE + inChunks('{'))).toMatch(/^HTTP\/1.1 400/);
});

test.each([
  ['in chunks', inChunks('{"shard":"', 'x'.repeat(4096), '"}')],
  ['in chunks without an end', `${inChunks('x'.repeat(4097)).slice(0, -5)}fff\r\nx`],
  ['that says how long it is', `Content-Length: 4097\r\n\r\n${'x'.repeat(4097)}`],
])('a body %s is bounded', async (_how, rest) => {
  const { admin, asked } = await startWithSwitches();
  expect(await exchange(admin, FAILOVER + JSON_TYPE + rest)).toMatch(/^HTTP\/1.1 413/);
  expect(asked).toEqual([]);
});

test.each([
  '/metrics/../api/v1/failover',
  '/api/v1/./failover',
  '/%61pi/v1/failover',
  '/api/v1/failove%72',
  '//api/v1/failover',
  '/api/v1//failover',
  '/api/v1/failover/',
  '/api/v1/failover?x=1',
  '/api\\v1/failover',
  'http://localhost/api/v1/failover',
])('a switch asked for as %s is refused: a proxy may not know its path', async (target) => {
  const { admin, asked } = await startWithSwitches();
  const body = 'Content-Length: 11\r\n\r\n{"shard":1}';
  const head = FAILOVER.replace('/api/v1/failover', () => target);
  expect(await exchange(admin, head + JSON_TYPE + body)).toMatch(/^HTTP\/1.1 40[045]/);
  expect(asked).toEqual([]);
});

describe('a switch asked for with many headers in front of', () => {
  const GUARDED = [
    'Via: 1.1 proxy',
    'X-Forwarded-For: 10.0.0.9',
    'Origin: http://evil.example',
    'Sec-Fetch-Site: cross-site',
    'Host: evil.example',
    'Content-Type: text/plain',
  ];
  const BODY = 'Content-Length: 11\r\n\r\n{"shard":1}';
  const padded = (size: number, header: string) =>
    `${FAILOVER}${JSON_TYPE}${'D:b\r\n'.repeat(size)}${header}\r\n${BODY}`;

  test.each(GUARDED)('%s is refused', async (header) => {
    const { admin, asked } = await startWithSwitches();
    for (const size of [198, 1100, 2100]) {
      expect(await exchange(admin, padded(size, header))).toMatch(/^HTTP\/1.1 431 /);
    }
    expect(asked).toEqual([]);
  });

  test.each(GUARDED)('%s, but no more than there may be: it is seen', async (header) => {
    const { admin, asked } = await startWithSwitches();
    expect(await exchange(admin, padded(190, header))).toMatch(/^HTTP\/1.1 4(03|15|21) /);
    expect(asked).toEqual([]);
  });
});

test('CONNECT is refused and closed', async () => {
  const admin = await start();
  const answer = await exchange(admin, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1.1 405 .*Connection: close\r\n/s);
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
});

test.each([
  ['of a known length', 'Content-Length: 4000\r\n\r\n{'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n'],
])('a request whose body %s does not arrive is no error of ours', async (_how, body) => {
  const lines: string[] = [];
  const log = {
    debug: (_fields: object, message: string) => lines.push(`debug ${message}`),
    error: (_fields: object, message: string) => lines.push(`error ${message}`),
  };
  const failover = () => Promise.reject(new Error('not asked'));
  const admin = await start({
    log,
    api: { nodes: async () => null, failover, scaling: new FakeScaling() },
  });
  const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
  socket.write(FAILOVER + JSON_TYPE + body);
  await (await fetch(`${admin.url}/livez`)).text();
  socket.resetAndDestroy();
  await expect.poll(() => lines).toEqual(['debug the body of an API request did not arrive']);
});

test('a client that has sent very much ahead is cut before all of it is parsed', async () => {
  const begun: string[] = [];
  const server = createServer(
    inTurn((request) => {
      begun.push(request.url ?? '');
    }),
  );
  server.on('request', () => begun.push('parsed'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500));
  await once(socket, 'close');
  expect(begun.filter((each) => each === 'parsed').length).toBeLessThan(20);
  expect(begun.filter((each) => each === '/a')).toHaveLength(1);
  server.close();
});

test('a crowd that asks again is served by few a turn, so that new connections come in between', async () => {
  let begun = 0;
  const server = createServer(
    inTurn((_request, response) => {
      begun++;
      response.end('x');
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
  const askAll = () => {
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  };
  askAll();
  for (const socket of sockets) socket.resume();
  await expect.poll(() => begun).toBe(20);
  const perTurn: number[] = [];
  askAll();
  while (begun < 40) {
    const before = begun;
    await new Promise(setImmediate);
    perTurn.push(begun - before);
  }
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(4);
  for (const socket of sockets) socket.destroy();
  server.close();
});
