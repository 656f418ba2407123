/**
 * Connections as the data path sees them, on Node's inner handles and on the public API.
 *
 * Over 400 lines: one list of cases, which both kinds have to pass.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createSlab } from '../../../src/lib/slab.ts';
import { TcpTransport } from '../../../src/transport/tcp.ts';
import { numberedBytes } from '../downstream/poison-pool.ts';
import { Listening, listenOn, pump, StreamEnd, turns } from './stream-end.ts';

const TIMEOUT_MS = 5000;
const MB = 2 ** 20;
const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

function dial(transport: TcpTransport, port: number, timeoutMs = TIMEOUT_MS): StreamEnd {
  const end = new StreamEnd();
  end.stream = transport.connect({ host: '127.0.0.1', port }, end, timeoutMs);
  cleanUps.push(() => end.stream?.destroy());
  return end;
}

async function listening(transport: TcpTransport): Promise<Listening> {
  const server = await Listening.open(transport);
  cleanUps.push(() => server.close());
  return server;
}

/** Two ends of one connection, both of the transport under test. */
async function pair(transport: TcpTransport): Promise<{ client: StreamEnd; server: StreamEnd }> {
  const server = await listening(transport);
  const client = dial(transport, server.port);
  const [accepted] = await Promise.all([
    server.accepted(),
    client.until(() => client.connects > 0),
  ]);
  return { client, server: accepted };
}

/** A connection whose other end is a plain socket of Node's. */
async function withPlainPeer(
  transport: TcpTransport,
): Promise<{ client: StreamEnd; peer: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  const port = await listenOn(server);
  const connected = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const client = dial(transport, port);
  const peer = await connected;
  peer.on('error', () => {});
  cleanUps.push(() => peer.destroy());
  server.close();
  await client.until(() => client.connects > 0);
  return { client, peer };
}

/** Writes until the kernel takes no more; the last write stays under way. Bytes that were taken. */
function fillUp(end: StreamEnd): number {
  const slab = createSlab(MB);
  for (let i = 0; i < 1000; i++) if (!end.stream?.write(slab, 0, MB)) return i * MB;
  throw new Error('The kernel took a gigabyte.');
}

/** Reads a little, rests for a few turns of the loop, reads on. */
function readSlowly(end: StreamEnd): void {
  let pieces = 0;
  end.onPiece = () => {
    if (++pieces % 3 !== 0) return;
    end.stream?.pause();
    void turns(2).then(() => end.stream?.resume());
  };
}

describe('the choice of handles', () => {
  it("'public' leaves Node's inner handles alone", () => {
    expect(new TcpTransport('public').usesRawHandles).toBe(false);
  });

  it("'auto' uses them where they are as expected, as on this Node", () => {
    expect(new TcpTransport('auto').usesRawHandles).toBe(true);
  });
});

