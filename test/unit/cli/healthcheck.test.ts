import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** Answers /readyz with `status`, everything else with 404; never answers when status is 0. */
function http(status: number, body = ''): Promise<number> {
  return listen(
    createHttpServer((request, response) => {
      if (status === 0) return;
      response.statusCode = request.url === '/readyz' ? status : 404;
      response.end(body);
    }),
  );
}

/** Sends one reply per command, which all arrive whole here; keeps what it was sent. */
async function redis(replies: readonly string[]): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = [];
  const port = await listen(
    createServer((socket) => {
      let next = 0;
      socket.on('data', (data) => {
        seen.push(data.toString());
        socket.write(replies[next++] ?? '');
      });
      socket.on('error', () => socket.destroy());
    }),
  );
  return { port, seen };
}

async function check(line: string, env: Readonly<Record<string, string>> = {}) {
  let out = '';
  let err = '';
  const { exitCode } = await runCli(['healthcheck', ...line.split(' ').filter(Boolean)], {
    env,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { exitCode, out, err };
}

/** A port where nothing listens: it was free a moment ago. */
async function deadPort(): Promise<number> {
  const port = await http(200);
  await (closers.pop() as () => Promise<void>)();
  return port;
}

describe('healthcheck', () => {
  it('is content with 200', async () => {
    const port = await http(200, 'ready\n');
    const url = `http://127.0.0.1:${port}/readyz`;
    const ready = { exitCode: 0, out: `${url}: 200 ready\n`, err: '' };
    expect(await check(`--url ${url}`)).toEqual(ready);
    expect(await check(`--host 127.0.0.1 --port ${port}`)).toEqual(ready);
  });

  it('looks where the configuration says', async () => {
    const port = await http(200, 'ready');
    const env = { SLOTGATE_HTTP__PORT: String(port), SLOTGATE_HTTP__BIND: '0.0.0.0' };
    expect((await check('', env)).exitCode).toBe(0);
  });

  it('says why not, in one line, with exit code 3', async () => {
    const port = await http(503, 'no node reachable\nmore\n');
    const { exitCode, out, err } = await check(`--port ${port}`);
    expect([exitCode, out]).toEqual([3, '']);
    expect(err).toBe(`http://127.0.0.1:${port}/readyz: 503 no node reachable\n`);
  });

  it('gives up on silence, and on nobody there', async () => {
    const silent = await check(`--port ${await http(0)} --timeout 50ms`);
    expect(silent.exitCode).toBe(3);
    expect(silent.err).toContain('no answer within 50 ms');
    const dead = await check(`--port ${await deadPort()}`);
    expect(dead.exitCode).toBe(3);
    expect(dead.err).toContain('could not connect: connection refused');
  });

  it('asks as a Redis client too', async () => {
    const port = await http(200, 'ready');
    const server = await redis(['+PONG\r\n']);
    const { exitCode, out } = await check(`--port ${port} --redis 127.0.0.1:${server.port}`);
    expect(exitCode).toBe(0);
    expect(out).toContain(`redis://127.0.0.1:${server.port}: PONG\n`);
    expect(server.seen).toEqual(['*1\r\n$4\r\nPING\r\n']);
  });

  it('has a port for each: --http-port, and --redis with a port alone', async () => {
    const server = await redis(['+PONG\r\n']);
    const { exitCode, out } = await check(`--http-port ${await http(200)} --redis ${server.port}`);
    expect(exitCode).toBe(0);
    expect(out).toContain(`redis://127.0.0.1:${server.port}: PONG\n`);
    const both = await check('--http-port 1 --port 1');
    expect([both.exitCode, both.err]).toEqual([2, expect.stringContaining('--http-port')]);
    const none = await check(`--http-port ${await http(200)} --redis 65536`);
    expect([none.exitCode, none.err]).toEqual([2, expect.stringContaining('allowed: a port, or')]);
  });

  it('says that it PINGs the default port where only the HTTP port was named', async () => {
    const words = 'the default port; --redis PORT or -c FILE names another';
    // Whoever has that port here: the address tells which it is.
    const guessed = await check(`--http-port ${await http(200)} --redis --timeout 500ms`);
    expect(guessed.out + guessed.err).toMatch(/redis:\/\/127\.0\.0\.1:6379: .*the default port/);
    const server = await redis(['+PONG\r\n', '+PONG\r\n']);
    const port = await http(200);
    const env = { SLOTGATE_PORT: String(server.port) };
    expect((await check(`--http-port ${port} --redis`, env)).out).not.toContain(words);
    expect((await check(`--http-port ${port} --redis ${server.port}`)).out).not.toContain(words);
  });

  it('logs in with the configured password', async () => {
    const port = await http(200);
    const server = await redis(['+OK\r\n', '+PONG\r\n']);
    const env = { SLOTGATE_REQUIREPASS: 'secret', SLOTGATE_PORT: String(server.port) };
    const { exitCode, out } = await check(`--port ${port} --redis`, env);
    expect(exitCode).toBe(0);
    expect(server.seen[0]).toContain('AUTH');
    expect(out).not.toContain('secret');
  });

  it('reports what Redis answered instead', async () => {
    const port = await http(200);
    const server = await redis(['-CLUSTERDOWN no primary\r\n']);
    const { exitCode, err } = await check(`--port ${port} --redis 127.0.0.1:${server.port}`);
    expect(exitCode).toBe(3);
    expect(err).toContain('CLUSTERDOWN no primary');
    const dead = await check(`--port ${port} --redis 127.0.0.1:${await deadPort()}`);
    expect(dead.exitCode).toBe(3);
    expect(dead.err).toMatch(/redis:.*refused/i);
  });
});
