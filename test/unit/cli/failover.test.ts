import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Answer {
  readonly status?: number;
  readonly type?: string;
  readonly body: string;
}

/** Gives one answer per request; keeps what it was asked. */
async function slotgate(...answers: readonly Answer[]) {
  const asked: { path: string; body: unknown }[] = [];
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const part of request) body += part;
    const {
      status = 200,
      type = 'application/x-ndjson',
      body: text,
    } = answers[asked.length] ?? {
      body: '',
    };
    asked.push({
      path: `${request.method} ${request.url}`,
      body: body === '' ? null : JSON.parse(body),
    });
    response.writeHead(status, { 'content-type': type }).end(text);
  };
  const server = createServer((request, response) => void onRequest(request, response));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function run(...args: string[]) {
  const said = { out: '', err: '' };
  const { exitCode } = await runCli(args, {
    env: {},
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
  });
  return { exitCode, ...said };
}

const STEPS = [
  { step: 'chosen', node: 'b:2', text: 'takes over' },
  { step: 'released', node: 'b:2', text: 'serves; clients waited up to 31 ms' },
];
const DONE = { done: true, shard: 0, from: 'a:1', to: 'b:2', pauseMs: 31 };
const ndjson = (...lines: object[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');
const SUCCESS = { body: ndjson(...STEPS, DONE) };

function problem(status: number, about: object): Answer {
  return { status, type: 'application/problem+json', body: JSON.stringify({ status, ...about }) };
}

const LATELY = problem(409, {
  detail: 'b:2 was elected a moment ago: wait 1 s',
  reason: 'elected-lately',
  retryAfterSeconds: 1,
});

describe('slotgate failover', () => {
  test('tells each step, then the result', async () => {
    const { url, asked } = await slotgate(SUCCESS);
    const { exitCode, out, err } = await run('failover', '0', '--to', 'b:2', '--url', url);
    expect([exitCode, err]).toEqual([0, '']);
    expect(out).toBe(
      'b:2 takes over\nb:2 serves; clients waited up to 31 ms\n' +
        'shard 0: a:1 -> b:2, clients waited up to 31 ms\n',
    );
    expect(asked).toEqual([{ path: 'POST /api/v1/failover', body: { shard: '0', to: 'b:2' } }]);
  });

  test('JSON is one object a line, the last says how it ended', async () => {
    const { url } = await slotgate(SUCCESS);
    const { exitCode, out } = await run('failover', 'a:1', '--url', url, '-o', 'json');
    expect(exitCode).toBe(0);
    expect(out).toBe(SUCCESS.body);
    const refused = await slotgate(LATELY);
    const answer = await run('failover', '0', '--url', refused.url, '-o', 'json');
    expect(answer.exitCode).toBe(1);
    expect(JSON.parse(answer.out)).toEqual({
      error: {
        detail: 'b:2 was elected a moment ago: wait 1 s',
        reason: 'elected-lately',
        retryAfterSeconds: 1,
      },
    });
  });

  test('a refusal says why and what helps', async () => {
    const { url } = await slotgate(LATELY);
    const { exitCode, out, err } = await run('failover', '0', '--url', url);
    expect([exitCode, out]).toEqual([1, '']);
    expect(err).toBe(
      'slotgate: failover 0: b:2 was elected a moment ago: wait 1 s (--wait does that)\n',
    );
  });

  test('--wait tries again after the wait that was named', async () => {
    const { url, asked } = await slotgate(LATELY, SUCCESS);
    const { exitCode, err } = await run('failover', '0', '--wait', '--url', url);
    expect(exitCode).toBe(0);
    expect(err).toBe('waiting: b:2 was elected a moment ago: wait 1 s\n');
    expect(asked).toHaveLength(2);
  });

  test('--wait does not wait where waiting does not help', async () => {
    const { url, asked } = await slotgate(problem(404, { detail: 'there is no shard 9' }));
    const { exitCode, err } = await run('failover', '9', '--wait', '--url', url);
    expect([exitCode, err]).toEqual([1, 'slotgate: failover 9: there is no shard 9\n']);
    expect(asked).toHaveLength(1);
  });

  test('a failure on the way', async () => {
    const { url } = await slotgate({
      body: ndjson(STEPS[0] as object, { error: { detail: 'no' } }),
    });
    const { exitCode, out, err } = await run('failover', '0', '--url', url);
    expect([exitCode, out, err]).toEqual([1, 'b:2 takes over\n', 'slotgate: failover 0: no\n']);
  });

  test('a slotgate that goes away half-way', async () => {
    const { url } = await slotgate({ body: ndjson(STEPS[0] as object) });
    const { exitCode, err } = await run('failover', '0', '--url', url);
    expect(exitCode).toBe(1);
    expect(err).toContain('ended the connection before the switch was done: look with');
  });

  test('nobody there', async () => {
    const { url } = await slotgate();
    const server = servers.pop();
    await new Promise((resolve) => server?.close(resolve));
    const { exitCode, err } = await run('failover', '0', '--url', url);
    expect(exitCode).toBe(1);
    expect(err).toBe(
      `slotgate: could not ask slotgate at ${url}: connection refused; ` +
        'name a running one with --http-port or --url, or its configuration with -c\n',
    );
  });

  test('somebody else there', async () => {
    const { url } = await slotgate({ status: 404, type: 'text/html', body: '<html>' });
    const { err } = await run('failover', '0', '--url', url);
    expect(err).toContain(`${url} answered 404: is it a slotgate?`);
  });

  test('somebody there who does not speak HTTP', async () => {
    const server = createTcpServer((socket) => socket.end('-ERR unknown command\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { exitCode, err } = await run('failover', '--list', '--http-port', String(port));
    server.close();
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^slotgate: could not ask slotgate at .*: no HTTP server; name a running/);
  });

  test('--list shows shards and nodes', async () => {
    const node = { id: 'x', evidence: '', zone: '', stalenessMs: null, answer: null };
    const report = {
      mode: 'cluster',
      epoch: 1,
      shards: [
        {
          shard: 0,
          slotCount: 16384,
          slotRanges: ['0-16383'],
          primary: 'a:1',
          nodes: [
            { ...node, address: 'a:1', role: 'primary', state: 'up' },
            { ...node, address: 'b:22', role: 'replica', state: 'down' },
          ],
        },
      ],
      others: [{ ...node, address: 'c:3', role: 'primary', state: 'up' }],
    };
    const { url } = await slotgate({ type: 'application/json', body: JSON.stringify(report) });
    const { out } = await run('failover', '--list', '--url', url);
    expect(out).toBe(
      'SHARD  NODE  ROLE     STATE  SLOTS\n' +
        '0      a:1   primary  up     16384\n' +
        '0      b:22  replica  down   -\n' +
        '-      c:3   primary  up     0\n',
    );
  });
});

describe('misuse', () => {
  test.each([
    [['failover'], 'failover: a shard is missing; allowed: the number of a shard'],
    [['failover', '0', '--url', 'ftp://x'], 'failover: --url "ftp://x" is not allowed'],
    [['failover', '0', '--http-port', '0'], 'failover: --http-port "0" is not allowed'],
    [['failover', '0', '-o', 'xml'], 'Allowed choices are text, json'],
    [['restart-nodes'], "required option '--exec <command>' not specified"],
    [['restart-nodes', '--exec', '"x'], 'restart-nodes: --exec needs a quote'],
    [['restart-nodes', '--exec', 'x', '--timeout', 'soon'], '--timeout "soon" is not allowed'],
    [['local', 'restart-nodes', '--http-port', 'x'], 'local restart-nodes: --http-port "x"'],
    [['local', 'restart-nodes', '--timeout', '0'], 'local restart-nodes: --timeout "0"'],
  ])('%j', async (args, message) => {
    const { exitCode, out, err } = await run(...args);
    expect([exitCode, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });
});