describe.each(['auto', 'public'] as const)('a connection (%s)', (mode) => {
  const transport = new TcpTransport(mode);

  it('carries short messages both ways', async () => {
    const { client, server } = await pair(transport);
    server.onPiece = (piece) => void server.say(piece.toString('latin1').toUpperCase());
    expect(client.say('hello')).toBe(true);
    await client.untilText('HELLO');
    client.say(' again');
    await client.untilText('HELLO AGAIN');
    expect([client.connects, client.ends, client.closed.length]).toEqual([1, 0, 0]);
  });

  it('knows the names of its two ends', async () => {
    const { client, server } = await pair(transport);
    expect(client.stream?.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(server.stream?.localAddress).toBe(client.stream?.remoteAddress);
    expect(server.stream?.remoteAddress).toBe(client.stream?.localAddress);
  });

  it('writes an IPv6 address in brackets, and none as nothing', async () => {
    const server = net.createServer();
    const open = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(0, '::1', () => resolve(true));
    });
    if (!open) return; // No IPv6 here.
    cleanUps.push(() => server.close());
    const end = new StreamEnd();
    const { port } = server.address() as net.AddressInfo;
    end.stream = transport.connect({ host: '::1', port }, end, TIMEOUT_MS);
    expect(end.stream.remoteAddress).toBe('');
    await end.until(() => end.connects > 0);
    expect(end.stream.remoteAddress).toBe(`[::1]:${port}`);
    end.stream.destroy();
    await end.untilClosed();
  });

  it('carries 20 MB both ways at once between slow readers', async () => {
    const { client, server } = await pair(transport);
    const up = numberedBytes(0, 20 * MB);
    const down = numberedBytes(1000, 20 * MB);
    readSlowly(client);
    readSlowly(server);
    await Promise.all([
      pump(client, up, 64 * 1024),
      pump(server, down, 100_001),
      server.until(() => server.receivedBytes >= up.length),
      client.until(() => client.receivedBytes >= down.length),
    ]);
    expect(server.bytes.equals(up)).toBe(true);
    expect(client.bytes.equals(down)).toBe(true);
    // Somewhere the kernel was full.
    expect(client.drains + server.drains).toBeGreaterThan(0);
  });

  it('keeps a buffer that is being written until it is taken', async () => {
    const { client, peer } = await withPlainPeer(transport);
    const bytes = numberedBytes(0, 30 * MB);
    const slab = createSlab(bytes.length);
    bytes.copy(slab);
    expect(client.stream?.write(slab, 0, slab.length)).toBe(false);
    const got: Buffer[] = [];
    let size = 0;
    const all = new Promise<void>((resolve) => {
      peer.on('data', (chunk: Buffer) => {
        got.push(chunk);
        size += chunk.length;
        if (size === bytes.length) resolve();
      });
    });
    await client.until(() => client.drains === 1);
    slab.fill(0xee);
    await all;
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
    expect(client.drains).toBe(1);
  });

  it('half closed by one end still carries the answer of the other', async () => {
    const { client, server } = await pair(transport);
    client.say('question');
    client.stream?.end();
    client.stream?.end();
    await server.until(() => server.ends === 1);
    expect(server.text).toBe('question');
    expect([client.closed, server.closed]).toEqual([[], []]);
    server.say('answer');
    server.stream?.end();
    await Promise.all([client.untilClosed(), server.untilClosed()]);
    expect(client.text).toBe('answer');
    expect([client.ends, server.ends, client.closed, server.closed]).toEqual([1, 1, [''], ['']]);
  });

  it('that was dialled still writes after the other end has finished', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.end('last words');
    await client.until(() => client.ends === 1);
    const got = new Promise<string>((resolve) => {
      peer.on('data', (chunk: Buffer) => resolve(chunk.toString()));
    });
    client.say('understood');
    expect(await got).toBe('understood');
    expect(client.closed).toEqual([]);
    client.stream?.end();
    await client.untilClosed();
    expect([client.text, client.closed]).toEqual(['last words', ['']]);
  });

  it('sends what was written before its end', async () => {
    const { client, server } = await pair(transport);
    const bytes = numberedBytes(0, 10 * MB);
    const slab = createSlab(bytes.length);
    bytes.copy(slab);
    readSlowly(server);
    client.stream?.write(slab, 0, slab.length);
    client.stream?.end();
    await server.until(() => server.ends === 1);
    expect(server.bytes.equals(bytes)).toBe(true);
  });

  it('does not report its end again when reading is resumed', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.end();
    await client.until(() => client.ends === 1);
    client.stream?.pause();
    client.stream?.resume();
    await turns();
    expect(client.ends).toBe(1);
  });

  it('reset by the peer closes once, with the reason', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.resetAndDestroy();
    await client.untilClosed();
    await turns();
    expect([client.closed, client.ends]).toEqual([['ECONNRESET'], 0]);
  });

  it('reset while a write is under way closes once and drains no more', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.pause();
    fillUp(client);
    peer.resetAndDestroy();
    await client.untilClosed();
    const drains = client.drains;
    await turns();
    expect(client.closed.length).toBe(1);
    expect(client.closed[0]).toMatch(/^(ECONNRESET|EPIPE)$/);
    expect(client.drains).toBe(drains);
  });

  it('written to after the peer has gone closes once', async () => {
    const { client, peer } = await withPlainPeer(transport);
    client.stream?.pause();
    peer.resetAndDestroy();
    const ping = setInterval(() => client.say('anyone?'), 1);
    await client.untilClosed();
    clearInterval(ping);
    expect(client.closed.length).toBe(1);
    expect(client.closed[0]).toMatch(/^(ECONNRESET|EPIPE)$/);
  });

  it('destroyed by us while a write is under way closes in order, and not at once', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.pause();
    fillUp(client);
    client.stream?.destroy();
    client.stream?.destroy();
    expect(client.closed).toEqual([]);
    expect(client.say('too late')).toBe(true);
    await client.untilClosed();
    await turns();
    expect([client.closed, client.drains]).toEqual([[''], 0]);
  });

  it('aborted while a write is under way: the peer gets no more of it than it has', async () => {
    /** How much of what the kernel took the peer reads after this end of the connection. */
    const shareAfter = async (end: 'abort' | 'destroy'): Promise<number> => {
      const { client, peer } = await withPlainPeer(transport);
      peer.pause();
      const taken = fillUp(client);
      client.stream?.[end]();
      await client.untilClosed();
      expect(client.closed).toEqual(['']);
      const closed = new Promise((resolve) => peer.once('close', resolve));
      peer.once('end', () => peer.destroy());
      peer.resume();
      await closed;
      return peer.bytesRead / taken;
    };
    expect(await shareAfter('destroy')).toBeGreaterThanOrEqual(1);
    expect(await shareAfter('abort')).toBeLessThan(1);
  });

  it('aborted, or destroyed, after its end closes once', async () => {
    const { client, peer } = await withPlainPeer(transport);
    peer.resume();
    client.stream?.end();
    client.stream?.abort();
    client.stream?.abort();
    await client.untilClosed();
    await turns();
    expect(client.closed).toEqual(['']);
  });

  it('destroyed from inside onData brings no more', async () => {
    const { client, server } = await pair(transport);
    server.onPiece = () => {
      server.stream?.destroy();
      expect(server.closed).toEqual([]);
    };
    const slab = createSlab(5 * MB);
    client.stream?.write(slab, 0, slab.length);
    await Promise.all([server.untilClosed(), client.untilClosed()]);
    expect([server.received.length, server.closed]).toEqual([1, ['']]);
    expect(client.closed.length).toBe(1);
  });

  it('paused brings nothing, resumed brings everything', async () => {
    const { client, peer } = await withPlainPeer(transport);
    client.stream?.pause();
    await new Promise((resolve) => peer.write('one', resolve));
    await turns();
    expect(client.text).toBe('');
    client.stream?.resume();
    await client.untilText('one');
    // From inside onData too, with more in the kernel's buffer.
    client.onPiece = () => client.stream?.pause();
    const more = numberedBytes(0, 2 * MB);
    peer.write(more);
    await client.until(() => client.receivedBytes > 3);
    await turns();
    expect(client.received.length).toBe(2);
    client.onPiece = () => {};
    client.stream?.resume();
    await client.until(() => client.receivedBytes === 3 + more.length);
    expect(client.bytes.subarray(3).equals(more)).toBe(true);
  });

  it('takes everything that is said after it was destroyed without a word', async () => {
    const { client } = await pair(transport);
    client.stream?.destroy();
    await client.untilClosed();
    client.stream?.pause();
    client.stream?.resume();
    client.stream?.end();
    client.stream?.destroy();
    expect(client.say('hello?')).toBe(true);
    await turns();
    expect([client.closed, client.ends, client.drains]).toEqual([[''], 0, 0]);
  });
});

