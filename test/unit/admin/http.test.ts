import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Admin, type AdminOptions, startAdmin } from '../../../src/admin/http.ts';
import { ProxyError } from '../../../src/lib/errors.ts';

const open: Admin[] = [];

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
    log: { error: () => {} },
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
  const error = await start({ port, portOption: 'http.port' }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProxyError);
  expect((error as ProxyError).code).toBe('address-in-use');
  expect((error as ProxyError).message).toContain(`127.0.0.1:${port}`);
  expect((error as ProxyError).message).toContain('http.port');
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
  const sockets = Array.from({ length: 70 }, () => connect(port, '127.0.0.1'));
  let closed = 0;
  for (const socket of sockets) {
    socket.on('error', () => {}).once('close', () => closed++);
    socket.write('GET /livez HTTP/1.1\r\nHost:');
  }
  await expect.poll(() => closed).toBe(6);
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
  expect(closed).toBe(7);
  for (const socket of sockets) socket.destroy();
});