describe.each(['auto', 'public'] as const)('dialling (%s)', (mode) => {
  const transport = new TcpTransport(mode);

  it('a port where nobody listens is refused', async () => {
    const server = net.createServer();
    const port = await listenOn(server);
    await new Promise((resolve) => server.close(resolve));
    const client = dial(transport, port);
    await client.untilClosed();
    expect([client.connects, client.closed]).toEqual([0, ['ECONNREFUSED']]);
  });

  it('a host without an address fails', async () => {
    const client = new StreamEnd();
    const endpoint = { host: 'no-such-host.invalid', port: 6379 };
    client.stream = transport.connect(endpoint, client, TIMEOUT_MS);
    await client.untilClosed();
    expect(client.closed).toEqual([expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/)]);
  });

  it('given up before it is connected closes in order', async () => {
    const server = await listening(transport);
    const client = dial(transport, server.port);
    client.stream?.destroy();
    await client.untilClosed();
    expect([client.connects, client.closed]).toEqual([0, ['']]);
  });

  it('a node that never answers is given up in time', async () => {
    const { port, child } = await deafListener();
    cleanUps.push(() => child.kill('SIGKILL'));
    // Its queue of one connection is full after two or three; the kernel drops what comes then.
    const clients = Array.from({ length: 6 }, () => dial(transport, port, 200));
    const last = clients.map((client) =>
      client.until(() => client.closed.length + client.connects > 0),
    );
    await Promise.all(last);
    const timedOut = clients.filter((client) => client.closed.length > 0);
    expect(timedOut.length).toBeGreaterThan(0);
    for (const client of timedOut) {
      expect([client.connects, client.closed]).toEqual([0, ['ETIMEDOUT']]);
    }
  });

  it('in time is not given up later', async () => {
    const server = await listening(transport);
    const client = dial(transport, server.port, 30);
    await client.until(() => client.connects > 0);
    // A timer of the same length that was set later has run, so the first would have.
    await new Promise((resolve) => setTimeout(resolve, 31));
    expect(client.closed).toEqual([]);
  });
});

describe.each(['auto', 'public'] as const)('accepting (%s)', (mode) => {
  it('can be refused with a word', async () => {
    const transport = new TcpTransport(mode);
    const server = await Listening.open(transport, () => null);
    cleanUps.push(() => server.close());
    const client = dial(transport, server.port);
    client.onEnded = () => client.stream?.destroy();
    await client.untilClosed();
    expect(client.text).toBe('refused');
  });

  it('loses nothing that was sent before anybody listened', async () => {
    const transport = new TcpTransport(mode);
    const server = await listening(transport);
    const peer = net.connect(server.port, '127.0.0.1');
    peer.end('early bird');
    const end = await server.accepted();
    await end.until(() => end.ends === 1);
    expect(end.text).toBe('early bird');
    peer.destroy();
  });
});

/** A process that listens and then never runs again. */
async function deafListener(): Promise<{ port: number; child: ChildProcess }> {
  const script = `
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, server.address().port + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const port = await new Promise<number>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
  });
  return { port, child };
}
